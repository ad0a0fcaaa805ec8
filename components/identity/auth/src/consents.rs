//! What a person has allowed programs to do, and taking it back.

use crate::store;
use identity_contract::ClientId;
use identity_contract::auth::GrantRevoked;
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new().route("/consents", get(list)).route("/consents/{client_id}", delete(revoke))
}

/// A program that may act for the person who asks.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Consent {
    pub client_id: ClientId,
    pub name: String,
    pub logo_uri: Option<String>,
    pub scopes: Vec<String>,
    pub granted_at: Time,
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Consent>> {
    store::consents::list(by.db(), by.in_person()?, &cursor).await
}

/// The program is asked for nothing: its tokens end.
async fn revoke(by: SignedIn, Path(client_id): Path<ClientId>) -> Result<NoContent> {
    let subject = by.in_person()?.to_owned();
    let families = store::families::of(by.db(), &subject, client_id).await?;
    for family in families {
        crate::peers::end_family(family).await?;
    }
    by.commit([
        store::consents::revoke(&subject, client_id).expect_rows(1).or_refuse(standard::NotFound),
        store::families::forget(&subject, client_id),
        emit(GrantRevoked { client: client_id, subject }),
    ])
    .await
}
