//! Subscriptions and the event store: who hears what, from when on, and what services may do.

use crate::queue_bed::{Bed, ids, publishing};
use crate::server::{brisk, empty, platform, repository, until, value};
use nexus_storage::queue::{
    Outcome, QueueId, Settings, Start, State, SubscriptionSpec, is_pattern, topic_matches,
};
use nexus_storage::{Migrations, Work};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use std::time::Duration;
use uuid::Uuid;

fn spec(topic: &str, from: Start) -> SubscriptionSpec {
    SubscriptionSpec { topic: topic.into(), from, settings: Settings::default() }
}

impl Bed {
    async fn subscribed(&self, topic: &str) -> QueueId {
        self.queue.named("beta", topic).await.unwrap().unwrap().id
    }

    async fn heard(&self, topic: &str) -> Vec<Uuid> {
        self.queue.promote(1).await.unwrap();
        while self.queue.promote(1000).await.unwrap() > 0 {}
        let queue = self.subscribed(topic).await;
        let peeked = self.queue.peek(queue, State::Ready, 0, 1000).await.unwrap();
        peeked.iter().map(|peeked| peeked.message.id).collect()
    }
}

#[tokio::test]
async fn an_event_goes_to_every_subscription_that_covers_its_topic_and_to_no_other() {
    let bed = Bed::new().await;
    let topics = ["*", "a.**", "a.*.c.v1", "a.b.c.v1", "a.b.c.v2", "b.**"];
    let wanted: Vec<_> = topics.iter().map(|topic| spec(topic, Start::Now)).collect();
    bed.queue.subscribe("beta", &wanted).await.unwrap();
    let one = bed.publish("a.b.c.v1", "s", "{}").await;
    let two = bed.publish("a.x.c.v1", "s", "{}").await;
    for (topic, expected) in [
        ("*", vec![one, two]),
        ("a.**", vec![one, two]),
        ("a.*.c.v1", vec![one, two]),
        ("a.b.c.v1", vec![one]),
        ("a.b.c.v2", vec![]),
        ("b.**", vec![]),
    ] {
        assert_eq!(bed.heard(topic).await, expected, "{topic}");
        assert_eq!(is_pattern(topic), topic.contains('*'));
    }
    bed.end().await;
}

#[tokio::test]
async fn what_is_no_subscription_is_refused_and_changes_nothing() {
    let bed = Bed::new().await;
    bed.queue.subscribe("beta", &[spec("a.b.c.v1", Start::Now)]).await.unwrap();
    for topic in ["", "a..b", "a.**.b", "A.b", "a b", "a.b*", "***", "a.'; drop"] {
        let refused = bed.queue.subscribe("beta", &[spec(topic, Start::Now)]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "22023", "{topic:?}");
    }
    assert!(bed.queue.named("beta", "a.b.c.v1").await.unwrap().unwrap().retired_at.is_none());
    bed.end().await;
}

#[tokio::test]
async fn a_retired_subscription_hears_nothing_more_and_keeps_what_it_has() {
    let bed = Bed::new().await;
    let both = [spec("a.b.c.v1", Start::Now), spec("a.**", Start::Earliest)];
    bed.queue.subscribe("beta", &both).await.unwrap();
    let before = bed.publish("a.b.c.v1", "s", "{}").await;
    bed.queue.subscribe("beta", &both[..1]).await.unwrap();
    bed.queue.subscribe("beta", &both[..1]).await.unwrap();
    let while_retired = bed.publish("a.b.c.v1", "s", "{}").await;
    assert_eq!(bed.heard("a.**").await, [before]);
    assert_eq!(bed.heard("a.b.c.v1").await, [before, while_retired]);
    // It wants everything, so it goes on where it had stopped.
    bed.queue.subscribe("beta", &both).await.unwrap();
    let after = bed.publish("a.b.c.v1", "s", "{}").await;
    assert_eq!(bed.heard("a.**").await, [before, while_retired, after]);
    bed.end().await;
}

