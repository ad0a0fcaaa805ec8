//! Claims begin where earlier ones have come to; what comes in behind them is found all the same.

use crate::queue_bed::{Bed, TOPIC, ids, publishing};
use crate::server::value;
use nexus_storage::queue::{
    ClaimRequest, Ended, EnqueueRequest, Leased, Outcome, Queue, QueueId, Settings, Start,
    SubscriptionSpec,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Longer than it takes until claims begin past what was claimed before.
const A_WHILE: Duration = Duration::from_millis(700);

/// A quarter of a second is promised; machines are busy.
const SOON: Duration = Duration::from_secs(10);

fn quick() -> Settings {
    Settings { backoff_first: Duration::ZERO, ..Settings::default() }
}

async fn ack(queue: &Queue, leased: &[Leased]) {
    let acks: Vec<_> = leased.iter().map(|l| (l.lease, Outcome::Ack)).collect();
    let ended = queue.finish(&acks).await.unwrap();
    assert!(ended.iter().all(|ended| *ended == Ended::Done), "{ended:?}");
}

/// One after the other put in and worked off for a while.
async fn flow(bed: &Bed, queue: QueueId) {
    let end = Instant::now() + A_WHILE;
    while Instant::now() < end {
        bed.put(queue, 2).await;
        let leased = bed.claim(queue, 10).await;
        ack(&bed.queue, &leased).await;
    }
}

/// Goes on putting in and working off until `id` has come.
async fn comes_in_the_flow(bed: &Bed, queue: QueueId, id: Uuid) {
    let end = Instant::now() + SOON;
    loop {
        bed.put(queue, 2).await;
        let leased = bed.claim(queue, 10).await;
        ack(&bed.queue, &leased).await;
        if ids(&leased).contains(&id) {
            return;
        }
        assert!(Instant::now() < end, "{id} is passed over for ever");
    }
}

#[tokio::test]
async fn what_commits_behind_a_busy_queues_claims_is_found() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    for _ in 0..3 {
        let late = bed.request(queue);
        let session = bed.host().await;
        session.batch("begin").await.unwrap();
        Queue::enqueue_in(&session, &late).await.unwrap();
        flow(&bed, queue).await;
        session.batch("commit").await.unwrap();
        comes_in_the_flow(&bed, queue, late.id).await;
    }
    bed.end().await;
}

#[tokio::test]
async fn what_commits_behind_the_claims_of_a_queue_that_has_nothing_else_is_found() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let late = bed.request(queue);
    let session = bed.host().await;
    session.batch("begin").await.unwrap();
    Queue::enqueue_in(&session, &late).await.unwrap();
    flow(&bed, queue).await;
    session.batch("commit").await.unwrap();
    let end = Instant::now() + SOON;
    let mut got = Vec::new();
    while got.is_empty() && Instant::now() < end {
        got = ids(&bed.claim(queue, 10).await);
    }
    assert!(got.contains(&late.id), "{got:?}");
    bed.end().await;
}

#[tokio::test]
async fn what_another_host_gives_back_is_found_in_the_flow() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let elsewhere = Queue::new(bed.fresh.database.clone());
    let id = bed.put(queue, 1).await[0];
    let queues = vec![bed.queue.named("alpha", "work").await.unwrap().unwrap().claim(1)];
    let request = ClaimRequest { queues, worker: "elsewhere".into(), lease: None };
    let leased = elsewhere.claim(&request).await.unwrap().remove(0);
    flow(&bed, queue).await;
    let release = [(leased.lease, Outcome::Release { after: None })];
    assert_eq!(elsewhere.finish(&release).await.unwrap(), [Ended::Ready]);
    comes_in_the_flow(&bed, queue, id).await;
    bed.end().await;
}

#[tokio::test]
async fn what_this_host_gives_back_comes_with_the_very_next_claim() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let id = bed.put(queue, 1).await[0];
    let leased = bed.claim(queue, 1).await.remove(0);
    flow(&bed, queue).await;
    let retry = Outcome::Retry { after: Some(Duration::ZERO), reason: "again".into() };
    bed.queue.finish(&[(leased.lease, retry)]).await.unwrap();
    assert_eq!(bed.queue.promote(10).await.unwrap(), 1);
    bed.put(queue, 5).await;
    let leased = bed.claim(queue, 1).await.remove(0);
    assert_eq!(leased.message.id, id, "the oldest goes first");
    let release = [(leased.lease, Outcome::Release { after: None })];
    bed.queue.finish(&release).await.unwrap();
    assert_eq!(ids(&bed.claim(queue, 1).await), [id]);
    bed.end().await;
}

