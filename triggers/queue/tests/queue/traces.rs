//! A message stays in the trace of whoever told it, whatever becomes of it on the way.

use crate::ground::{Ground, Host, Native, TOPIC, brisk, quick, until};
use nexus_observability::TraceParent;
use nexus_runtime::{CallError, Outcome};
use nexus_storage::queue::{EnqueueRequest, Filter, QueueId, Settings};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn put(ground: &Ground, queue: QueueId, trace: Option<&str>) {
    let request = EnqueueRequest::new(queue, TOPIC, "beta", serde_json::json!({}));
    let request = EnqueueRequest { trace: trace.map(str::to_owned), ..request };
    ground.queue.enqueue(&request).await.expect("the database answers");
}

/// What the component was told, in order.
fn told(native: &Native) -> Vec<TraceParent> {
    let given = native.given.lock().unwrap();
    let messages = given.iter().flat_map(|delivery| &delivery.messages);
    messages.map(|message| TraceParent::parse(message.trace.as_deref().unwrap()).unwrap()).collect()
}

/// Dies at its second attempt, and is taken once it was sent again.
async fn from_retry_to_redrive(trace: Option<&str>) -> Vec<TraceParent> {
    let ground = Ground::new().await;
    let queue = ground.work(&quick()).await;
    let times = Arc::new(AtomicU32::new(0));
    let native = Native::new(move |_| {
        let time = times.fetch_add(1, Ordering::Relaxed);
        async move {
            match time {
                0 => Err(CallError::Trapped("out of luck".into())),
                1 => Ok(vec![Outcome::Reject { reason: "never".into() }]),
                _ => Ok(vec![Outcome::Ack]),
            }
        }
    });
    let host = Host::start(&ground, &native, brisk());
    put(&ground, queue, trace).await;
    until("it is dead", async || ground.depth(queue).await.dead == 1).await;
    let all = Filter { all: true, ..Filter::default() };
    assert_eq!(ground.queue.redrive(queue, &all, false, None).await.unwrap(), 1);
    until("it was given a third time", async || native.count() == 3).await;
    ground.until_quiet(queue).await;
    host.stop().await;
    ground.end().await;
    told(&native)
}

#[tokio::test]
async fn a_retry_and_a_dead_letter_sent_again_stay_in_the_trace_of_the_message() {
    let told = from_retry_to_redrive(Some(GIVEN)).await;
    let own = TraceParent::parse(GIVEN).unwrap();
    assert!(told.iter().all(|one| one.trace_id() == own.trace_id() && one.is_sampled()));
    let spans: HashSet<_> = told.iter().map(TraceParent::span_id).collect();
    assert_eq!((spans.len(), spans.contains(&own.span_id())), (3, false), "each has its own span");
}

#[tokio::test]
async fn a_message_that_nobody_traced_has_one_trace_for_all_its_attempts() {
    let told = from_retry_to_redrive(None).await;
    let traces: HashSet<_> = told.iter().map(TraceParent::trace_id).collect();
    assert_eq!((told.len(), traces.len()), (3, 1));
}

#[tokio::test]
async fn messages_of_a_batch_keep_their_traces_apart() {
    let ground = Ground::new().await;
    let wait = Duration::from_millis(200);
    let queue = ground.work(&Settings { batch_max: 2, batch_wait: wait, ..quick() }).await;
    let other = TraceParent::root().to_string();
    put(&ground, queue, Some(GIVEN)).await;
    put(&ground, queue, Some(&other)).await;
    let native = Native::content();
    let host = Host::start(&ground, &native, brisk());
    until("both were given", async || native.count() == 2).await;
    ground.until_quiet(queue).await;
    host.stop().await;
    ground.end().await;
    let traces: HashSet<_> = told(&native).iter().map(TraceParent::trace_id).collect();
    let given = [GIVEN, &other].map(|text| TraceParent::parse(text).unwrap().trace_id());
    assert_eq!(traces, HashSet::from(given));
}
