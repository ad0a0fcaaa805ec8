//! Which path is answered by what, and who may ask.

use crate::access::{Access, Actor, Called, is_question, openapi, table};
use crate::token;
use crate::worker::{self, Workers};
use crate::{Facts, api, body, configuration, dashboard, deploy, live, metrics, operate, problems};
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body::Body;
use http_body_util::Full;
use nexus_runtime::{Problem, Response, Shutdown, full};
use std::error::Error;
use std::net::IpAddr;

pub(crate) const API: &str = "/api/v1/";
/// For programs, beside the API.
const OWN: [&str; 3] = ["/health", "/ready", "/metrics"];

/// What the surface is made of.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) facts: Facts,
    pub(crate) access: Access,
    /// None where this host has nothing for workers.
    pub(crate) workers: Option<Workers>,
    pub(crate) streams: live::Streams,
    /// Ends streams when the host goes down.
    pub(crate) ending: Option<Shutdown>,
}

impl Surface {
    /// Answers one request from `peer`. Only workers' calls and operators' orders have bodies;
    /// others are never read.
    pub(crate) async fn answer<B>(&self, request: Request<B>, peer: IpAddr, id: &str) -> Response
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let path = request.uri().path().to_owned();
        let answer = match &self.workers {
            Some(workers) if path.starts_with(worker::PREFIX) => workers.answer(request).await,
            _ if path.starts_with(API) => self.api(request, peer, id).await,
            _ if OWN.contains(&path.as_str()) => self.route(&request, peer).await,
            _ => dashboard::answer(self, request, peer, id).await,
        };
        let mut response = answer.unwrap_or_else(|problem| refuse(problem, &path, id));
        harden(response.headers_mut());
        // What a problem calls its instance.
        if let Ok(id) = HeaderValue::from_str(id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }

