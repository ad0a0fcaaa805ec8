//! Which programs got tokens in which session.

use identity_contract::ClientId;
use nexus_sdk::prelude::*;

pub fn note(session: &str, client: ClientId, subject: &str, now: Time) -> Write {
    sql!(
        "insert into auth.session_client (tenant_id, session, client_id, subject, since)
         values ({tenant}, {session}, {client}, {subject}, {now})
         on conflict (tenant_id, session, client_id) do update set since = excluded.since"
    )
}

pub async fn clients(db: &Db, session: &str) -> Result<Vec<ClientId>> {
    let clients = sql!(
        "select client_id from auth.session_client
         where tenant_id = {tenant} and session = {session} limit 1000"
    );
    db.all(clients).await
}

pub fn forget(session: &str) -> Write {
    sql!("delete from auth.session_client where tenant_id = {tenant} and session = {session}")
}

pub fn forget_person(subject: &str) -> Write {
    sql!("delete from auth.session_client where tenant_id = {tenant} and subject = {subject}")
}

pub fn purge(before: Time) -> Write {
    sql!("delete from auth.session_client where since < {before}").across_tenants()
}
