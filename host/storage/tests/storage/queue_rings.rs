//! The rings of slots under load: nothing is lost when they move, whoever holds a transaction open.

use crate::queue_bed::{Bed, ids, publishing};
use crate::server::value;
use nexus_storage::Session;
use nexus_storage::queue::{Outcome, Settings, Start, SubscriptionSpec};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

async fn sizes(host: &Session) -> Vec<i64> {
    let sql = "select pg_relation_size(('platform.queue_ready_' || n)::regclass) \
               from generate_series(1, 8) n order by n";
    host.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn current(host: &Session) -> i64 {
    value(host, "select last_value from platform.queue_ready_slot").await
}

#[tokio::test]
async fn a_slot_that_is_through_is_emptied_while_an_old_snapshot_is_open() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let (host, old) = (bed.host().await, bed.host().await);
    old.batch("begin isolation level repeatable read; select count(*) from platform.service")
        .await
        .unwrap();
    bed.put(queue, 50).await;
    let acks: Vec<_> = bed.claim(queue, 50).await.iter().map(|l| (l.lease, Outcome::Ack)).collect();
    bed.queue.finish(&acks).await.unwrap();
    assert!(sizes(&host).await.iter().any(|size| *size > 0));
    let first = current(&host).await;
    bed.queue.rotate_at(1).await.unwrap();
    assert_ne!(current(&host).await, first);
    bed.queue.rotate_at(1).await.unwrap();
    assert!(sizes(&host).await.iter().all(|size| *size == 0), "{:?}", sizes(&host).await);
    let leases = "select sum(pg_relation_size(('platform.queue_lease_' || n)::regclass))::int8 \
                  from generate_series(1, 8) n";
    assert_eq!(value::<i64>(&host, leases).await, 0);
    old.batch("rollback").await.unwrap();
    drop((host, old));
    bed.end().await;
}

#[tokio::test]
async fn a_slot_with_an_uncommitted_message_is_not_emptied() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let (host, open) = (bed.host().await, bed.host().await);
    let request = bed.request(queue);
    open.batch("begin").await.unwrap();
    nexus_storage::queue::Queue::enqueue_in(&open, &request).await.unwrap();
    for _ in 0..20 {
        bed.queue.rotate_at(1).await.unwrap();
    }
    open.batch("commit").await.unwrap();
    assert_eq!(ids(&bed.claim(queue, 10).await), [request.id]);
    drop((host, open));
    bed.end().await;
}

#[tokio::test]
async fn a_claim_that_is_undone_leaves_its_slot_as_it_was() {
    let bed = Bed::new().await;
    let queue = bed.queue_with(&Settings::default()).await;
    let all = bed.put(queue, 5).await;
    let open = bed.host().await;
    bed.queue.rotate_at(1).await.unwrap();
    let claim =
        format!("begin; select platform.queue_claim(array[{}], array[10], 'w', null)", queue.0);
    open.batch(&claim).await.unwrap();
    assert!(bed.claim(queue, 10).await.is_empty());
    for _ in 0..20 {
        bed.queue.rotate_at(1).await.unwrap();
    }
    open.batch("rollback").await.unwrap();
    assert_eq!(ids(&bed.claim(queue, 10).await), all);
    drop(open);
    bed.end().await;
}

#[tokio::test]
async fn a_paused_queue_does_not_pin_the_ring() {
    let bed = Bed::new().await;
    let (slow, fast) = (
        bed.named_queue("slow", &Settings::default()).await,
        bed.named_queue("fast", &Settings { grouped: true, ..Settings::default() }).await,
    );
    bed.queue.pause(slow, "ada").await.unwrap();
    let host = bed.host().await;
    let (mut paused, mut slots) = (Vec::new(), HashSet::new());
    for _ in 0..24 {
        paused.extend(bed.put(slow, 3).await);
        bed.put_group(fast, "g", 1).await;
        let acks: Vec<_> =
            bed.claim(fast, 10).await.iter().map(|l| (l.lease, Outcome::Ack)).collect();
        bed.queue.finish(&acks).await.unwrap();
        slots.insert(current(&host).await);
        bed.queue.rotate_at(1).await.unwrap();
    }
    let parked: i64 = value(&host, "select count(*) from platform.queue_ready_0").await;
    assert!(parked > 0 && slots.len() == 8, "{parked} {slots:?}");
    assert_eq!(bed.depth(slow).await.ready, 72);
    bed.queue.resume(slow).await.unwrap();
    assert_eq!(ids(&bed.claim(slow, 100).await), paused, "in order, wherever they lie");
    for _ in 0..3 {
        bed.queue.rotate_at(1).await.unwrap();
    }
    let parked = "select pg_relation_size('platform.queue_ready_0')";
    assert_eq!(value::<i64>(&host, parked).await, 0);
    drop(host);
    bed.end().await;
}

