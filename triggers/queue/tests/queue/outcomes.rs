//! How messages get to a component and what its answers make of them.

use crate::ground::{Ground, Host, Native, TOPIC, brisk, quick, until};
use nexus_runtime::{CallError, Outcome, Subscription};
use nexus_storage::queue::{EnqueueRequest, Kind, Settings, State};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

fn subscription(topic: &str, from: &str) -> Subscription {
    let mut line: Subscription = serde_json::from_value(topic.into()).unwrap();
    line.from = from.into();
    line
}

#[tokio::test]
async fn an_event_finds_its_subscriber_as_soon_as_it_is_committed() {
    let ground = Ground::new().await;
    ground.publish("a.b.c.v1").await;
    let native = Native::content();
    native.subscribes(vec![subscription("a.b.c.v1", "earliest"), subscription("a.**", "now")]);
    let host = Host::start(&ground, &native, brisk());
    until("the stored event has come", async || native.count() == 1).await;
    until("both subscriptions are known", async || {
        ground.queue.named("beta", "a.**").await.unwrap().is_some()
    })
    .await;
    ground.publish("a.b.c.v1").await;
    until("both have heard the next one", async || native.count() == 3).await;
    let given = native.given.lock().unwrap().clone();
    let names: Vec<_> = given.iter().map(|delivery| &*delivery.subscription).collect();
    assert_eq!(names[0], "a.b.c.v1");
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), 2);
    let message = &given[0].messages[0];
    assert_eq!((&*message.topic, &*message.source, message.attempt), ("a.b.c.v1", "alpha", 1));
    assert_eq!((message.subject.as_deref(), &message.payload[..]), (Some("s"), &b"{}"[..]));
    native.subscribes(vec![subscription("a.b.c.v1", "now")]);
    until("the other is retired", async || {
        let known = ground.queue.named("beta", "a.**").await.unwrap().unwrap();
        known.retired_at.is_some()
    })
    .await;
    let beta = ground.queue.named("beta", "a.b.c.v1").await.unwrap().unwrap();
    ground.until_quiet(beta.id).await;
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn each_answer_makes_of_a_message_what_it_says() {
    let ground = Ground::new().await;
    let queue = ground.work(&Settings { attempts_max: 3, ..quick() }).await;
    let native = Native::new(|delivery| async move {
        let message = &delivery.messages[0];
        let n: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let reason: Arc<str> = "says so".into();
        Ok(vec![match (n["n"].as_u64().unwrap(), message.attempt) {
            (1, _) => Outcome::Retry { after: Some(Duration::ZERO), reason },
            (2, 1) => Outcome::Retry { after: None, reason },
            (3, _) => Outcome::Reject { reason },
            _ => Outcome::Ack,
        }])
    });
    let put = ground.put(queue, 4).await;
    let host = Host::start(&ground, &native, brisk());
    ground.until_quiet(queue).await;
    let mut times = native.times();
    times.sort();
    let mut expected: Vec<_> = put.iter().copied().zip([1, 3, 2, 1]).collect();
    expected.sort();
    assert_eq!(times, expected);
    let dead = ground.queue.dead_letters(queue, 0, 10).await.unwrap();
    let dead: Vec<_> = dead.iter().map(|d| (d.message.id, d.attempts)).collect();
    assert_eq!(dead, [(put[1], 3), (put[3], 1)]);
    let counts = host.stats.snapshot().queues[&("beta".into(), "work".into())].clone();
    assert_eq!((counts.claimed, counts.acked, counts.retried), (7, 2, 4));
    assert_eq!((counts.rejected, counts.dead, counts.redelivered), (1, 2, 3));
    assert_eq!(counts.claim_buckets.iter().sum::<u64>(), 7);
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn a_tick_names_its_schedule_and_its_instants() {
    let ground = Ground::new().await;
    let ticks = ground
        .queue
        .ensure("beta", "schedules", Kind::Schedule, "schedules", &quick())
        .await
        .unwrap();
    let payload = serde_json::json!({
        "schedule": "purge", "scheduled_at": "2026-03-29T01:30:00.000000Z",
        "fired_at": "2026-03-29T01:30:00.250000Z", "trigger": "schedule",
    });
    let good = EnqueueRequest::new(ticks, "platform.tick.due.v1", "beta", payload);
    let no_tick = EnqueueRequest::new(ticks, TOPIC, "beta", serde_json::json!({}));
    for request in [&good, &no_tick] {
        ground.queue.enqueue(request).await.unwrap();
    }
    let native = Native::content();
    let host = Host::start(&ground, &native, brisk());
    ground.until_quiet(ticks).await;
    let tick = native.ticks.lock().unwrap().clone().remove(0);
    assert_eq!((tick.id, &*tick.name, tick.attempt), (good.id, "purge", 1));
    let seconds = tick.scheduled_at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(seconds, 1_774_747_800);
    let late = tick.fired_at.duration_since(tick.scheduled_at).unwrap();
    assert_eq!(late, Duration::from_millis(250));
    let dead = ground.queue.dead_letters(ticks, 0, 10).await.unwrap();
    assert_eq!(dead[0].message.id, no_tick.id);
    assert!(dead[0].reason.starts_with("the tick is not one"), "{}", dead[0].reason);
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn no_more_run_at_once_than_the_queue_allows() {
    let ground = Ground::new().await;
    for concurrency_max in [Some(3), None] {
        let queue = ground.work(&Settings { concurrency_max, ..quick() }).await;
        let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (running, seen) = (now.clone(), most.clone());
        let native = Native::new(move |_| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(15)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(vec![Outcome::Ack])
            }
        });
        ground.put(queue, 60).await;
        // Two hosts: the queue's own bound is over both, the host's is each its own.
        let hosts = [0, 1].map(|_| Host::start(&ground, &native, brisk()));
        ground.until_quiet(queue).await;
        let bound = concurrency_max.unwrap_or(2 * brisk().per_queue_max);
        let seen = seen.load(Ordering::SeqCst);
        assert!((2..=bound).contains(&seen), "{seen} of {bound}");
        assert_eq!(running.load(Ordering::SeqCst), 0);
        let times = native.times();
        assert!(times.len() == 60 && times.iter().all(|(_, n)| *n == 1), "{times:?}");
        for host in hosts {
            host.stop().await;
        }
    }
    ground.end().await;
}

