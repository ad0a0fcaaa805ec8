//! What `auth` asks, which speaks to other providers: letting in whom one of them has named.

use crate::caller::Caller;
use crate::entrance::{self, Entrance, Proven};
use crate::peers::{self, EmailTaken};
use crate::store;
use identity_contract::UserId;
use nexus_sdk::prelude::*;

nexus_sdk::callers! {
    /// Who has verified what another provider says.
    Protocols = ["auth"]
}

pub fn router() -> Router {
    Router::new().route("/internal/entrances", post(enter))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    user: UserId,
    /// Methods (RFC 8176), as far as the provider is believed.
    amr: Vec<String>,
    /// Only if nobody can come into the account by a proof of their own: then a proven address is
    /// enough to make it theirs.
    #[serde(default)]
    unclaimed: bool,
}

/// As after a password: whoever has a second factor is asked for it.
async fn enter(
    by: Called<Protocols>,
    caller: Caller,
    Json(named): Json<Named>,
) -> Result<Entrance> {
    let person = peers::person(named.user).await?.ok_or(standard::NotFound)?;
    if named.unclaimed {
        let factors = store::factors::of(by.db(), person.id).await?;
        if factors.password || factors.demand_second() {
            return Err(EmailTaken.into());
        }
        peers::mark_verified(person.id).await?;
    }
    let proven = Proven { person, amr: named.amr, method: "provider", persistent: false };
    entrance::first(&by, &caller, proven, Vec::new(), None).await
}
