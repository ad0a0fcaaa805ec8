//! By which providers somebody comes in, and taking one away.

use crate::store;
use identity_contract::auth::{UpstreamId, UpstreamUnlinked};
use nexus_sdk::prelude::*;

/// A proof that is older changes no way into an account.
const RECENT_MINUTES: i32 = 10;

pub fn router() -> Router {
    Router::new().route("/identities", get(list)).route("/identities/{id}", delete(unlink))
}

/// A provider that an account is connected to.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    pub upstream_id: UpstreamId,
    pub name: String,
    pub linked_at: Time,
    pub used_at: Option<Time>,
}

async fn list(by: SignedIn, cursor: Cursor) -> Result<Page<Identity>> {
    store::upstreams::identities(by.db(), by.in_person()?, &cursor).await
}

/// Whoever has no other way in left still has the one by mail.
async fn unlink(by: SignedIn, Path(id): Path<UpstreamId>) -> Result<NoContent> {
    let subject = by.in_person()?.to_owned();
    by.recently(minutes(RECENT_MINUTES))?;
    by.commit([
        store::upstreams::unlink(&subject, id).or_refuse(standard::NotFound),
        emit(UpstreamUnlinked { upstream: id, subject }),
    ])
    .await
}
