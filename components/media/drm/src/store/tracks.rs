//! Tracks of protected packages, and what has become of their segments so far.

use crate::domain::Track;
use crate::index::Segment;
use media_contract::PackageId;
use nexus_sdk::prelude::*;

pub async fn of(db: &Db, package: PackageId) -> Result<Vec<Track>> {
    let all = sql!(
        "select name, vector, next, done_at from drm.track
         where tenant_id = {tenant} and package_id = {package} order by name"
    );
    db.all(all).await
}

pub async fn find(db: &Db, package: PackageId, name: &str) -> Result<Option<Track>> {
    let one = sql!(
        "select name, vector, next, done_at from drm.track
         where tenant_id = {tenant} and package_id = {package} and name = {name}"
    );
    db.optional(one).await
}

/// Refused when somebody else has just begun it.
pub fn insert(package: PackageId, t: &Track, now: Time) -> Write {
    sql!(
        "insert into drm.track (tenant_id, package_id, name, vector, ordered_at)
         values ({tenant}, {package}, {t.name}, {t.vector}, {now})"
    )
    .on_conflict_refuse("track_pkey", standard::Conflict)
}

/// What is to be done next; refused when that was done by somebody else.
pub fn advance(
    package: PackageId,
    t: &Track,
    next: i32,
    done_at: Option<Time>,
    now: Time,
) -> Write {
    sql!(
        "update drm.track set next = {next}, ordered_at = {now}, done_at = {done_at}
         where tenant_id = {tenant} and package_id = {package} and name = {t.name}
           and next = {t.next} and done_at is null"
    )
    .expect_rows(1)
}

pub fn insert_part(package: PackageId, t: &Track, segments: &[Segment]) -> Write {
    let segments = Json(segments);
    sql!(
        "insert into drm.part (tenant_id, package_id, track, first, segments)
         values ({tenant}, {package}, {t.name}, {t.next}, {segments})
         on conflict (tenant_id, package_id, track, first) do update
           set segments = excluded.segments"
    )
}

/// What has become of a track's segments, in their order.
pub async fn parts(db: &Db, package: PackageId, track: &str) -> Result<Vec<Segment>> {
    let all = sql!(
        "select segments from drm.part
         where tenant_id = {tenant} and package_id = {package} and track = {track}
         order by first"
    );
    let parts: Vec<Json<Vec<Segment>>> = db.all(all).await?;
    Ok(parts.into_iter().flat_map(|part| part.0).collect())
}

pub fn forget_parts(package: PackageId, track: &str) -> Write {
    sql!(
        "delete from drm.part
         where tenant_id = {tenant} and package_id = {package} and track = {track}"
    )
}

/// A track of any tenant on which nobody works.
#[derive(Debug, Deserialize)]
pub struct Silent {
    pub tenant_id: TenantId,
    pub package_id: PackageId,
    pub name: String,
    pub next: i32,
}

/// Tracks whose next part was asked for before `since` and is not there.
pub async fn silent(db: &Db, since: Time) -> Result<Vec<Silent>> {
    let some = sql!(
        "select t.tenant_id, t.package_id, t.name, t.next from drm.track t
           join drm.package p on p.tenant_id = t.tenant_id and p.id = t.package_id
         where t.done_at is null and t.ordered_at < {since}
           and p.retired_at is null and p.state <> 'failed'
         order by t.ordered_at limit 100"
    );
    db.all(some.across_tenants()).await
}

pub fn ordered(package: PackageId, name: &str, now: Time) -> Write {
    sql!(
        "update drm.track set ordered_at = {now}
         where tenant_id = {tenant} and package_id = {package} and name = {name}"
    )
}
