//! Schedules on a real database: fired once, by their policies, and never forgotten.

use crate::server::{Fresh, brisk, two_services, until, value};
use nexus_storage::queue::{ClaimRequest, Ended, Leased, Outcome, Queue};
use nexus_storage::schedules::{
    Backfill, Catchup, Due, Fired, Overlap, RunState, RunTrigger, ScheduleError, ScheduleRow,
    ScheduleSpec, Schedules, TICK_QUEUE,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The components' clock of these tests: midnight of a day soon, so that everything is in order
/// with the database's own clock, and moved by hand.
fn at(seconds: u64) -> SystemTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs((now / 86_400 + 1) * 86_400 + seconds)
}

struct Stand {
    fresh: Fresh,
    schedules: Schedules,
    queue: Queue,
}

impl Stand {
    async fn new() -> Self {
        let fresh = two_services(brisk()).await;
        let schedules = Schedules::new(fresh.database.clone());
        let queue = Queue::new(fresh.database.clone());
        Self { fresh, schedules, queue }
    }

    /// One cron entry of the component alpha, computed at `now`.
    async fn with(spec: ScheduleSpec, now: SystemTime) -> (Self, ScheduleRow) {
        let stand = Self::new().await;
        let name = spec.name.clone();
        stand.schedules.sync("alpha", &[spec]).await.unwrap();
        stand.schedules.compute(now, 100).await.unwrap();
        let row = stand.schedules.named("alpha", &name).await.unwrap().expect("it is there");
        (stand, row)
    }

    async fn due(&self, now: SystemTime) -> Vec<Due> {
        self.schedules.due(now, 100).await.unwrap().due
    }

    /// Fires everything that is due; the states of the runs.
    async fn fire(&self, now: SystemTime) -> Vec<RunState> {
        let mut states = Vec::new();
        for due in self.due(now).await {
            let Fired { runs } = self.schedules.fire(&due, now).await.unwrap();
            states.extend(runs.iter().map(|run| run.state));
        }
        states
    }

    /// Claims what is ready of alpha's ticks.
    async fn claim(&self) -> Vec<Leased> {
        let queue = self.queue.named("alpha", TICK_QUEUE).await.unwrap().expect("a queue");
        let request =
            ClaimRequest { queues: vec![queue.claim(100)], worker: "test".into(), lease: None };
        self.queue.claim(&request).await.unwrap()
    }

    async fn finish(&self, leased: &Leased, outcome: Outcome) -> Ended {
        self.queue.finish(&[(leased.lease, outcome)]).await.unwrap()[0]
    }

    async fn sweep(&self) -> u64 {
        self.schedules.sweep(None, 1_000).await.unwrap().ended
    }

    /// States and reasons of all runs, oldest instant first.
    async fn runs(&self, id: Uuid) -> Vec<(RunState, String)> {
        let mut runs = self.schedules.runs(id, None, 1_000).await.unwrap();
        runs.reverse();
        runs.into_iter().map(|run| (run.state, run.reason.unwrap_or_default())).collect()
    }
}

fn every_minute() -> ScheduleSpec {
    ScheduleSpec::new("sweep", "* * * * *")
}

fn with_overlap(overlap: Overlap) -> ScheduleSpec {
    ScheduleSpec { overlap, ..every_minute() }
}

