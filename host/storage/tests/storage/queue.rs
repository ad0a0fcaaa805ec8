//! What the lease queue promises about one message after another: fencing, counting, waiting,
//! order. What it promises through every door is said in `tests/conformance/queue`; here is what
//! only storage can show.

use crate::queue_bed::{Bed, TOPIC, ids, lapse};
use nexus_storage::queue::{
    ClaimRequest, Ended, EnqueueRequest, Filter, Kind, Outcome, Settings, State,
};
use std::collections::HashMap;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

fn retry(after: Option<Duration>) -> Outcome {
    Outcome::Retry { after, reason: "not yet".into() }
}

fn quick() -> Settings {
    Settings { backoff_first: Duration::ZERO, ..Settings::default() }
}

#[tokio::test]
async fn an_older_holder_can_neither_end_nor_keep_what_was_claimed_again() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    bed.put(queue, 1).await;
    let first = bed.claim(queue, 1).await.remove(0);
    lapse(&bed).await;
    assert_eq!(bed.queue.expire(10).await.unwrap()[0].expired, 1);
    bed.queue.promote(10).await.unwrap();
    let second = bed.claim(queue, 1).await.remove(0);
    assert_eq!(second.lease.position, first.lease.position);
    assert!(second.lease.number > first.lease.number);
    for outcome in [Outcome::Ack, retry(None), Outcome::Release { after: None }] {
        let ended = bed.queue.finish(&[(first.lease, outcome)]).await.unwrap();
        assert_eq!(ended, [Ended::Stale]);
    }
    let by = Duration::from_secs(60);
    let held = bed.queue.extend(&[first.lease, second.lease], by).await.unwrap();
    assert_eq!(held, [false, true]);
    let acks = [(first.lease, Outcome::Ack), (second.lease, Outcome::Ack)];
    assert_eq!(bed.queue.finish(&acks).await.unwrap(), [Ended::Stale, Ended::Done]);
    assert_eq!(bed.queue.finish(&acks).await.unwrap(), [Ended::Stale, Ended::Stale]);
    bed.end().await;
}

#[tokio::test]
async fn a_message_that_kills_its_holder_reaches_its_limit() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings { attempts_max: 3, ..quick() }).await;
    let id = bed.put(queue, 1).await[0];
    for attempt in 1..=3 {
        let leased = bed.claim(queue, 1).await;
        assert_eq!(leased[0].attempt, attempt);
        lapse(&bed).await;
        let expired = bed.queue.expire(10).await.unwrap();
        assert_eq!((expired[0].expired, expired[0].dead), (1, u64::from(attempt == 3)));
        bed.queue.promote(10).await.unwrap();
    }
    assert!(bed.claim(queue, 1).await.is_empty());
    let dead = bed.queue.dead_letters(queue, 0, 10).await.unwrap();
    assert_eq!((dead[0].message.id, dead[0].attempts), (id, 3));
    let history = dead[0].errors.as_array().unwrap();
    assert_eq!(history.len(), 3);
    for (n, error) in history.iter().enumerate() {
        assert_eq!(error["attempt"], n + 1);
        assert_eq!(error["reason"], "lease expired");
        assert_eq!(error["worker"], "worker");
        assert!(error["at"].is_string());
    }
    bed.end().await;
}

#[tokio::test]
async fn a_retry_comes_after_anything_up_to_the_doubled_step() {
    let bed = Bed::new().await;
    let settings = Settings {
        backoff_first: Duration::from_secs(100),
        backoff_max: Duration::from_secs(300),
        ..Settings::default()
    };
    let queue = bed.queue_with(&settings).await;
    bed.put(queue, 60).await;
    for (attempt, most) in [(1, 100.0), (2, 200.0), (3, 300.0), (4, 300.0)] {
        let leased = bed.claim(queue, 100).await;
        assert_eq!(leased.len(), 60);
        assert!(leased.iter().all(|l| l.attempt == attempt));
        let outcomes: Vec<_> = leased.iter().map(|l| (l.lease, retry(None))).collect();
        let before = bed.now().await;
        let ended = bed.queue.finish(&outcomes).await.unwrap();
        assert!(ended.iter().all(|ended| *ended == Ended::Deferred));
        let waits: Vec<f64> = bed
            .queue
            .peek(queue, State::Deferred, 0, 100)
            .await
            .unwrap()
            .iter()
            .map(|p| p.at.duration_since(before).unwrap_or_default().as_secs_f64())
            .collect();
        // Sixty draws: none beyond the step, and not all on one side of its middle.
        assert!(waits.iter().all(|wait| *wait <= most + 5.0), "{attempt}: {waits:?}");
        assert!(waits.iter().any(|wait| *wait > most / 2.0), "{attempt}: {waits:?}");
        assert!(waits.iter().any(|wait| *wait < most / 2.0), "{attempt}: {waits:?}");
        bed.make_due().await;
    }
    bed.end().await;
}

