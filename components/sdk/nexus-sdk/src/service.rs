//! A whole service: its facts, its routes and the way of one request through them.
//!
//! Knows what every service answers alike: `/health`, `/openapi.json`, problems, `location`,
//! `link`, 304, idempotency. Refuses to know what the service is about.

use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use http_body::Body as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::beside::{self, Beside};
use crate::ctx::Origin;
use crate::db::Db;
use crate::extract::Json;
use crate::field::{self, Text};
use crate::page::NextPage;
use crate::parts::Parts;
use crate::problem::{Error, log_failure, standard, tell};
use crate::respond::CreatedId;
use crate::router::{Answering, Route, Router, Way};
use crate::{etag, idempotency, openapi};

/// What `service!` says about a component, for the docs and the tests to read.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// Folder, crate, component id and permission prefix in one word.
    pub name: &'static str,
    /// Version of the crate.
    pub version: &'static str,
    /// Description of the crate.
    pub description: &'static str,
    /// Topics or patterns it subscribes to.
    pub topics: &'static [&'static str],
    /// Schedules it runs.
    pub crons: &'static [&'static str],
}

/// A service, built once per instance: as little as will find a route, because an instance may be
/// there for one request.
#[derive(Debug)]
pub struct Service {
    facts: Facts,
    paths: Vec<(String, Vec<Way>)>,
    /// Of all paths, from the second request on.
    table: OnceLock<Table>,
    was_asked: AtomicBool,
    routes: OnceLock<Vec<Route>>,
}

/// Finds the path's pattern.
#[derive(Debug)]
struct Table {
    /// Indices into `declared`.
    patterns: matchit::Router<usize>,
    /// Where a service's paths have this pattern: in several places if its methods were declared
    /// apart.
    declared: Vec<Vec<usize>>,
}

impl Table {
    /// Of those paths that `counts` says count.
    ///
    /// # Panics
    /// When two of them overlap.
    fn of(paths: &[(String, Vec<Way>)], counts: impl Fn(&str) -> bool) -> Table {
        let (mut patterns, mut declared) = (matchit::Router::new(), Vec::<Vec<usize>>::new());
        for (at, (path, _)) in paths.iter().enumerate().filter(|(_, (path, _))| counts(path)) {
            let Err(clash) = patterns.insert(path.as_str(), declared.len()) else {
                declared.push(vec![at]);
                continue;
            };
            let Some(there) = declared.iter_mut().find(|there| paths[there[0]].0 == *path) else {
                panic!("{path}: {clash}");
            };
            there.push(at);
        }
        Table { patterns, declared }
    }
}

/// Whether `path` begins as `pattern` does: every path does that `pattern` stands for, and some
/// others do.
fn begins_as(pattern: &str, path: &str) -> bool {
    // A brace that stands for itself is written twice.
    match pattern.find(['{', '}']) {
        Some(end) => path.as_bytes().starts_with(&pattern.as_bytes()[..end]),
        None => path == pattern,
    }
}

impl Service {
    /// Mounts `http` at `/api/<service>/v1` and `root` at `/`, with what every service has.
    ///
    /// # Panics
    /// When a path begins with no slash. When two routes overlap: at the second request, and in
    /// every test that asks for [`Service::routes`].
    pub fn new(facts: Facts, http: Router, root: Router) -> Service {
        let Router { paths } = root.merge(http.below(&format!("/api/{}/v1", facts.name)));
        for (path, _) in &paths {
            assert!(path.starts_with('/'), "{path:?} begins with no slash");
        }
        let (table, routes) = (OnceLock::new(), OnceLock::new());
        Service { facts, paths, table, was_asked: AtomicBool::new(false), routes }
    }

    fn table(&self) -> &Table {
        self.table.get_or_init(|| {
            let table = Table::of(&self.paths, |_| true);
            for declared in &table.declared {
                let ways: Vec<_> = declared.iter().flat_map(|at| &self.paths[*at].1).collect();
                for (at, way) in ways.iter().enumerate() {
                    let is_other = |before: &&Way| before.method != way.method;
                    let path = &self.paths[declared[0]].0;
                    assert!(ways[..at].iter().all(is_other), "{path}: {} twice", way.method);
                }
            }
            table
        })
    }

    /// Every route the service declares, with whole paths.
    ///
    /// # Panics
    /// When two routes overlap.
    pub fn routes(&self) -> &[Route] {
        self.routes.get_or_init(|| {
            let of = |at: &usize| {
                let (path, ways) = &self.paths[*at];
                ways.iter().map(|way| way.route(path)).collect::<Vec<_>>()
            };
            self.table().declared.iter().flatten().flat_map(of).collect()
        })
    }

