//! Keys and their versions.

use crate::keyring::HeldRow;
use crate::keys::{Key, KeyVersion, VersionState};
use crate::place::Place;
use crate::policy::Operation;
use nexus_sdk::prelude::*;

/// What an operation needs, at once: the key, the versions asked for beside the latest, the
/// tenant's key, and how often the actor has done this within the hour.
pub async fn open(
    db: &Db,
    p: &Place,
    versions: &Vec<i32>,
    hour: Time,
    operation: Operation,
    actor: &str,
) -> Result<Vec<HeldRow>> {
    let rows = sql!(
        "select k.id, k.type, k.state, k.latest_version, k.min_decryption_version,
           k.min_encryption_version, k.derived, k.exportable, k.policy,
           v.version, v.state as version_state, v.wrapped, v.jwk, v.messages,
           t.wrapped as tenant_key, t.root, coalesce(u.uses, 0) as uses
         from kms.key k
         join kms.key_version v on v.tenant_id = k.tenant_id and v.key_id = k.id
           and (v.version = k.latest_version or v.version = any({versions}::int[]))
         join kms.tenant_key t on t.tenant_id = k.tenant_id
         left join kms.usage u on u.tenant_id = k.tenant_id and u.key_id = k.id
           and u.hour = {hour} and u.operation = {operation} and u.actor = {actor}
         where k.tenant_id = {p.tenant} and k.owner = {p.owner} and k.name = {p.name}
           and k.state <> 'destroyed'"
    );
    db.all(rows.across_tenants()).await
}

pub async fn find(db: &Db, p: &Place) -> Result<Key> {
    find_if_any(db, p).await?.ok_or_else(|| standard::NotFound.into())
}

pub async fn find_if_any(db: &Db, p: &Place) -> Result<Option<Key>> {
    let one = sql!(
        "select * from kms.key
         where tenant_id = {p.tenant} and owner = {p.owner} and name = {p.name}
           and state <> 'destroyed'"
    );
    db.optional(one.across_tenants()).await
}

/// The keys of one owner, without the destroyed ones.
pub async fn list(db: &Db, owner: &str, cursor: &Cursor) -> Result<Page<Key>> {
    let all = sql!(
        "select * from kms.key
         where tenant_id = {tenant} and owner = {owner} and state <> 'destroyed'"
    );
    db.page(all, cursor, ascending(["name"])).await
}

/// The names of one owner's keys, for a protocol that knows no pages.
pub async fn names(db: &Db, owner: &str, limit: i64) -> Result<Vec<String>> {
    let names = sql!(
        "select name from kms.key
         where tenant_id = {tenant} and owner = {owner} and state <> 'destroyed'
         order by name limit {limit}"
    );
    db.all(names).await
}

/// Every version of a key, oldest first.
pub async fn versions(db: &Db, key: &Key) -> Result<Vec<KeyVersion>> {
    let all = sql!(
        "select version, state, jwk, messages, created_at, activates_at from kms.key_version
         where tenant_id = {key.tenant_id} and key_id = {key.id} order by version"
    );
    db.all(all.across_tenants()).await
}

/// Touches no row when the owner has as many keys as it may.
pub fn insert(k: &Key, keys_max: i64) -> Write {
    let (policy, kind) = (Json(&k.policy), k.r#type);
    sql!(
        "insert into kms.key (tenant_id, id, owner, name, type, state, latest_version, derived,
           exportable, auto_rotate_seconds, rotate_at, policy, created_at, created_by, updated_at)
         select {k.tenant_id}, {k.id}, {k.owner}, {k.name}, {kind}, {k.state},
           {k.latest_version}, {k.derived}, {k.exportable}, {k.auto_rotate_seconds},
           {k.rotate_at}, {policy}, {k.created_at}, {k.created_by}, {k.updated_at}
         where (select count(*) from kms.key
           where tenant_id = {k.tenant_id} and owner = {k.owner}
             and state <> 'destroyed') < {keys_max}"
    )
    .across_tenants()
    .expect_rows(1)
}

