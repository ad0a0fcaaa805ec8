//! What is in a package, for whoever owns it.

use crate::store::Lane;
use crate::track::Kind;
use crate::{View, shelf, store};
use media_contract::{AssetId, PackageId};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/packages/{id}", get(show))
}

/// A package as its owner sees it.
#[derive(Serialize, JsonSchema)]
struct Shown {
    id: PackageId,
    asset_id: AssetId,
    /// No track comes any more.
    is_complete: bool,
    /// Of the longest track.
    duration_ms: i64,
    bytes: i64,
    lanes: Vec<Lane>,
    tracks: Vec<ShownTrack>,
    /// Languages of subtitles.
    texts: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct ShownTrack {
    track: String,
    /// `video` or `audio`.
    kind: String,
    codec: String,
    width: Option<u32>,
    height: Option<u32>,
    frames_per_second: Option<f64>,
    channels: Option<u32>,
    language: Option<String>,
    segments: i64,
    bytes: i64,
    duration_ms: i64,
    peak_bits_per_second: i64,
    average_bits_per_second: i64,
    /// How it is encrypted; absent where it is clear.
    protection: Option<String>,
}

impl ShownTrack {
    fn of(track: &crate::track::Track) -> ShownTrack {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut shown = ShownTrack {
            track: track.name.clone(),
            kind: if track.is_video() { "video".into() } else { "audio".into() },
            codec: track.codec.clone(),
            width: None,
            height: None,
            frames_per_second: None,
            channels: None,
            language: None,
            segments: whole(track.segments.len() as u64),
            bytes: whole(track.bytes()),
            duration_ms: track.duration_ms(),
            peak_bits_per_second: whole(track.peak_bits_per_second),
            average_bits_per_second: whole(track.average_bits_per_second),
            protection: track.protection.as_ref().map(|it| it.scheme.name().to_owned()),
        };
        match &track.kind {
            Kind::Video { width, height, frame_rate: (frames, seconds), .. } => {
                (shown.width, shown.height) = (Some(*width), Some(*height));
                shown.frames_per_second = Some(f64::from(*frames) / f64::from(*seconds));
            }
            Kind::Audio { channels, .. } => {
                shown.channels = Some(*channels);
                shown.language = Some(track.language().to_owned());
            }
        }
        shown
    }
}

async fn show(by: SignedIn, Path(id): Path<PackageId>) -> Result<Json<Shown>> {
    let owner = match by.principal().may(View::NAME) {
        true => None,
        false => Some(by.principal().subject.parse().map_err(|_| standard::Forbidden)?),
    };
    let known = store::find(by.db(), id, owner).await?;
    let package = shelf::package(&by, id).await?;
    let tracks: Vec<ShownTrack> = package.tracks.iter().map(|it| ShownTrack::of(it)).collect();
    Ok(Json(Shown {
        id,
        asset_id: known.asset_id,
        is_complete: known.is_complete,
        duration_ms: tracks.iter().map(|track| track.duration_ms).max().unwrap_or(0),
        bytes: tracks.iter().map(|track| track.bytes).sum(),
        lanes: store::lanes(by.db(), id).await?,
        texts: package.texts.iter().map(|text| text.language.clone()).collect(),
        tracks,
    }))
}
