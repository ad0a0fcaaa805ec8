//! Playbacks: begun, kept alive, ended.

use crate::domain::{self, EndReason, Entitlement, HEARTBEAT_SECONDS, Place, PlayState};
use crate::store::assets::Playable;
use crate::store::sessions::Session;
use crate::{Drm, View, progress, store, tokens};
use media_contract::drm::Protection;
use media_contract::streaming::{ViewEnded, ViewQualified, ViewStarted};
use media_contract::transcoder::UsageRecorded;
use media_contract::{AssetId, PackageId, PlaybackId};
use nexus_sdk::Permission;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    SessionEnded = 409, "this playback is over: begin another";
    DeviceLength = 422, "a device takes at most 120 characters";
    /// Another player of the same viewer begins at this moment; never told to a client.
    SlotTaken = 409, "this place has just been taken"
}

const DEVICE_CHARS_MAX: usize = 120;
/// Players of one viewer that begin at the same moment.
const RACES_MAX: usize = 5;

pub fn router() -> Router {
    Router::new()
        .route("/sessions", get(list).post(begin))
        .route("/sessions/{id}", get(show).delete(close))
        .route("/sessions/{id}/heartbeat", post(heartbeat))
        .route("/internal/playbacks/{id}", get(stands))
}

/// Who may play what is not published: its owner, or whoever may see everything (`None`).
pub fn seen_by(by: &Ctx) -> Result<Option<Uuid>> {
    match by.principal().may(View::NAME) {
        true => Ok(None),
        false => crate::viewer(by).map(Some),
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    asset: AssetId,
    /// By which the viewer's devices are told apart: what is begun on one again takes the place of
    /// what was playing there.
    #[serde(default)]
    device: String,
    /// Whether to go on where one was.
    #[serde(default = "yes")]
    resume: bool,
}

fn yes() -> bool {
    true
}

/// A playback, with addresses that are good until `expires_at`.
#[derive(Debug, Serialize, JsonSchema)]
struct Admitted {
    id: PlaybackId,
    asset_id: AssetId,
    package_id: PackageId,
    /// Of the playlist of all variants.
    hls: String,
    dash: String,
    /// WebVTT: which picture shows which moment; none while there are no pictures.
    sprite: Option<String>,
    poster: Option<String>,
    /// Absent of what is clear.
    protection: Option<tokens::Protected>,
    expires_at: Time,
    /// After which the player says how it is.
    heartbeat_seconds: i32,
    /// Lines of the largest picture.
    height_max: i32,
    /// Where to begin.
    resume_ms: i64,
    duration_ms: i64,
}

async fn begin(by: SignedIn, Json(wish): Json<Wish>) -> Result<Secret<Created<Admitted>>> {
    let fits = wish.device.chars().count() <= DEVICE_CHARS_MAX;
    if !fits {
        return Err(DeviceLength.at("device").into());
    }
    let viewer = crate::viewer(&by)?;
    let asset = store::assets::playable(by.db(), wish.asset, seen_by(&by)?).await?;
    let (package, scheme) = asset.offered.choose()?;
    let owner = asset.owner_id.ok_or(domain::NotPlayable)?;
    let entitlement = store::entitlements::of(by.db(), viewer).await?;
    let height_max = i32::from(entitlement.plan.height_max());
    if asset.lowest.is_some_and(|lowest| lowest > height_max) {
        return Err(domain::NoSizeForPlan.into());
    }
    let known = match wish.resume {
        true => store::progress::find(by.db(), viewer, wish.asset).await?,
        false => None,
    };
    let position_ms = known.map_or(0, |it| domain::resume(it.position_ms, it.is_finished));
    let mut session = Session {
        id: by.new_id(),
        viewer_id: viewer,
        slot: 0,
        asset_id: wish.asset,
        package_id: package,
        scheme,
        owner_id: owner,
        duration_ms: asset.duration_ms,
        device: wish.device,
        height_max,
        state: PlayState::Playing,
        position_ms,
        watched_ms: 0,
        is_qualified: false,
        started_at: by.now(),
        heard_at: by.now(),
        token_expires_at: domain::token_expires(by.now()),
        ended_at: None,
        end_reason: None,
    };
    admit(&by, &mut session, &entitlement).await?;
    Ok(Secret(Created(admitted(&by, &session, &asset).await?)))
}

/// Takes a place for a playback; again when somebody else was faster.
async fn admit(by: &Ctx, session: &mut Session, entitlement: &Entitlement) -> Result<NoContent> {
    for _ in 0..RACES_MAX {
        let running = store::sessions::running(by.db(), session.viewer_id).await?;
        let place = domain::place(&running, &session.device, entitlement.concurrency(), by.now())?;
        let Place { slot, replaces } = place;
        session.slot = slot;
        let mut writes: Vec<Write> = replaces
            .into_iter()
            .map(|id| store::sessions::end(id, EndReason::Replaced, by.now()))
            .collect();
        let insert = store::sessions::insert(session);
        writes.push(insert.on_conflict_refuse("session_slot", SlotTaken));
        writes.push(emit(ViewStarted {
            playback: session.id,
            asset: session.asset_id,
            package: session.package_id,
            viewer: session.viewer_id,
            owner: session.owner_id,
        }));
        match by.commit(writes).await {
            Err(error) if error.is(&SlotTaken) => {}
            committed => return committed,
        }
    }
    Err(domain::TooManySessions.into())
}

async fn admitted(by: &Ctx, session: &Session, asset: &Playable) -> Result<Admitted> {
    let height_max = u16::try_from(session.height_max).unwrap_or(0);
    let (package, expires_at) = (session.package_id, session.token_expires_at);
    let token = tokens::token(by, package, session.id, height_max, expires_at).await?;
    let tokens::Addresses { hls, dash, sprite, poster } = tokens::addresses(package, asset, &token);
    Ok(Admitted {
        id: session.id,
        asset_id: session.asset_id,
        package_id: package,
        hls,
        dash,
        sprite,
        poster,
        protection: session.scheme.map(|scheme| tokens::protected(scheme, &token)),
        expires_at,
        heartbeat_seconds: HEARTBEAT_SECONDS,
        height_max: session.height_max,
        resume_ms: session.position_ms,
        duration_ms: session.duration_ms,
    })
}

/// One's playbacks that run, newest first.
async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Session>> {
    store::sessions::list(by.db(), crate::viewer(&by)?, &cursor).await
}

async fn show(by: SignedIn, Path(id): Path<PlaybackId>) -> Result<Json<Session>> {
    Ok(Json(store::sessions::find(by.db(), id, crate::viewer(&by)?).await?))
}

/// How a player is.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Beat {
    position_ms: i64,
    state: PlayState,
}