    /// The OpenAPI 3.1 document.
    pub fn openapi(&self) -> Value {
        let Facts { name, version, description, .. } = self.facts;
        openapi::document(name, version, description, self.routes())
    }

    /// Answers one request.
    #[inline]
    pub fn call(&self, request: Request) -> Answered<'_> {
        self.begin(request, Seldom::of())
    }

    // What needs no waiting is done here: a future that held the request would move it about.
    fn begin(&self, mut request: Request, seldom: Seldom) -> Answered<'_> {
        by_another_name(&mut request);
        let (service, request_id) = (self.facts.name, request_id(request.headers()));
        let origin = Origin { service, request_id, trace: None, errand: None };
        let asked = Asked::of(&request);
        let beside = Arc::new(Beside { origin, parts: OnceLock::new(), asked });
        let answer = match idempotency::key_of(&request) {
            Some(key) => (seldom.once)(self, key, request, beside.clone()),
            None => self.routed(request, &beside, seldom),
        };
        Answered { answer, beside }
    }

    /// What the first request with this key was answered.
    async fn once(
        &self,
        key: HeaderValue,
        request: Request,
        beside: Arc<Beside>,
    ) -> Response<Body> {
        let first = async |request, origin| {
            let (parts, asked) = (OnceLock::new(), beside.asked.clone());
            let beside = Arc::new(Beside { origin, parts, asked });
            let answer = self.routed(request, &beside, Seldom::of());
            Answered { answer, beside }.await
        };
        idempotency::around(key, beside.origin.clone(), request, first).await
    }

    /// What the function says that stands behind the request's route; the path's parts go beside.
    fn routed(&self, request: Request, beside: &Beside, seldom: Seldom) -> Answering {
        let path = request.uri().path();
        let own = path.strip_prefix("/api/").and_then(|rest| rest.strip_prefix(self.facts.name));
        if let Some(own @ ("/health" | "/openapi.json")) = own {
            return match *request.method() {
                Method::GET | Method::HEAD if own == "/health" => {
                    (seldom.health)(self.facts, request)
                }
                Method::GET | Method::HEAD => at_once(Json(self.openapi()).into_response()),
                _ => at_once(not_allowed("GET,HEAD")),
            };
        }
        // A table of all paths costs more than most handlers. The first request, which may be the
        // only one, is looked for among those that begin as it does.
        if self.table.get().is_none() && !self.was_asked.swap(true, Ordering::Relaxed) {
            let few = Table::of(&self.paths, |pattern| begins_as(pattern, path));
            return self.found(&few, request, beside);
        }
        self.found(self.table(), request, beside)
    }

    #[inline]
    fn found(&self, table: &Table, request: Request, beside: &Beside) -> Answering {
        let Ok(found) = table.patterns.at(request.uri().path()) else {
            return at_once(Error::from(standard::NotFound).into_response());
        };
        let ways = || table.declared[*found.value].iter().flat_map(|at| &self.paths[*at].1);
        let asked = request.method().as_str();
        let of = |method: &str| ways().find(|way| way.method == method);
        let way = of(asked).or_else(|| of("GET").filter(|_| asked == "HEAD"));
        let Some(way) = way else {
            let and_head = |way: &Way| if way.method == "GET" { "GET,HEAD" } else { way.method };
            let allowed: Vec<_> = ways().map(and_head).collect();
            return at_once(not_allowed(&allowed.join(",")));
        };
        if let Some(parts) = Parts::of(found.params) {
            beside.parts.get_or_init(|| parts);
        }
        (way.answer)(request)
    }
}

/// An answer, for as long as its service is there.
type AnswerOf<'s> = Pin<Box<dyn Future<Output = Response<Body>> + 's>>;

/// What is seldom asked for. Whoever calls a service gives it, so that it is compiled with the
/// component, for size, and not with what every request passes through.
#[derive(Clone, Copy)]
struct Seldom {
    health: fn(Facts, Request) -> Answering,
    once: for<'s> fn(&'s Service, HeaderValue, Request, Arc<Beside>) -> AnswerOf<'s>,
}

impl Seldom {
    #[inline]
    fn of() -> Seldom {
        Seldom {
            health: |facts, request| Box::pin(health(facts, request)),
            once: |service, key, request, beside| Box::pin(service.once(key, request, beside)),
        }
    }
}

/// An answer on its way to be complete.
#[must_use]
pub struct Answered<'s> {
    answer: AnswerOf<'s>,
    beside: Arc<Beside>,
}

impl Future for Answered<'_> {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let Answered { answer, beside } = &mut *self;
        beside::turn(beside, || answer.as_mut().poll(cx)).map(|mut response| {
            // Most carry nothing that is still to be told.
            if !response.extensions().is_empty() {
                tell(&mut response, beside.origin.service, &beside.origin.request_id);
                beside.asked.name_others(&mut response);
            }
            beside.asked.complete(&mut response);
            response
        })
    }
}

