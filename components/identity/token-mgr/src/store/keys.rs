//! Signing keys. They are the installation's, of no tenant.

use crate::keys::Kept;
use crate::kms::Algorithm;
use crate::rotation::SigningKey;
use nexus_sdk::prelude::*;
use serde_json::Value;

/// Those that nobody has withdrawn and whose tokens may still be about; a handful.
pub async fn good(db: &Db, algorithm: Algorithm) -> Result<Vec<SigningKey>> {
    let algorithm = algorithm.name();
    let good = sql!(
        "select kid, version, active_at, expires_at from token_mgr.key
         where algorithm = {algorithm} and withdrawn_at is null
         order by active_at desc, version desc limit 100"
    );
    db.all(good.across_tenants()).await
}

/// Versions of kms that are known here, withdrawn or not.
pub async fn versions(db: &Db, algorithm: Algorithm) -> Result<Vec<i32>> {
    let algorithm = algorithm.name();
    let all = sql!(
        "select version from token_mgr.key where algorithm = {algorithm}
         order by version desc limit 10000"
    );
    db.all(all.across_tenants()).await
}

/// What a key signs by, withdrawn or not.
pub async fn algorithm(db: &Db, kid: &str) -> Result<Option<String>> {
    let one = sql!("select algorithm from token_mgr.key where kid = {kid}");
    db.optional(one.across_tenants()).await
}

pub async fn list(db: &Db, cursor: &Cursor) -> Result<Page<Kept>> {
    let all = sql!(
        "select kid, algorithm, version, published_at, active_at, expires_at, withdrawn_at
         from token_mgr.key"
    );
    db.page(all.across_tenants(), cursor, descending(["published_at", "kid"])).await
}

pub async fn public(db: &Db, now: Time) -> Result<Vec<Value>> {
    #[derive(Deserialize)]
    struct Row {
        jwk: Value,
    }
    let believed = sql!(
        "select jwk from token_mgr.key
         where withdrawn_at is null and (expires_at is null or expires_at > {now})
         order by active_at desc, version desc limit 100"
    );
    let rows: Vec<Row> = db.all(believed.across_tenants()).await?;
    Ok(rows.into_iter().map(|row| row.jwk).collect())
}

/// Another host may have been faster; then it stays as that one wrote it.
pub fn insert(algorithm: Algorithm, key: &SigningKey, jwk: &Value, now: Time) -> Write {
    let algorithm = algorithm.name();
    sql!(
        "insert into token_mgr.key (kid, algorithm, version, jwk, published_at, active_at)
         values ({key.kid}, {algorithm}, {key.version}, {jwk}, {now}, {key.active_at})
         on conflict do nothing"
    )
    .across_tenants()
}

/// Lets the hosts believe it, until its end if it has one. Of RS256 they never hear: what it signs
/// is for clients, and no host takes it for an access token.
pub fn publish(kid: &str) -> Write {
    sql!(
        "select platform.identity_key_put(kid, algorithm, jwk, expires_at)
         from token_mgr.key
         where kid = {kid} and algorithm = 'ES256' and withdrawn_at is null"
    )
    .across_tenants()
}

pub fn expire(kid: &str, at: Time) -> Write {
    sql!(
        "update token_mgr.key set expires_at = {at}
         where kid = {kid} and expires_at is null"
    )
    .across_tenants()
}

pub fn withdraw(kid: &str, now: Time) -> Write {
    sql!(
        "update token_mgr.key set withdrawn_at = {now}
         where kid = {kid} and withdrawn_at is null"
    )
    .across_tenants()
    .expect_rows(1)
}

pub fn unpublish(kid: &str) -> Write {
    sql!("select platform.identity_key_withdraw({kid})").across_tenants()
}
