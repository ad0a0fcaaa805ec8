//! Jobs for native workers: what a claim, a lost lease, a cancellation and an end do to a job, and
//! what services are told.

use crate::server::{Fresh, brisk, two_services, value};
use nexus_storage::Session;
use nexus_storage::jobs::{ClaimedJob, Ending, JobState, Jobs, StopReason, Submission};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

struct Work {
    fresh: Fresh,
    jobs: Jobs,
}

impl Work {
    async fn begin() -> Self {
        let fresh = two_services(brisk()).await;
        let jobs = Jobs::new(fresh.database.clone());
        Self { fresh, jobs }
    }

    async fn submit(&self, options: Value) -> Uuid {
        self.submit_as("alpha", options).await
    }

    async fn submit_as(&self, service: &str, options: Value) -> Uuid {
        let (args, options) = (json!({ "object": "a" }), options);
        let job = Submission {
            kind: "probe",
            id: Uuid::now_v7(),
            tenant: Some(Uuid::nil()),
            args: &args,
            trace: None,
            options: &options,
        };
        self.jobs.submit(service, &job).await.unwrap()
    }

    async fn claim(&self, most: u32) -> Vec<ClaimedJob> {
        let queues = self.jobs.queues(&["probe".to_owned()]).await.unwrap();
        let queues: Vec<i32> = queues.iter().map(|queue| queue.id).collect();
        self.jobs.claim(&queues, most, "w-1").await.unwrap()
    }

    async fn claim_one(&self) -> ClaimedJob {
        self.claim(1).await.pop().expect("there is a job")
    }

    async fn host(&self) -> Session {
        self.fresh.database.host().await.unwrap()
    }

    async fn run(&self, sql: &str) {
        self.host().await.batch(sql).await.unwrap();
    }

    async fn lapse(&self) {
        self.run("update platform.queue_lease set expires_at = now() - interval '1 s'").await;
        self.run("select platform.queue_expire(100)").await;
        self.hurry().await;
    }

    /// What waits for its time is due.
    async fn hurry(&self) {
        self.run(
            "update platform.queue_deferred set due_at = now() - interval '1 s'; \
             select platform.queue_promote(100)",
        )
        .await;
    }

    async fn state(&self, id: Uuid) -> JobState {
        self.jobs.show("alpha", id).await.unwrap().expect("the job is there").progress.state
    }

    /// Topics and payloads of what was told about ends, in order.
    async fn told(&self) -> Vec<(String, String, Value)> {
        let sql = "select topic, source, payload::text from platform.event \
                   where topic <> 'platform.job.requested.v1' order by position";
        let rows = self.host().await.query(sql, &[]).await.unwrap();
        let read = |text: &str| serde_json::from_str(text).unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), read(row.get(2)))).collect()
    }
}

fn ack() -> Ending {
    Ending::Ack { output: json!({ "streams": 2 }) }
}

fn retry(reason: &str) -> Ending {
    Ending::Retry { after: Some(Duration::ZERO), reason: reason.into() }
}

#[tokio::test]
async fn a_job_that_succeeds_is_told_by_an_event_of_its_service() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    assert_eq!(work.state(id).await, JobState::Queued);
    let job = work.claim_one().await;
    assert_eq!((job.id, job.attempt, job.service.as_str()), (id, 1, "alpha"));
    assert_eq!(work.state(id).await, JobState::Running);
    let beat = work.jobs.beat(id, job.lease, 0.5, Some("reading")).await.unwrap().unwrap();
    assert_eq!((beat.stop, beat.lasts), (None, Duration::from_secs(60)));
    let seen = work.jobs.show("alpha", id).await.unwrap().unwrap().progress;
    assert_eq!((seen.fraction, seen.stage.as_deref()), (0.5, Some("reading")));
    assert!(work.jobs.finish(id, job.lease, &ack()).await.unwrap());
    let done = work.jobs.show("alpha", id).await.unwrap().unwrap();
    assert_eq!(done.progress.state, JobState::Succeeded);
    assert_eq!(done.output.as_deref(), Some("{\"streams\": 2}"));
    let [(topic, source, payload)] = &work.told().await[..] else { panic!("one event") };
    assert_eq!((topic.as_str(), source.as_str()), ("platform.job.succeeded.v1", "alpha"));
    assert_eq!(payload["id"], id.to_string());
    assert_eq!(payload["output"], json!({ "streams": 2 }));
    work.fresh.end().await;
}