fn at_once(response: Response<Body>) -> Answering {
    Box::pin(ready(response))
}

fn not_allowed(allowed: &str) -> Response<Body> {
    let mut response = Error::from(standard::MethodNotAllowed).into_response();
    set(&mut response, header::ALLOW, allowed);
    response
}

/// Alive, and whether the database is in reach: 200 `pass` or a 503 problem that says what
/// failed. Needs no principal, so that a probe can ask.
async fn health(facts: Facts, asked: Request) -> Response<Body> {
    let reached = Db::new(None).ping().await;
    let word = if reached.is_ok() { "pass" } else { "fail" };
    let mut body = json!({
        "service": facts.name, "version": facts.version, "status": word,
        "checks": { "database": { "status": word } },
    });
    let Err(error) = reached else {
        return Json(body).into_response();
    };
    let request_id = request_id(asked.headers());
    if let Error::Failed(failure) | Error::Unavailable { failure, .. } = error {
        log_failure(facts.name, &request_id, &failure);
    }
    body["type"] = format!("/problems/{}/unhealthy", facts.name).into();
    body["title"] = "Unhealthy".into();
    body["detail"] = "the database is out of reach".into();
    body["status"] = 503.into();
    body["instance"] = (*request_id).into();
    let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, "1")];
    (StatusCode::SERVICE_UNAVAILABLE, kind, body.to_string()).into_response()
}

/// Vault's clients ask for a collection by the method LIST, everybody else by GET; axum knows no
/// methods but HTTP's own.
fn by_another_name(request: &mut Request) {
    if request.method().as_str() == "LIST" {
        *request.method_mut() = Method::GET;
    }
}

/// What the answer must be completed with from the question.
#[derive(Clone)]
pub(crate) struct Asked {
    is_head: bool,
    target: Option<PathAndQuery>,
    /// Of a request that reads.
    if_none_match: Option<HeaderValue>,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Asked {
        let method = request.method();
        let reads = *method == Method::GET || *method == Method::HEAD;
        let if_none_match = || request.headers().get(header::IF_NONE_MATCH).cloned();
        Asked {
            is_head: *method == Method::HEAD,
            target: request.uri().path_and_query().cloned(),
            if_none_match: reads.then(if_none_match).flatten(),
        }
    }

    /// Says where the thing is that was created, and the next page.
    fn name_others(&self, response: &mut Response<Body>) {
        if let Some(CreatedId(id)) = response.extensions_mut().remove() {
            let path = self.path().trim_end_matches('/');
            let location = format!("{path}/{}", path_segment(&id));
            set(response, header::LOCATION, &location);
        }
        if let Some(NextPage(token)) = response.extensions_mut().remove() {
            let link = format!("<{}>; rel=\"next\"", self.next_page(&token));
            set(response, header::LINK, &link);
        }
    }

    fn complete(&self, response: &mut Response<Body>) {
        if self.is_head {
            // As long as the body would be (RFC 9110 section 9.3.2).
            if let Some(length) = response.body().size_hint().exact() {
                let length = HeaderValue::from(length);
                response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length);
            }
            *response.body_mut() = Body::empty();
        }
        if self.is_known(response) {
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::empty();
        }
    }

    /// The same question with the next cursor.
    fn next_page(&self, token: &str) -> String {
        let query = self.target.as_ref().and_then(PathAndQuery::query).unwrap_or_default();
        let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "cursor");
        let mut next = form_urlencoded::Serializer::new(String::new());
        next.extend_pairs(kept).append_pair("cursor", token);
        format!("{}?{}", self.path(), next.finish())
    }

    fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    fn is_known(&self, response: &Response<Body>) -> bool {
        let Some(sent) = &self.if_none_match else { return false };
        let etag = response.headers().get(header::ETAG);
        response.status() == StatusCode::OK && etag.is_some_and(|etag| etag::is_known(sent, etag))
    }
}

