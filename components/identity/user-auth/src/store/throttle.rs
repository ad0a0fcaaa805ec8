//! Counts of tries; what is counted under which key is `throttle.rs`' to know.

use nexus_sdk::prelude::*;

/// Counts a try under all keys, or touches no row when one of them has to wait.
pub fn enter(keys: &[String], free: Vec<i32>, longest: Vec<i32>, now: Time) -> Write {
    sql!(
        "select 1 where user_auth.throttle_enter(
           {tenant}, {keys}::text[], {free}::int[], {longest}::int[], {now})"
    )
    .expect_rows(1)
}

/// Seconds until all keys are free, at least one.
pub async fn wait(db: &Db, keys: &[String], now: Time) -> Result<i64> {
    let wait = sql!(
        "select greatest(1, coalesce(
           ceil(extract(epoch from max(until) - {now}::timestamptz)), 1))::bigint
         from user_auth.throttle
         where tenant_id = {tenant} and key = any ({keys}::text[]) and until > {now}"
    );
    db.one(wait).await
}

/// Somebody came in: their own keys are free again.
pub fn forget(keys: &[String]) -> Write {
    sql!(
        "delete from user_auth.throttle
         where tenant_id = {tenant} and key = any ({keys}::text[])"
    )
}

/// A try under a shared key was a good one: it no longer counts, but what others have to wait for
/// stays, or an attacker would clear the way by coming in with an account of their own.
pub fn uncount(key: &str) -> Write {
    sql!(
        "update user_auth.throttle set tries = greatest(tries - 1, 0)
         where tenant_id = {tenant} and key = {key}"
    )
}

pub fn purge(before: Time) -> Write {
    sql!("delete from user_auth.throttle where last_at < {before}").across_tenants()
}