#[tokio::test]
async fn a_retry_and_a_release_may_name_their_own_pause() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    bed.put(queue, 2).await;
    let leased = bed.claim(queue, 2).await;
    let hour = Some(Duration::from_secs(3600));
    let before = bed.now().await;
    let outcomes =
        [(leased[0].lease, retry(hour)), (leased[1].lease, Outcome::Release { after: hour })];
    assert_eq!(bed.queue.finish(&outcomes).await.unwrap(), [Ended::Deferred; 2]);
    for peeked in bed.queue.peek(queue, State::Deferred, 0, 10).await.unwrap() {
        let wait = peeked.at.duration_since(before).unwrap().as_secs();
        assert!((3600..3620).contains(&wait), "{wait}");
    }
    bed.end().await;
}

#[tokio::test]
async fn a_reject_is_dead_at_once_with_everything_about_it() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let tenant = Uuid::from_u128(7);
    let request = EnqueueRequest {
        subject: Some("product/1".into()),
        tenant: Some(tenant),
        trace: Some("00-1-2-01".into()),
        ..EnqueueRequest::new(queue, TOPIC, "alpha", serde_json::json!({ "a": [1, "ä"] }))
    };
    bed.queue.enqueue(&request).await.unwrap();
    let leased = bed.claim(queue, 1).await.remove(0);
    assert_eq!(leased.message.payload, r#"{"a": [1, "ä"]}"#);
    bed.queue.finish(&[(leased.lease, retry(None))]).await.unwrap();
    bed.queue.promote(10).await.unwrap();
    let leased = bed.claim(queue, 1).await.remove(0);
    let reject = Outcome::Reject { reason: "bad\0 words".into() };
    assert_eq!(bed.queue.finish(&[(leased.lease, reject)]).await.unwrap(), [Ended::Dead]);
    let dead = bed.queue.dead_letters(queue, 0, 10).await.unwrap().remove(0);
    let message = &dead.message;
    assert_eq!((message.id, &*message.topic, &*message.source), (request.id, TOPIC, "alpha"));
    assert_eq!((message.subject.as_deref(), message.tenant), (Some("product/1"), Some(tenant)));
    assert_eq!(message.trace.as_deref(), Some("00-1-2-01"));
    assert_eq!(dead.reason, "bad\u{fffd} words");
    assert_eq!(dead.errors.as_array().unwrap().len(), 2);
    assert_eq!(dead.errors[0]["reason"], "not yet");
    bed.end().await;
}

#[tokio::test]
async fn a_delayed_message_comes_when_it_is_due_and_not_before() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let late = EnqueueRequest { delay: Some(Duration::from_secs(3600)), ..bed.request(queue) };
    let at = SystemTime::now() + Duration::from_secs(7200);
    let later = EnqueueRequest { run_at: Some(at), ..bed.request(queue) };
    let past = EnqueueRequest { run_at: Some(SystemTime::UNIX_EPOCH), ..bed.request(queue) };
    for request in [&late, &later, &past] {
        bed.queue.enqueue(request).await.unwrap();
    }
    assert_eq!(bed.queue.promote(10).await.unwrap(), 0);
    assert_eq!(ids(&bed.claim(queue, 10).await), [past.id]);
    assert_eq!(bed.queue.find(queue, late.id).await.unwrap().unwrap().0, State::Deferred);
    let next = bed.queue.next_due(Duration::from_secs(10_000)).await.unwrap();
    assert!((3500..=3600).contains(&next.as_secs()), "{next:?}");
    let sql = "update platform.queue_deferred set due_at = due_at - interval '1 hour'";
    bed.host().await.batch(sql).await.unwrap();
    assert_eq!(bed.queue.promote(10).await.unwrap(), 1);
    assert_eq!(ids(&bed.claim(queue, 10).await), [late.id]);
    let month = Duration::from_secs(31 * 24 * 3600);
    let never = EnqueueRequest { delay: Some(month), ..bed.request(queue) };
    let refused = bed.queue.enqueue(&never).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "22023");
    bed.end().await;
}

