//! `GET /services/{name}/health` for every name the suite goes by: 200 when all that the name
//! stands for runs, otherwise a 503 problem that lists what is missing.

use crate::services::parts_of;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    UnknownName = 404, "no service, module or front end goes by this name"
}

pub fn router() -> Router {
    Router::new().route("/services/{name}/health", get(show))
}

/// One part and how it is.
#[derive(Serialize, JsonSchema)]
pub struct Part {
    pub service: String,
    pub state: State,
    /// What stands in the way, in words; empty when nothing does.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It answers and says that it is well.
    Up,
    /// It is deployed and does not answer, or says that it is not well.
    Down,
    /// This installation does not have it.
    NotDeployed,
}

#[derive(Serialize, JsonSchema)]
struct Health {
    name: String,
    status: &'static str,
    parts: Vec<Part>,
}

/// RFC 9457, with what is missing.
#[derive(Serialize)]
struct Unhealthy<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    instance: &'a str,
    missing: Vec<&'a str>,
    parts: &'a [Part],
}

async fn show(anyone: Public, Path(name): Path<String>) -> Result<Response> {
    let names = parts_of(&name).ok_or(UnknownName)?;
    let mut parts = Vec::with_capacity(names.len());
    for service in names {
        parts.push(ask(service).await);
    }
    if parts.iter().all(|part| part.state == State::Up) {
        return Ok(Json(Health { name, status: "pass", parts }).into_response());
    }
    let missing: Vec<&str> = parts
        .iter()
        .filter(|part| part.state != State::Up)
        .map(|part| part.service.as_str())
        .collect();
    let problem = Unhealthy {
        r#type: "/problems/core-os/not-running",
        title: "not everything that this name stands for runs",
        status: 503,
        detail: format!("missing: {}", missing.join(", ")),
        instance: anyone.request_id(),
        missing,
        parts: &parts,
    };
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, Json(problem)).into_response();
    let headers = response.headers_mut();
    headers
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
    headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("30"));
    Ok(response)
}

/// Asks one service how it is. Our own health needs no call to ourselves.
pub async fn ask(service: &str) -> Part {
    let part = |state, reason: &str| Part { service: service.into(), state, reason: reason.into() };
    if service == crate::FACTS.name {
        return part(State::Up, "");
    }
    match call(service).get(format!("/api/{service}/health")).send().await {
        Ok(reply) if reply.status.is_success() => part(State::Up, ""),
        Ok(reply) => {
            let problem = reply.problem();
            let kind = problem.as_ref().map_or("", |problem| problem.r#type.as_str());
            match kind {
                "/problems/host/no-such-component" => {
                    part(State::NotDeployed, "it is not part of this installation")
                }
                "" => part(State::Down, &format!("it answered {}", reply.status.as_u16())),
                kind => part(State::Down, kind),
            }
        }
        Err(_logged_where_it_stops) => part(State::Down, "it cannot be reached"),
    }
}
