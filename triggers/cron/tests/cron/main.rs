//! The trigger on a real database, with a clock that tests move.
#![allow(clippy::unwrap_used)]

mod stand;

use nexus_runtime::Cron;
use nexus_storage::schedules::{RunRow, RunState, RunTrigger};
use stand::{Stand, entry, until};
use std::collections::HashSet;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_the_manifest_fires_by_the_components_clock() {
    let stand = Stand::new(&[("alpha", vec![entry("daily", "0 4 * * *")])]).await;
    let host = stand.start();
    until("the schedule is there", async || stand.next_of("daily").await.is_some()).await;
    assert!(stand.runs("daily").await.is_empty());
    stand.clock.advance(Duration::from_secs(2 * 86_400));
    until("it was made up for", async || {
        stand.runs("daily").await.iter().any(|run| run.state == RunState::Ready)
    })
    .await;
    let runs = stand.runs("daily").await;
    let made: Vec<&RunRow> = runs.iter().filter(|run| run.state == RunState::Ready).collect();
    // The last of the two instants; unless four o'clock is right now, nobody was there for it.
    assert_eq!(made.len(), 1, "{runs:?}");
    assert!(matches!(made[0].trigger, RunTrigger::Catchup | RunTrigger::Schedule));
    let missed: i64 = runs.iter().filter(|r| r.state == RunState::Missed).map(|r| r.fires).sum();
    assert_eq!(missed, 1, "{runs:?}");
    let counts = host.stats.snapshot().services["alpha"].clone();
    assert_eq!(counts.fired, 1);
    host.stop().await;
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_fire_each_second_once() {
    let allow = Cron { overlap: "allow".into(), ..entry("tick", "* * * * * *") };
    let stand = Stand::new(&[("alpha", vec![allow])]).await;
    let hosts = [stand.start(), stand.start()];
    until("it has fired", async || stand.runs("tick").await.len() >= 5).await;
    for host in hosts {
        host.stop().await;
    }
    let runs = stand.runs("tick").await;
    let instants: HashSet<_> = runs.iter().map(|run| run.scheduled_at).collect();
    assert_eq!(instants.len(), runs.len());
    let (first, last) = (runs.last().unwrap().scheduled_at, runs[0].scheduled_at);
    let seconds = last.duration_since(first).unwrap().as_secs() as usize;
    assert_eq!(seconds + 1, runs.len(), "no second is left out");
    let messages: i64 = stand.value("select count(*) from platform.queue_ready").await;
    assert_eq!(messages as usize, runs.len());
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_generation_brings_other_entries() {
    let stand = Stand::new(&[("alpha", vec![entry("old", "@daily")])]).await;
    let host = stand.start();
    until("the old one is there", async || stand.next_of("old").await.is_some()).await;
    stand.activate(&[("alpha", vec![entry("new", "@hourly")])]);
    until("the new one is there", async || stand.next_of("new").await.is_some()).await;
    assert!(stand.schedules.named("alpha", "old").await.unwrap().is_none());
    host.stop().await;
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_component_that_is_wrong_does_not_keep_the_others_from_theirs() {
    let wrong = Cron { overlap: "sometimes".into(), ..entry("bad", "@daily") };
    let all = [("alpha", vec![wrong]), ("beta", vec![entry("good", "@daily")])];
    let stand = Stand::new(&all).await;
    let host = stand.start();
    until("the good one is there", async || {
        stand.schedules.named("beta", "good").await.unwrap().is_some()
    })
    .await;
    assert!(stand.schedules.named("alpha", "bad").await.unwrap().is_none());
    host.stop().await;
    stand.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connections_lose_no_instant() {
    let allow = Cron { overlap: "allow".into(), ..entry("tick", "* * * * * *") };
    let stand = Stand::new(&[("alpha", vec![allow])]).await;
    let host = stand.start();
    until("it has fired", async || !stand.runs("tick").await.is_empty()).await;
    for count in [2, 4, 6] {
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                    where datname = current_database() and pid <> pg_backend_pid()";
        let _killed: i64 = stand.value(kill).await;
        until("it fires again", async || stand.try_runs("tick").await >= count).await;
    }
    host.stop().await;
    let runs = stand.runs("tick").await;
    let (first, last) = (runs.last().unwrap().scheduled_at, runs[0].scheduled_at);
    let seconds = last.duration_since(first).unwrap().as_secs() as usize;
    assert_eq!(seconds + 1, runs.len());
    stand.end().await;
}
