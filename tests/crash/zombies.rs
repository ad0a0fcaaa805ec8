//! A host is stopped for longer than its leases last and then goes on, as after a long pause of its
//! machine: whatever it says about the messages that others have taken over is stale.

use crate::story::{Story, times};
use crash::ground::eventually;
use crash::journal::BOTH;
use nexus_storage::queue::{Ended, Lease, Outcome, Queue, QueueId};
use std::time::Duration;

/// Pauses in the default run.
const PAUSES: u32 = 5;

/// A lease lapses, is noticed, and its message waits for its backoff.
const TAKEN_OVER_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_stopped_longer_than_its_leases_changes_nothing_when_it_goes_on() {
    let mut story = Story::begin(BOTH).await;
    let load = story.load().await;
    let queue = Queue::new(story.ground.database().clone());
    let mut refused = 0;
    for _ in 0..times(PAUSES) {
        story.ready().await;
        let one = story.dice.below(2);
        let held = stop_holding(&story, one).await;
        // Its leases go to others, or are over.
        eventually("its messages are taken over", TAKEN_OVER_MAX, async || {
            let left = story.books().held_by("").await.unwrap();
            !held.iter().any(|lease| left.contains(lease))
        })
        .await;
        // What the stopped host is about to say, said now.
        let words: Vec<_> = held.iter().map(|lease| (lease_of(*lease), Outcome::Ack)).collect();
        let ended = queue.finish(&words).await.unwrap();
        assert!(ended.iter().all(|ended| *ended == Ended::Stale), "{ended:?}");
        refused += ended.len();
        story.hosts[one].resume().unwrap();
        let before = load.acknowledged();
        eventually("clients get through", TAKEN_OVER_MAX, async || {
            load.acknowledged() >= before + 50
        })
        .await;
        story.look().await;
    }
    let mut stale = 0.0;
    for host in &story.hosts {
        stale += host.counter("nexus_queue_stale_total").await.unwrap_or_default();
    }
    let what = format!(
        "{} hosts stopped holding {refused} leases; the hosts were told {stale} times that a \
         lease is stale",
        times(PAUSES)
    );
    story.audit(load, &what).await;
    story.end().await;
}

/// Stops the host at a moment at which it holds leases, and returns those.
async fn stop_holding(story: &Story, one: usize) -> Vec<(i32, i64, i32)> {
    let host = &story.hosts[one];
    let process = host.process().unwrap().to_string();
    let mut held = Vec::new();
    eventually("the host is stopped with leases", TAKEN_OVER_MAX, async || {
        host.pause().unwrap();
        // What it had sent before is still done.
        tokio::time::sleep(Duration::from_millis(100)).await;
        held = story.books().held_by(&process).await.unwrap();
        if held.is_empty() {
            host.resume().unwrap();
        }
        !held.is_empty()
    })
    .await;
    held
}

fn lease_of((queue, position, number): (i32, i64, i32)) -> Lease {
    Lease { queue: QueueId(queue), position, number }
}
