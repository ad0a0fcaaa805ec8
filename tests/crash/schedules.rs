//! Two hosts fire one schedule of every second, and one or the other is killed all the time.

use crate::story::{Story, times};
use std::time::Duration;

/// Kills in the default run.
const KILLS: u32 = 30;

/// Every instant counts, however late; runs may stand beside each other.
const EVERY_SECOND: &str = r#"
cron = [{ name = "count", schedule = "* * * * * *", overlap = "allow", catchup = "all" }]"#;

#[tokio::test(flavor = "multi_thread")]
async fn each_instant_of_a_schedule_has_one_run_when_hosts_are_killed() {
    let mut story = Story::begin(EVERY_SECOND).await;
    let mut kills = 0;
    while kills < times(KILLS) {
        story.ready().await;
        tokio::time::sleep(story.dice.millis(200..1400)).await;
        let both = story.dice.once_in(4);
        let one = story.dice.below(2);
        for (n, host) in story.hosts.iter_mut().enumerate() {
            if both || n == one {
                kills += u32::from(host.kill());
                host.spawn().unwrap();
            }
        }
    }
    story.ready().await;
    let last = "select max(scheduled_at)::text from platform.schedule_run";
    let before: Option<String> = story.ground.value(last).await.unwrap();
    crash::ground::eventually("the schedule goes on", Duration::from_secs(20), async || {
        story.ground.value::<Option<String>>(last).await.unwrap() > before
    })
    .await;
    stop_firing(&story).await;
    story.drain().await;
    settled(&story).await;
    assert_eq!(story.books().misplaced().await.unwrap(), Vec::<String>::new());
    assert_eq!(story.books().misfired().await.unwrap(), Vec::<String>::new());
    let runs: i64 = story.ground.value("select count(*) from platform.schedule_run").await.unwrap();
    assert!(runs >= 15, "only {runs} runs");
    story.audit_leases(&format!("{kills} hosts killed over {runs} runs")).await;
    story.end().await;
}

/// Otherwise there would always be a run under way.
async fn stop_firing(story: &Story) {
    let pause = "update platform.schedule set paused_at = now(), paused_by = 'the test'";
    story.ground.run(pause).await.unwrap();
}

/// Runs whose messages are over are written down as ended by the next sweep.
async fn settled(story: &Story) {
    let open = "select count(*) from platform.schedule_history where state not in
                ('done', 'dead', 'cancelled', 'skipped', 'missed')";
    crash::ground::eventually("all runs have ended", Duration::from_secs(30), async || {
        story.ground.value::<i64>(open).await.unwrap() == 0
    })
    .await;
}
