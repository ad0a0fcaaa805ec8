//! The operators' API over artifacts, revisions, traffic and rollouts. Knows which path is which
//! operation of `nexus-rollout`, and how its rows look as JSON; refuses to have rules of its own.
//!
//! | path under `/api/v1/` | what it does |
//! |---|---|
//! | `artifacts`, `artifacts/{digest}`, `artifacts/{digest}/archive` | what was stored |
//! | `POST artifacts` | an OCI archive, or a component with `?component=` |
//! | `POST artifacts/pull` | `{reference, insecure}` |
//! | `POST components/{id}/deploy` | `{artifact or revision, strategy, note, dry_run}` |
//! | `components/{id}/revisions`, `…/{number}` | what it has ever been |
//! | `components/{id}/traffic`, `PUT` | `{weights: {"7": 9000, "8": 1000}, reason}` |
//! | `POST components/{id}/rollback` | `{to, reason, dry_run}` |
//! | `rollouts`, `rollouts/{id}` | the second with its events, its hosts and its figures |
//! | `POST rollouts/{id}/promote`, `/pause`, `/resume`, `/abort` | `{reason}` |
//! | `freezes`, `POST`, `DELETE freezes/{id}` | `{component, reason}` |
//! | `hosts` | who follows, and what each has applied |
//!
//! Weights and steps are shares per 10,000. A rollout is answered as soon as it is written down
//! (202); what becomes of it is read at `rollouts/{id}`.

mod artifacts;
pub(crate) mod figures;
mod orders;
mod questions;
mod shape;

use crate::operate::asked::{cursor, page, reason};
use crate::{Facts, operate, problems};
use bytes::Bytes;
use http::{Method, Request, StatusCode as S};
use http_body_util::Full;
use nexus_rollout::{Error, Rollout};
use nexus_runtime::{Problem, Response};
use nexus_storage::rollouts::RolloutError;
use serde_json::Value;
use std::time::Duration;

const PREFIX: &str = "/api/v1/";

/// Time for one call. A registry may be slow; nobody else is.
const CALL_MAX: Duration = Duration::from_secs(120);

const AWAY: Problem = Problem::new(
    "rollouts-away",
    S::SERVICE_UNAVAILABLE,
    "this host has no database, or has not begun to follow it yet",
);
const NO_ROLLOUT: Problem =
    Problem::new("no-such-rollout", S::NOT_FOUND, "there is no such rollout");
const NO_REVISION: Problem =
    Problem::new("no-such-revision", S::NOT_FOUND, "the component has no such revision");
const NO_ARTIFACT: Problem =
    Problem::new("no-such-artifact", S::NOT_FOUND, "no such artifact is stored here");
const NO_TRAFFIC: Problem =
    Problem::new("no-such-component", S::NOT_FOUND, "nothing of such a component is served");
const NO_FREEZE: Problem = Problem::new("no-such-freeze", S::NOT_FOUND, "there is no such freeze");
const BUSY: Problem = Problem::new(
    "rollout-under-way",
    S::CONFLICT,
    "the component is being rolled out: promote or abort that one first",
);
const FROZEN: Problem = Problem::new("frozen", S::CONFLICT, "nothing may change now");
const REFUSED: Problem = Problem::new("order-refused", S::CONFLICT, "that cannot be done now");
const UNFIT: Problem =
    Problem::new("artifact-unfit", S::UNPROCESSABLE_ENTITY, "that cannot be rolled out");
const REGISTRY: Problem =
    Problem::new("registry-failed", S::BAD_GATEWAY, "the registry does not give it");

/// Whether a path belongs here.
pub(crate) fn is_for(path: &str) -> bool {
    let mut words = path.strip_prefix(PREFIX).unwrap_or_default().split('/');
    match (words.next(), words.next(), words.next()) {
        (Some("artifacts" | "rollouts" | "freezes" | "hosts"), _, _) => true,
        (Some("components"), Some(_), Some(what)) => {
            matches!(what, "deploy" | "revisions" | "traffic" | "rollback")
        }
        _ => false,
    }
}

/// A call, and what it is about.
struct Asked<'a> {
    rollout: &'a Rollout,
    call: operate::Asked,
}

