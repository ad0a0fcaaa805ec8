//! A second factor on the way in: where the tenant asks for two and an account has one, signing in
//! ends with setting the other up. There is no session before that, only this flow.

use crate::caller::Caller;
use crate::entrance::{self, Entrance, Proven};
use crate::login::{FlowOver, begin_try, flow};
use crate::second_factors::{self, Offer};
use crate::store;
use crate::store::flows::{Errand, Flow};
use crate::throttle::Turned;
use identity_contract::{FlowId, acr};
use nexus_sdk::prelude::*;

pub fn router() -> Router {
    Router::new()
        .route("/flows/{id}/enrolment/totp", post(offer))
        .route("/flows/{id}/enrolment/totp/confirm", post(confirm))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    flow_secret: String,
}

/// Whoever has a second factor by now has to show it: a flow that began before must not set up one
/// more beside it.
async fn still_without(by: &Ctx, flow: &Flow) -> Result<()> {
    let factors = store::factors::of(by.db(), flow.user_id).await?;
    match factors.demand_second() {
        true => Err(FlowOver.into()),
        false => Ok(()),
    }
}

async fn offer(
    by: Public,
    Path(id): Path<FlowId>,
    Json(asked): Json<Asked>,
) -> Result<Secret<Json<Offer>>> {
    let (flow, person) = flow(&by, id, &asked.flow_secret, Errand::Enrolment).await?;
    still_without(&by, &flow).await?;
    second_factors::offer_to(&by, &person).await.map(|offer| Secret(Json(offer)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    flow_secret: String,
    code: String,
}

/// The app works: its owner is in, and has recovery codes.
async fn confirm(
    by: Public,
    caller: Caller,
    Path(id): Path<FlowId>,
    Json(given): Json<Code>,
) -> Result<Entrance, Turned> {
    let (flow, person) = flow(&by, id, &given.flow_secret, Errand::Enrolment).await?;
    still_without(&by, &flow).await?;
    if !person.may_enter() {
        return Err(entrance::AccountSuspended.into());
    }
    let tries = begin_try(&by, &caller, &flow, &person).await?;
    let (mut writes, codes) = second_factors::taken(&by, &caller, person.id, &given.code).await?;
    writes.push(store::flows::take(flow.id).or_refuse(FlowOver));
    by.commit(writes).await?;
    let mut amr = flow.amr;
    amr.extend(["otp".to_owned(), "mfa".to_owned()]);
    amr.dedup();
    let proven = Proven { person, amr, method: "totp", persistent: flow.persistent };
    let entrance = entrance::enter(&by, &caller, proven, acr::TWO_FACTORS, Some(&tries)).await?;
    Ok(entrance.with_codes(codes))
}
