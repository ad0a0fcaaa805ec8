//! Jobs of native workers, by `nexus:jobs`: submitted, shown, watched to their end, cancelled.

use bindings::nexus::jobs::jobs::{self, Error as JobError, Options, Progress, State};
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../../wit/nexus-jobs@0.1.0",
        world: "nexus:jobs/jobs-client",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

nexus_sdk::refusals! {
    /// As the host says it.
    JobRefused = 422, "the host refuses this job"
}

#[derive(Deserialize, JsonSchema)]
pub struct Errand {
    kind: String,
    args: serde_json::Value,
}

pub async fn submit(by: Allowed<crate::Write_>, Json(errand): Json<Errand>) -> Result<Json<Value>> {
    let options = Options {
        priority: None,
        delay_ms: None,
        dedup_key: None,
        group: None,
        attempts_max: None,
        wall_ms: None,
        requires: None,
        result_topic: None,
    };
    let tenant = Some(Uuid::from(by.tenant()).to_string());
    let id = jobs::submit(errand.kind, tenant, errand.args.to_string(), options).await;
    Ok(Json(json!({ "id": id.map_err(told)? })))
}

pub async fn show(_by: Allowed<crate::Write_>, Path(id): Path<String>) -> Result<Json<Value>> {
    let job = jobs::show(id).await.map_err(told)?;
    let output = job.output.map(|output| serde_json::from_str::<Value>(&output).expect("JSON"));
    Ok(Json(json!({
        "kind": job.kind, "state": word(job.state), "attempt": job.attempt, "output": output,
    })))
}

/// Answers when the job has ended, with every change that was told.
pub async fn watch(_by: Allowed<crate::Write_>, Path(id): Path<String>) -> Result<Json<Value>> {
    let mut changes = jobs::watch(id).await.map_err(told)?;
    let mut seen = Vec::new();
    while let Some(change) = changes.next().await {
        let Progress { state, fraction, stage, .. } = change;
        seen.push(json!({ "state": word(state), "fraction": fraction, "stage": stage }));
    }
    Ok(Json(seen.into()))
}

pub async fn cancel(_by: Allowed<crate::Write_>, Path(id): Path<String>) -> Result<Json<Value>> {
    let state = jobs::cancel(id).await.map_err(told)?;
    Ok(Json(json!({ "state": word(state) })))
}

fn told(error: JobError) -> Error {
    match error {
        JobError::NotFound => standard::NotFound.into(),
        JobError::Invalid(why) => JobRefused.because(why).into(),
        other => Failure::msg(format!("{other:?}")).into(),
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "running",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}