/// Answers one call of an operator who was let in.
pub(crate) async fn answer(
    facts: &Facts,
    request: Request<Full<Bytes>>,
) -> Result<Response, Problem> {
    let rollout = facts.rolled_out().ok_or(AWAY.retry_after(1))?;
    let call = operate::Asked::read(request, PREFIX).await?;
    let asked = Asked { rollout, call };
    let answering = Box::pin(dispatch(&asked));
    match tokio::time::timeout(CALL_MAX, answering).await {
        Ok(answer) => answer,
        Err(_) => Err(problems::OPERATION_SLOW.retry_after(5)),
    }
}

async fn dispatch(asked: &Asked<'_>) -> Result<Response, Problem> {
    let segments: Vec<&str> = asked.call.segments.iter().map(String::as_str).collect();
    let method = &asked.call.method;
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    match (method, &segments[..]) {
        ("GET", ["artifacts"]) => asked.artifacts().await,
        ("POST", ["artifacts"]) => asked.store().await,
        ("POST", ["artifacts", "pull"]) => asked.pull().await,
        ("GET", ["artifacts", digest]) => asked.artifact(digest).await,
        ("GET", ["artifacts", digest, "archive"]) => asked.archive(digest).await,
        ("POST", ["components", id, "deploy"]) => asked.deploy(id).await,
        ("POST", ["components", id, "rollback"]) => asked.roll_back(id).await,
        ("GET", ["components", id, "traffic"]) => asked.traffic(id).await,
        ("PUT", ["components", id, "traffic"]) => asked.set_traffic(id).await,
        ("GET", ["components", id, "revisions"]) => asked.revisions(id).await,
        ("GET", ["components", id, "revisions", number]) => asked.revision(id, number).await,
        ("GET", ["rollouts"]) => asked.rollouts().await,
        ("GET", ["rollouts", id]) => asked.show(id).await,
        ("POST", ["rollouts", id, verb]) => asked.order_about(id, verb).await,
        ("GET", ["freezes"]) => asked.freezes().await,
        ("POST", ["freezes"]) => asked.freeze().await,
        ("DELETE", ["freezes", id]) => asked.thaw(id).await,
        ("GET", ["hosts"]) => asked.hosts().await,
        _ => Err(problems::NOT_FOUND),
    }
}

fn ok(value: &Value) -> Response {
    crate::routes::json(S::OK, value)
}

fn accepted(value: &Value) -> Response {
    crate::routes::json(S::ACCEPTED, value)
}

fn failure(error: Error) -> Problem {
    let words = error.to_string();
    match error {
        Error::Rollout(RolloutError::Storage(error)) => operate::failure(&error),
        Error::Rollout(RolloutError::Unknown(_)) => NO_ROLLOUT,
        Error::Rollout(RolloutError::NoRevision { .. }) => NO_REVISION.detail(words),
        Error::Rollout(RolloutError::Busy { .. }) => BUSY.detail(words),
        Error::Rollout(RolloutError::Frozen { .. }) => FROZEN.detail(words),
        Error::Rollout(RolloutError::Refused(_)) => REFUSED.detail(words),
        Error::NoArtifact(_) => NO_ARTIFACT.detail(words),
        Error::NoComponent(_) => NO_TRAFFIC.detail(words),
        Error::Artifact(error) => match error {
            nexus_artifact::Error::Registry { .. }
            | nexus_artifact::Error::NotFound(_)
            | nexus_artifact::Error::Moved { .. } => REGISTRY.detail(words),
            _ => UNFIT.detail(words),
        },
        Error::Fragment(_) | Error::Unfit(_) => UNFIT.detail(words),
        Error::NoBytes { .. } => REFUSED.detail(words),
        Error::File { .. } => {
            tracing::error!(error = words, "an operator's call failed");
            problems::OPERATION_FAILED
        }
    }
}

fn failed(error: RolloutError) -> Problem {
    failure(error.into())
}

fn broken(error: nexus_storage::Error) -> Problem {
    operate::failure(&error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_deployment_come_here() {
        for (path, ours) in [
            ("/api/v1/artifacts", true),
            ("/api/v1/artifacts/sha256:1/archive", true),
            ("/api/v1/components/lamp/deploy", true),
            ("/api/v1/components/lamp/revisions/7", true),
            ("/api/v1/rollouts/1/abort", true),
            ("/api/v1/hosts", true),
            ("/api/v1/host", false),
            ("/api/v1/components", false),
            ("/api/v1/components/lamp", false),
            ("/api/v1/components/lamp/invoke", false),
            ("/api/v1/components/deploy", false),
            ("/artifacts", false),
        ] {
            assert_eq!(is_for(path), ours, "{path}");
        }
    }
}
