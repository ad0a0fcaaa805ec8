//! Which assets are to be protected, and what there is of them that is.

use media_contract::drm::{PackageProtected, Protection};
use media_contract::{AssetId, PackageId};
use nexus_sdk::prelude::*;

/// Of two decisions the later one stands; none of its own means the tenant's.
pub fn put(id: AssetId, protection: Option<Protection>, at: Time) -> Write {
    sql!(
        "insert into streaming.asset as a (tenant_id, id, protection, protection_decided_at)
         values ({tenant}, {id}, {protection}, {at})
         on conflict (tenant_id, id) do update set protection = excluded.protection,
           protection_decided_at = excluded.protection_decided_at
         where a.protection_decided_at is null
           or a.protection_decided_at <= excluded.protection_decided_at"
    )
}

pub fn put_default(protection: Protection, at: Time) -> Write {
    sql!(
        "insert into streaming.default_protection as d (tenant_id, protection, decided_at)
         values ({tenant}, {protection}, {at})
         on conflict (tenant_id) do update set protection = excluded.protection,
           decided_at = excluded.decided_at
         where d.decided_at <= excluded.decided_at"
    )
}

/// Of two protected packages the newer one is played, in whatever order they are told.
pub fn put_package(p: &PackageProtected) -> Write {
    sql!(
        "insert into streaming.asset as a (tenant_id, id, owner_id, protected_id, scheme)
         values ({tenant}, {p.asset}, {p.owner}, {p.package}, {p.scheme})
         on conflict (tenant_id, id) do update set protected_id = excluded.protected_id,
           scheme = excluded.scheme
         where a.protected_id is null or a.protected_id <= excluded.protected_id"
    )
}

/// What is not to be protected has no protected package.
pub fn forget_package(id: AssetId) -> Write {
    sql!(
        "update streaming.asset a set protected_id = null, scheme = null
         where a.tenant_id = {tenant} and a.id = {id} and coalesce(a.protection, (
           select protection from streaming.default_protection where tenant_id = {tenant}),
           'none') = 'none'"
    )
}

pub fn forget_packages() -> Write {
    sql!(
        "update streaming.asset a set protected_id = null, scheme = null
         where a.tenant_id = {tenant} and a.protected_id is not null
           and coalesce(a.protection, (
             select protection from streaming.default_protection where tenant_id = {tenant}),
             'none') = 'none'"
    )
}

pub fn withdraw(id: AssetId, package: PackageId) -> Write {
    sql!(
        "update streaming.asset set protected_id = null, scheme = null
         where tenant_id = {tenant} and id = {id} and protected_id = {package}"
    )
}

/// Ends the players of an asset's clear package, if it is to be protected.
pub fn end_clear(id: AssetId, now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session s set ended_at = {now}, end_reason = 'protection'
           from streaming.asset a
             left join streaming.default_protection d on d.tenant_id = a.tenant_id
           where a.tenant_id = {tenant} and a.id = {id}
             and coalesce(a.protection, d.protection, 'none') <> 'none'
             and s.tenant_id = {tenant} and s.asset_id = {id} and s.ended_at is null
             and s.scheme is null
           returning s.id, s.token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}

/// Ends the players of all clear packages that are to be protected.
pub fn end_all_clear(now: Time) -> Write {
    sql!(
        "with ended as (
           update streaming.session s set ended_at = {now}, end_reason = 'protection'
           from streaming.asset a
             left join streaming.default_protection d on d.tenant_id = a.tenant_id
           where a.tenant_id = {tenant}
             and coalesce(a.protection, d.protection, 'none') <> 'none'
             and s.tenant_id = {tenant} and s.asset_id = a.id and s.ended_at is null
             and s.scheme is null
           returning s.id, s.token_expires_at
         )
         select platform.playback_end({tenant}, id, token_expires_at + interval '1 minute')
         from ended"
    )
}
