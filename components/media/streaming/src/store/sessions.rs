//! Playbacks. Whatever ends one also tells the hosts, in the same commit, that its tokens are worth
//! nothing any more (`platform.playback_end`); a minute longer than they would be, for hosts whose
//! clock is behind.

use crate::domain::{EndReason, Entitlement, PlayState, Running};
use media_contract::drm::Protection;
use media_contract::{AssetId, PackageId, PlaybackId};
use nexus_sdk::prelude::*;

/// One playback.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    pub id: PlaybackId,
    pub viewer_id: Uuid,
    /// Among the places that the viewer has.
    pub slot: i32,
    pub asset_id: AssetId,
    pub package_id: PackageId,
    /// How that is protected; absent where it is clear.
    pub scheme: Option<Protection>,
    pub owner_id: Uuid,
    pub duration_ms: i64,
    pub device: String,
    /// Lines of the largest picture.
    pub height_max: i32,
    pub state: PlayState,
    pub position_ms: i64,
    pub watched_ms: i64,
    /// It counts as a view.
    pub is_qualified: bool,
    pub started_at: Time,
    /// When the player was heard last.
    pub heard_at: Time,
    pub token_expires_at: Time,
    pub ended_at: Option<Time>,
    pub end_reason: Option<EndReason>,
}

pub async fn find(db: &Db, id: PlaybackId, viewer: Uuid) -> Result<Session> {
    let one = sql!(
        "select * from streaming.session
         where tenant_id = {tenant} and id = {id} and viewer_id = {viewer}"
    );
    db.one(one).await
}

/// Anybody's.
pub async fn any(db: &Db, id: PlaybackId) -> Result<Session> {
    let one = sql!("select * from streaming.session where tenant_id = {tenant} and id = {id}");
    db.one(one).await
}

pub async fn list(db: &Db, viewer: Uuid, cursor: &Cursor) -> Result<Page<Session>> {
    let all = sql!(
        "select * from streaming.session
         where tenant_id = {tenant} and viewer_id = {viewer} and ended_at is null"
    );
    db.page(all, cursor, descending(["id"])).await
}

/// Players of a viewer: never more than there are places.
pub async fn running(db: &Db, viewer: Uuid) -> Result<Vec<Running>> {
    let all = sql!(
        "select id, slot, device, state, heard_at from streaming.session
         where tenant_id = {tenant} and viewer_id = {viewer} and ended_at is null limit 100"
    );
    db.all(all).await
}

/// Violates `session_slot` when the place was taken in the meantime.
pub fn insert(s: &Session) -> Write {
    sql!(
        "insert into streaming.session (tenant_id, id, viewer_id, slot, asset_id, package_id,
           scheme, owner_id, duration_ms, device, height_max, state, position_ms, started_at,
           heard_at, token_expires_at)
         values ({tenant}, {s.id}, {s.viewer_id}, {s.slot}, {s.asset_id}, {s.package_id},
           {s.scheme}, {s.owner_id}, {s.duration_ms}, {s.device}, {s.height_max}, {s.state},
           {s.position_ms}, {s.started_at}, {s.heard_at}, {s.token_expires_at})"
    )
}

/// What a player has said; refused when it is over, or was heard again since it was read.
pub fn beat(s: &Session, heard_at: Time) -> Write {
    sql!(
        "update streaming.session set state = {s.state}, position_ms = {s.position_ms},
           watched_ms = {s.watched_ms}, is_qualified = {s.is_qualified},
           height_max = {s.height_max}, heard_at = {s.heard_at},
           token_expires_at = {s.token_expires_at}
         where tenant_id = {tenant} and id = {s.id} and ended_at is null
           and heard_at = {heard_at}"
    )
    .expect_rows(1)
}

/// Ends one, if it runs.
pub fn end(id: PlaybackId, reason: EndReason, now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session set ended_at = {now}, end_reason = {reason}
           where tenant_id = {tenant} and id = {id} and ended_at is null
           returning id, token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}

/// Ends all players of an asset.
pub fn end_of_asset(asset: AssetId, reason: EndReason, now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session set ended_at = {now}, end_reason = {reason}
           where tenant_id = {tenant} and asset_id = {asset} and ended_at is null
           returning id, token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}

/// Ends all players of a package.
pub fn end_of_package(package: PackageId, reason: EndReason, now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session set ended_at = {now}, end_reason = {reason}
           where tenant_id = {tenant} and package_id = {package} and ended_at is null
           returning id, token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}

/// Ends the players of an asset that is not published, but for its owner's.
pub fn end_of_unpublished(asset: AssetId, now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session s set ended_at = {now}, end_reason = 'unpublished'
           from streaming.asset a
           where a.tenant_id = {tenant} and a.id = {asset} and not a.is_published
             and s.tenant_id = {tenant} and s.asset_id = {asset} and s.ended_at is null
             and s.viewer_id <> s.owner_id
           returning s.id, s.token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}

/// Ends those players of somebody that have more than they may.
pub fn end_beyond(viewer: Uuid, allowed: &Entitlement, now: Time) -> Write {
    let (height, slots) = (i32::from(allowed.plan.height_max()), allowed.concurrency());
    sql!(
        "with ended as (
           update streaming.session set ended_at = {now}, end_reason = 'plan'
           where tenant_id = {tenant} and viewer_id = {viewer} and ended_at is null
             and (height_max > {height} or slot > {slots})
           returning id, token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}

/// Ends all players of somebody, and forgets what they played.
pub fn erase(viewer: Uuid, now: Time) -> [Write; 2] {
    let end = sql!(
        "with ended as (
           update streaming.session set ended_at = {now}, end_reason = 'erased'
           where tenant_id = {tenant} and viewer_id = {viewer} and ended_at is null
           returning id, token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    );
    let forget =
        sql!("delete from streaming.session where tenant_id = {tenant} and viewer_id = {viewer}");
    [end, forget]
}

/// Ends players of all tenants that nothing was heard of since.
pub fn end_stale(before: Time, now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session set ended_at = {now}, end_reason = 'stale'
           where ended_at is null and heard_at < {before}
           returning tenant_id, id, token_expires_at
         )
         select platform.playback_end(tenant_id, id, token_expires_at + interval '1 minute')
         from ended"
    )
    .across_tenants()
}

/// A playback of any tenant whose end was not told.
#[derive(Debug)]
pub struct Ended {
    pub tenant_id: TenantId,
    pub session: Session,
}

#[derive(Deserialize)]
struct EndedRow {
    tenant_id: TenantId,
    session: Json<Session>,
}

pub async fn untold(db: &Db) -> Result<Vec<Ended>> {
    let some = sql!(
        "select tenant_id, to_jsonb(s) as session from streaming.session s
         where ended_at is not null and told_at is null order by ended_at limit 100"
    );
    let rows: Vec<EndedRow> = db.all(some.across_tenants()).await?;
    let ended = |row: EndedRow| Ended { tenant_id: row.tenant_id, session: row.session.0 };
    Ok(rows.into_iter().map(ended).collect())
}

pub fn told(id: PlaybackId, now: Time) -> Write {
    sql!(
        "update streaming.session set told_at = {now}
         where tenant_id = {tenant} and id = {id} and told_at is null"
    )
    .expect_rows(1)
}

/// Forgets what is over; a bounded number, so that no run takes long.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from streaming.session s using (
           select tenant_id, id from streaming.session where told_at < {before} limit 5000
         ) o where s.tenant_id = o.tenant_id and s.id = o.id"
    )
    .across_tenants()
}
