//! Messages and the jobs that deliver them.

use crate::domain::{Category, Message, State};
use integration_contract::MessageId;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

/// Newest first; filters that are absent fit all.
pub async fn list(
    db: &Db,
    state: Option<State>,
    address: Option<&str>,
    template: Option<&str>,
    cursor: &Cursor,
) -> Result<Page<Message>> {
    let all = sql!(
        "select id, address, template, template_version, locale, category, caller, state, reason,
           attempts, smtp_code, created_at, expires_at, finished_at
         from email.message
         where tenant_id = {tenant}
           and ({state}::text is null or state = {state})
           and ({address}::text is null or address = {address})
           and ({template}::text is null or template = {template})"
    );
    db.page(all, cursor, descending(["id"])).await
}

pub async fn find(db: &Db, id: MessageId) -> Result<Message> {
    db.one(sql!("select * from email.message where tenant_id = {tenant} and id = {id}")).await
}

/// The message that came first with a key.
pub async fn of_key(db: &Db, key: &str) -> Result<Option<Message>> {
    let first =
        sql!("select * from email.message where tenant_id = {tenant} and dedup_key = {key}");
    db.optional(first).await
}

/// How many messages an address was sent since then.
pub async fn recent(db: &Db, address: &str, since: Time) -> Result<i64> {
    let count = sql!(
        "select count(*) from email.message
         where tenant_id = {tenant} and address = {address} and created_at > {since}
           and state <> 'suppressed'"
    );
    db.one(count).await
}

/// What a message needs besides what anybody may see of it.
#[derive(Debug, Default)]
pub struct Hidden<'a> {
    pub dedup_key: Option<&'a str>,
    pub job: Option<Uuid>,
    pub seal_key: Option<Vec<u8>>,
    pub unsubscribe_digest: Option<Vec<u8>>,
}

/// Violates `message_dedup` when its key is taken.
pub fn insert(m: &Message, h: &Hidden<'_>) -> Write {
    sql!(
        "insert into email.message (tenant_id, id, address, template, template_version, locale,
           category, caller, state, reason, dedup_key, job_id, seal_key, unsubscribe_digest,
           created_at, expires_at, finished_at)
         values ({tenant}, {m.id}, {m.address}, {m.template}, {m.template_version}, {m.locale},
           {m.category}, {m.caller}, {m.state}, {m.reason}, {h.dedup_key}, {h.job}, {h.seal_key},
           {h.unsubscribe_digest}, {m.created_at}, {m.expires_at}, {m.finished_at})"
    )
}

/// Hands a message to the workers.
pub fn submit(job: Uuid, args: &Value, options: &Value) -> Write {
    sql!("select platform.job_submit('mail', {job}, {tenant}, {args}, {trace}, {options})")
}

/// Touches no row when the message waits no longer.
pub fn cancel_job(id: MessageId) -> Write {
    sql!(
        "update email.message m set reason = 'cancelled'
         from (
           select o.job_id, platform.job_cancel(o.job_id) from email.message o
           where o.tenant_id = {tenant} and o.id = {id} and o.state = 'queued'
         ) j
         where m.tenant_id = {tenant} and m.id = {id} and m.job_id = j.job_id
           and m.state = 'queued'"
    )
    .expect_rows(1)
}

/// A message of which a job is told.
#[derive(Debug, Deserialize)]
pub struct Settled {
    pub id: MessageId,
    pub address: String,
    pub template: String,
    pub category: Category,
    pub state: State,
}

pub async fn of_job(db: &Db, job: Uuid) -> Result<Option<Settled>> {
    let one = sql!(
        "select id, address, template, category, state from email.message
         where tenant_id = {tenant} and job_id = {job}"
    );
    db.optional(one).await
}

/// What has become of a message.
#[derive(Debug)]
pub struct Ending<'a> {
    pub id: MessageId,
    pub state: State,
    pub reason: Option<&'a str>,
    pub attempts: i32,
    pub smtp_code: Option<i32>,
    /// Whether the sealed message is gone.
    pub is_erased: bool,
}

pub fn end(e: &Ending<'_>, now: Time) -> Write {
    sql!(
        "update email.message set state = {e.state}, reason = {e.reason}, attempts = {e.attempts},
           smtp_code = {e.smtp_code}, finished_at = {now},
           seal_key = case when {e.is_erased} then null else seal_key end
         where tenant_id = {tenant} and id = {e.id} and state = 'queued'"
    )
}

/// What came back later, after the next server had taken it.
pub fn answer(id: MessageId, state: State, reason: Option<&str>, now: Time) -> Write {
    sql!(
        "update email.message set state = {state}, reason = {reason}, finished_at = {now}
         where tenant_id = {tenant} and id = {id} and state in ('sent', 'delivered', 'bounced')"
    )
    .expect_rows(1)
}

/// What a retry needs: none once the sealed message is gone.
pub async fn seal_key(db: &Db, id: MessageId) -> Result<Option<Vec<u8>>> {
    let key = sql!(
        "select seal_key from email.message
         where tenant_id = {tenant} and id = {id} and state = 'failed'"
    );
    db.one(key).await
}

/// Sends what was given up again.
pub fn requeue(id: MessageId, job: Uuid, until: Time) -> Write {
    sql!(
        "update email.message set state = 'queued', reason = null, job_id = {job},
           finished_at = null, expires_at = {until}
         where tenant_id = {tenant} and id = {id} and state = 'failed' and seal_key is not null"
    )
    .expect_rows(1)
}

/// A message of any tenant.
#[derive(Debug, Deserialize)]
pub struct Foreign {
    pub tenant_id: TenantId,
    pub id: MessageId,
    pub template: String,
    pub category: Category,
}

/// Messages that wait and that nobody wants to read any more.
pub async fn expired(db: &Db, now: Time) -> Result<Vec<Foreign>> {
    let expired = sql!(
        "select tenant_id, id, template, category from email.message
         where state = 'queued' and expires_at < {now} order by expires_at limit 200"
    );
    db.all(expired.across_tenants()).await
}

/// Messages that are over and whose sealed object is still there.
pub async fn sealed(db: &Db, before: Time) -> Result<Vec<Foreign>> {
    let sealed = sql!(
        "select tenant_id, id, template, category from email.message
         where seal_key is not null and state <> 'queued' and expires_at < {before}
         order by expires_at limit 200"
    );
    db.all(sealed.across_tenants()).await
}

/// The sealed object is gone.
pub fn erased(id: MessageId) -> Write {
    sql!(
        "update email.message set seal_key = null
         where tenant_id = {tenant} and id = {id} and state <> 'queued'"
    )
}

/// Gives a message up that is too old; its job is withdrawn with it.
pub fn give_up(id: MessageId, now: Time) -> Write {
    sql!(
        "update email.message m set state = 'failed', reason = 'expired', finished_at = {now},
           seal_key = null
         from (
           select o.job_id, platform.job_cancel(o.job_id) from email.message o
           where o.tenant_id = {tenant} and o.id = {id} and o.state = 'queued'
         ) j
         where m.tenant_id = {tenant} and m.id = {id} and m.job_id = j.job_id
           and m.state = 'queued'"
    )
    .expect_rows(1)
}

/// Forgets messages; a bounded number, so that no run takes long.
pub fn purge(before: Time) -> Write {
    sql!(
        "delete from email.message m using (
           select tenant_id, id from email.message
           where created_at < {before} and state <> 'queued' limit 5000
         ) o where m.tenant_id = o.tenant_id and m.id = o.id"
    )
    .across_tenants()
}
