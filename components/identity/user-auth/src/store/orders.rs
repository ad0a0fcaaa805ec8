//! Mails that are owed.

use identity_contract::user_auth::MailOrderId;
use identity_contract::{FlowId, UserId};
use nexus_sdk::prelude::*;

/// Whom to write to and about what.
#[derive(Debug, Deserialize)]
pub struct Order {
    pub id: MailOrderId,
    pub purpose: String,
    pub email: Option<String>,
    pub user_id: Option<UserId>,
    pub registration_id: Option<FlowId>,
    pub details: Details,
    pub created_at: Time,
}

/// What the mail says besides.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Details {
    #[serde(default)]
    pub address: Option<String>,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub persistent: bool,
}

pub fn insert(o: &Order) -> Write {
    let details = Json(&o.details);
    sql!(
        "insert into user_auth.mail_order
           (tenant_id, id, purpose, email, user_id, registration_id, details, created_at)
         values ({tenant}, {o.id}, {o.purpose}, {o.email}, {o.user_id}, {o.registration_id},
           {details}, {o.created_at})"
    )
}

pub async fn find(db: &Db, id: MailOrderId) -> Result<Option<Order>> {
    let find = sql!(
        "select id, purpose, email, user_id, registration_id, details, created_at
         from user_auth.mail_order where tenant_id = {tenant} and id = {id}"
    );
    db.optional(find).await
}

pub fn remove(id: MailOrderId) -> Write {
    sql!("delete from user_auth.mail_order where tenant_id = {tenant} and id = {id}")
}

pub fn purge(before: Time) -> Write {
    sql!("delete from user_auth.mail_order where created_at < {before}").across_tenants()
}
