//! What every host does for a rollout before it has a share: it compiles the revision, and asks it
//! whether it is well. Refuses to know what follows from the answers.

use crate::{Error, Inner, Running};
use nexus_runtime::{Call, DEFAULT_TENANT, Principal, Revision, full};
use nexus_storage::rollouts::{RolloutRow, State};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub(crate) const COMPILING: &str = "compiling";
pub(crate) const PROBING: &str = "probing";

/// A service that is not well within this is not well.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// The stage in which hosts are to say something.
pub(crate) fn of(state: State) -> Option<&'static str> {
    match state {
        State::Compiling => Some(COMPILING),
        State::Probing => Some(PROBING),
        _ => None,
    }
}

/// Finds out what this host has to say, and says it.
pub(crate) async fn take_part(
    inner: &Inner,
    rollout: &RolloutRow,
    stage: &'static str,
) -> Result<(), Error> {
    let Some(running) = inner.running.get() else { return Ok(()) };
    let (component, number) = (rollout.component.as_str(), rollout.revision);
    if let (COMPILING, Some(baseline)) = (stage, rollout.baseline)
        && let Some(row) = inner.rollouts.revision(component, baseline).await?
        // So that it can be gone back to wherever the calls are then.
        && !running.shelf.share(inner, component, &row.wasm).await?
    {
        tracing::warn!(component, baseline, "the bytes of what served before are not here");
    }
    let loaded = running.shelf.load(inner, &running.runtime, component, number).await;
    let failure = match loaded {
        Err(reason) => Some(reason),
        Ok(loaded) if stage == PROBING => probe(running, &loaded.revision).await.err(),
        Ok(_) => None,
    };
    inner.rollouts.report(inner.id, rollout.id, stage, failure.as_deref()).await?;
    Ok(())
}

/// Asks a revision whether it is well; one that has no answer to that is.
async fn probe(running: &Running, revision: &Arc<Revision>) -> Result<(), String> {
    let id = &revision.manifest.id;
    let path = format!("/api/{id}/health");
    let request = health(&path);
    let answer = running.runtime.call_revision(revision, request, call());
    match tokio::time::timeout(PROBE_MAX, answer).await {
        Err(_) => Err(format!("{path} did not answer within {PROBE_MAX:?}")),
        Ok(Err(error)) => Err(format!("{path}: {error}")),
        Ok(Ok(answer)) if answer.status().is_server_error() => {
            Err(format!("{path} answers {}", answer.status()))
        }
        Ok(Ok(_)) => Ok(()),
    }
}

/// Asks one of the revisions that are served; what becomes of it is counted like any call.
pub(crate) async fn ask(running: &Running, component: &str, number: u32) {
    let Ok(id) = crate::load::component_id(component) else { return };
    let mut call = call();
    call.pins = Some(Arc::from([(id.clone(), number)]));
    let answer = running.runtime.call(&id, health(&format!("/api/{id}/health")), call);
    let _counted = tokio::time::timeout(PROBE_MAX, answer).await;
}

fn health(path: &str) -> nexus_runtime::Request {
    let mut request = http::Request::new(full(""));
    let uri = format!("http://nexus.internal{path}");
    *request.uri_mut() = uri.parse().expect("a component's name is a piece of a path");
    request
}

fn call() -> Call {
    let nobody = Arc::new(Principal::anonymous(DEFAULT_TENANT));
    Call::new(format!("probe-{}", Uuid::now_v7()), nobody)
}
