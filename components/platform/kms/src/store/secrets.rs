//! Secrets and their versions.

use crate::secrets::{SecretDocument, SecretVersion, VersionGone};
use nexus_sdk::prelude::*;
use platform_contract::kms::SecretId;

pub async fn list(db: &Db, prefix: &str, cursor: &Cursor) -> Result<Page<SecretDocument>> {
    let all =
        sql!("select * from kms.secret where tenant_id = {tenant} and starts_with(name, {prefix})");
    db.page(all, cursor, ascending(["name"])).await
}

pub async fn find(db: &Db, name: &str) -> Result<SecretDocument> {
    find_if_any(db, name).await?.ok_or_else(|| standard::NotFound.into())
}

pub async fn find_if_any(db: &Db, name: &str) -> Result<Option<SecretDocument>> {
    db.optional(sql!("select * from kms.secret where tenant_id = {tenant} and name = {name}")).await
}

/// Newest first; a secret keeps at most 100 that can be read, and the marks of those that were.
pub async fn versions(db: &Db, id: SecretId) -> Result<Vec<SecretVersion>> {
    let some = sql!(
        "select version, created_at, created_by, deleted_at, destroyed_at
         from kms.secret_version where tenant_id = {tenant} and secret_id = {id}
         order by version desc limit 200"
    );
    db.all(some).await
}

/// A version that may be read, as it is kept.
pub async fn wrapped(db: &Db, id: SecretId, version: i32) -> Result<Vec<u8>> {
    let one = sql!(
        "select wrapped from kms.secret_version
         where tenant_id = {tenant} and secret_id = {id} and version = {version}
           and wrapped is not null and deleted_at is null"
    );
    db.one(one.or_refuse(VersionGone)).await
}

pub fn insert(s: &SecretDocument, secrets_max: i64) -> Write {
    sql!(
        "insert into kms.secret (tenant_id, id, name, latest_version, versions_max,
           check_and_set, created_at, created_by, updated_at)
         select {tenant}, {s.id}, {s.name}, {s.latest_version}, {s.versions_max},
           {s.check_and_set}, {s.created_at}, {s.created_by}, {s.updated_at}
         where (select count(*) from kms.secret where tenant_id = {tenant}) < {secrets_max}"
    )
    .expect_rows(1)
}

/// Takes the next version's number, unless somebody else has.
pub fn advance(id: SecretId, seen: i32, now: Time) -> Write {
    sql!(
        "update kms.secret set latest_version = latest_version + 1, updated_at = {now}
         where tenant_id = {tenant} and id = {id} and latest_version = {seen}"
    )
    .expect_rows(1)
}

pub fn insert_version(id: SecretId, version: i32, wrapped: &[u8], by: &Ctx) -> Write {
    let (now, subject) = (by.now(), &by.principal().subject);
    sql!(
        "insert into kms.secret_version (tenant_id, secret_id, version, wrapped, created_at,
           created_by)
         values ({tenant}, {id}, {version}, {wrapped}, {now}, {subject})"
    )
}

/// Destroys what is older than the versions that are kept.
pub fn destroy_up_to(id: SecretId, version: i32, now: Time) -> Write {
    sql!(
        "update kms.secret_version set wrapped = null, destroyed_at = {now}
         where tenant_id = {tenant} and secret_id = {id} and version <= {version}
           and wrapped is not null"
    )
}

pub fn configure(s: &SecretDocument) -> Write {
    sql!(
        "update kms.secret set versions_max = {s.versions_max},
           check_and_set = {s.check_and_set}, updated_at = {s.updated_at}
         where tenant_id = {tenant} and id = {s.id}"
    )
    .expect_rows(1)
}

pub fn conceal(id: SecretId, version: i32, at: Option<Time>) -> Write {
    sql!(
        "update kms.secret_version set deleted_at = {at}
         where tenant_id = {tenant} and secret_id = {id} and version = {version}
           and wrapped is not null"
    )
    .expect_rows(1)
}

pub fn destroy(id: SecretId, version: i32, now: Time) -> Write {
    sql!(
        "update kms.secret_version set wrapped = null, destroyed_at = {now}
         where tenant_id = {tenant} and secret_id = {id} and version = {version}
           and wrapped is not null"
    )
    .expect_rows(1)
}

pub fn remove(name: &str) -> Write {
    sql!("delete from kms.secret where tenant_id = {tenant} and name = {name}").expect_rows(1)
}
