//! What happens to messages when something goes wrong around them.

use crate::ground::{Ground, Host, Native, brisk, quick, until};
use nexus_runtime::{CallError, Outcome};
use nexus_storage::queue::{Settings, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

#[tokio::test]
async fn a_component_without_room_gets_its_messages_later_and_none_has_paid() {
    let ground = Ground::new().await;
    let queue = ground.work(&Settings { attempts_max: 1, ..quick() }).await;
    ground.put(queue, 40).await;
    let running = Arc::new(AtomicU32::new(0));
    let native = Native::new(move |_| {
        let running = running.clone();
        async move {
            let before = running.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(2)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            let full = CallError::Saturated {
                component: crate::ground::beta(),
                inflight: before,
                queued: 0,
            };
            if before >= 2 { Err(full) } else { Ok(vec![Outcome::Ack]) }
        }
    });
    let host = Host::start(&ground, &native, brisk());
    ground.until_quiet(queue).await;
    let counts = host.stats.snapshot().queues[&("beta".into(), "work".into())].clone();
    assert_eq!((counts.acked, counts.dead, counts.retried), (40, 0, 0));
    assert!(counts.released > 0);
    let given = native.given.lock().unwrap().clone();
    assert!(given.iter().all(|delivery| delivery.messages[0].attempt == 1));
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn a_lease_outlives_work_that_takes_several_of_it() {
    let ground = Ground::new().await;
    let queue = ground.work(&quick()).await;
    let put = ground.put(queue, 3).await;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let native = Native::new(move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(vec![Outcome::Ack])
        }
    });
    let limits = trigger_queue::QueueLimits { lease: Some(Duration::from_millis(600)), ..brisk() };
    let host = Host::start(&ground, &native, limits);
    until("all have begun", async || native.count() == 3).await;
    let end = |peeked: &[nexus_storage::queue::Peeked]| peeked.iter().map(|p| p.at).min();
    let first = end(&ground.queue.peek(queue, State::Leased, 0, 10).await.unwrap()).unwrap();
    until("four leases' time has gone by", async || {
        let leased = ground.queue.peek(queue, State::Leased, 0, 10).await.unwrap();
        assert_eq!(leased.len(), 3);
        end(&leased).unwrap() > first + Duration::from_millis(2400)
    })
    .await;
    open.add_permits(3);
    ground.until_quiet(queue).await;
    assert_eq!(native.times(), put.into_iter().map(|id| (id, 1)).collect::<Vec<_>>());
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn what_a_killed_host_held_comes_again_elsewhere() {
    let ground = Ground::new().await;
    let queue = ground.work(&quick()).await;
    ground.put(queue, 5).await;
    let stuck = Native::new(|_| std::future::pending());
    let limits =
        || trigger_queue::QueueLimits { lease: Some(Duration::from_millis(500)), ..brisk() };
    let killed = Host::start(&ground, &stuck, limits());
    until("it holds all", async || stuck.count() == 5).await;
    killed.kill().await;
    let native = Native::content();
    let host = Host::start(&ground, &native, limits());
    ground.until_quiet(queue).await;
    let given = native.given.lock().unwrap().clone();
    assert_eq!(given.len(), 5);
    assert!(given.iter().all(|delivery| delivery.messages[0].attempt == 2));
    let counts = host.stats.snapshot().queues[&("beta".into(), "work".into())].clone();
    assert_eq!((counts.expired, counts.redelivered, counts.acked), (5, 5, 5));
    host.stop().await;
    ground.end().await;
}

#[tokio::test]
async fn a_host_that_stops_ends_what_runs_and_gives_the_rest_back() {
    let ground = Ground::new().await;
    let queue = ground.work(&quick()).await;
    let put = ground.put(queue, 60).await;
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let native = Native::new(move |_| {
        let gate = gate.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(vec![Outcome::Ack])
        }
    });
    let host = Host::start(&ground, &native, brisk());
    let busy = usize::try_from(brisk().per_queue_max).unwrap();
    until("as many run as may", async || native.count() == busy).await;
    let stopping = tokio::spawn(host.stop());
    open.add_permits(busy);
    stopping.await.unwrap();
    let depth = ground.depth(queue).await;
    assert_eq!((depth.leased, depth.deferred, depth.dead), (0, 0, 0));
    assert_eq!(depth.ready, put.len() as u64 - busy as u64);
    let ready = ground.queue.peek(queue, State::Ready, 0, 100).await.unwrap();
    assert!(ready.iter().all(|peeked| peeked.attempt == 0), "none has paid");
    ground.end().await;
}

#[tokio::test]
async fn work_that_does_not_end_in_time_is_given_back_at_the_end() {
    let ground = Ground::new().await;
    let queue = ground.work(&quick()).await;
    ground.put(queue, 2).await;
    let native = Native::new(|_| std::future::pending());
    let limits = trigger_queue::QueueLimits { drain: Duration::from_millis(100), ..brisk() };
    let host = Host::start(&ground, &native, limits);
    until("both have begun", async || native.count() == 2).await;
    host.stop().await;
    let ready = ground.queue.peek(queue, State::Ready, 0, 100).await.unwrap();
    assert_eq!(ready.iter().map(|peeked| peeked.attempt).collect::<Vec<_>>(), [0, 0]);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_connections_to_the_database_break() {
    let ground = Ground::new().await;
    let queue = ground.work(&quick()).await;
    let put = ground.put(queue, 300).await;
    let native = Native::new(|_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(vec![Outcome::Ack])
    });
    let limits = trigger_queue::QueueLimits { lease: Some(Duration::from_millis(600)), ..brisk() };
    let hosts = [0, 1].map(|_| Host::start(&ground, &native, limits.clone()));
    let done = Arc::new(AtomicBool::new(false));
    let breaker = {
        let (database, done, native) = (ground.database.clone(), done.clone(), native.clone());
        tokio::spawn(async move {
            let (mut broken, mut seen) = (0_i64, 0);
            while !done.load(Ordering::Relaxed) {
                // However slowly a connection is opened here, the next break waits for its use.
                let given = native.times().len();
                if given == std::mem::replace(&mut seen, given) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                           where datname = current_database() and pid <> pg_backend_pid()";
                if let Ok(session) = database.host().await
                    && let Ok(rows) = session.query(sql, &[]).await
                {
                    broken += rows[0].get::<_, i64>(0);
                }
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
            broken
        })
    };
    until("every message was given", async || native.times().len() == put.len()).await;
    done.store(true, Ordering::Relaxed);
    assert!(breaker.await.unwrap() > 0);
    ground.until_quiet(queue).await;
    for id in put {
        assert_eq!(ground.queue.find(queue, id).await.unwrap().unwrap().0, State::Done);
    }
    for host in hosts {
        host.stop().await;
    }
    ground.end().await;
}