#[tokio::test]
async fn the_low_water_mark_never_hides_a_deferred_message() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let hour = Duration::from_secs(3600);
    let request = EnqueueRequest { delay: Some(hour), ..bed.request(queue) };
    bed.queue.enqueue(&request).await.unwrap();
    bed.queue.maintain(&Default::default()).await.unwrap();
    // As if its transaction had been open since long before.
    let sql = "update platform.queue_deferred set due_at = now() - interval '2 hours'";
    bed.host().await.batch(sql).await.unwrap();
    bed.queue.maintain(&Default::default()).await.unwrap();
    assert_eq!(bed.queue.promote(10).await.unwrap(), 1);
    bed.end().await;
}

#[tokio::test]
async fn one_of_a_group_at_a_time_and_a_failing_one_blocks_only_its_group() {
    let bed = Bed::new().await;
    let settings = Settings { grouped: true, attempts_max: 2, ..quick() };
    let queue = bed.queue_with(&settings).await;
    let a = bed.put_group(queue, "a", 3).await;
    let b = bed.put_group(queue, "b", 2).await;
    let leased = bed.claim(queue, 10).await;
    let mut got = ids(&leased);
    got.sort();
    assert_eq!(got, [a[0], b[0]]);
    assert!(bed.claim(queue, 10).await.is_empty(), "both groups are in flight");
    let of = |id: Uuid| leased.iter().find(|l| l.message.id == id).unwrap().lease;
    let hour = Some(Duration::from_secs(3600));
    bed.queue.finish(&[(of(a[0]), retry(hour)), (of(b[0]), Outcome::Ack)]).await.unwrap();
    let leased = bed.claim(queue, 10).await;
    assert_eq!(ids(&leased), [b[1]], "a waits for its first, b goes on");
    bed.queue.finish(&[(leased[0].lease, Outcome::Ack)]).await.unwrap();
    bed.make_due().await;
    // The one that failed is tried again before those behind it; dead, it is out of their way.
    let leased = bed.claim(queue, 10).await;
    assert_eq!((ids(&leased), leased[0].attempt), (vec![a[0]], 2));
    assert_eq!(bed.queue.finish(&[(leased[0].lease, retry(hour))]).await.unwrap(), [Ended::Dead]);
    let leased = bed.claim(queue, 10).await;
    assert_eq!(ids(&leased), [a[1]]);
    let release = [(leased[0].lease, Outcome::Release { after: hour })];
    bed.queue.finish(&release).await.unwrap();
    assert!(bed.claim(queue, 10).await.is_empty(), "a released one keeps its place");
    bed.make_due().await;
    assert_eq!(ids(&bed.claim(queue, 10).await), [a[1]]);
    bed.end().await;
}

#[tokio::test]
async fn groups_take_turns_however_long_one_of_them_is() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings { grouped: true, ..quick() }).await;
    bed.put_group(queue, "long", 200).await;
    for n in 0..9 {
        bed.put_group(queue, &format!("short-{n}"), 2).await;
    }
    let mut served: HashMap<String, u32> = HashMap::new();
    for _ in 0..20 {
        let leased = bed.claim(queue, 1).await.remove(0);
        *served.entry(leased.group.unwrap().to_string()).or_default() += 1;
        bed.queue.finish(&[(leased.lease, Outcome::Ack)]).await.unwrap();
    }
    assert_eq!(served.len(), 10, "{served:?}");
    assert!(served.values().all(|n| *n == 2), "{served:?}");
    bed.end().await;
}

#[tokio::test]
async fn messages_with_and_without_a_group_do_not_starve_each_other() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings { grouped: true, ..quick() }).await;
    for n in 0..40 {
        bed.put_group(queue, &format!("g{n}"), 1).await;
    }
    bed.put(queue, 40).await;
    let (mut with, mut without) = (0, 0);
    for _ in 0..40 {
        let leased = bed.claim(queue, 1).await.remove(0);
        *if leased.group.is_some() { &mut with } else { &mut without } += 1;
    }
    // Forty fair coins: fewer than three of a side would be one in ten million.
    assert!(with >= 3 && without >= 3, "{with} {without}");
    assert_eq!(bed.claim(queue, 100).await.len(), 40);
    bed.end().await;
}

#[tokio::test]
async fn a_bound_holds_over_all_hosts_that_claim_at_once() {
    let bed = Bed::new().await;
    let settings = Settings { concurrency_max: Some(5), ..quick() };
    let queue = bed.queue_with(&settings).await;
    bed.put(queue, 50).await;
    let hosts = (0..8).map(|_| bed.claim(queue, 3));
    let leased: Vec<_> = futures::future::join_all(hosts).await.into_iter().flatten().collect();
    assert_eq!(leased.len(), 5);
    let acks: Vec<_> = leased[..2].iter().map(|l| (l.lease, Outcome::Ack)).collect();
    bed.queue.finish(&acks).await.unwrap();
    assert_eq!(bed.claim(queue, 10).await.len(), 2);
    bed.end().await;
}

