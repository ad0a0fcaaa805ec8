//! PostgreSQL is killed: its first process with SIGKILL, its sessions by storms of
//! `pg_terminate_backend`. The hosts stay and find their way back by themselves.

use crate::story::{Story, times};
use crash::ground::eventually;
use crash::journal::BOTH;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// Kills of the server in the default run; each restart by its supervisor waits longer than the one
/// before, up to five seconds.
const KILLS: u32 = 8;

/// Storms in the default run, and how often each strikes.
const STORMS: u32 = 6;
const STRIKES: u32 = 8;

/// A third of all sessions but the one that asks. The server's own workers (autovacuum) are none:
/// only a superuser may end them.
const STRIKE: &str = "select count(*) from (
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
      and pid <> pg_backend_pid() and random() < 0.33) struck";

const BACK_MAX: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_or_filed_twice_when_postgres_is_killed() {
    let mut story = Story::begin(BOTH).await;
    let load = story.load().await;
    for _ in 0..times(KILLS) {
        let before = load.acknowledged();
        eventually("clients get through", BACK_MAX, async || load.acknowledged() >= before + 50)
            .await;
        tokio::time::sleep(story.dice.millis(0..300)).await;
        let postmaster = story.ground.postmaster();
        kill_process(Pid::from_raw(postmaster).unwrap(), Signal::KILL).unwrap();
        eventually("the server is started again", BACK_MAX, async || {
            story.ground.postmaster() != postmaster
        })
        .await;
        story.look().await;
    }
    story.audit(load, &format!("{} servers killed", times(KILLS))).await;
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_write_is_lost_or_filed_twice_when_sessions_are_ended_in_storms() {
    let mut story = Story::begin(BOTH).await;
    let load = story.load().await;
    let mut struck = 0;
    for _ in 0..times(STORMS) {
        for _ in 0..STRIKES {
            struck += story.ground.steady::<i64>(STRIKE).await.unwrap();
            tokio::time::sleep(story.dice.millis(50..200)).await;
        }
        let before = load.acknowledged();
        eventually("clients get through", BACK_MAX, async || load.acknowledged() >= before + 50)
            .await;
        story.look().await;
    }
    story.audit(load, &format!("{struck} sessions ended")).await;
    story.end().await;
}
