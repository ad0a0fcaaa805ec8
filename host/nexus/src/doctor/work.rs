//! Work of an installation that runs: queues, dead letters, schedules, jobs, keys that turn.

use super::running::{age, list, of, text};
use super::{Check, Finding, Ground};
use jiff::Timestamp;
use serde_json::Value;

pub(super) const CHECKS: &[Check] = &[
    Check::plain("work", "queues", |ground| of(ground, "queues", oldest)),
    Check::plain("work", "dead letters", |ground| of(ground, "queues", dead)),
    Check::plain("work", "paused queues", |ground| of(ground, "queues", paused)),
    Check::plain("work", "schedules", |ground| {
        of(ground, "schedules", |schedules| late(schedules, Timestamp::now()))
    }),
    Check::plain("work", "paused schedules", |ground| {
        of(ground, "schedules", |schedules| resting(schedules, Timestamp::now()))
    }),
    Check::plain("work", "calendars", |ground| of(ground, "schedules", refused)),
    Check::plain("work", "jobs", |ground| {
        of(ground, "jobs", |jobs| waiting(jobs, Timestamp::now()))
    }),
    Check::asking("work", "signing keys", |ground| {
        Box::pin(async move {
            match number(
                ground,
                "select coalesce(extract(epoch from now() - max(published_at)), \
                -1)::int8 from platform.signing_key where expires_at is null or expires_at > now()",
            )
            .await
            {
                Ok(Some(seconds)) => signing_keys(seconds),
                Ok(None) => Finding::skip("the private cluster does not run"),
                Err(reason) => Finding::skip(reason),
            }
        })
    }),
    Check::asking("work", "secrets' keys", |ground| {
        Box::pin(async move {
            match number(ground, "select count(distinct key_id) from platform.configuration_change")
                .await
            {
                Ok(Some(keys)) => secrets_keys(keys),
                Ok(None) => Finding::skip("the private cluster does not run"),
                Err(reason) => Finding::skip(reason),
            }
        })
    }),
];

async fn number(ground: &Ground, sql: &str) -> Result<Option<i64>, String> {
    let Some(session) = ground.session().await? else { return Ok(None) };
    let rows = session.query(sql, &[]).await.map_err(|error| error.to_string())?;
    rows.first().map(|row| row.try_get(0).map_err(|error| error.to_string())).transpose()
}

fn of_queue(queue: &Value) -> String {
    format!("{}/{}", text(queue, "service"), text(queue, "queue"))
}

/// The longest that a message may wait before somebody ought to look.
const WAIT_WARN_SECONDS: f64 = 60.0;
const WAIT_FAIL_SECONDS: f64 = 900.0;

fn oldest(answer: &Value) -> Finding {
    let open = list(answer, "queues").filter(|queue| queue["paused"] != true);
    let ages = open.map(|queue| (queue["oldest_ready_seconds"].as_f64().unwrap_or(0.0), queue));
    let worst = ages.max_by(|(one, _), (other, _)| one.total_cmp(other));
    let Some((seconds, queue)) = worst else { return Finding::ok("there are none") };
    let found = format!("{seconds:.0} s in {}", of_queue(queue));
    let todo = "add hosts or workers, or see why its messages take so long";
    match seconds {
        _ if seconds >= WAIT_FAIL_SECONDS => Finding::fail(found, todo),
        _ if seconds >= WAIT_WARN_SECONDS => Finding::warn(found, todo),
        _ => Finding::ok(format!("the oldest waits {seconds:.0} s")),
    }
}

fn dead(answer: &Value) -> Finding {
    let dead = list(answer, "queues").filter(|queue| queue["dead"].as_u64().unwrap_or(0) > 0);
    let dead: Vec<String> =
        dead.map(|queue| format!("{}: {}", of_queue(queue), queue["dead"])).collect();
    match dead.is_empty() {
        true => Finding::ok("none"),
        false => Finding::warn(
            dead.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
            "`nexus queue dlq` shows them, `nexus queue redrive` sends them back",
        ),
    }
}

fn paused(answer: &Value) -> Finding {
    let paused = list(answer, "queues").filter(|queue| queue["paused"] == true);
    let paused: Vec<String> = paused.map(of_queue).collect();
    match paused.is_empty() {
        true => Finding::ok("none"),
        false => Finding::warn(paused.join(", "), "`nexus queue resume` when the reason is gone"),
    }
}

/// A fire that is not made for so long is missed by all hosts.
const LATE_SECONDS_MAX: i64 = 60;

fn late(answer: &Value, now: Timestamp) -> Finding {
    let late: Vec<String> = list(answer, "schedules")
        .filter(|schedule| schedule["paused_at"].is_null())
        .filter(|schedule| {
            age(&schedule["next_fire_at"], now).is_some_and(|age| age > LATE_SECONDS_MAX)
        })
        .map(|schedule| format!("{}/{}", text(schedule, "service"), text(schedule, "name")))
        .collect();
    match late.is_empty() {
        true => Finding::ok(format!("{} on time", list(answer, "schedules").count())),
        false => Finding::fail(late.join(", "), "does any host run its schedules? see its log"),
    }
}