#[tokio::test]
async fn a_backlog_of_low_priority_has_its_turn_when_a_flood_of_high_is_over() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&quick()).await;
    let low = bed.put(queue, 30).await;
    let end = Instant::now() + A_WHILE;
    while Instant::now() < end {
        for _ in 0..2 {
            let high = EnqueueRequest { priority: 5, ..bed.request(queue) };
            bed.queue.enqueue(&high).await.unwrap();
        }
        let leased = bed.claim(queue, 2).await;
        assert!(leased.iter().all(|l| l.priority == 5), "high goes first");
        ack(&bed.queue, &leased).await;
    }
    let mut got = Vec::new();
    for _ in 0..3 {
        got.extend(ids(&bed.claim(queue, 10).await));
    }
    assert_eq!(got, low, "in order, and none passed over");
    bed.end().await;
}

#[tokio::test]
async fn a_replay_behind_the_claims_goes_through_at_the_claims_own_pace() {
    let bed = Bed::new().await;
    let spec = SubscriptionSpec { topic: TOPIC.into(), from: Start::Now, settings: quick() };
    bed.queue.subscribe("alpha", &[spec]).await.unwrap();
    let queue = bed.queue.named("alpha", TOPIC).await.unwrap().unwrap().id;
    let mut all = Vec::new();
    let end = Instant::now() + A_WHILE;
    while Instant::now() < end || all.len() < 60 {
        all.push(bed.publish(TOPIC, "x", "{}").await);
        ack(&bed.queue, &bed.claim(queue, 10).await).await;
    }
    bed.queue.replay(queue, None).await.unwrap();
    while bed.queue.promote(10_000).await.unwrap() > 0 {}
    let mut again = Vec::new();
    for _ in 0..all.len().div_ceil(10) {
        again.extend(ids(&bed.claim(queue, 10).await));
    }
    assert_eq!(again, all);
    bed.end().await;
}

#[tokio::test]
async fn nothing_is_lost_however_late_publishers_commit_and_whatever_becomes_of_messages() {
    let bed = Bed::new().await;
    let spec = SubscriptionSpec { topic: TOPIC.into(), from: Start::Now, settings: quick() };
    bed.queue.subscribe("alpha", &[spec]).await.unwrap();
    let registered = bed.queue.named("alpha", TOPIC).await.unwrap().unwrap();
    let publishers = (0..4_u64).map(|n| {
        let session = bed.fresh.as_alpha();
        async move {
            let session = session.await;
            let mut told = Vec::new();
            for round in 0..12_u64 {
                session.execute("begin", &[]).await.unwrap();
                for _ in 0..5 {
                    let id = Uuid::now_v7();
                    session.query(&publishing(TOPIC, id, "x", "{}"), &[]).await.unwrap();
                    told.push(id);
                }
                // Open for anything from no time to half a second after the positions were drawn.
                let nap = format!("select pg_sleep({})", (n * round % 6) as f64 / 10.0);
                session.query(&nap, &[]).await.unwrap();
                session.execute("commit", &[]).await.unwrap();
            }
            told
        }
    });
    let hosts = [bed.queue.clone(), Queue::new(bed.fresh.database.clone())];
    let consumers = hosts.iter().map(|queue| async {
        let queues = vec![registered.claim(7)];
        let request = ClaimRequest { queues, worker: "w".into(), lease: None };
        let (mut acked, mut last) = (0, Instant::now());
        while last.elapsed() < Duration::from_secs(3) {
            queue.promote(1000).await.unwrap();
            let leased = queue.claim(&request).await.unwrap();
            let outcome = |n: usize| match n % 5 {
                0 => Outcome::Release { after: None },
                1 => Outcome::Retry { after: Some(Duration::ZERO), reason: "again".into() },
                _ => Outcome::Ack,
            };
            let outcomes: Vec<_> =
                leased.iter().enumerate().map(|(n, l)| (l.lease, outcome(n + 1))).collect();
            let ended = queue.finish(&outcomes).await.unwrap();
            acked += ended.iter().filter(|ended| **ended == Ended::Done).count();
            if !leased.is_empty() {
                last = Instant::now();
            }
        }
        acked
    });
    let (told, acked) =
        tokio::join!(futures::future::join_all(publishers), futures::future::join_all(consumers));
    let told: usize = told.iter().map(Vec::len).sum();
    let dead = bed.depth(registered.id).await.dead;
    assert_eq!(acked.iter().sum::<usize>() + usize::try_from(dead).unwrap(), told);
    let done = "select count(*) from platform.queue_done";
    assert_eq!(value::<i64>(&bed.host().await, done).await.unsigned_abs() + dead, told as u64);
    bed.end().await;
}