#[tokio::test]
async fn a_fire_is_a_run_and_a_message_with_the_same_id() {
    let (stand, row) = Stand::with(every_minute(), at(30)).await;
    assert_eq!(row.next_fire_at, Some(at(60)));
    assert!(stand.due(at(59)).await.is_empty());
    let next = stand.schedules.due(at(59), 100).await.unwrap();
    assert_eq!(next.then, Some(at(60)));
    let due = stand.due(at(61)).await;
    let fired = stand.schedules.fire(&due[0], at(61)).await.unwrap();
    let leased = stand.claim().await;
    assert_eq!((fired.runs.len(), leased.len()), (1, 1));
    assert_eq!(leased[0].message.id, fired.runs[0].id);
    assert_eq!(&*leased[0].message.topic, "platform.tick.due.v1");
    let payload: serde_json::Value = serde_json::from_str(&leased[0].message.payload).unwrap();
    assert_eq!(payload["schedule"], "sweep");
    assert_eq!(payload["schedule_id"], row.id.to_string());
    assert_eq!(payload["trigger"], "schedule");
    let instant = |name: &str| payload[name].as_str().unwrap().to_owned();
    assert!(instant("scheduled_at").ends_with("T00:01:00.000000Z"), "{payload}");
    assert!(instant("fired_at").ends_with("T00:01:01.000000Z"), "{payload}");
    assert_eq!(stand.runs(row.id).await, [(RunState::Leased, String::new())]);
    stand.finish(&leased[0], Outcome::Ack).await;
    assert_eq!(stand.runs(row.id).await, [(RunState::Done, String::new())]);
    assert_eq!(stand.sweep().await, 1);
    let runs = stand.schedules.runs(row.id, None, 10).await.unwrap();
    assert_eq!((runs[0].state, runs[0].attempt), (RunState::Done, 1));
    assert!(runs[0].finished_at.is_some());
    stand.fresh.end().await;
}