#[tokio::test]
async fn no_two_claims_get_the_same_message() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let mut put = bed.put(queue, 300).await;
    let hosts = (0..6).map(|_| async {
        let mut got = Vec::new();
        loop {
            let leased = bed.claim(queue, 7).await;
            if leased.is_empty() {
                return got;
            }
            got.extend(ids(&leased));
        }
    });
    let got = futures::future::join_all(hosts).await;
    let mut got: Vec<Uuid> = got.into_iter().flatten().collect();
    // Rows that another claim held for a moment are left to the next one.
    got.extend(ids(&bed.claim(queue, 300).await));
    put.sort();
    got.sort();
    assert_eq!(got, put);
    bed.end().await;
}

#[tokio::test]
async fn of_one_key_only_the_first_within_a_day_is_put_in() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let other = bed.named_queue("other", &quick()).await;
    let keyed = |queue| EnqueueRequest { dedup_key: Some("k".into()), ..bed.request(queue) };
    let first = keyed(queue);
    assert_eq!(bed.queue.enqueue(&first).await.unwrap(), first.id);
    assert_eq!(bed.queue.enqueue(&keyed(queue)).await.unwrap(), first.id);
    let elsewhere = keyed(other);
    assert_eq!(bed.queue.enqueue(&elsewhere).await.unwrap(), elsewhere.id);
    let leased = bed.claim(queue, 10).await;
    assert_eq!(ids(&leased), [first.id]);
    bed.queue.finish(&[(leased[0].lease, Outcome::Ack)]).await.unwrap();
    assert_eq!(bed.queue.enqueue(&keyed(queue)).await.unwrap(), first.id, "done is not forgotten");
    let sql = "update platform.queue_dedup set created_at = created_at - interval '24 hours'";
    bed.host().await.batch(sql).await.unwrap();
    let again = keyed(queue);
    assert_eq!(bed.queue.enqueue(&again).await.unwrap(), again.id);
    bed.end().await;
}

#[tokio::test]
async fn of_two_transactions_with_one_key_the_second_gets_the_firsts_id() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let keyed = || EnqueueRequest { dedup_key: Some("k".into()), ..bed.request(queue) };
    for (end, wins) in [("commit", true), ("rollback", false)] {
        bed.host().await.batch("truncate platform.queue_dedup").await.unwrap();
        let (first, second) = (keyed(), keyed());
        let session = bed.host().await;
        session.batch("begin").await.unwrap();
        nexus_storage::queue::Queue::enqueue_in(&session, &first).await.unwrap();
        let (queue, id) = (bed.queue.clone(), second.id);
        let waiting = tokio::spawn(async move { queue.enqueue(&second).await.unwrap() });
        bed.until_somebody_waits().await;
        session.batch(end).await.unwrap();
        assert_eq!(waiting.await.unwrap() == first.id, wins, "{end}");
        let there = bed.queue.find(queue_of(&bed).await, id).await.unwrap().is_some();
        assert_eq!(there, !wins, "{end}");
    }
    bed.end().await;
}

async fn queue_of(bed: &Bed) -> nexus_storage::queue::QueueId {
    bed.queue.named("alpha", "work").await.unwrap().unwrap().id
}

#[tokio::test]
async fn a_paused_queue_takes_messages_and_gives_none() {
    let bed = Bed::new().await;
    for settings in [quick(), Settings { grouped: true, ..quick() }] {
        let queue = bed.queue_with(&settings).await;
        assert!(bed.queue.pause(queue, "ada").await.unwrap());
        assert!(!bed.queue.pause(queue, "bob").await.unwrap());
        let paused = bed.queue.named("alpha", "work").await.unwrap().unwrap().paused.unwrap();
        assert_eq!(paused.by, "ada");
        bed.put(queue, 2).await;
        assert!(bed.claim(queue, 10).await.is_empty());
        assert!(bed.queue.resume(queue).await.unwrap());
        assert!(!bed.queue.resume(queue).await.unwrap());
        assert_eq!(bed.claim(queue, 10).await.len(), 2);
    }
    bed.end().await;
}