/// Everything at once: transactions that are held open, undone and committed, two consumers that
/// fail now and then, and rings that move as fast as they can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_in_exactly_one_state_however_the_rings_move() {
    let bed = Arc::new(Bed::new().await);
    let spec = |topic: &str, ordered_by: Option<&str>| SubscriptionSpec {
        topic: topic.into(),
        from: Start::Now,
        settings: Settings {
            ordered_by: ordered_by.map(str::to_owned),
            backoff_first: std::time::Duration::ZERO,
            attempts_max: 3,
            ..Settings::default()
        },
    };
    let wanted = [spec("a.**", None), spec("a.b.c.v1", Some("subject"))];
    bed.queue.subscribe("beta", &wanted).await.unwrap();
    let queues = [
        bed.queue.named("beta", "a.**").await.unwrap().unwrap().id,
        bed.queue.named("beta", "a.b.c.v1").await.unwrap().unwrap().id,
    ];
    let published = Arc::new(AtomicBool::new(false));
    let publishers: Vec<_> = (0..3_usize)
        .map(|n| {
            let bed = bed.clone();
            tokio::spawn(async move {
                let (session, mut told) = (bed.fresh.as_alpha().await, Vec::new());
                for turn in 0..50 {
                    session.execute("begin", &[]).await.unwrap();
                    let ids: Vec<_> = (0..4).map(|_| Uuid::now_v7()).collect();
                    for id in &ids {
                        let sql = publishing("a.b.c.v1", *id, &format!("s{}", turn % 5), "{}");
                        session.query(&sql, &[]).await.unwrap();
                        tokio::task::yield_now().await;
                    }
                    let undone = turn % 5 == n;
                    let end = if undone { "rollback" } else { "commit" };
                    session.execute(end, &[]).await.unwrap();
                    told.extend(ids.into_iter().filter(|_| !undone));
                }
                told
            })
        })
        .collect();
    let consumers: Vec<_> = queues
        .into_iter()
        .map(|queue| {
            let (bed, published) = (bed.clone(), published.clone());
            tokio::spawn(async move {
                let mut turn = 0_u32;
                while !(published.load(Ordering::Relaxed) && bed.depth(queue).await.ready == 0) {
                    let leased = bed.claim(queue, 20).await;
                    let outcomes: Vec<_> = leased
                        .iter()
                        .map(|l| {
                            turn += 1;
                            let reason: Arc<str> = "now and then".into();
                            let outcome = match turn % 11 {
                                0 => Outcome::Retry { after: None, reason },
                                1 => Outcome::Release { after: None },
                                2 => Outcome::Reject { reason },
                                _ => Outcome::Ack,
                            };
                            (l.lease, outcome)
                        })
                        .collect();
                    let ended = bed.queue.finish(&outcomes).await.unwrap();
                    assert!(ended.iter().all(|ended| !ended.is_stale()));
                    bed.queue.promote(1000).await.unwrap();
                }
            })
        })
        .collect();
    let mover = {
        let (bed, published) = (bed.clone(), published.clone());
        tokio::spawn(async move {
            while !published.load(Ordering::Relaxed) {
                bed.queue.rotate_at(1).await.unwrap();
            }
        })
    };
    let mut told = HashSet::new();
    for publisher in publishers {
        told.extend(publisher.await.unwrap());
    }
    published.store(true, Ordering::Relaxed);
    mover.await.unwrap();
    for consumer in consumers {
        consumer.await.unwrap();
    }
    let host = bed.host().await;
    let rows = host.query("select id, position from platform.event", &[]).await.unwrap();
    let stored: HashSet<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(stored, told);
    let positions: HashSet<i64> = rows.iter().map(|row| row.get(1)).collect();
    for queue in queues {
        let states = bed.states(queue).await;
        let of_queue: HashSet<i64> = states.iter().map(|(position, _)| *position).collect();
        assert_eq!(states.len(), of_queue.len(), "a message in two states");
        assert_eq!(of_queue, positions, "a message in none");
    }
    drop(host);
    Arc::into_inner(bed).expect("the tasks are over").end().await;
}