#[tokio::test]
async fn a_job_of_a_transaction_that_is_undone_does_not_exist() {
    let work = Work::begin().await;
    let alpha = work.fresh.as_alpha().await;
    let id = Uuid::now_v7();
    let submit = format!("select platform.job_submit('probe', '{id}', null, '{{}}', null, null)");
    for end in ["rollback", "commit"] {
        alpha.execute("begin", &[]).await.unwrap();
        alpha.query(&submit, &[]).await.unwrap();
        assert!(work.claim(9).await.is_empty(), "not before the commit");
        alpha.execute(end, &[]).await.unwrap();
        assert_eq!(work.claim(9).await.len(), usize::from(end == "commit"), "{end}");
    }
    drop(alpha);
    work.fresh.end().await;
}

#[tokio::test]
async fn a_stale_lease_changes_nothing() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    let lost = work.claim_one().await;
    work.lapse().await;
    assert_eq!(work.state(id).await, JobState::Queued);
    let picture = "select md5(string_agg(t::text, '|')) from (select j::text as t from \
                   platform.job j union all select l::text from platform.queue_lease l union all \
                   select e::text from platform.event e) t";
    for held_by_another in [false, true] {
        if held_by_another {
            let next = work.claim_one().await;
            assert_eq!((next.id, next.attempt), (id, 2), "the lost attempt was charged");
        }
        let before: String = value(&work.host().await, picture).await;
        let (jobs, lease) = (&work.jobs, lost.lease);
        assert_eq!(jobs.beat(id, lease, 0.9, Some("x")).await.unwrap(), None);
        assert!(!jobs.checkpoint(id, lease, &json!({ "key": "x" })).await.unwrap());
        assert_eq!(jobs.holder(id, lease).await.unwrap(), None);
        for ending in [ack(), retry("x"), Ending::Release { after: None }] {
            assert!(!jobs.finish(id, lease, &ending).await.unwrap());
        }
        assert_eq!(value::<String>(&work.host().await, picture).await, before);
    }
    work.fresh.end().await;
}

#[tokio::test]
async fn a_lease_of_one_job_is_none_of_another() {
    let work = Work::begin().await;
    work.submit(json!({})).await;
    work.submit(json!({})).await;
    let both = work.claim(2).await;
    let [one, other] = &both[..] else { panic!("two jobs") };
    assert!(!work.jobs.finish(one.id, other.lease, &ack()).await.unwrap());
    assert_eq!(work.jobs.beat(one.id, other.lease, 0.0, None).await.unwrap(), None);
    assert_eq!(work.jobs.holder(one.id, other.lease).await.unwrap(), None);
    work.fresh.end().await;
}

#[tokio::test]
async fn attempts_are_the_jobs_own_and_a_release_costs_none() {
    let work = Work::begin().await;
    let id = work.submit(json!({ "attempts_max": 2 })).await;
    let job = work.claim_one().await;
    let release = Ending::Release { after: None };
    assert!(work.jobs.finish(id, job.lease, &release).await.unwrap());
    let job = work.claim_one().await;
    assert_eq!(job.attempt, 1);
    assert!(work.jobs.finish(id, job.lease, &retry("busy")).await.unwrap());
    work.hurry().await;
    let job = work.claim_one().await;
    assert_eq!(job.attempt, 2);
    assert!(work.jobs.finish(id, job.lease, &retry("still busy")).await.unwrap());
    assert_eq!(work.state(id).await, JobState::Failed);
    let [(topic, _, payload)] = &work.told().await[..] else { panic!("one event") };
    assert_eq!(topic, "platform.job.failed.v1");
    assert_eq!(payload["error"], "still busy");
    assert_eq!(
        value::<i64>(&work.host().await, "select count(*) from platform.queue_dead").await,
        1
    );
    work.fresh.end().await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_fails_at_its_limit() {
    let work = Work::begin().await;
    let id = work.submit(json!({ "attempts_max": 2 })).await;
    for attempt in 1..=2 {
        assert_eq!(work.claim_one().await.attempt, attempt);
        work.lapse().await;
    }
    assert!(work.claim(1).await.is_empty());
    assert_eq!(work.state(id).await, JobState::Failed);
    assert_eq!(work.told().await.len(), 1);
    work.fresh.end().await;
}

#[tokio::test]
async fn a_rejected_job_has_failed_and_works_again_once_it_is_redriven() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    let job = work.claim_one().await;
    let reject = Ending::Reject { reason: "no media".into() };
    assert!(work.jobs.finish(id, job.lease, &reject).await.unwrap());
    assert_eq!(work.state(id).await, JobState::Failed);
    work.run(
        "with gone as (delete from platform.queue_dead returning *) \
         insert into platform.queue_ready (slot, priority, queue_id, position, day, attempt, \
         number, ready_at) select 1, priority, queue_id, position, day, 0, number, now() from gone",
    )
    .await;
    assert_eq!(work.state(id).await, JobState::Queued);
    let job = work.claim_one().await;
    assert_eq!((job.id, job.attempt), (id, 1));
    assert!(work.jobs.finish(id, job.lease, &ack()).await.unwrap());
    assert_eq!(work.state(id).await, JobState::Succeeded);
    work.fresh.end().await;
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_never_handed_out() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    assert_eq!(work.jobs.cancel("beta", id).await.unwrap(), None, "it is not beta's");
    assert_eq!(work.jobs.cancel("alpha", id).await.unwrap(), Some(JobState::Cancelled));
    assert_eq!(work.jobs.cancel("alpha", id).await.unwrap(), Some(JobState::Cancelled));
    assert!(work.claim(9).await.is_empty());
    let left = "select count(*) from platform.queue_ready";
    assert_eq!(value::<i64>(&work.host().await, left).await, 0);
    let topics: Vec<_> = work.told().await.into_iter().map(|told| told.0).collect();
    assert_eq!(topics, ["platform.job.cancelled.v1"]);
    work.fresh.end().await;
}