#[tokio::test]
async fn a_lease_is_extended_up_to_its_deadline_and_no_further() {
    let bed = Bed::new().await;
    let settings = Settings { wall: Duration::from_secs(120), ..quick() };
    let queue = bed.queue_with(&settings).await;
    bed.put(queue, 1).await;
    let leased = bed.claim(queue, 1).await.remove(0);
    assert_eq!(leased.lease_time(), Duration::from_secs(60));
    assert_eq!(leased.wall(), Duration::from_secs(120));
    // To another slot of the ring, and back to where it can be finished.
    bed.queue.rotate_at(0).await.unwrap();
    let by = Duration::from_secs(3600);
    assert_eq!(bed.queue.extend(&[leased.lease], by).await.unwrap(), [true]);
    let until = bed.queue.peek(queue, State::Leased, 0, 1).await.unwrap().remove(0);
    let past = until.at.duration_since(leased.deadline).unwrap();
    assert_eq!(past, Duration::from_secs(10), "a grace to write the answer in");
    assert_eq!(until.worker.as_deref(), Some("worker"));
    let sql = "update platform.queue_lease set expires_at = now(), deadline = now()";
    bed.host().await.batch(sql).await.unwrap();
    bed.queue.expire(10).await.unwrap();
    let deferred = bed.queue.peek(queue, State::Deferred, 0, 1).await.unwrap().remove(0);
    assert_eq!(deferred.errors[0]["reason"], "deadline exceeded");
    bed.end().await;
}

#[tokio::test]
async fn leases_may_be_finished_while_they_are_extended_and_moved() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    for _ in 0..10 {
        bed.put(queue, 40).await;
        let leased = bed.claim(queue, 40).await;
        let leases: Vec<_> = leased.iter().map(|l| l.lease).collect();
        let acks: Vec<_> = leases.iter().rev().map(|l| (*l, Outcome::Ack)).collect();
        bed.queue.rotate_at(0).await.unwrap();
        let (ended, held) = tokio::join!(
            bed.queue.finish(&acks),
            bed.queue.extend(&leases, Duration::from_secs(60))
        );
        assert!(ended.unwrap().iter().all(|ended| *ended == Ended::Done));
        assert_eq!(held.unwrap().len(), 40);
    }
    assert_eq!(bed.depth(queue).await.leased, 0);
    bed.end().await;
}

#[tokio::test]
async fn a_claim_takes_from_several_queues_no_more_than_asked_of_each() {
    let bed = Bed::new().await;
    let plain = bed.named_queue("plain", &quick()).await;
    let ordered = bed.named_queue("ordered", &Settings { grouped: true, ..quick() }).await;
    let bounded =
        bed.named_queue("bounded", &Settings { concurrency_max: Some(2), ..quick() }).await;
    for queue in [plain, ordered, bounded] {
        bed.put(queue, 5).await;
    }
    let mut queues = Vec::new();
    for name in ["plain", "ordered", "bounded"] {
        queues.push(bed.queue.named("alpha", name).await.unwrap().unwrap().claim(3));
    }
    let request = ClaimRequest { queues, worker: "w".into(), lease: None };
    let mut got: HashMap<_, u32> = HashMap::new();
    for leased in bed.queue.claim(&request).await.unwrap() {
        *got.entry(leased.lease.queue).or_default() += 1;
    }
    assert_eq!(got, HashMap::from([(plain, 3), (ordered, 3), (bounded, 2)]));
    bed.end().await;
}

#[tokio::test]
async fn a_queue_keeps_its_name_and_kind_and_takes_new_settings() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let changed = Settings {
        concurrency_max: Some(3),
        batch_max: 10,
        batch_wait: Duration::from_secs(5),
        wall: Duration::from_secs(86_400),
        lease: Duration::from_secs(30),
        attempts_max: 20,
        backoff_first: Duration::from_secs(1),
        backoff_max: Duration::from_secs(2),
        ordered_by: None,
        grouped: false,
    };
    assert_eq!(bed.queue_with(&changed).await, queue);
    let known = bed.queue.named("alpha", "work").await.unwrap().unwrap();
    assert_eq!((known.settings, known.kind), (changed.clone(), Kind::Service));
    let other = bed.queue.ensure("alpha", "work", Kind::Job, "x", &changed).await.unwrap_err();
    assert_eq!(other.code().unwrap().code(), "42710");
    let wrong = Settings { batch_max: 0, ..changed };
    let wrong = bed.queue.ensure("alpha", "work", Kind::Service, "x", &wrong).await.unwrap_err();
    assert_eq!(wrong.code().unwrap().code(), "23514");
    let nowhere = bed.queue.redrive(queue, &Filter::default(), true, None).await.unwrap_err();
    assert_eq!(nowhere.code().unwrap().code(), "22023");
    bed.end().await;
}
