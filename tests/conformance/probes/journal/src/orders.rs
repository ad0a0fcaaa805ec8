//! Orders: messages whose handling does what a table says, so that a test decides each of them
//! while it is in this component's hands.

use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;
use nexus_sdk::{Event, release_after, retry_after};
use std::time::Duration;

nexus_sdk::id! { OrderId }

nexus_sdk::event! {
    /// An order was given.
    "probe.order.given.v1" => OrderGiven { id: OrderId, group: String }
}

nexus_sdk::refusals! {
    /// Asked for by the word `reject`.
    Refused = 422, "this order is refused"
}

#[derive(Deserialize, JsonSchema)]
pub struct Order {
    id: OrderId,
    group: String,
    /// As `platform.publish_with` takes them; without any the event is told as any other.
    options: serde_json::Value,
}

pub async fn give(by: Allowed<crate::Write_>, Json(order): Json<Order>) -> Result<NoContent> {
    let Order { id, group, options } = order;
    let given = OrderGiven { id, group };
    if options.as_object().is_some_and(|options| options.is_empty()) {
        return by.commit([emit(given)]).await;
    }
    let (topic, subject) = (OrderGiven::TOPIC, given.subject());
    let (event, payload): (OrderId, Value) = (by.new_id(), json!(given));
    by.commit([sql!(
        "select platform.publish_with(
           {topic}, {event}, {subject}, {tenant}, {payload}, null, {options})"
    )])
    .await
}

/// What to answer; without a word, nobody has decided yet.
#[derive(Deserialize)]
struct Verdict {
    word: Option<String>,
    after_ms: Option<i64>,
    reason: Option<String>,
}

pub async fn on_given(ctx: Ctx, order: OrderGiven) -> Result<NoContent> {
    let Verdict { word, after_ms, reason } = decided(&ctx).await?;
    let (id, reason) = (order.id, reason.unwrap_or_default());
    let after = Duration::from_millis(after_ms.unwrap_or_default().unsigned_abs());
    match word.as_deref() {
        Some("ack") => {
            let obeyed = sql!(
                "insert into probe_journal.obeyed (tenant_id, order_id) values ({tenant}, {id})"
            );
            ctx.commit([obeyed]).await
        }
        Some("retry") => Err(retry_after(after, reason)),
        Some("release") => Err(release_after(after)),
        _ => Err(Refused.because(reason).into()),
    }
}

/// Waits for the test's word about this delivery.
async fn decided(ctx: &Ctx) -> Result<Verdict> {
    let request = ctx.request_id();
    loop {
        let look = sql!(
            "select v.word, v.after_ms, v.reason from (select pg_sleep(0.02)) nap
             left join probe_journal.verdict v on v.request_id in ({request}, 'everything')
             limit 1"
        );
        let verdict = ctx.db().one::<Verdict>(look.across_tenants()).await?;
        if verdict.word.is_some() {
            return Ok(verdict);
        }
    }
}
