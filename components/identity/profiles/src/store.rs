//! All SQL of this service, by table.

pub mod handles;
pub mod profiles;
pub mod subprofiles;

use crate::preferences::{Kept, Preferences};
use identity_contract::UserId;
use nexus_sdk::prelude::*;

pub async fn preferences(db: &Db, user: UserId) -> Result<Option<Kept>> {
    let one = sql!(
        "select preferences, preferences_version from profiles.profile
         where tenant_id = {tenant} and user_id = {user} and status <> 'erased'"
    );
    db.optional(one).await
}

/// One row, unless the version is another by now. `seen` is 0 where there was no profile yet.
pub fn put_preferences(user: UserId, seen: i64, preferences: &Preferences, at: Time) -> Write {
    let preferences = Json(preferences);
    sql!(
        "insert into profiles.profile
           (tenant_id, user_id, preferences, preferences_version, created_at, updated_at)
         values ({tenant}, {user}, {preferences}, {seen}::bigint + 1, {at}, {at})
         on conflict (tenant_id, user_id) do update
         set preferences = excluded.preferences,
           preferences_version = profile.preferences_version + 1
         where profile.preferences_version = {seen} and profile.status <> 'erased'"
    )
}