/// `text` as one segment of a path (RFC 3986 §2.3: all but the unreserved is escaped).
fn path_segment(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: u8| match unreserved(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    // Escaped above or taken from a URI that came in: always fit for a header.
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The host's id for this request; one of ours where there is no host, as in a unit test.
fn request_id(headers: &HeaderMap) -> Text {
    let own = || Uuid::now_v7().to_string().into();
    Text::of(headers, &field::REQUEST_ID).unwrap_or_else(own)
}

#[cfg(target_arch = "wasm32")]
pub use export::{serve, serve_whole};

#[cfg(target_arch = "wasm32")]
mod export {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::sync::OnceLock;

    use spin_sdk::wasip3::http::types::{ErrorCode, Request, Response};

    use super::{Answered, Service};
    use crate::whole::bindings::exports::nexus::http::whole::Answer;
    use crate::{front, whole};

    /// Static, because an instance answers many requests, and building the routes
    /// again for each of them costs more than most handlers.
    static SERVICE: OnceLock<Service> = OnceLock::new();

    /// Answers one request of the host.
    #[doc(hidden)]
    pub async fn serve(build: fn() -> Service, request: Request) -> Result<Response, ErrorCode> {
        let response = SERVICE.get_or_init(build).call(front::taken(request)?).await;
        front::given(response).await
    }

    /// As [`serve`], where the request is all there.
    #[doc(hidden)]
    pub async fn serve_whole(
        build: fn() -> Service,
        head_bytes: u32,
        request: Vec<u8>,
    ) -> Result<Answer, String> {
        let mut answered = begun(build, head_bytes, request)?;
        Ok(poll_fn(|cx| whole::answer(Pin::new(&mut answered), cx)).await)
    }

    #[inline]
    fn begun(
        build: fn() -> Service,
        head_bytes: u32,
        request: Vec<u8>,
    ) -> Result<Answered<'static>, String> {
        let request = whole::request(head_bytes, request).ok_or("the request is none")?;
        Ok(SERVICE.get_or_init(build).call(request))
    }
}

#[cfg(test)]
mod unit {
    use super::*;
    use crate::router::{get, post};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(http: Router) -> Service {
        let facts = Facts { name: "shop", version: "", description: "", topics: &[], crons: &[] };
        Service::new(facts, http, Router::new())
    }

    #[test]
    fn methods_of_one_path_may_be_declared_apart() {
        let apart = Router::new().route("/a", get(|| async { "" }));
        let service = of(apart.route("/a", post(|| async { "" })));
        let routes: Vec<_> = service.routes().iter().map(|it| (it.method, &*it.path)).collect();
        assert_eq!(routes, [("GET", "/api/shop/v1/a"), ("POST", "/api/shop/v1/a")]);
    }

    #[test]
    #[should_panic = "/api/shop/v1/a: GET twice"]
    fn one_method_of_a_path_is_declared_once() {
        of(Router::new().route("/a", get(|| async { "" })).route("/a", get(|| async { "" })))
            .routes();
    }

    #[test]
    #[should_panic = "/api/shop/v1/{b}: "]
    fn two_patterns_for_the_same_paths_are_refused() {
        let one = Router::new().route("/{a}", get(|| async { "" }));
        of(one.route("/{b}", get(|| async { "" }))).routes();
    }

    /// Patterns that stand beside each other in one table, and a path.
    fn patterns_and_a_path() -> impl Strategy<Value = (Vec<(String, Vec<Way>)>, String)> {
        let part = prop::sample::select(&["a", "b", "ab", "{x}", "{y}", "a{x}", "{{", "}}", ""]);
        let last = prop::sample::select(&["", "/", "/{*rest}"]);
        let pattern =
            (vec(part, 1..4), last).prop_map(|(parts, last)| format!("/{}{last}", parts.join("/")));
        let clear = |patterns: Vec<String>| {
            let mut table = matchit::Router::new();
            let is_clear = |pattern: &String| table.insert(pattern, ()).is_ok();
            let clear: Vec<String> = patterns.into_iter().filter(is_clear).collect();
            clear.into_iter().map(|pattern| (pattern, Vec::new())).collect()
        };
        let asked = vec(prop::sample::select(&["a", "b", "ab", "c", "{", "}", ""]), 1..5);
        (
            vec(pattern, 1..9).prop_map(clear),
            asked.prop_map(|parts| format!("/{}", parts.join("/"))),
        )
    }

    proptest! {
        #[test]
        fn the_first_request_finds_what_every_other_finds(
            (paths, path) in patterns_and_a_path()
        ) {
            let found = |table: &Table| {
                let found = table.patterns.at(&path).ok()?;
                let owned = |(name, part): (&str, &str)| (name.to_owned(), part.to_owned());
                let parts = found.params.iter().map(owned);
                let pattern = &paths[table.declared[*found.value][0]].0;
                Some((pattern.clone(), parts.collect::<Vec<_>>()))
            };
            let few = Table::of(&paths, |pattern| begins_as(pattern, &path));
            prop_assert_eq!(found(&few), found(&Table::of(&paths, |_| true)));
        }
    }

    #[test]
    fn an_id_stays_one_segment_of_a_path() {
        assert_eq!(path_segment("01890a5d-ac96"), "01890a5d-ac96");
        assert_eq!(path_segment("a/b c?é"), "a%2Fb%20c%3F%C3%A9");
    }
}
