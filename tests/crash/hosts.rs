//! Hosts are killed with SIGKILL, one of two or both, working or starting.

use crate::story::{Story, times};
use crash::journal::BOTH;
use std::time::Duration;

/// Kills in the default run.
const KILLS: u32 = 50;

/// Nothing is gained by killing hosts that never come to work: so many writes for each kill.
const WRITES_PER_KILL: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_or_filed_twice_when_hosts_are_killed() {
    let mut story = Story::begin(BOTH).await;
    let load = story.load().await;
    let mut kills = 0;
    while kills < times(KILLS) {
        let wanted = load.acknowledged() + WRITES_PER_KILL;
        story.ready().await;
        crash::ground::eventually("clients get through", Duration::from_secs(30), async || {
            load.acknowledged() >= wanted
        })
        .await;
        tokio::time::sleep(story.dice.millis(0..250)).await;
        kills += kill_some(&mut story).await;
        if story.dice.once_in(8) {
            story.look().await;
        }
    }
    story.audit(load, &format!("{kills} hosts killed")).await;
    story.end().await;
}

/// Kills one host or both, and sometimes again while it starts; returns how many kills that were.
async fn kill_some(story: &mut Story) -> u32 {
    let (both, one) = (story.dice.once_in(5), story.dice.below(2));
    let mut kills = 0;
    for (n, host) in story.hosts.iter_mut().enumerate() {
        if both || n == one {
            kills += u32::from(host.kill());
        }
    }
    let again = story.dice.once_in(5);
    for host in &mut story.hosts {
        if host.process().is_none() {
            host.spawn().unwrap();
        }
    }
    if again {
        tokio::time::sleep(story.dice.millis(20..400)).await;
        kills += u32::from(story.hosts[one].kill());
        story.hosts[one].spawn().unwrap();
    }
    kills
}
