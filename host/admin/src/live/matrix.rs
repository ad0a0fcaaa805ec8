//! The health matrix: every name the suite goes by, and whether what it names runs. Which names
//! there are is core-os' knowledge and how each does is the answer of its own door: this only asks,
//! some at a time, and keeps the answer for a few seconds.

use crate::operate::asked;
use crate::{Facts, problems};
use futures::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, Limited};
use nexus_runtime::{
    Call, ComponentId, DEFAULT_TENANT, Principal, Problem, Response, Runtime, full,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const CORE: &str = "core-os";
/// Names asked at once: a look must not be a load.
const AT_ONCE: usize = 6;
/// As long as one answer is good.
const FRESH: Duration = Duration::from_secs(10);
/// For one name.
const PATIENCE: Duration = Duration::from_secs(10);
const BYTES_MAX: usize = 1 << 20;

/// What kind of name, under which path core-os lists those, and by which word.
const LISTS: [(&str, &str); 4] =
    [("service", "services"), ("module", "modules"), ("front end", "apps"), ("alias", "aliases")];

/// The last answer, and when it was had.
pub(crate) type Last = Mutex<Option<(Instant, Value)>>;

pub(super) async fn answer(facts: &Facts) -> Result<Response, Problem> {
    Ok(asked::json(&matrix(facts).await?))
}

/// `{at, names: [{name, kind, title, healthy, status, missing}]}`.
///
/// # Errors
///
/// A problem when core-os does not answer.
pub(crate) async fn matrix(facts: &Facts) -> Result<Value, Problem> {
    let runtime = facts.runtime().ok_or_else(|| problems::NOT_READY.retry_after(1))?;
    let last = facts.0.matrix.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, matrix)) = last.filter(|(at, _)| at.elapsed() < FRESH) {
        return Ok(matrix);
    }
    let mut names = Vec::new();
    for (kind, list) in LISTS {
        let (status, body) = ask(runtime, &format!("/api/core-os/v1/{list}")).await?;
        if status != 200 {
            return Err(problems::NO_MATRIX.detail(format!("core-os answered {status}")));
        }
        for item in body["items"].as_array().into_iter().flatten() {
            let name = item["name"].as_str().unwrap_or_default().to_owned();
            let words = ["duty", "title", "spelled", "path"];
            let title = words.iter().find_map(|word| item[*word].as_str()).unwrap_or_default();
            names.push((name, kind, title.to_owned()));
        }
    }
    let rows: Vec<_> = names.into_iter().map(|name| row(runtime.clone(), name)).collect();
    let asked = stream::iter(rows);
    let names: Vec<Value> = asked.buffered(AT_ONCE).collect().await;
    let matrix = json!({ "at": crate::access::now(), "names": names });
    let kept = (Instant::now(), matrix.clone());
    *facts.0.matrix.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    Ok(matrix)
}

/// How one name does.
async fn row(runtime: Runtime, (name, kind, title): (String, &'static str, String)) -> Value {
    let (status, body) = match ask(&runtime, &format!("/services/{name}/health")).await {
        Ok(answer) => answer,
        Err(problem) => (problem.status.as_u16(), json!({ "detail": problem.detail })),
    };
    json!({
        "name": name,
        "kind": kind,
        "title": title,
        "healthy": status == 200,
        "status": status,
        "detail": body["detail"],
        "missing": body["missing"],
    })
}

async fn ask(runtime: &Runtime, path: &str) -> Result<(u16, Value), Problem> {
    let core = ComponentId::new(CORE).map_err(|_| problems::NO_COMPONENT)?;
    let mut request = http::Request::new(full(""));
    let uri = format!("http://{CORE}.spin.internal{path}");
    *request.uri_mut() = uri.parse().map_err(|_| problems::NOT_FOUND)?;
    let asking = async {
        let nobody = Arc::new(Principal::anonymous(DEFAULT_TENANT));
        let call = Call::new(uuid::Uuid::now_v7().to_string(), nobody);
        let answered = runtime.call(&core, request, call).await;
        let response = answered.map_err(|error| Problem::from(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BYTES_MAX).collect().await;
        let body = body.map_err(|error| problems::NO_MATRIX.detail(error.to_string()))?;
        Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or_default()))
    };
    match tokio::time::timeout(PATIENCE, Box::pin(asking)).await {
        Ok(answer) => answer,
        Err(_) => Err(problems::NO_MATRIX.detail("core-os did not answer in time")),
    }
}
