//! The host's own paths: liveness, readiness, what Spin reserves, the merged API and a page that
//! shows it. Everything else belongs to components.

use crate::backend::Backend;
use crate::openapi::OpenApi;
use crate::problems;
use crate::table::Table;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH,
};
use http::{Method, StatusCode};
use nexus_runtime::{ComponentId, Problem, Response, full};
use serde_json::json;
use uuid::Uuid;

/// A path that the host answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OwnPath<'a> {
    Live,
    Ready,
    SpinHealth,
    SpinInfo,
    /// Below `/.well-known/spin/`, but nothing Spin defines.
    SpinUnknown,
    OpenApi,
    Docs,
    /// The health of anything by name.
    Service(&'a str),
}

/// Paths that no component can claim. Liveness is among them under each of its names: whoever
/// restarts hosts that do not answer must not restart one because of a component.
pub(crate) fn reserved(path: &str) -> Option<OwnPath<'_>> {
    // Nearly every request fails the first comparison.
    match path {
        "/health" | "/health/gateway" | "/api/health" => Some(OwnPath::Live),
        "/ready" => Some(OwnPath::Ready),
        _ => match path.strip_prefix("/.well-known/spin/")? {
            "health" => Some(OwnPath::SpinHealth),
            "info" => Some(OwnPath::SpinInfo),
            _ => Some(OwnPath::SpinUnknown),
        },
    }
}

/// Paths that are ours unless a component's route claims them; `/...` claims none of them.
pub(crate) fn unclaimed(path: &str) -> Option<OwnPath<'_>> {
    match path {
        "/openapi.json" => Some(OwnPath::OpenApi),
        "/docs" | "/docs/" => Some(OwnPath::Docs),
        _ => {
            let name = path.strip_prefix("/services/")?.strip_suffix("/health")?;
            (!name.is_empty() && !name.contains('/')).then_some(OwnPath::Service(name))
        }
    }
}

/// What the host's own answers are made of.
pub(crate) struct OwnPages {
    openapi: OpenApi,
    /// The origin that documents name.
    server: String,
    tenant: Uuid,
}

/// Stands in while the `gateway` component, whose page the reference is, does not run here.
const DOCS: &str = include_str!("docs.html");
const DOCS_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
form-action 'none'; frame-ancestors 'none'";

impl OwnPages {
    pub(crate) fn new(server: String, tenant: Uuid) -> Self {
        Self { openapi: OpenApi::default(), server, tenant }
    }

    pub(crate) async fn answer<B: Backend>(
        &self,
        path: &OwnPath<'_>,
        method: &Method,
        headers: &HeaderMap,
        backend: &B,
        table: &Table,
    ) -> Result<Response, Problem> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(problems::METHOD_NOT_ALLOWED);
        }
        match path {
            OwnPath::Live => Ok(json_page(&json!({ "status": "pass" }))),
            OwnPath::Ready => ready(table, &backend.missing()),
            OwnPath::SpinHealth => Ok(page("text/plain; charset=utf-8", "OK")),
            OwnPath::SpinInfo => {
                Ok(json_page(&json!({ "name": table.application, "version": table.version })))
            }
            OwnPath::SpinUnknown => Err(problems::NO_ROUTE),
            OwnPath::OpenApi => {
                let merged = self.openapi.get(backend, table, &self.server, self.tenant).await;
                Ok(cached(page("application/json", merged.json), &merged.etag, headers))
            }
            OwnPath::Docs => {
                let mut docs = page("text/html; charset=utf-8", DOCS);
                let policy = HeaderValue::from_static(DOCS_POLICY);
                docs.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
                Ok(docs)
            }
            OwnPath::Service(name) => service(name, table),
        }
    }
}

fn page(content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(full(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn json_page(value: &serde_json::Value) -> Response {
    page("application/json", value.to_string())
}

/// 304 for whoever has this very page (RFC 9110 section 13.1.2).
fn cached(mut response: Response, etag: &str, headers: &HeaderMap) -> Response {
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    let asked = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let known = asked
        .flat_map(|value| value.split(','))
        .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = full("");
    }
    response
}

fn ready(table: &Table, missing: &[&str]) -> Result<Response, Problem> {
    if table.inactive.is_empty() && missing.is_empty() {
        let active = table.active.len();
        return Ok(json_page(&json!({ "status": "pass", "components": active })));
    }
    let inactive: Vec<&str> = table.inactive.iter().map(ComponentId::as_str).collect();
    let reasons = [("not active", &inactive[..]), ("waiting for", missing)];
    let reasons = reasons.into_iter().filter(|(_, names)| !names.is_empty());
    let reasons = reasons.map(|(what, names)| format!("{what}: {}", names.join(", ")));
    let detail = reasons.collect::<Vec<_>>().join("; ");
    Err(problems::NOT_READY.detail(detail).retry_after(5))
}

/// Until the gateway component answers for names: a component of that name, or an honest no.
fn service(name: &str, table: &Table) -> Result<Response, Problem> {
    let is = |id: &&ComponentId| id.as_str() == name;
    if table.active.iter().any(|id| is(&id)) {
        return Ok(json_page(&json!({ "status": "pass", "component": name })));
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let shown = if name.len() <= 100 && name.bytes().all(word) { name } else { "this name" };
    let detail = match table.inactive.iter().any(|id| is(&id)) {
        true => format!("the component {shown} is not active"),
        false => format!("missing: no component of this host answers for {shown}"),
    };
    Err(problems::SERVICE_NOT_RUNNING.detail(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_page_runs_nothing_and_loads_nothing_from_elsewhere() {
        assert!(DOCS.contains("/openapi.json") && !DOCS.contains("<script"));
        assert!(!DOCS.contains("http://") && !DOCS.contains("https://"), "self-contained");
    }

    #[test]
    fn own_paths_are_exact() {
        assert_eq!(reserved("/health/gateway"), Some(OwnPath::Live));
        assert_eq!(reserved("/api/health"), Some(OwnPath::Live));
        assert_eq!(reserved("/.well-known/spin/health"), Some(OwnPath::SpinHealth));
        assert_eq!(reserved("/.well-known/spin/x"), Some(OwnPath::SpinUnknown));
        assert_eq!(unclaimed("/services/v-suite/health"), Some(OwnPath::Service("v-suite")));
        for path in ["/healthy", "/health/", "/services//health", "/services/a/b/health", "/"] {
            assert_eq!(reserved(path).or_else(|| unclaimed(path)), None, "{path}");
        }
    }
}