fn resting(answer: &Value, now: Timestamp) -> Finding {
    let resting: Vec<String> = list(answer, "schedules")
        .filter(|schedule| age(&schedule["paused_at"], now).is_some_and(|age| age > 7 * 86_400))
        .map(|schedule| format!("{}/{}", text(schedule, "service"), text(schedule, "name")))
        .collect();
    match resting.is_empty() {
        true => Finding::ok("none for more than a week"),
        false => Finding::warn(resting.join(", "), "`nexus cron resume` when the reason is gone"),
    }
}

fn refused(answer: &Value) -> Finding {
    let refused: Vec<String> = list(answer, "schedules")
        .filter(|schedule| schedule["refused"].is_string())
        .map(|schedule| {
            format!(
                "{}/{}: {}",
                text(schedule, "service"),
                text(schedule, "name"),
                text(schedule, "refused")
            )
        })
        .collect();
    match refused.is_empty() {
        true => Finding::ok("each expression means something"),
        false => Finding::fail(refused.join(", "), "correct the expression where it was put"),
    }
}

/// A job for which no worker comes.
const JOB_SECONDS_MAX: i64 = 3_600;

fn waiting(answer: &Value, now: Timestamp) -> Finding {
    let long: Vec<String> = list(answer, "jobs")
        .filter(|job| text(job, "state") == "queued")
        .filter(|job| age(&job["created_at"], now).is_some_and(|age| age > JOB_SECONDS_MAX))
        .map(|job| text(job, "kind").to_owned())
        .collect();
    match long.is_empty() {
        true => Finding::ok("none waits for more than an hour"),
        false => Finding::warn(
            format!(
                "{} wait: {}",
                long.len(),
                long.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
            ),
            "start workers that can do them: `nexus jobs show` says what they need",
        ),
    }
}

/// Keys turn every 90 days by themselves.
fn signing_keys(seconds: i64) -> Finding {
    let found = format!("the newest is {} days old", seconds / 86_400);
    match seconds {
        ..0 => Finding::skip("nothing was signed yet"),
        0..8_640_000 => Finding::ok(found),
        _ => Finding::warn(
            found,
            "`nexus cron run token-mgr/rotate_keys`, and see why it does not run",
        ),
    }
}

fn secrets_keys(keys: i64) -> Finding {
    match keys {
        0 => Finding::ok("there are no secrets"),
        1 => Finding::ok("all under one key"),
        many => Finding::warn(format!("they are under {many} keys"), "`nexus secret rotate`"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;
    use serde_json::json;

    fn now() -> Timestamp {
        "2027-01-31T03:15:00Z".parse().unwrap()
    }

    #[test]
    fn queues_that_wait_die_or_rest_are_named() {
        let queue = |seconds: f64, dead: u64, paused: bool| {
            json!({ "queues": [{ "service": "a", "queue": "b", "dead": dead, "paused": paused,
                "oldest_ready_seconds": seconds }] })
        };
        let at = |seconds| oldest(&queue(seconds, 0, false)).outcome;
        assert_eq!((at(1.0), at(120.0), at(5_000.0)), (Ok, Warn, Fail));
        assert_eq!(oldest(&queue(5_000.0, 0, true)).outcome, Ok, "it is paused");
        assert_eq!(
            (dead(&queue(0.0, 3, false)).outcome, dead(&queue(0.0, 0, false)).outcome),
            (Warn, Ok)
        );
        assert_eq!(
            (paused(&queue(0.0, 0, true)).outcome, paused(&queue(0.0, 0, false)).outcome),
            (Warn, Ok)
        );
        assert_eq!(dead(&queue(0.0, 3, false)).found, "a/b: 3");
    }

    #[test]
    fn schedules_that_are_late_or_mean_nothing_are_named() {
        let one = |next: &str, paused: Value, refused: Value| {
            json!({ "schedules": [{ "service": "a", "name": "b", "next_fire_at": next,
                "paused_at": paused, "refused": refused }] })
        };
        let (soon, long_ago) = ("2027-01-31T03:16:00Z", "2027-01-31T03:00:00Z");
        let at = |next, paused: Value| late(&one(next, paused, Value::Null), now()).outcome;
        assert_eq!((at(soon, Value::Null), at(long_ago, Value::Null)), (Ok, Fail));
        assert_eq!(at(long_ago, json!("2027-01-31T02:00:00Z")), Ok);
        let at = |paused| resting(&one(soon, json!(paused), Value::Null), now()).outcome;
        assert_eq!((at("2027-01-31T02:00:00Z"), at("2027-01-01T02:00:00Z")), (Ok, Warn));
        assert_eq!(refused(&one(soon, Value::Null, json!("no such zone"))).outcome, Fail);
        assert_eq!(refused(&one(soon, Value::Null, Value::Null)).outcome, Ok);
    }

    #[test]
    fn jobs_and_keys_are_judged_by_their_age() {
        let job = |at: &str| {
            let job = json!({ "kind": "thumb", "state": "queued", "created_at": at });
            json!({ "jobs": [job] })
        };
        assert_eq!(waiting(&job("2027-01-31T03:00:00Z"), now()).outcome, Ok);
        assert_eq!(waiting(&job("2027-01-30T03:00:00Z"), now()).outcome, Warn);
        let keys = [-1, 86_400, 20_000_000].map(|seconds| signing_keys(seconds).outcome);
        assert_eq!(keys, [Skipped, Ok, Warn]);
        assert_eq!([0, 1, 2].map(|keys| secrets_keys(keys).outcome), [Ok, Ok, Warn]);
    }
}
