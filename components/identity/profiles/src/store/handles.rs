//! Names that are taken.

use crate::handle::Handle;
use crate::own::Profile;
use identity_contract::UserId;
use nexus_sdk::prelude::*;

/// Refused by `handle_taken`, `handle_too_soon`, `profile_gone`; in a race by the unique indexes.
pub fn take(user: UserId, wanted: &Handle, at: Time) -> Write {
    let w = wanted;
    sql!("select profiles.take_handle({tenant}, {user}, {w.spelled}, {w.skeleton}, {at})")
}

pub async fn is_free(db: &Db, user: UserId, wanted: &Handle, at: Time) -> Result<bool> {
    let skeleton = &wanted.skeleton;
    let free = sql!(
        "select not exists (
           select from profiles.handle
           where tenant_id = {tenant} and skeleton = {skeleton}
             and user_id is distinct from {user} and (until is null or until > {at})
         )"
    );
    db.one(free).await
}

/// Whose name it is, or was until not long ago.
pub async fn holder(db: &Db, key: &str, at: Time) -> Result<Option<Profile>> {
    let one = sql!(
        "select p.* from profiles.handle h
         join profiles.profile p on p.tenant_id = h.tenant_id and p.user_id = h.user_id
         where h.tenant_id = {tenant} and h.key = {key} and (h.until is null or h.until > {at})"
    );
    db.optional(one).await
}

/// Frees the names whose time is over.
pub fn release(at: Time) -> Write {
    sql!("delete from profiles.handle where until <= {at}").across_tenants()
}
