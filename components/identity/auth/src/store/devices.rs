//! Devices that wait.

use crate::device::Waiting;
use nexus_sdk::prelude::*;

pub async fn by_digest(db: &Db, digest: &[u8]) -> Result<Option<Waiting>> {
    let device = sql!(
        "select user_code, client_id, family, scopes, state, subject, auth_time, acr,
           interval_seconds, asked_at, expires_at
         from auth.device where tenant_id = {tenant} and digest = {digest}"
    );
    db.optional(device).await
}

pub async fn by_user_code(db: &Db, user_code: &str, now: Time) -> Result<Option<Waiting>> {
    let device = sql!(
        "select user_code, client_id, family, scopes, state, subject, auth_time, acr,
           interval_seconds, asked_at, expires_at
         from auth.device
         where tenant_id = {tenant} and user_code = {user_code} and state = 'pending'
           and expires_at > {now}"
    );
    db.optional(device).await
}

pub fn insert(digest: &[u8], w: &Waiting) -> Write {
    sql!(
        "insert into auth.device (tenant_id, digest, user_code, client_id, family, scopes, state,
           interval_seconds, expires_at)
         values ({tenant}, {digest}, {w.user_code}, {w.client_id}, {w.family}, {w.scopes},
           {w.state}, {w.interval_seconds}, {w.expires_at})"
    )
}

pub fn asked(digest: &[u8], now: Time, more_seconds: i32) -> Write {
    sql!(
        "update auth.device
         set asked_at = {now}, interval_seconds = least(interval_seconds + {more_seconds}, 120)
         where tenant_id = {tenant} and digest = {digest}"
    )
}

pub fn approve(
    user_code: &str,
    subject: &str,
    auth_time: Option<Time>,
    acr: Option<&str>,
) -> Write {
    sql!(
        "update auth.device
         set state = 'approved', subject = {subject}, auth_time = {auth_time}, acr = {acr}
         where tenant_id = {tenant} and user_code = {user_code} and state = 'pending'"
    )
    .expect_rows(1)
}

pub fn deny(user_code: &str, subject: &str) -> Write {
    sql!(
        "update auth.device set state = 'denied', subject = {subject}
         where tenant_id = {tenant} and user_code = {user_code} and state = 'pending'"
    )
    .expect_rows(1)
}

pub fn take(digest: &[u8]) -> Write {
    sql!(
        "update auth.device set state = 'used'
         where tenant_id = {tenant} and digest = {digest} and state = 'approved'"
    )
    .expect_rows(1)
}

pub fn purge(before: Time) -> Write {
    sql!("delete from auth.device where expires_at < {before}").across_tenants()
}
