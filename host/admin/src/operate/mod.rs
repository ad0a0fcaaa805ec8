//! The operators' API over queues, schedules and jobs. Knows which path is which operation of the
//! storage, what a query and a body may say, and how rows look as JSON. Refuses to have rules of
//! its own: what may be done to a message is the storage's business.
//!
//! | path under `/api/v1/` | what it does |
//! |---|---|
//! | `queues` | every queue with its depth: `?service=&limit=&cursor=` |
//! | `queues/{service}/{queue}` | one queue: depth, settings, rates |
//! | `queues/{service}/{queue}/messages` | `?state=ready\|deferred\|leased\|dead&payload=` |
//! | `POST queues/{service}/{queue}/send` | `{payload, topic, key, by}` |
//! | `POST queues/{service}/{queue}/redrive` | `{filter, dry_run, rate_per_second, by}` |
//! | `POST queues/{service}/{queue}/purge` | `{state, filter, dry_run, by}` |
//! | `POST queues/{service}/{queue}/pause` and `/resume` | `{by}` |
//! | `dead-letters` | `?service=&queue=&topic=&tenant_id=&reason=&since=&before=&payload=` |
//! | `schedules` | `?service=&name=` |
//! | `schedules/{id}`, `/next`, `/runs` | one schedule, its next instants, its history |
//! | `POST schedules/{id}/run`, `/pause`, `/resume`, `/backfill` | `{by, …}` |
//! | `jobs`, `jobs/{id}` | `?state=&kind=&service=` |
//! | `POST jobs/{id}/cancel` | `{by}` |
//! | `operators`, `POST operators`, `DELETE operators/{name}` | `{name, role}`; the token, once |
//! | `audit` | `?actor=&action=&subject=&outcome=&since=&before=` |
//! | `audit/verify`, `audit/export` | whether it is whole; all of it, a line each |
//!
//! A queue's name is percent-encoded in a path: it may have `*`, spaces and slashes. Instants are
//! RFC 3339. A list takes `limit` and `cursor`; its own `cursor` is null at the end. An unknown
//! word in a query or a body is refused, because a filter that is not heard is dangerous.

pub(crate) mod asked;
mod audit;
pub(crate) mod instant;
mod jobs;
mod letters;
mod operators;
mod queues;
mod schedules;
mod send;

pub(crate) use asked::Asked;
pub(crate) use instant::Instant;
pub(crate) use queues::would_redrive;

use crate::{Facts, problems};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use nexus_runtime::{Problem, Response};
use nexus_storage::audit::{Audit, Operators};
use nexus_storage::jobs::Jobs;
use nexus_storage::queue::Queue;
use nexus_storage::schedules::Schedules;
use nexus_storage::{Database, Error as StorageError};
use std::time::{Duration, SystemTime};

const PREFIX: &str = "/api/v1/";

/// First words of the paths here.
const RESOURCES: [&str; 6] = ["queues", "dead-letters", "schedules", "jobs", "operators", "audit"];

/// Time for one call. Whoever waits longer has lost patience; the statement ends by itself.
const CALL_MAX: Duration = Duration::from_secs(20);

/// Entries of one page.
const PAGE: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// The parts of a host that are operated here.
pub(crate) struct Stores {
    queue: Queue,
    schedules: Schedules,
    jobs: Jobs,
    audit: Audit,
    operators: Operators,
    database: Database,
}

impl Stores {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            audit: Audit::new(database.clone()),
            operators: Operators::new(database.clone()),
            queue: Queue::new(database.clone()),
            schedules: Schedules::new(database.clone()),
            jobs: Jobs::new(database.clone()),
            database,
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }
}

/// Whether a path belongs here.
pub(crate) fn is_for(path: &str) -> bool {
    let word = path.strip_prefix(PREFIX).and_then(|rest| rest.split('/').next());
    word.is_some_and(|word| RESOURCES.contains(&word))
}

/// Answers one call of an operator who was let in.
pub(crate) async fn answer(
    facts: &Facts,
    request: Request<Full<Bytes>>,
) -> Result<Response, Problem> {
    let asked = Asked::read(request, PREFIX).await?;
    let stores = facts.operated().ok_or_else(|| problems::DATABASE_AWAY.retry_after(1))?;
    // By the components' clock, which tests move.
    let now = facts.runtime().map_or_else(SystemTime::now, |runtime| runtime.clock().now());
    let call = Box::pin(dispatch(stores, now, &asked));
    match tokio::time::timeout(CALL_MAX, call).await {
        Ok(answer) => answer,
        Err(_) => Err(problems::OPERATION_SLOW.retry_after(5)),
    }
}

