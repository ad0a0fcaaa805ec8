//! Which path is answered by what, and who may ask.

use crate::token::Token;
use crate::{Facts, api, metrics, page, problems};
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use nexus_runtime::{Problem, Response, full};
use std::net::IpAddr;

/// What the surface is made of.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) facts: Facts,
    pub(crate) token: Token,
}

impl Surface {
    /// Answers one request from `peer`. Bodies are never read: nothing here takes one.
    pub(crate) fn answer<B>(&self, request: &Request<B>, peer: IpAddr, id: &str) -> Response {
        let mut response = self.route(request, peer).unwrap_or_else(|problem| refuse(problem, id));
        harden(response.headers_mut());
        response
    }

    fn route<B>(&self, request: &Request<B>, peer: IpAddr) -> Result<Response, Problem> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(problems::METHOD);
        }
        let facts = &self.facts;
        let path = request.uri().path();
        match path {
            "/health" => return Ok(json(StatusCode::OK, &api::health())),
            "/ready" => return ready(facts),
            "/" | "/metrics" if is_local(request.headers(), peer) => {}
            _ => self.authorise(request.headers())?,
        }
        match path {
            "/" => Ok(typed("text/html; charset=utf-8", page::render(facts))),
            "/metrics" => Ok(typed(nexus_observability::CONTENT_TYPE, metrics::render(facts))),
            "/api/v1/host" => Ok(json(StatusCode::OK, &api::host(facts))),
            "/api/v1/components" => Ok(json(StatusCode::OK, &api::components(facts))),
            other => {
                let name = other.strip_prefix("/api/v1/components/").ok_or(problems::NOT_FOUND)?;
                let component = api::component(facts, name).ok_or(problems::NO_COMPONENT)?;
                Ok(json(StatusCode::OK, &component))
            }
        }
    }

    fn authorise(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return Err(problems::NO_CREDENTIAL);
        };
        let value = value.to_str().unwrap_or_default();
        let offered = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(problems::NO_CREDENTIAL),
        };
        if self.token.is(offered) { Ok(()) } else { Err(problems::WRONG_CREDENTIAL) }
    }
}

/// From this machine, and addressed as this machine: a page on the internet whose name resolves to
/// 127.0.0.1 (DNS rebinding) would be the first and not the second.
fn is_local(headers: &HeaderMap, peer: IpAddr) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    peer.to_canonical().is_loopback() && (address || name.eq_ignore_ascii_case("localhost"))
}

fn ready(facts: &Facts) -> Result<Response, Problem> {
    match facts.0.conditions.why_not_ready() {
        None => Ok(json(StatusCode::OK, &api::ready(facts))),
        Some(why) => Err(problems::NOT_READY.detail(why).retry_after(1)),
    }
}

fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = typed("application/json", value.to_string());
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refuse(problem: Problem, id: &str) -> Response {
    let status = problem.status;
    let mut response = problem.into_response(id);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"nexus-admin\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// Nothing here is to be cached, framed, sniffed or scripted.
fn harden(headers: &mut HeaderMap) {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; \
                  base-uri 'none'; form-action 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Conditions};

    const TOKEN: &str = "0123456789abcdef";

    fn surface() -> (Surface, Conditions) {
        let conditions = Conditions::default();
        let facts = Facts::new("1.2.3", 100, conditions.clone());
        (Surface { facts, token: Token::given(TOKEN).unwrap() }, conditions)
    }

    fn get(path: &str, headers: &[(&str, &str)], peer: &str) -> Response {
        let request = headers.iter().fold(Request::get(path), |r, (n, v)| r.header(*n, *v));
        let (surface, _) = surface();
        surface.answer(&request.body(()).unwrap(), peer.parse().unwrap(), "r-1")
    }

    #[test]
    fn the_api_wants_the_token_even_from_this_machine() {
        let host = ("host", "localhost:8081");
        for path in ["/api/v1/host", "/api/v1/components", "/api/v1/nowhere", "/nowhere"] {
            let refused = get(path, &[host], "127.0.0.1");
            assert_eq!(refused.status(), 401, "{path}");
            assert!(refused.headers().contains_key(WWW_AUTHENTICATE));
            assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
        }
        let bearer = format!("Bearer {TOKEN}");
        let given = [host, ("authorization", bearer.as_str())];
        assert_eq!(get("/api/v1/host", &given, "10.0.0.9").status(), 200);
        assert_eq!(get("/api/v1/components/nobody", &given, "10.0.0.9").status(), 404);
        assert_eq!(get("/nowhere", &given, "10.0.0.9").status(), 404);
    }

    #[test]
    fn a_wrong_or_doubled_or_foreign_credential_is_no_credential() {
        for credential in ["Bearer 0123456789abcdeX", "Bearer", "Basic eDp5", "0123456789abcdef"] {
            let refused = get("/api/v1/host", &[("authorization", credential)], "127.0.0.1");
            assert_eq!(refused.status(), 401, "{credential}");
        }
        let bearer = format!("Bearer {TOKEN}");
        let twice = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
        assert_eq!(get("/api/v1/host", &twice, "127.0.0.1").status(), 401);
    }

    #[test]
    fn metrics_are_open_to_this_machine_under_its_own_name_only() {
        for (host, peer, status) in [
            ("localhost:8081", "127.0.0.1", 200),
            ("127.0.0.1:8081", "127.0.0.1", 200),
            ("[::1]:8081", "::1", 200),
            ("localhost", "::ffff:127.0.0.1", 200),
            ("rebound.example:8081", "127.0.0.1", 401),
            ("localhost:8081", "10.0.0.9", 401),
        ] {
            let found = get("/metrics", &[("host", host)], peer).status();
            assert_eq!(found, status, "{host} from {peer}");
        }
    }

    #[test]
    fn a_host_that_waits_says_for_what_and_lives() {
        let (surface, conditions) = surface();
        let ask = |path| {
            let request = Request::get(path).body(()).unwrap();
            surface.answer(&request, "10.0.0.9".parse().unwrap(), "r-1").status()
        };
        conditions.set("postgresql", Condition::Waiting("connection refused".into()));
        assert_eq!(ask("/health"), 200);
        assert_eq!(ask("/ready"), 503);
        conditions.set("postgresql", Condition::Met("version 15".into()));
        assert_eq!(ask("/ready"), 200);
    }

    #[test]
    fn only_reading_is_allowed() {
        let (surface, _) = surface();
        let request = Request::post("/metrics").body(()).unwrap();
        let response = surface.answer(&request, "127.0.0.1".parse().unwrap(), "r-1");
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