    /// A call of the API: whose it is, then what is asked.
    async fn api<B>(&self, request: Request<B>, peer: IpAddr, id: &str) -> Result<Response, Problem>
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let actor = self.access.caller(request.headers(), request.method()).await?;
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(API).unwrap_or_default();
        let route = table::find(head.method.as_str(), path).map_err(|methods| {
            if methods.is_empty() { problems::NOT_FOUND } else { problems::METHOD }
        })?;
        let body = match is_question(&head.method) {
            true => Bytes::new(),
            false => body::bytes(body, route.bytes_max()).await?,
        };
        self.ordered(&actor, Request::from_parts(head, body), route, peer, id).await
    }

    /// The same for whoever is known already: a page's order comes in here.
    pub(crate) async fn ordered(
        &self,
        actor: &Actor,
        request: Request<Bytes>,
        route: &'static table::Route,
        peer: IpAddr,
        id: &str,
    ) -> Result<Response, Problem> {
        let (mut head, body) = request.into_parts();
        let uri = head.uri.clone();
        let called = Called {
            actor,
            route,
            method: &head.method.clone(),
            path: uri.path().strip_prefix(API).unwrap_or_default(),
            query: uri.query().unwrap_or_default(),
            body: &body,
            address: peer,
            id,
        };
        head.extensions.insert(actor.clone());
        let request = Request::from_parts(head, Full::new(body.clone()));
        self.access.carry_out(&called, Box::pin(self.dispatch(request, peer))).await
    }

    /// Who answers a call that was let in. One arm for each part of the API.
    async fn dispatch(
        &self,
        request: Request<Full<Bytes>>,
        _peer: IpAddr,
    ) -> Result<Response, Problem> {
        let facts = &self.facts;
        let path = request.uri().path();
        match path {
            _ if operate::is_for(path) => operate::answer(facts, request).await,
            _ if live::is_for(path) => {
                live::answer(facts, &self.streams, self.ending.clone(), request).await
            }
            _ if configuration::is_for(path) => configuration::answer(facts, request).await,
            _ if deploy::is_for(path) => deploy::answer(facts, request).await,
            "/api/v1/host" => Ok(json(StatusCode::OK, &api::host(facts))),
            "/api/v1/openapi.json" => Ok(json(StatusCode::OK, &openapi::document(facts.0.version))),
            "/api/v1/components" => Ok(json(StatusCode::OK, &api::components(facts))),
            other => {
                let name = other.strip_prefix("/api/v1/components/").ok_or(problems::NOT_FOUND)?;
                let component = api::component(facts, name).ok_or(problems::NO_COMPONENT)?;
                Ok(json(StatusCode::OK, &component))
            }
        }
    }

    async fn route<B>(&self, request: &Request<B>, peer: IpAddr) -> Result<Response, Problem> {
        if !is_question(request.method()) {
            return Err(problems::METHOD);
        }
        let facts = &self.facts;
        let path = request.uri().path();
        match path {
            "/health" => return Ok(json(StatusCode::OK, &api::health())),
            "/ready" => return ready(facts),
            _ if is_local(request.headers(), peer) => {}
            _ => {
                let offered = token::offered(request.headers()).ok_or(problems::NO_CREDENTIAL)?;
                self.access.holder_of(offered).await?;
            }
        }
        Ok(typed(nexus_observability::CONTENT_TYPE, metrics::render(facts)))
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

pub(crate) fn json(status: StatusCode, value: &serde_json::Value) -> Response {
    let mut response = typed("application/json", value.to_string());
    *response.status_mut() = status;
    response
}

fn typed(content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refuse(problem: Problem, path: &str, id: &str) -> Response {
    let status = problem.status;
    let allow = allowed(&problem, path);
    let mut response = problem.into_response(id);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Bearer realm=\"nexus-admin\"");
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED
        && let Ok(allow) = HeaderValue::from_str(&allow)
    {
        headers.insert(ALLOW, allow);
    }
    response
}

/// The methods that a path has, as `Allow` lists them.
fn allowed(problem: &Problem, path: &str) -> String {
    let of_table = path.strip_prefix(API).map(|path| table::find("-", path));
    match of_table {
        Some(Err(methods)) if !methods.is_empty() => methods.join(", ").replace("GET", "GET, HEAD"),
        _ if *problem == problems::POST_ONLY => "POST".into(),
        _ => "GET, HEAD".into(),
    }
}

/// Nothing here is to be cached, framed or sniffed; pages run our own script and no other.
fn harden(headers: &mut HeaderMap) {
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                  font-src 'self'; connect-src 'self'; form-action 'self'; \
                  frame-ancestors 'none'; base-uri 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Conditions, Token};
    use http_body_util::Empty;
    use nexus_runtime::ShutdownSender;

    const TOKEN: &str = "0123456789abcdef";
    const WORKER: &str = "fedcba9876543210";

    fn surface() -> (Surface, Conditions) {
        let conditions = Conditions::default();
        let facts = Facts::new("1.2.3", 100, conditions.clone());
        let access = Access::new(Token::given(TOKEN).unwrap(), facts.clone());
        let streams = live::Streams::default();
        (Surface { facts, access, workers: None, streams, ending: None }, conditions)
    }

    fn with_workers() -> (Surface, ShutdownSender) {
        let (mut surface, _) = surface();
        let (sender, shutdown) = Shutdown::channel();
        let token = Token::given(WORKER).unwrap();
        surface.workers = Some(Workers::new(surface.facts.clone(), token, shutdown));
        (surface, sender)
    }

    async fn get(path: &str, headers: &[(&str, &str)], peer: &str) -> Response {
        let request = headers.iter().fold(Request::get(path), |r, (n, v)| r.header(*n, *v));
        let request = request.body(Empty::<&[u8]>::new()).unwrap();
        let (surface, _) = surface();
        surface.answer(request, peer.parse().unwrap(), "r-1").await
    }

    #[tokio::test]
    async fn the_tokens_of_workers_and_operators_open_nothing_of_each_others() {
        let (surface, _running) = with_workers();
        let ask = async |method: &str, path: &str, token: &str| {
            let request = Request::builder().method(method).uri(path);
            let request = request.header("authorization", format!("Bearer {token}"));
            let request = request.body(Full::new(&b"{}"[..])).unwrap();
            let peer = "127.0.0.1".parse().unwrap();
            surface.answer(request, peer, "r-1").await.status()
        };
        assert_eq!(ask("GET", "/api/v1/host", WORKER).await, 401);
        assert_eq!(ask("GET", "/api/v1/host", TOKEN).await, 200);
        assert_eq!(ask("POST", "/worker/v1/claim", TOKEN).await, 401);
        // Before the database is there.
        assert_eq!(ask("POST", "/worker/v1/claim", WORKER).await, 503);
        assert_eq!(ask("GET", "/worker/v1/claim", WORKER).await, 405);
        assert_eq!(ask("POST", "/worker/v1/jobs", WORKER).await, 404);
        assert_eq!(ask("POST", "/worker/v1/../../api/v1/host", WORKER).await, 404);
    }

    #[tokio::test]
    async fn the_api_wants_the_token_even_from_this_machine() {
        let host = ("host", "localhost:8081");
        for path in ["/api/v1/host", "/api/v1/components", "/api/v1/nowhere"] {
            let refused = get(path, &[host], "127.0.0.1").await;
            assert_eq!(refused.status(), 401, "{path}");
            assert!(refused.headers().contains_key(WWW_AUTHENTICATE));
            assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
        }
        let bearer = format!("Bearer {TOKEN}");
        let given = [host, ("authorization", bearer.as_str())];
        assert_eq!(get("/api/v1/host", &given, "10.0.0.9").await.status(), 200);
        assert_eq!(get("/api/v1/components/nobody", &given, "10.0.0.9").await.status(), 404);
        assert_eq!(get("/api/v1/nowhere", &given, "10.0.0.9").await.status(), 404);
    }

    #[tokio::test]
    async fn a_page_asks_strangers_for_their_token_and_shows_nothing_before() {
        for path in ["/", "/queues", "/nowhere", "/components/hello?x=1"] {
            let answer = get(path, &[("host", "localhost:8081")], "127.0.0.1").await;
            assert_eq!(answer.status(), 303, "{path}");
            let to = answer.headers()["location"].to_str().unwrap();
            assert!(to.starts_with("/login?next=%2F"), "{to}");
        }
        let forged = [("cookie", "nexus-admin=0123456789abcdef")];
        assert_eq!(get("/", &forged, "127.0.0.1").await.status(), 303);
        assert_eq!(get("/login", &[], "10.0.0.9").await.status(), 200);
        assert_eq!(get("/assets/app.js", &[], "10.0.0.9").await.status(), 200);
        assert_eq!(get("/assets/../secret", &[], "10.0.0.9").await.status(), 404);
    }

    #[tokio::test]
    async fn a_session_is_begun_by_a_token_and_orders_only_with_its_own_forms() {
        let (surface, _) = surface();
        let send = async |request: http::request::Builder, body: &str| {
            let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
            surface.answer(request, "127.0.0.1".parse().unwrap(), "r-1").await
        };
        let wrong = send(Request::post("/login"), "token=not-the-token-of-anybody").await;
        assert_eq!(wrong.status(), 401);
        let entered = send(Request::post("/login"), &format!("token={TOKEN}")).await;
        assert_eq!(entered.status(), 303);
        let cookie = entered.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let with = |request: http::request::Builder| request.header("cookie", &cookie);
        assert_eq!(send(with(Request::get("/api/v1/host")), "").await.status(), 200);
        assert_eq!(send(with(Request::get("/nowhere")), "").await.status(), 404);
        let forged = send(with(Request::post("/api/v1/freezes")), "{}").await;
        assert_eq!(forged.status(), 403, "a cookie alone orders nothing");
        let forged = send(with(Request::post("/act")), "call=POST+freezes&csrf=guessed").await;
        assert_eq!(forged.status(), 403);
        let seat = surface.access.sessions.find(cookie.split_once('=').unwrap().1).unwrap();
        let left = send(with(Request::post("/logout")), &format!("csrf={}", seat.csrf)).await;
        assert_eq!(left.status(), 303);
        assert_eq!(send(with(Request::get("/api/v1/host")), "").await.status(), 401);
    }

    #[tokio::test]
    async fn a_wrong_or_doubled_or_foreign_credential_is_no_credential() {
        for credential in ["Bearer 0123456789abcdeX", "Bearer", "Basic eDp5", "0123456789abcdef"] {
            let refused = get("/api/v1/host", &[("authorization", credential)], "127.0.0.1").await;
            assert_eq!(refused.status(), 401, "{credential}");
        }
        let bearer = format!("Bearer {TOKEN}");
        let twice = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
        assert_eq!(get("/api/v1/host", &twice, "127.0.0.1").await.status(), 401);
    }

    #[tokio::test]
    async fn metrics_are_open_to_this_machine_under_its_own_name_only() {
        for (host, peer, status) in [
            ("localhost:8081", "127.0.0.1", 200),
            ("127.0.0.1:8081", "127.0.0.1", 200),
            ("[::1]:8081", "::1", 200),
            ("localhost", "::ffff:127.0.0.1", 200),
            ("rebound.example:8081", "127.0.0.1", 401),
            ("localhost:8081", "10.0.0.9", 401),
        ] {
            let found = get("/metrics", &[("host", host)], peer).await.status();
            assert_eq!(found, status, "{host} from {peer}");
        }
    }

    #[tokio::test]
    async fn a_host_that_waits_says_for_what_and_lives() {
        let (surface, conditions) = surface();
        let ask = async |path| {
            let request = Request::get(path).body(Empty::<&[u8]>::new()).unwrap();
            surface.answer(request, "10.0.0.9".parse().unwrap(), "r-1").await.status()
        };
        conditions.set("postgresql", Condition::Waiting("connection refused".into()));
        assert_eq!(ask("/health").await, 200);
        assert_eq!(ask("/ready").await, 503);
        conditions.set("postgresql", Condition::Met("version 15".into()));
        assert_eq!(ask("/ready").await, 200);
    }

    #[tokio::test]
    async fn only_reading_is_allowed() {
        let (surface, _) = surface();
        let request = Request::post("/metrics").body(Empty::<&[u8]>::new()).unwrap();
        let response = surface.answer(request, "127.0.0.1".parse().unwrap(), "r-1").await;
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