#[tokio::test]
async fn a_running_job_is_asked_to_stop_and_may_still_succeed() {
    let work = Work::begin().await;
    for (ending, state) in [
        (Ending::Release { after: None }, JobState::Cancelled),
        (retry("stopped"), JobState::Cancelled),
        (ack(), JobState::Succeeded),
    ] {
        let id = work.submit(json!({})).await;
        let job = work.claim_one().await;
        assert_eq!(work.jobs.cancel("alpha", id).await.unwrap(), Some(JobState::Running));
        let beat = work.jobs.beat(id, job.lease, 0.1, None).await.unwrap().unwrap();
        assert_eq!(beat.stop, Some(StopReason::Cancelled));
        assert!(work.jobs.finish(id, job.lease, &ending).await.unwrap());
        assert_eq!(work.state(id).await, state);
        assert!(work.claim(1).await.is_empty());
    }
    work.fresh.end().await;
}

#[tokio::test]
async fn a_cancelled_job_whose_worker_is_lost_is_cancelled_by_the_sweep() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    work.claim_one().await;
    work.jobs.cancel("alpha", id).await.unwrap();
    assert_eq!(work.jobs.sweep(10).await.unwrap(), 0);
    work.lapse().await;
    assert_eq!(work.jobs.sweep(10).await.unwrap(), 1);
    assert_eq!(work.state(id).await, JobState::Cancelled);
    assert!(work.claim(1).await.is_empty());
    work.run("update platform.job set finished_at = now() - interval '31 days'").await;
    assert_eq!(work.jobs.sweep(10).await.unwrap(), 1);
    assert_eq!(work.jobs.show("alpha", id).await.unwrap(), None);
    work.fresh.end().await;
}

#[tokio::test]
async fn past_its_time_an_attempt_is_asked_to_stop_and_its_lease_is_not_extended() {
    let work = Work::begin().await;
    let id = work.submit(json!({ "wall_ms": 1000 })).await;
    let job = work.claim_one().await;
    work.run(
        "update platform.job set deadline = now(); \
              update platform.queue_lease set expires_at = now() + interval '9 s'",
    )
    .await;
    let beat = work.jobs.beat(id, job.lease, 0.1, None).await.unwrap().unwrap();
    assert_eq!(beat.stop, Some(StopReason::Deadline));
    assert!(beat.lasts <= Duration::from_secs(9));
    assert!(work.jobs.finish(id, job.lease, &retry("too late")).await.unwrap());
    work.fresh.end().await;
}

#[tokio::test]
async fn a_checkpoint_is_handed_to_the_next_attempt() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    let job = work.claim_one().await;
    assert_eq!(job.checkpoint, None);
    let checkpoint = json!({ "bucket": "media", "key": "half" });
    assert!(work.jobs.checkpoint(id, job.lease, &checkpoint).await.unwrap());
    work.lapse().await;
    assert_eq!(work.claim_one().await.checkpoint, Some(checkpoint));
    work.fresh.end().await;
}

#[tokio::test]
async fn of_several_jobs_with_one_key_there_is_the_first() {
    let work = Work::begin().await;
    let first = work.submit(json!({ "dedup_key": "movie-1" })).await;
    assert_eq!(work.submit(json!({ "dedup_key": "movie-1" })).await, first);
    let of_beta = work.submit_as("beta", json!({ "dedup_key": "movie-1" })).await;
    assert_ne!(of_beta, first, "keys are each service's own");
    assert_eq!(work.claim(9).await.len(), 2);
    work.fresh.end().await;
}