async fn dispatch(stores: &Stores, now: SystemTime, asked: &Asked) -> Result<Response, Problem> {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let is_order = asked.method == Method::POST;
    let is_question = matches!(asked.method, Method::GET | Method::HEAD);
    match (&segments[..], is_question, is_order) {
        (["queues"], true, _) => queues::list(stores, asked).await,
        (["queues", service, name], true, _) => queues::show(stores, service, name).await,
        (["queues", service, name, "messages"], true, _) => {
            letters::messages(stores, service, name, asked).await
        }
        (["queues", service, name, "send"], _, true) => {
            send::answer(stores, service, name, asked).await
        }
        (["queues", service, name, verb], _, true) => {
            queues::order(stores, service, name, verb, asked).await
        }
        (["dead-letters"], true, _) => letters::dead(stores, asked).await,
        (["schedules"], true, _) => schedules::list(stores, asked).await,
        (["schedules", id], true, _) => schedules::show(stores, id).await,
        (["schedules", id, "next"], true, _) => schedules::next(stores, id, now, asked).await,
        (["schedules", id, "runs"], true, _) => schedules::runs(stores, id, asked).await,
        (["schedules", id, verb], _, true) => schedules::order(stores, id, verb, now, asked).await,
        (["jobs"], true, _) => jobs::list(stores, asked).await,
        (["jobs", id], true, _) => jobs::show(stores, id).await,
        (["jobs", id, "cancel"], _, true) => jobs::cancel(stores, id, asked).await,
        (["operators"], true, _) => operators::list(stores).await,
        (["operators"], _, true) => operators::add(stores, asked).await,
        (["operators", name], false, false) => operators::remove(stores, name, asked).await,
        (["audit"], true, _) => audit::list(stores, asked).await,
        (["audit", "verify"], true, _) => audit::verify(stores).await,
        (["audit", "export"], true, _) => Ok(audit::export(stores)),
        _ => Err(misdirected(&segments)),
    }
}

/// No route, or the wrong method on one that exists.
fn misdirected(segments: &[&str]) -> Problem {
    match segments {
        ["queues", _, _, "send" | "redrive" | "purge" | "pause" | "resume"]
        | ["schedules", _, "run" | "pause" | "resume" | "backfill"]
        | ["jobs", _, "cancel"] => problems::POST_ONLY,
        ["queues" | "dead-letters" | "schedules" | "jobs"]
        | ["queues", _, _]
        | ["queues", _, _, "messages"]
        | ["schedules" | "jobs", _]
        | ["schedules", _, "next" | "runs"] => problems::METHOD,
        _ => problems::NOT_FOUND,
    }
}

/// What the database says no to is the operator's mistake; the rest is ours.
pub(crate) fn failure(error: &StorageError) -> Problem {
    if let StorageError::TooLarge { .. } = error {
        return problems::ANSWER_SIZE.detail("ask for fewer with `limit`, or without `payload`");
    }
    // Classes 22 and 23: a value that cannot be, such as a text with NUL.
    let class = error.code().map(|code| code.code()).unwrap_or_default();
    if class.starts_with("22") || class.starts_with("23") {
        return problems::VALUE.detail(error.to_string());
    }
    if error.is_unavailable() {
        tracing::debug!(%error, "an operator finds no database");
        return problems::DATABASE_AWAY.retry_after(1);
    }
    tracing::error!(%error, "an operator's call failed");
    problems::OPERATION_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_these_resources_come_here() {
        for (path, ours) in [
            ("/api/v1/queues", true),
            ("/api/v1/queues/catalog/x", true),
            ("/api/v1/dead-letters", true),
            ("/api/v1/schedules/1/next", true),
            ("/api/v1/jobs", true),
            ("/api/v1/queuesx", false),
            ("/api/v1/host", false),
            ("/api/v1/", false),
            ("/worker/v1/jobs", false),
            ("/jobs", false),
        ] {
            assert_eq!(is_for(path), ours, "{path}");
        }
    }

    #[test]
    fn a_route_that_exists_says_its_method_and_another_is_none() {
        for (path, problem) in [
            ("queues", problems::METHOD),
            ("queues/a/b/messages", problems::METHOD),
            ("queues/a/b/purge", problems::POST_ONLY),
            ("schedules/1/backfill", problems::POST_ONLY),
            ("jobs/1/cancel", problems::POST_ONLY),
            ("queues/a", problems::NOT_FOUND),
            ("queues/a/b/burn", problems::NOT_FOUND),
            ("dead-letters/1", problems::NOT_FOUND),
            ("jobs/1/2/3", problems::NOT_FOUND),
        ] {
            let segments: Vec<&str> = path.split('/').collect();
            assert_eq!(misdirected(&segments), problem, "{path}");
        }
    }
}