/// Says how the player is, and gets fresh addresses.
async fn heartbeat(
    by: SignedIn,
    Path(id): Path<PlaybackId>,
    Json(beat): Json<Beat>,
) -> Result<Secret<Json<Admitted>>> {
    let mut session = store::sessions::find(by.db(), id, crate::viewer(&by)?).await?;
    if session.ended_at.is_some() {
        let reason = session.end_reason.map_or("over", EndReason::name);
        return Err(SessionEnded.because(format!("this playback is over: {reason}")).into());
    }
    let asset = store::assets::playable(by.db(), session.asset_id, seen_by(&by)?).await?;
    let entitlement = store::entitlements::of(by.db(), session.viewer_id).await?;
    let (heard_at, was_qualified) = (session.heard_at, session.is_qualified);
    let position_ms = domain::bounded(beat.position_ms, session.duration_ms);
    let passed = by.now() - heard_at;
    session.watched_ms += domain::watched(session.position_ms, position_ms, passed, beat.state);
    session.position_ms = position_ms;
    session.state = beat.state;
    session.is_qualified |= domain::is_qualified(session.watched_ms, session.duration_ms);
    session.height_max = entitlement.plan.height_max().into();
    session.heard_at = by.now();
    session.token_expires_at = domain::token_expires(by.now());
    let at = progress::at(session.asset_id, position_ms, session.duration_ms, by.now());
    let mut writes = vec![
        store::sessions::beat(&session, heard_at).or_refuse(SessionEnded),
        store::progress::put(session.viewer_id, &at),
    ];
    if session.is_qualified && !was_qualified {
        writes.push(emit(ViewQualified {
            playback: session.id,
            asset: session.asset_id,
            viewer: session.viewer_id,
            owner: session.owner_id,
            watched_ms: session.watched_ms,
        }));
    }
    by.commit(writes).await?;
    Ok(Secret(Json(admitted(&by, &session, &asset).await?)))
}

/// Whether a playback runs, and whose it is.
#[derive(Debug, Serialize, JsonSchema)]
struct Standing {
    asset_id: AssetId,
    package_id: PackageId,
    scheme: Option<Protection>,
    viewer_id: Uuid,
    is_running: bool,
}

async fn stands(by: Called<Drm>, Path(id): Path<PlaybackId>) -> Result<Json<Standing>> {
    let session = store::sessions::any(by.db(), id).await?;
    Ok(Json(Standing {
        asset_id: session.asset_id,
        package_id: session.package_id,
        scheme: session.scheme,
        viewer_id: session.viewer_id,
        is_running: session.ended_at.is_none(),
    }))
}

/// The player is closed; its addresses are worth nothing from now on.
async fn close(by: SignedIn, Path(id): Path<PlaybackId>) -> Result<NoContent> {
    let session = store::sessions::find(by.db(), id, crate::viewer(&by)?).await?;
    if session.ended_at.is_some() {
        return Ok(NoContent);
    }
    by.commit(store::sessions::end(id, EndReason::Closed, by.now())).await
}

/// What is told of a playback that is over.
pub fn told(session: &Session) -> [Write; 2] {
    let reason = session.end_reason.unwrap_or(EndReason::Stale);
    let ended = ViewEnded {
        playback: session.id,
        asset: session.asset_id,
        viewer: session.viewer_id,
        owner: session.owner_id,
        reason: reason.name().into(),
        watched_ms: session.watched_ms,
        position_ms: session.position_ms,
    };
    let used = UsageRecorded {
        asset: session.asset_id,
        kind: "view".into(),
        cpu_seconds: 0.0,
        content_seconds: session.watched_ms as f64 / 1000.0,
        bytes: 0,
    };
    [emit(ended), emit(used)]
}