#[tokio::test]
async fn of_a_group_one_runs_at_a_time_and_groups_are_each_services_own() {
    let work = Work::begin().await;
    let group = json!({ "group": "asset-1" });
    let (first, second) = (work.submit(group.clone()).await, work.submit(group.clone()).await);
    let of_beta = work.submit_as("beta", group).await;
    let mut ids: Vec<_> = work.claim(9).await.iter().map(|job| (job.id, job.lease)).collect();
    ids.sort();
    assert_eq!(ids.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first, of_beta]);
    assert!(work.claim(9).await.is_empty());
    assert!(work.jobs.finish(first, ids[0].1, &ack()).await.unwrap());
    assert_eq!(work.claim_one().await.id, second);
    work.fresh.end().await;
}

#[tokio::test]
async fn higher_priorities_come_first_and_delayed_jobs_later() {
    let work = Work::begin().await;
    let late = work.submit(json!({ "delay_ms": 3_600_000, "priority": 9 })).await;
    let low = work.submit(json!({})).await;
    let high = work.submit(json!({ "priority": 5 })).await;
    assert_eq!(work.claim_one().await.id, high);
    assert_eq!(work.claim_one().await.id, low);
    assert!(work.claim(9).await.is_empty());
    work.hurry().await;
    assert_eq!(work.claim_one().await.id, late);
    work.fresh.end().await;
}

#[tokio::test]
async fn jobs_that_require_something_have_a_queue_of_their_own() {
    let work = Work::begin().await;
    work.submit(json!({})).await;
    work.submit(json!({ "requires": { "gpu": 1, "codec": "av1" } })).await;
    work.submit(json!({ "requires": { "codec": "av1", "gpu": 1 } })).await;
    let mut queues = work.jobs.queues(&["probe".to_owned()]).await.unwrap();
    queues.sort_by_key(|queue| queue.id);
    assert_eq!(queues.len(), 2);
    assert_eq!(queues[1].requires, json!({ "codec": "av1", "gpu": 1 }));
    assert_eq!(work.jobs.claim(&[queues[1].id], 9, "w").await.unwrap().len(), 2);
    assert!(work.jobs.queues(&["transcode".to_owned()]).await.unwrap().is_empty());
    assert_eq!(work.jobs.kinds().await.unwrap(), ["probe"]);
    work.fresh.end().await;
}

#[tokio::test]
async fn a_job_may_name_the_topic_that_tells_its_end() {
    let work = Work::begin().await;
    let id = work.submit(json!({ "result_topic": "media.asset.probed.v1" })).await;
    let job = work.claim_one().await;
    assert!(work.jobs.finish(id, job.lease, &ack()).await.unwrap());
    let [(topic, _, payload)] = &work.told().await[..] else { panic!("one event") };
    assert_eq!((topic.as_str(), &payload["state"]), ("media.asset.probed.v1", &json!("succeeded")));
    work.fresh.end().await;
}

#[tokio::test]
async fn what_is_no_job_is_refused_and_nobody_elses_job_is_seen() {
    let work = Work::begin().await;
    let id = work.submit(json!({})).await;
    assert_eq!(work.jobs.show("beta", id).await.unwrap(), None);
    let alpha = work.fresh.as_alpha().await;
    let large = format!("to_jsonb(repeat('x', {}))", 70_000);
    for (kind, args, options, code) in [
        ("'Probe'", "'{}'", "'{}'", "22023"),
        ("null", "'{}'", "'{}'", "22023"),
        ("'probe'", "null", "'{}'", "54000"),
        ("'probe'", &*large, "'{}'", "54000"),
        ("'probe'", "'{}'", "'{\"mood\": 1}'", "22023"),
        ("'probe'", "'{}'", "'{\"requires\": []}'", "22023"),
        ("'probe'", "'{}'", "'{\"result_topic\": \"x\"}'", "22023"),
        ("'probe'", "'{}'", "'{\"attempts_max\": 0}'", "23514"),
        ("'probe'", "'{}'", "'{\"wall_ms\": 86400001}'", "23514"),
    ] {
        let id = Uuid::now_v7();
        let sql = format!(
            "select platform.job_submit({kind}, '{id}', null, {args}, null, {options}::jsonb)"
        );
        let refused = alpha.query(&sql, &[]).await.err();
        let found = refused.as_ref().and_then(|error| Some(error.code()?.code().to_owned()));
        assert_eq!(found.as_deref(), Some(code), "{kind} {options}");
    }
    for sql in [
        "select platform.job_claim(array[1], 1, 'x')",
        "select platform.job_end(gen_random_uuid(), 'failed', null, null)",
        "select * from platform.job",
    ] {
        let refused = alpha.query(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("42501"), "{sql}");
    }
    drop(alpha);
    work.fresh.end().await;
}