#[tokio::test]
async fn a_batch_is_filled_or_goes_when_it_has_waited() {
    let ground = Ground::new().await;
    let settings = Settings { batch_max: 5, batch_wait: Duration::from_millis(300), ..quick() };
    let queue = ground.work(&settings).await;
    ground.put(queue, 12).await;
    let native = Native::content();
    let host = Host::start(&ground, &native, brisk());
    ground.until_quiet(queue).await;
    let given = native.given.lock().unwrap().clone();
    let sizes: Vec<_> = given.iter().map(|delivery| delivery.messages.len()).collect();
    assert_eq!(sizes, [5, 5, 2]);
    assert!(given.iter().all(|delivery| delivery.batch));
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn a_batch_that_traps_is_tried_one_by_one_and_only_the_culprit_pays() {
    let ground = Ground::new().await;
    let queue = ground.work(&Settings { batch_max: 4, attempts_max: 1, ..quick() }).await;
    let put = ground.put(queue, 4).await;
    let culprit = put[2];
    let native = Native::new(move |delivery| async move {
        match delivery.messages.iter().any(|message| message.id == culprit) {
            true => Err(CallError::Trapped("unreachable".into())),
            false => Ok(vec![Outcome::Ack; delivery.messages.len()]),
        }
    });
    let host = Host::start(&ground, &native, brisk());
    ground.until_quiet(queue).await;
    let dead = ground.queue.dead_letters(queue, 0, 10).await.unwrap();
    assert_eq!((dead.len(), dead[0].message.id), (1, culprit));
    assert_eq!(dead[0].reason, "the component trapped: unreachable");
    for id in put {
        let expected = if id == culprit { State::Dead } else { State::Done };
        assert_eq!(ground.queue.find(queue, id).await.unwrap().unwrap().0, expected);
    }
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn a_batch_with_too_few_answers_is_tried_one_by_one() {
    let ground = Ground::new().await;
    let queue = ground.work(&Settings { batch_max: 3, ..quick() }).await;
    ground.put(queue, 3).await;
    let native = Native::new(|_| async { Ok(vec![Outcome::Ack]) });
    let host = Host::start(&ground, &native, brisk());
    ground.until_quiet(queue).await;
    let given = native.given.lock().unwrap().clone();
    let sizes: Vec<_> = given.iter().map(|delivery| delivery.messages.len()).collect();
    assert_eq!(sizes, [3, 1, 1, 1]);
    host.stop().await;
    ground.end().await;
}