#[tokio::test]
async fn settings_change_without_a_new_subscription() {
    let bed = Bed::new().await;
    let mut wanted = spec("a.b.c.v1", Start::Earliest);
    bed.queue.subscribe("beta", std::slice::from_ref(&wanted)).await.unwrap();
    let queue = bed.subscribed("a.b.c.v1").await;
    bed.publish("a.b.c.v1", "s", "{}").await;
    wanted.settings.attempts_max = 3;
    wanted.settings.ordered_by = Some("subject".into());
    bed.queue.subscribe("beta", std::slice::from_ref(&wanted)).await.unwrap();
    let known = bed.queue.named("beta", "a.b.c.v1").await.unwrap().unwrap();
    assert_eq!((known.id, known.settings.attempts_max), (queue, 3));
    assert!(known.takes_turns());
    assert_eq!(bed.heard("a.b.c.v1").await.len(), 1);
    bed.end().await;
}

#[tokio::test]
async fn groups_come_from_the_subject_or_from_a_path_of_the_payload() {
    let bed = Bed::new().await;
    for (ordered_by, group) in [("subject", Some("s1")), ("a.b", Some("x")), ("a.c", None)] {
        let mut wanted = spec("a.b.c.v1", Start::Now);
        wanted.settings.ordered_by = Some(ordered_by.into());
        bed.queue.subscribe("beta", &[wanted]).await.unwrap();
        bed.publish("a.b.c.v1", "s1", r#"{"a": {"b": "x"}}"#).await;
        let leased = bed.claim(bed.subscribed("a.b.c.v1").await, 1).await.remove(0);
        assert_eq!(leased.group.as_deref(), group, "{ordered_by}");
        bed.queue.finish(&[(leased.lease, Outcome::Ack)]).await.unwrap();
    }
    bed.end().await;
}

#[tokio::test]
async fn a_subscription_from_the_earliest_has_the_store_and_one_from_now_has_not() {
    let bed = Bed::new().await;
    let mut all = Vec::new();
    for _ in 0..30 {
        all.push(bed.publish("a.b.c.v1", "s", "{}").await);
        bed.publish("other.b.c.v1", "s", "{}").await;
    }
    let queue = bed.queue_with(&Settings::default()).await;
    bed.put(queue, 5).await;
    let wanted = [spec("a.b.c.v1", Start::Earliest), spec("a.**", Start::Now)];
    bed.queue.subscribe("beta", &wanted).await.unwrap();
    let next = bed.publish("a.b.c.v1", "s", "{}").await;
    all.push(next);
    assert_eq!(bed.heard("a.b.c.v1").await, all);
    assert_eq!(bed.heard("a.**").await, [next]);
    bed.queue.subscribe("alpha", &[spec("*", Start::Earliest)]).await.unwrap();
    while bed.queue.promote(1000).await.unwrap() > 0 {}
    let everything = bed.queue.named("alpha", "*").await.unwrap().unwrap().id;
    assert_eq!(bed.depth(everything).await.ready, 61, "what was put into a queue is no fact");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_falls_between_the_store_and_a_new_subscription() {
    let bed = Bed::new().await;
    let publishers = (0..4).map(|n| {
        let database = bed.fresh.database.clone();
        tokio::spawn(async move {
            let session = database.service("alpha").await.unwrap();
            for turn in 0..60 {
                session.execute("begin", &[]).await.unwrap();
                for _ in 0..3 {
                    let sql = publishing("a.b.c.v1", Uuid::now_v7(), "s", "{}");
                    session.query(&sql, &[]).await.unwrap();
                }
                let end = if turn % 7 == n { "rollback" } else { "commit" };
                session.execute(end, &[]).await.unwrap();
            }
        })
    });
    let publishers: Vec<_> = publishers.collect();
    let mut names = Vec::new();
    while !publishers.iter().all(tokio::task::JoinHandle::is_finished) {
        let name = format!("s{}", names.len());
        bed.queue.subscribe(&name, &[spec("a.b.c.v1", Start::Earliest)]).await.unwrap();
        names.push(name);
        bed.queue.promote(500).await.unwrap();
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    until("all is replayed", async || bed.queue.promote(1000).await.unwrap() == 0).await;
    let stored = "select count(*) from platform.event";
    let stored: i64 = value(&bed.host().await, stored).await;
    assert!(stored > 500 && names.len() > 2, "{stored} {}", names.len());
    for name in names {
        let queue = bed.queue.named(&name, "a.b.c.v1").await.unwrap().unwrap().id;
        let mut states = bed.states(queue).await;
        let all = states.len();
        states.dedup_by_key(|(position, _)| *position);
        assert_eq!((states.len(), all), (stored.cast_unsigned() as usize, all), "{name}");
    }
    bed.end().await;
}

#[tokio::test]
async fn a_publisher_with_an_older_snapshot_is_told_to_try_again() {
    let bed = Bed::new().await;
    let session = bed.fresh.as_alpha().await;
    let publish = publishing("a.b.c.v1", Uuid::now_v7(), "s", "{}");
    for level in ["repeatable read", "serializable"] {
        session.execute(&format!("begin isolation level {level}"), &[]).await.unwrap();
        session.query("select count(*) from note", &[]).await.unwrap();
        bed.queue.subscribe(&level.replace(' ', "-"), &[spec("a.**", Start::Now)]).await.unwrap();
        let missed = session.query(&publish, &[]).await.unwrap_err();
        assert_eq!(missed.code().unwrap().code(), "40001", "{level}");
        session.execute("rollback", &[]).await.unwrap();
    }
    session.execute("begin isolation level repeatable read", &[]).await.unwrap();
    session.query(&publish, &[]).await.unwrap();
    session.execute("commit", &[]).await.unwrap();
    drop(session);
    bed.end().await;
}

#[tokio::test]
async fn a_replay_does_again_what_was_done_and_leaves_alone_what_is_under_way() {
    let bed = Bed::new().await;
    bed.queue.subscribe("beta", &[spec("a.b.c.v1", Start::Now)]).await.unwrap();
    let queue = bed.subscribed("a.b.c.v1").await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(bed.publish("a.b.c.v1", "s", "{}").await);
    }
    let leased = bed.claim(queue, 4).await;
    let hour = Some(Duration::from_secs(3600));
    let outcomes = [
        (leased[0].lease, Outcome::Ack),
        (leased[1].lease, Outcome::Reject { reason: "no".into() }),
        (leased[2].lease, Outcome::Retry { after: hour, reason: "later".into() }),
    ];
    bed.queue.finish(&outcomes).await.unwrap();
    let beta = bed.fresh.database.service("beta").await.unwrap();
    let accept = format!("select platform.inbox_accept('{}', 'a.b.c.v1')", all[0]);
    assert!(value::<bool>(&beta, &accept).await);
    bed.queue.replay(queue, None).await.unwrap();
    assert_eq!(bed.heard("a.b.c.v1").await, [all[0], all[4]]);
    let states: Vec<_> = bed.states(queue).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["ready", "dead", "deferred", "leased", "ready"]);
    assert!(value::<bool>(&beta, &accept).await, "a replayed event is not taken for a repetition");
    let again = bed.claim(queue, 1).await.remove(0);
    assert!(again.lease.number > leased[0].lease.number);
    assert_eq!(again.attempt, 1);
    let later = bed.now().await + Duration::from_secs(60);
    bed.queue.replay(queue, Some(later)).await.unwrap();
    assert_eq!(bed.heard("a.b.c.v1").await, [all[4]]);
    drop(beta);
    bed.end().await;
}

#[tokio::test]
async fn a_service_reaches_its_own_queues_and_no_others() {
    let bed = Bed::new().await;
    let (alpha, beta) =
        (bed.fresh.as_alpha().await, bed.fresh.database.service("beta").await.unwrap());
    let put = "select platform.queue_put('mine', 'on_mine', '{\"attempts_max\": 3}')";
    alpha.query(put, &[]).await.unwrap();
    let enqueue = |key: &str| {
        format!(
            "select platform.enqueue('mine', '{}', 'a.b.c.v1', 's', null, '{{}}', null, \
             '{{\"dedup_key\": \"{key}\"}}')",
            Uuid::now_v7()
        )
    };
    let first: Uuid = value(&alpha, &enqueue("k")).await;
    assert_eq!(value::<Uuid>(&alpha, &enqueue("k")).await, first);
    let refused = beta.query(&enqueue("k"), &[]).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "P0002");
    let seen = "select id from platform.queue_messages('mine', 'ready', 0, 10)";
    assert_eq!(value::<Uuid>(&alpha, seen).await, first);
    let stats = "select ready from platform.queue_stats('mine')";
    assert_eq!(value::<i64>(&alpha, stats).await, 1);
    assert!(beta.query(stats, &[]).await.unwrap().is_empty());
    let leased = bed.claim(bed.queue.named("alpha", "mine").await.unwrap().unwrap().id, 1).await;
    assert_eq!(ids(&leased), [first]);
    let reject = [(leased[0].lease, Outcome::Reject { reason: "no".into() })];
    bed.queue.finish(&reject).await.unwrap();
    let redrive = "select platform.queue_redrive('mine', '{\"all\": true}')";
    for sql in [
        redrive,
        "select platform.queue_pause('mine')",
        "select platform.queue_discard('mine', 'dead', '{\"all\": true}')",
        "select * from platform.queue_messages('mine', 'dead', 0, 10)",
    ] {
        let refused = beta.query(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "P0002", "{sql}");
    }
    assert_eq!(value::<i64>(&alpha, redrive).await, 1);
    for sql in [
        "select platform.queue_claim(array[1], array[1], 'w', null)",
        "select platform.queue_insert(1, 'x', null, 'a.b.c.v1', null, null, '{}', null, null)",
        "select platform.queue_finish(null, null, null, null, null, null)",
        "select platform.queue_rotate('queue_ready', 0, 0)",
        "select platform.event_publish('a.b.c.v1', null, 'x', null, null, '{}', null, null, \
         0::int2, null)",
        "select * from platform.queue",
        "select * from platform.queue_demand",
        "select nextval('platform.event_position')",
    ] {
        let refused = alpha.query(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{sql}");
    }
    drop((alpha, beta));
    bed.end().await;
}

#[tokio::test]
async fn a_published_event_may_wait_and_has_a_priority_and_a_key() {
    let bed = Bed::new().await;
    bed.queue.subscribe("beta", &[spec("a.**", Start::Now)]).await.unwrap();
    let queue = bed.subscribed("a.**").await;
    let alpha = bed.fresh.as_alpha().await;
    let publish = |options: &str| {
        let id = Uuid::now_v7();
        format!(
            "select platform.publish_with('a.b.c.v1', '{id}', 's', null, '{{}}', null, '{options}')"
        )
    };
    let low: Uuid = value(&alpha, &publish("{}")).await;
    let high: Uuid = value(&alpha, &publish(r#"{"priority": 3, "dedup_key": "k"}"#)).await;
    assert_eq!(value::<Uuid>(&alpha, &publish(r#"{"dedup_key": "k"}"#)).await, high);
    let late: Uuid = value(&alpha, &publish(r#"{"delay_ms": 3600000}"#)).await;
    assert_eq!(ids(&bed.claim(queue, 10).await), [high, low]);
    assert_eq!(bed.queue.find(queue, late).await.unwrap().unwrap().0, State::Deferred);
    let unknown = alpha.query(&publish(r#"{"dealy_ms": 1}"#), &[]).await.unwrap_err();
    assert_eq!(unknown.code().unwrap().code(), "22023");
    drop(alpha);
    bed.end().await;
}

#[tokio::test]
async fn work_is_announced_when_it_is_committed_and_not_before() {
    let bed = Bed::new().await;
    let mut work = bed.fresh.database.work().listen();
    let mut poked =
        async || tokio::time::timeout(Duration::from_millis(50), work.poked()).await.is_ok();
    let session = bed.fresh.as_alpha().await;
    let publish = || publishing("a.b.c.v1", Uuid::now_v7(), "s", "{}");
    session.query(&publish(), &[]).await.unwrap();
    assert!(poked().await);
    session.execute("begin", &[]).await.unwrap();
    session.query(&publish(), &[]).await.unwrap();
    assert!(!poked().await);
    session.execute("commit", &[]).await.unwrap();
    assert!(poked().await);
    session.query("select 1", &[]).await.unwrap();
    assert!(!poked().await);
    let queue = bed.queue_with(&Settings::default()).await;
    assert!(poked().await);
    bed.put(queue, 1).await;
    assert!(poked().await);
    // What a host asks in rounds of its own would otherwise wake it for the next round, for ever.
    let claimed = bed.claim(queue, 10).await;
    assert_eq!(claimed.len(), 1);
    bed.queue.promote(10).await.unwrap();
    bed.queue.rotate().await.unwrap();
    bed.queue.expire(10).await.unwrap();
    let identity = nexus_storage::identity::Identity::new(bed.fresh.database.clone());
    let mut notices = identity.notices();
    notices.look().await.unwrap();
    notices.look().await.unwrap();
    assert!(!poked().await);
    drop(session);
    bed.end().await;
}

#[tokio::test]
async fn work_that_one_host_makes_wakes_another_host_of_the_database() {
    let bed = Bed::new().await;
    let elsewhere = bed.fresh.elsewhere().await;
    let mut own = bed.fresh.database.work().listen();
    let mut work = elsewhere.work().listen();
    let relays = [bed.fresh.database.clone(), elsewhere.clone()];
    let relays = relays.map(|database| tokio::spawn(Work::relay(database)));
    // A relay wakes its own host once, when it has begun to listen.
    own.poked().await;
    work.poked().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let limit = Duration::from_secs(20);
    for _ in 0..3 {
        bed.put(queue, 1).await;
        tokio::time::timeout(limit, work.poked()).await.expect("the other host hears of it");
    }
    for relay in relays {
        relay.abort();
    }
    drop(elsewhere);
    bed.end().await;
}

#[tokio::test]
async fn a_rollout_that_one_host_moves_wakes_another_host_and_none_of_its_workers() {
    let bed = Bed::new().await;
    let elsewhere = bed.fresh.elsewhere().await;
    let mut moves = elsewhere.work().rollouts().listen();
    let (mut here, mut work) = (bed.fresh.database.work().listen(), elsewhere.work().listen());
    let relays = [bed.fresh.database.clone(), elsewhere.clone()];
    let relays = relays.map(|database| tokio::spawn(Work::relay(database)));
    // Each wakes its own host when it begins to listen.
    for begun in [&mut here, &mut work, &mut moves] {
        begun.poked().await;
    }
    bed.fresh.database.work().rollouts().poke();
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, moves.poked()).await.expect("the other host hears of it");
    assert!(tokio::time::timeout(Duration::from_millis(50), work.poked()).await.is_err());
    for relay in relays {
        relay.abort();
    }
    drop(elsewhere);
    bed.end().await;
}

#[tokio::test]
async fn events_from_before_the_queue_are_kept_for_the_earliest() {
    let fresh = empty(brisk()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("platform")).unwrap();
    for entry in std::fs::read_dir(repository().join("migrations/platform")).unwrap() {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if name.to_string_lossy().as_ref() < "0004" {
            std::fs::copy(path, folder.path().join("platform").join(name)).unwrap();
        }
    }
    Migrations::read(folder.path()).unwrap().apply(&fresh.database).await.unwrap();
    let host = fresh.database.host().await.unwrap();
    let sql = "insert into platform.outbox (id, topic, source, payload, published_at) values \
               ('00000000-0000-7000-8000-0000000000e1', 'a.b.c.v1', 'alpha', '{}', '2026-01-01'), \
               ('00000000-0000-7000-8000-0000000000e2', 'a.b.c.v1', 'alpha', '{}', now())";
    host.batch(sql).await.unwrap();
    platform().apply(&fresh.database).await.unwrap();
    fresh.database.admit(&["alpha", "beta"]).await.unwrap();
    let queue = nexus_storage::queue::Queue::new(fresh.database.clone());
    let bed = Bed { fresh, queue };
    bed.queue.subscribe("beta", &[spec("a.**", Start::Earliest)]).await.unwrap();
    let last = bed.publish("a.b.c.v1", "s", "{}").await;
    let heard = bed.heard("a.**").await;
    assert_eq!((heard.len(), heard[2]), (3, last));
    drop(host);
    bed.end().await;
}

#[tokio::test]
async fn patterns_mean_the_same_to_the_host_and_to_the_database() {
    let bed = Bed::new().await;
    let segment = prop_oneof![Just("a"), Just("b"), Just("*"), Just("**"), Just("v1"), Just("")];
    let text = proptest::collection::vec(segment, 1..6).prop_map(|parts| parts.join("."));
    let pairs = proptest::collection::vec((text.clone(), text), 2000);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let pairs = pairs.new_tree(&mut runner).unwrap().current();
    let (patterns, topics): (Vec<String>, Vec<String>) = pairs.into_iter().unzip();
    let sql = "select platform.topic_matches(p, t) from unnest($1::text[], $2::text[]) \
               with ordinality u (p, t, n) order by n";
    let rows = bed.host().await.query(sql, &[&patterns, &topics]).await.unwrap();
    let mut covered = 0;
    for ((pattern, topic), row) in patterns.iter().zip(&topics).zip(rows) {
        let there: bool = row.get(0);
        assert_eq!(topic_matches(pattern, topic), there, "{pattern:?} {topic:?}");
        covered += u32::from(there);
    }
    assert!(covered > 100, "{covered}");
    bed.end().await;
}
