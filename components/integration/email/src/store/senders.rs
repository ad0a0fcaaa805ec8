//! How tenants' mail looks from outside.

use crate::senders::Settings;
use nexus_sdk::prelude::*;

pub async fn find(db: &Db) -> Result<Option<Settings>> {
    db.optional(sql!("select * from email.sender where tenant_id = {tenant}")).await
}

pub fn put(s: &Settings, by: &str, now: Time) -> Write {
    sql!(
        "insert into email.sender as o (tenant_id, from_address, from_name, reply_to, return_path,
           link_origin, sandbox, sandbox_allow, recipient_hour_max, updated_at, updated_by)
         values ({tenant}, {s.from_address}, {s.from_name}, {s.reply_to}, {s.return_path},
           {s.link_origin}, {s.sandbox}, {s.sandbox_allow}, {s.recipient_hour_max}, {now}, {by})
         on conflict (tenant_id) do update set from_address = excluded.from_address,
           from_name = excluded.from_name, reply_to = excluded.reply_to,
           return_path = excluded.return_path, link_origin = excluded.link_origin,
           sandbox = excluded.sandbox, sandbox_allow = excluded.sandbox_allow,
           recipient_hour_max = excluded.recipient_hour_max, version = o.version + 1,
           updated_at = excluded.updated_at, updated_by = excluded.updated_by"
    )
}
