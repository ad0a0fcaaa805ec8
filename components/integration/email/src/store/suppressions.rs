//! Addresses that get no mail.

use crate::domain::Reason;
use crate::suppressions::Suppression;
use integration_contract::MessageId;
use nexus_sdk::prelude::*;

/// An address as it stands on the list.
pub struct Entry<'a> {
    pub address: &'a str,
    pub reason: Reason,
    pub note: Option<&'a str>,
    pub message: Option<MessageId>,
    pub by: &'a str,
}

pub async fn reasons(db: &Db, address: &str) -> Result<Vec<Reason>> {
    let reasons = sql!(
        "select reason from email.suppression
         where tenant_id = {tenant} and address = {address} limit 10"
    );
    db.all(reasons).await
}

pub async fn list(db: &Db, address: Option<&str>, cursor: &Cursor) -> Result<Page<Suppression>> {
    let all = sql!(
        "select address, reason, note, message_id, created_at, created_by from email.suppression
         where tenant_id = {tenant} and ({address}::text is null or address = {address})"
    );
    db.page(all, cursor, ascending(["address", "reason"])).await
}

/// An address that stands there already stays as it is.
pub fn add(e: &Entry<'_>, now: Time) -> Write {
    sql!(
        "insert into email.suppression (tenant_id, address, reason, note, message_id, created_at,
           created_by)
         values ({tenant}, {e.address}, {e.reason}, {e.note}, {e.message}, {now}, {e.by})
         on conflict do nothing"
    )
}

pub fn remove(address: &str, reason: Reason) -> Write {
    sql!(
        "delete from email.suppression
         where tenant_id = {tenant} and address = {address} and reason = {reason}"
    )
    .expect_rows(1)
    .or_refuse(standard::NotFound)
}

/// Whose token it is, as long as the message is remembered.
#[derive(Debug, Deserialize)]
pub struct Subscriber {
    pub id: MessageId,
    pub address: String,
}

pub async fn of_token(db: &Db, digest: &[u8]) -> Result<Option<Subscriber>> {
    let one = sql!(
        "select id, address from email.message
         where tenant_id = {tenant} and unsubscribe_digest = {digest} limit 1"
    );
    db.optional(one).await
}