#[tokio::test]
async fn many_hosts_and_failing_connections_fire_each_instant_once() {
    let (stand, row) = Stand::with(with_overlap(Overlap::Allow), at(30)).await;
    let minutes = 60;
    let kills = Arc::new(AtomicI64::new(0));
    let killed = kills.clone();
    let killer = stand.fresh.database.clone();
    let killing = tokio::spawn(async move {
        let own = killer.host().await.unwrap();
        let kill = "select count(pg_terminate_backend(pid)) from ( \
                    select pid from pg_stat_activity where datname = current_database() \
                    and pid <> pg_backend_pid() and state <> 'idle' \
                    and query like '%schedule_fire%' order by random() limit 1) one";
        let mut pace = tokio::time::interval(Duration::from_millis(30));
        loop {
            pace.tick().await;
            let count: i64 = value(&own, kill).await;
            killed.fetch_add(count, Ordering::Relaxed);
        }
    });
    let hosts = (0..6).map(|_| {
        // Caches of their own, as of six processes.
        let schedules = Schedules::new(stand.fresh.database.clone());
        tokio::spawn(async move {
            for minute in 1..=minutes {
                let now = at(minute * 60);
                // A host whose fire failed looks again, until nothing is due.
                loop {
                    let Ok(next) = schedules.due(now, 10).await else { continue };
                    if next.due.is_empty() {
                        break;
                    }
                    for due in &next.due {
                        drop(schedules.fire(due, now).await);
                    }
                }
            }
        })
    });
    for host in hosts.collect::<Vec<_>>() {
        host.await.unwrap();
    }
    killing.abort();
    assert!(kills.load(Ordering::Relaxed) > 0, "no connection failed");
    let runs = stand.schedules.runs(row.id, None, 1_000).await.unwrap();
    let mut instants: Vec<_> = runs.iter().map(|run| run.scheduled_at).collect();
    instants.reverse();
    assert_eq!(instants, (1..=minutes).map(|m| at(m * 60)).collect::<Vec<_>>());
    let mut messages: Vec<Uuid> = stand.claim().await.iter().map(|m| m.message.id).collect();
    messages.sort_unstable();
    let mut ids: Vec<Uuid> = runs.iter().map(|run| run.id).collect();
    ids.sort_unstable();
    assert_eq!(messages, ids);
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_host_that_dies_within_a_fire_leaves_nothing_behind() {
    let (stand, row) = Stand::with(every_minute(), at(30)).await;
    let session = stand.fresh.database.host().await.unwrap();
    session.batch("begin").await.unwrap();
    let sql = "select count(*) from platform.schedule_fire($1, 1, $2, $3, $3, $2, \
               array[gen_random_uuid()], array[$2::timestamptz], array['schedule'], \
               array[null::text], array[1::bigint])";
    let fired = session.query(sql, &[&row.id, &at(60), &at(120)]).await.unwrap();
    assert_eq!(fired[0].get::<_, i64>(0), 1);
    drop(session);
    until("the transaction is undone", async || stand.fire(at(60)).await == [RunState::Due]).await;
    assert_eq!(stand.claim().await.len(), 1);
    assert_eq!(stand.runs(row.id).await.len(), 1);
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_clock_that_goes_back_fires_nothing_again() {
    let (stand, row) = Stand::with(with_overlap(Overlap::Allow), at(30)).await;
    assert_eq!(stand.fire(at(60)).await, [RunState::Due]);
    assert!(stand.fire(at(30)).await.is_empty());
    // Even where the next instant is computed anew from the earlier clock.
    let spec = ScheduleSpec { zone: "Europe/Berlin".into(), ..with_overlap(Overlap::Allow) };
    stand.schedules.sync("alpha", &[spec]).await.unwrap();
    let computed = stand.schedules.compute(at(10), 100).await.unwrap();
    assert_eq!(computed[0].next_fire_at, Some(at(120)));
    let host = stand.fresh.database.host().await.unwrap();
    let back = "update platform.schedule set next_fire_at = $1, due_at = $1";
    host.execute(back, &[&at(60)]).await.unwrap();
    assert_eq!(stand.fire(at(60)).await, [RunState::Duplicate]);
    assert_eq!(stand.runs(row.id).await.len(), 1);
    drop(host);
    stand.fresh.end().await;
}

#[tokio::test]
async fn skip_leaves_out_what_comes_while_an_earlier_run_is_not_over() {
    let (stand, row) = Stand::with(with_overlap(Overlap::Skip), at(30)).await;
    assert_eq!(stand.fire(at(60)).await, [RunState::Due]);
    let leased = stand.claim().await;
    assert_eq!(stand.fire(at(120)).await, [RunState::Skipped]);
    stand.finish(&leased[0], Outcome::Ack).await;
    // The fire itself sees that the run is over.
    assert_eq!(stand.fire(at(180)).await, [RunState::Due]);
    let runs = stand.runs(row.id).await;
    assert_eq!(runs[1], (RunState::Skipped, "overlap".into()));
    stand.fresh.end().await;
}

#[tokio::test]
async fn buffer_one_keeps_one_waiting_and_no_more() {
    let (stand, row) = Stand::with(with_overlap(Overlap::BufferOne), at(30)).await;
    assert_eq!(stand.fire(at(60)).await, [RunState::Due]);
    let leased = stand.claim().await;
    assert_eq!(stand.fire(at(120)).await, [RunState::Held]);
    assert_eq!(stand.fire(at(180)).await, [RunState::Skipped]);
    assert!(stand.claim().await.is_empty());
    stand.finish(&leased[0], Outcome::Ack).await;
    assert_eq!(stand.sweep().await, 1);
    let next = stand.claim().await;
    assert_eq!(next.len(), 1);
    stand.finish(&next[0], Outcome::Ack).await;
    stand.sweep().await;
    let states: Vec<_> = stand.runs(row.id).await.into_iter().map(|run| run.0).collect();
    assert_eq!(states, [RunState::Done, RunState::Done, RunState::Skipped]);
    stand.fresh.end().await;
}

#[tokio::test]
async fn buffer_all_runs_them_one_after_the_other_and_is_bounded() {
    let (stand, row) = Stand::with(with_overlap(Overlap::BufferAll), at(30)).await;
    let mut fired = HashMap::new();
    for minute in 1..=103 {
        for state in stand.fire(at(minute * 60)).await {
            *fired.entry(state).or_insert(0) += 1;
        }
    }
    let expected = [(RunState::Due, 1), (RunState::Held, 100), (RunState::Skipped, 2)];
    assert_eq!(fired, HashMap::from(expected));
    let mut order = Vec::new();
    for _ in 0..5 {
        let leased = stand.claim().await;
        assert_eq!(leased.len(), 1);
        order.push(leased[0].message.id);
        stand.finish(&leased[0], Outcome::Ack).await;
        stand.sweep().await;
    }
    let mut runs = stand.schedules.runs(row.id, None, 1_000).await.unwrap();
    runs.reverse();
    assert_eq!(order, runs[..5].iter().map(|run| run.id).collect::<Vec<_>>());
    stand.fresh.end().await;
}

#[tokio::test]
async fn cancel_other_revokes_the_lease_of_what_runs() {
    let (stand, row) = Stand::with(with_overlap(Overlap::CancelOther), at(30)).await;
    assert_eq!(stand.fire(at(60)).await, [RunState::Due]);
    let first = stand.claim().await;
    assert_eq!(stand.fire(at(120)).await, [RunState::Due]);
    assert_eq!(stand.finish(&first[0], Outcome::Ack).await, Ended::Stale);
    assert_eq!(stand.fire(at(180)).await, [RunState::Due]);
    let last = stand.claim().await;
    assert_eq!(last.len(), 1);
    stand.finish(&last[0], Outcome::Ack).await;
    stand.sweep().await;
    let runs = stand.runs(row.id).await;
    let states: Vec<_> = runs.iter().map(|run| run.0).collect();
    assert_eq!(states, [RunState::Cancelled, RunState::Cancelled, RunState::Done]);
    assert!(runs[0].1.contains("took its place"), "{runs:?}");
    stand.fresh.end().await;
}

#[tokio::test]
async fn allow_runs_them_side_by_side() {
    let (stand, _) = Stand::with(with_overlap(Overlap::Allow), at(30)).await;
    for minute in 1..=3 {
        assert_eq!(stand.fire(at(minute * 60)).await, [RunState::Due]);
    }
    assert_eq!(stand.claim().await.len(), 3);
    stand.fresh.end().await;
}

#[tokio::test]
async fn what_nobody_was_there_for_is_made_up_for_as_the_schedule_says() {
    let hour = 3_600;
    for (catchup, run, missed) in
        [(Catchup::None, 0, 5), (Catchup::Latest, 1, 4), (Catchup::All, 1, 4)]
    {
        let spec = ScheduleSpec {
            catchup,
            overlap: Overlap::Allow,
            ..ScheduleSpec::new("hourly", "0 * * * *")
        };
        let (stand, row) = Stand::with(spec, at(30)).await;
        // Five hours away; of `all`, the last hour only.
        let states = stand.fire(at(5 * hour + 1_800)).await;
        let count = |wanted| states.iter().filter(|state| **state == wanted).count();
        assert_eq!((count(RunState::Due), count(RunState::Missed)), (run, missed), "{catchup:?}");
        let runs = stand.schedules.runs(row.id, None, 10).await.unwrap();
        let caught: Vec<_> = runs.iter().filter(|r| r.trigger == RunTrigger::Catchup).collect();
        assert_eq!(caught.len(), run);
        assert!(caught.iter().all(|run| run.scheduled_at == at(5 * hour)));
        assert!(runs.iter().all(|r| (r.state == RunState::Missed) == r.reason.is_some()));
        // On time again afterwards.
        assert_eq!(stand.fire(at(6 * hour)).await, [RunState::Due]);
        stand.fresh.end().await;
    }
}

#[tokio::test]
async fn a_paused_schedule_does_not_fire_but_runs_by_hand() {
    let (stand, row) = Stand::with(every_minute(), at(30)).await;
    stand.schedules.pause(row.id, "operator", "maintenance").await.unwrap();
    assert!(stand.due(at(300)).await.is_empty());
    let shown = stand.schedules.show(row.id).await.unwrap();
    assert_eq!(shown.paused_by.as_deref(), Some("operator"));
    assert_eq!(shown.next_fire_at, None);
    let run = stand.schedules.run_now(row.id, at(300), Overlap::Allow, "operator").await.unwrap();
    let leased = stand.claim().await;
    assert_eq!(leased[0].message.id, run);
    stand.schedules.resume(row.id).await.unwrap();
    stand.schedules.compute(at(305), 100).await.unwrap();
    // What fell into the pause is not made up for.
    assert_eq!(stand.schedules.show(row.id).await.unwrap().next_fire_at, Some(at(360)));
    let unknown = stand.schedules.pause(Uuid::now_v7(), "operator", "").await;
    assert!(matches!(unknown, Err(ScheduleError::Unknown(_))));
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_pause_in_the_middle_of_a_fire_wins() {
    let (stand, row) = Stand::with(every_minute(), at(30)).await;
    let due = stand.due(at(60)).await;
    stand.schedules.pause(row.id, "operator", "now").await.unwrap();
    assert!(stand.schedules.fire(&due[0], at(60)).await.unwrap().runs.is_empty());
    assert!(stand.claim().await.is_empty());
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_dead_run_pauses_a_schedule_that_asks_for_it() {
    let spec = ScheduleSpec { pause_on_failure: true, ..every_minute() };
    let (stand, row) = Stand::with(spec, at(30)).await;
    stand.fire(at(60)).await;
    let leased = stand.claim().await;
    stand.finish(&leased[0], Outcome::Reject { reason: "no such disc".into() }).await;
    // It is seen by the next fire at the latest, which then does not happen.
    assert!(stand.fire(at(120)).await.is_empty());
    let shown = stand.schedules.show(row.id).await.unwrap();
    assert_eq!(shown.paused_by.as_deref(), Some("host"));
    assert!(shown.paused_reason.unwrap().contains(&leased[0].message.id.to_string()));
    assert_eq!(stand.runs(row.id).await, [(RunState::Dead, "no such disc".into())]);
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_run_ends_at_the_bounds_of_its_schedule() {
    let spec = ScheduleSpec { attempts_max: Some(2), ..every_minute() };
    let (stand, row) = Stand::with(spec, at(30)).await;
    stand.fire(at(60)).await;
    for attempt in 1..=2 {
        until("it is ready again", async || {
            stand.queue.promote(100).await.unwrap();
            let leased = stand.claim().await;
            for one in &leased {
                assert_eq!(one.attempt, attempt);
                let after = Some(Duration::from_millis(1));
                stand.finish(one, Outcome::Retry { after, reason: "busy".into() }).await;
            }
            !leased.is_empty()
        })
        .await;
    }
    assert_eq!(stand.sweep().await, 1);
    assert_eq!(stand.runs(row.id).await, [(RunState::Dead, "2 attempts: busy".into())]);
    let spec = ScheduleSpec { wall: Some(Duration::from_secs(1)), ..every_minute() };
    stand.schedules.sync("alpha", &[spec]).await.unwrap();
    stand.fire(at(120)).await;
    let leased = stand.claim().await;
    until("it took too long", async || stand.sweep().await == 1).await;
    assert_eq!(stand.finish(&leased[0], Outcome::Ack).await, Ended::Stale);
    assert_eq!(stand.runs(row.id).await[1], (RunState::Dead, "not over after 1000 ms".into()));
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_backfill_fires_what_its_preview_shows() {
    let (stand, row) = Stand::with(ScheduleSpec::new("hourly", "0 * * * *"), at(30)).await;
    let wanted = Backfill {
        schedule: row.id,
        from: at(0) - Duration::from_secs(5 * 3_600),
        to: at(3_600),
        overlap: Overlap::BufferAll,
        by: "operator".into(),
    };
    let preview = stand.schedules.backfill_preview(&wanted, at(60)).await.unwrap();
    // What has not come yet is left out.
    assert_eq!(preview.len(), 6);
    assert_eq!(stand.schedules.backfill(&wanted, at(60)).await.unwrap(), 6);
    let mut runs = stand.schedules.runs(row.id, None, 100).await.unwrap();
    runs.reverse();
    assert_eq!(runs.iter().map(|run| run.scheduled_at).collect::<Vec<_>>(), preview);
    assert!(runs.iter().all(|run| run.trigger == RunTrigger::Backfill));
    for run in &runs {
        let leased = stand.claim().await;
        assert_eq!(leased.iter().map(|l| l.message.id).collect::<Vec<_>>(), [run.id]);
        stand.finish(&leased[0], Outcome::Ack).await;
        stand.sweep().await;
    }
    let long = Backfill { from: SystemTime::UNIX_EPOCH, ..wanted.clone() };
    let refused = stand.schedules.backfill(&long, at(60)).await;
    assert!(matches!(refused, Err(ScheduleError::TooMany { .. })), "{refused:?}");
    let backwards = Backfill { to: wanted.from, ..wanted };
    let refused = stand.schedules.backfill(&backwards, at(60)).await;
    assert!(matches!(refused, Err(ScheduleError::Backwards)), "{refused:?}");
    stand.fresh.end().await;
}

#[tokio::test]
async fn a_manifest_that_says_the_same_changes_nothing_and_one_that_does_not_removes() {
    let (stand, row) = Stand::with(every_minute(), at(30)).await;
    stand.schedules.sync("alpha", &[every_minute()]).await.unwrap();
    assert!(stand.schedules.compute(at(500), 100).await.unwrap().is_empty());
    // Another policy keeps the next instant, another calendar does not.
    stand.schedules.sync("alpha", &[with_overlap(Overlap::Allow)]).await.unwrap();
    let shown = stand.schedules.show(row.id).await.unwrap();
    assert_eq!((shown.next_fire_at, &*shown.overlap), (Some(at(60)), "allow"));
    let other = ScheduleSpec::new("sweep", "30 * * * *");
    stand.schedules.sync("alpha", &[other, ScheduleSpec::new("more", "@daily")]).await.unwrap();
    stand.schedules.compute(at(30), 100).await.unwrap();
    let shown = stand.schedules.show(row.id).await.unwrap();
    assert_eq!(shown.next_fire_at, Some(at(1_800)));
    let names = async || {
        let all = stand.schedules.list(Some("alpha"), None, 10).await.unwrap();
        all.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["more", "sweep"]);
    stand.schedules.sync("alpha", &[]).await.unwrap();
    assert!(names().await.is_empty());
    assert!(stand.due(at(86_400)).await.is_empty());
    stand.fresh.end().await;
}

#[tokio::test]
async fn two_hosts_that_start_at_once_make_each_schedule_once() {
    let stand = Stand::new().await;
    let hosts = (0..4).map(|_| {
        let schedules = stand.schedules.clone();
        let entries = [every_minute(), ScheduleSpec::new("daily", "@daily")];
        tokio::spawn(async move { schedules.sync("alpha", &entries).await })
    });
    for host in hosts.collect::<Vec<_>>() {
        host.await.unwrap().unwrap();
    }
    assert_eq!(stand.schedules.list(None, None, 10).await.unwrap().len(), 2);
    stand.fresh.end().await;
}

#[tokio::test]
async fn old_runs_are_forgotten_and_those_under_way_are_not() {
    let (stand, row) = Stand::with(with_overlap(Overlap::Allow), at(30)).await;
    for minute in 1..=3 {
        stand.fire(at(minute * 60)).await;
    }
    let leased = stand.claim().await;
    stand.finish(&leased[0], Outcome::Ack).await;
    stand.sweep().await;
    let host = stand.fresh.database.host().await.unwrap();
    host.batch("update platform.schedule_run set created_at = now() - interval '31 days'")
        .await
        .unwrap();
    assert_eq!(stand.schedules.purge(100).await.unwrap(), 1);
    assert_eq!(stand.runs(row.id).await.len(), 2);
    assert_eq!(value::<i64>(&host, "select count(*) from platform.schedule_run").await, 2);
    drop(host);
    stand.fresh.end().await;
}
