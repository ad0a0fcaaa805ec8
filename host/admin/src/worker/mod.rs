//! `/worker/v1`: the host's side of the job protocol, whose specification is the header of
//! `media-native/protocol`. Knows the workers' token, leases and the grants of a job's service.
//! Refuses to know what a job means, and where objects are.

mod claim;
mod counts;
mod held;
mod objects;
mod spans;
mod wire;

pub(crate) use counts::Counts;
pub use objects::{ObjectUrlError, ObjectUrls, ReadUrl, WriteUrl};

use crate::token::{self, Token};
use crate::{Facts, body, problems};
use http::{HeaderMap, Method, Request, Response as Answer, StatusCode};
use http_body::Body;
use nexus_runtime::{Problem, Response, Shutdown, full};
use nexus_storage::jobs::Jobs;
use serde_json::Value;
use std::error::Error;
use std::sync::Arc;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) const PREFIX: &str = "/worker/v1/";

/// An output and a reason, and what is around them.
const BODY_BYTES_MAX: usize = 128 << 10;
/// Claims that wait at once; each asks the database about once a second.
const WAITING_MAX: usize = 256;

/// What workers may reach. Clones share it.
#[derive(Clone)]
pub(crate) struct Workers {
    facts: Facts,
    token: Token,
    waiting: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// The parts of a host that jobs need.
pub(crate) struct JobParts {
    pub(crate) jobs: Jobs,
    pub(crate) urls: Arc<dyn ObjectUrls>,
}

impl Workers {
    pub(crate) fn new(facts: Facts, token: Token, shutdown: Shutdown) -> Self {
        Self { facts, token, waiting: Arc::new(Semaphore::new(WAITING_MAX)), shutdown }
    }

    /// Answers one call.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Result<Response, Problem>
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        self.authorise(request.headers())?;
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let call = Call::of(path).ok_or(problems::NO_WORKER_ROUTE)?;
        if head.method != Method::POST {
            return Err(problems::POST_ONLY);
        }
        let parts = self.facts.jobs().ok_or(problems::NO_JOBS)?;
        match call {
            Call::Claim => {
                let asked = body::json(body, BODY_BYTES_MAX).await?;
                self.claim(parts, asked).await
            }
            Call::Heartbeat(id) => {
                held::heartbeat(parts, id, body::json(body, BODY_BYTES_MAX).await?).await
            }
            Call::Checkpoint(id) => {
                self.checkpoint(parts, id, body::json(body, BODY_BYTES_MAX).await?).await
            }
            Call::Urls(id) => self.urls(parts, id, body::json(body, BODY_BYTES_MAX).await?).await,
            Call::Finish(id) => {
                let own = spans::own(&head.headers);
                self.finish(parts, id, body::json(body, BODY_BYTES_MAX).await?, own).await
            }
        }
        .inspect_err(|problem| self.facts.counts().refused(problem.name))
    }

    fn authorise(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let offered = token::offered(headers).ok_or(problems::NO_WORKER_TOKEN)?;
        if self.token.is(offered) { Ok(()) } else { Err(problems::WRONG_WORKER_TOKEN) }
    }
}

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
enum Call {
    Claim,
    Heartbeat(Uuid),
    Checkpoint(Uuid),
    Urls(Uuid),
    Finish(Uuid),
}

impl Call {
    fn of(path: &str) -> Option<Self> {
        if path == "claim" {
            return Some(Self::Claim);
        }
        let (id, verb) = path.strip_prefix("jobs/")?.split_once('/')?;
        let id = id.parse().ok()?;
        match verb {
            "heartbeat" => Some(Self::Heartbeat(id)),
            "checkpoint" => Some(Self::Checkpoint(id)),
            "urls" => Some(Self::Urls(id)),
            "finish" => Some(Self::Finish(id)),
            _ => None,
        }
    }
}

fn nothing() -> Response {
    let mut response = Answer::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn json(value: &Value) -> Response {
    crate::routes::json(StatusCode::OK, value)
}

/// The database's own refusals are the worker's mistake; the rest is ours.
fn failure(error: &nexus_storage::Error) -> Problem {
    // Class 22 is a value that cannot be, such as a text with NUL.
    if error.code().is_some_and(|code| code.code().starts_with("22")) {
        return problems::WORKER_REQUEST.detail(error.to_string());
    }
    if error.is_unavailable() {
        tracing::debug!(%error, "a worker's call finds no database");
        return problems::NO_JOBS.retry_after(1);
    }
    tracing::error!(%error, "a worker's call failed");
    problems::WORKER_FAILURE
}

#[test]
fn paths_are_calls_or_nothing() {
    let id = Uuid::nil();
    assert_eq!(Call::of("claim"), Some(Call::Claim));
    assert_eq!(Call::of(&format!("jobs/{id}/finish")), Some(Call::Finish(id)));
    for path in ["", "claims", "claim/", "jobs", "jobs/1/finish", "jobs//finish"] {
        assert_eq!(Call::of(path), None, "{path}");
    }
    assert_eq!(Call::of(&format!("jobs/{id}/finish/")), None);
}