pub fn insert_version(key: &Key, v: &KeyVersion, wrapped: &[u8]) -> Write {
    let jwk = v.jwk.as_ref().map(Json);
    sql!(
        "insert into kms.key_version (tenant_id, key_id, version, state, wrapped, jwk,
           created_at, activates_at)
         values ({key.tenant_id}, {key.id}, {v.version}, {v.state}, {wrapped}, {jwk},
           {v.created_at}, {v.activates_at})"
    )
    .across_tenants()
}

/// Everything about a key that may change, provided that nobody else has changed it.
pub fn update(k: &Key, seen: i64) -> Write {
    let policy = Json(&k.policy);
    sql!(
        "update kms.key set state = {k.state}, latest_version = {k.latest_version},
           min_decryption_version = {k.min_decryption_version},
           min_encryption_version = {k.min_encryption_version},
           min_available_version = {k.min_available_version}, exportable = {k.exportable},
           deletion_allowed = {k.deletion_allowed},
           auto_rotate_seconds = {k.auto_rotate_seconds}, rotate_at = {k.rotate_at},
           destroy_at = {k.destroy_at}, policy = {policy}, revision = {k.revision},
           updated_at = {k.updated_at}
         where tenant_id = {k.tenant_id} and id = {k.id} and revision = {seen}"
    )
    .across_tenants()
    .expect_rows(1)
}

/// Moves one version from a state to another.
pub fn move_version(key: &Key, version: i32, from: VersionState, to: VersionState) -> Write {
    sql!(
        "update kms.key_version set state = {to}, activates_at = null
         where tenant_id = {key.tenant_id} and key_id = {key.id} and version = {version}
           and state = {from}"
    )
    .across_tenants()
    .expect_rows(1)
}

/// Lets the version before a new one only undo what it did.
pub fn retire(key: &Key, version: i32) -> Write {
    sql!(
        "update kms.key_version set state = 'retiring'
         where tenant_id = {key.tenant_id} and key_id = {key.id} and version = {version}
           and state = 'active'"
    )
    .across_tenants()
}

/// Forgets the material of all versions below one; of all, with the highest number there is.
pub fn destroy_versions_below(key: &Key, version: i32) -> Write {
    sql!(
        "update kms.key_version set state = 'destroyed', wrapped = null, activates_at = null
         where tenant_id = {key.tenant_id} and key_id = {key.id} and version < {version}
           and state <> 'destroyed'"
    )
    .across_tenants()
}

/// Keys whose time to rotate has come, or which have encrypted much.
pub async fn due_to_rotate(db: &Db, now: Time, messages: i64, limit: i64) -> Result<Vec<Key>> {
    let due = sql!(
        "select k.* from kms.key k
         where k.state = 'active' and (k.rotate_at <= {now} or exists (
           select from kms.key_version v
           where v.tenant_id = k.tenant_id and v.key_id = k.id and v.version = k.latest_version
             and v.messages >= {messages}))
         order by k.rotate_at nulls last limit {limit}"
    );
    db.all(due.across_tenants()).await
}

/// Keys with a version whose time has come to take over.
pub async fn due_to_activate(db: &Db, now: Time, limit: i64) -> Result<Vec<Key>> {
    let due = sql!(
        "select distinct k.* from kms.key k
         join kms.key_version v on v.tenant_id = k.tenant_id and v.key_id = k.id
         where k.state = 'active' and v.state = 'pre_active' and v.activates_at <= {now}
         limit {limit}"
    );
    db.all(due.across_tenants()).await
}

pub async fn due_to_destroy(db: &Db, now: Time, limit: i64) -> Result<Vec<Key>> {
    let due = sql!(
        "select * from kms.key where state = 'destroying' and destroy_at <= {now}
         order by destroy_at limit {limit}"
    );
    db.all(due.across_tenants()).await
}

/// Everything of one owner, for the day when that owner is gone.
pub async fn of_owner(db: &Db, owner: &str, limit: i64) -> Result<Vec<Key>> {
    let all = sql!(
        "select * from kms.key
         where tenant_id = {tenant} and owner = {owner} and state <> 'destroyed'
         order by id limit {limit}"
    );
    db.all(all).await
}
