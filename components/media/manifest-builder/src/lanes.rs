//! Lanes that have come about: their indexes are looked at once, and whoever waits for something to
//! play is told.

use crate::track::Track;
use crate::{objects, store};
use media_contract::manifest_builder::{PackageReady, ReadyTrack};
use media_contract::step::{Outcome, Step, StepDone};
use media_contract::{Object, PackageId};
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    /// The same lane was told before; never told to a client.
    LaneTold = 409, "this lane has just been told"
}

const FAULT_CHARS_MAX: usize = 400;

/// What `transcoder` says of a lane, as far as it is read here.
#[derive(Deserialize)]
struct Said {
    tracks: Vec<SaidTrack>,
}

#[derive(Deserialize)]
struct SaidTrack {
    track: String,
    index: Object,
}

impl SaidTrack {
    /// The package that its index lies in.
    fn package(&self) -> Option<PackageId> {
        let mut parts = self.index.key.split('/');
        let package = (parts.next() == Some("packages")).then(|| parts.next())??;
        package.parse().ok()
    }
}

pub async fn on_done(ctx: Ctx, event: StepDone) -> Result<NoContent> {
    let (Step::Transcode, Some(lane), Outcome::Succeeded) = (event.step, event.lane, event.outcome)
    else {
        return ctx.commit([]).await;
    };
    let said = serde_json::from_value::<Said>(event.result.clone());
    let said = said.map_err(|why| Failure::new(why).context("read what was made"))?;
    let Some(package) = said.tracks.first().and_then(SaidTrack::package) else {
        // A source that is smaller than every size of the ladder has its first tracks only.
        return ctx.commit([]).await;
    };
    let looked = look(package, &said.tracks).await?;
    let fault = looked.as_ref().err().map(|why| why.chars().take(FAULT_CHARS_MAX).collect());
    let insert = store::insert_lane(package, lane, fault, ctx.now());
    let mut writes = vec![
        insert.on_conflict_refuse("lane_pkey", LaneTold),
        store::put_package(package, event.asset, None, false, ctx.now()),
    ];
    if let Ok(tracks) = looked {
        let duration_ms = tracks.iter().map(|track| track.duration_ms).max().unwrap_or(0);
        let (asset, run) = (event.asset, event.run);
        writes.push(emit(PackageReady { package, asset, run, lane, tracks, duration_ms }));
    }
    match ctx.commit(writes).await {
        // Told under another event; that this one was heard is all that is left to keep.
        Err(error) if error.is(&LaneTold) => ctx.commit([]).await,
        committed => committed,
    }
}

/// The tracks of a lane, or what is wrong with one of them.
async fn look(package: PackageId, tracks: &[SaidTrack]) -> Result<Result<Vec<ReadyTrack>, String>> {
    let mut ready = Vec::new();
    for SaidTrack { track: name, .. } in tracks {
        match objects::track(package, name).await? {
            Some(Ok(track)) => ready.push(told(&track)),
            Some(Err(why)) => return Ok(Err(format!("{name}: {why}"))),
            None => return Ok(Err(format!("{name}: there is no index"))),
        }
    }
    Ok(Ok(ready))
}

fn told(track: &Track) -> ReadyTrack {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    ReadyTrack {
        track: track.name.clone(),
        codec: track.codec.clone(),
        height: track.lines().map(i32::from),
        segments: whole(track.segments.len() as u64),
        bytes: whole(track.bytes()),
        duration_ms: track.duration_ms(),
        peak_bits_per_second: whole(track.peak_bits_per_second),
    }
}

#[test]
fn a_package_is_known_by_where_its_index_lies() {
    let of = |key: &str| {
        let index = Object { bucket: "media".into(), key: key.into() };
        SaidTrack { track: "v720".into(), index }.package().map(|id| id.to_string())
    };
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(of(&format!("packages/{id}/v720/index.json")).as_deref(), Some(id));
    assert_eq!(of(&format!("uploads/{id}")), None);
    assert_eq!(of("packages/x/v720/index.json"), None);
}
