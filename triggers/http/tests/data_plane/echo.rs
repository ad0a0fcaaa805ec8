//! The backend behind the data plane: what it does is in the path.

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use nexus_runtime::{Call, CallError, ComponentId, Manifest, Request, Response, full};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use trigger_http::{Backend, View};

/// Routes and components, as a manifest says them.
pub const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "echo-suite"
version = "1.2.3"
[[trigger.http]]
component = "echo"
route = "/echo/..."
[[trigger.http]]
component = "echo"
route = "/users/:id/..."
[[trigger.http]]
component = "echo"
route = "/api/echo/..."
[[trigger.http]]
component = "echo"
route = "/v1/..."
[[trigger.http]]
component = "small"
route = "/small/..."
[[trigger.http]]
component = "limited"
route = "/limited"
[[trigger.http]]
component = "broken"
route = "/broken"
[component.echo]
source = "echo.wasm"
[component.small]
source = "small.wasm"
[component.small.tool.nexus]
body_in_bytes = 1000
[component.limited]
source = "limited.wasm"
[component.limited.tool.nexus]
rate = "tight"
[component.broken]
source = "broken.wasm"
"#;

#[derive(Clone)]
pub struct Echo(Arc<Inner>);

struct Inner {
    manifest: Mutex<Manifest>,
    inactive: Mutex<BTreeSet<String>>,
    generation: AtomicU64,
    pub release: Notify,
    /// Calls that wait for `release` now, and calls that were dropped while waiting.
    holding: AtomicUsize,
    dropped: AtomicUsize,
    chunks: tokio::sync::broadcast::Sender<Bytes>,
}

/// Counts a call while it waits.
struct Holding<'a>(&'a Inner, bool);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.holding.fetch_sub(1, SeqCst);
        if !self.1 {
            self.0.dropped.fetch_add(1, SeqCst);
        }
    }
}

impl Echo {
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            manifest: Mutex::new(parse(MANIFEST)),
            inactive: Mutex::default(),
            generation: AtomicU64::new(1),
            release: Notify::new(),
            holding: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
            chunks: tokio::sync::broadcast::channel(64).0,
        }))
    }

    /// Activates another manifest.
    pub fn activate(&self, text: &str) {
        *self.0.manifest.lock().unwrap() = parse(text);
        self.0.generation.fetch_add(1, SeqCst);
    }

    pub fn deactivate(&self, component: &str) {
        self.0.inactive.lock().unwrap().insert(component.into());
        self.0.generation.fetch_add(1, SeqCst);
    }

    pub fn holding(&self) -> usize {
        self.0.holding.load(SeqCst)
    }

    pub fn dropped(&self) -> usize {
        self.0.dropped.load(SeqCst)
    }

    pub fn release(&self) {
        self.0.release.notify_waiters();
    }

    /// Sends a chunk on every open `/echo/events`.
    pub fn emit(&self, chunk: &'static str) {
        let _listeners = self.0.chunks.send(Bytes::from_static(chunk.as_bytes()));
    }

    async fn answer(&self, request: Request, call: &Call) -> Result<Response, CallError> {
        let path = request.uri().path().to_owned();
        let words: Vec<&str> = path.split('/').skip(2).collect();
        match words[..] {
            ["stream"] => Ok(http::Response::new(request.into_body())),
            ["ignore"] => Ok(http::Response::new(full("ignored"))),
            ["swallow"] => {
                let _any = request.into_body().collect().await;
                Ok(http::Response::new(full("swallowed")))
            }
            ["swallow", status] => {
                let _any = request.into_body().collect().await;
                Ok(odd(status))
            }
            ["hold"] => Ok(self.hold().await),
            ["events"] => Ok(self.events()),
            ["status", status] => Ok(odd(status)),
            ["trap"] => Err(CallError::Trapped("unreachable".into())),
            ["cut"] => Ok(cut()),
            ["sets-session"] => Ok(sets_session()),
            ["told", length] => Ok(told(length)),
            [.., "openapi.json"] => Ok(http::Response::new(full(
                json!({ "paths": { "/api/echo/v1/words": { "get": {} } } }).to_string(),
            ))),
            _ => Ok(describe(request, call).await),
        }
    }

    async fn hold(&self) -> Response {
        self.0.holding.fetch_add(1, SeqCst);
        let mut holding = Holding(&self.0, false);
        self.0.release.notified().await;
        holding.1 = true;
        http::Response::new(full("released"))
    }

    fn events(&self) -> Response {
        let chunks = self.0.chunks.subscribe();
        let frames = futures::stream::unfold(chunks, |mut chunks| async move {
            let chunk = chunks.recv().await.ok().filter(|chunk| !chunk.is_empty())?;
            Some((Ok(http_body::Frame::data(chunk)), chunks))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        let mut response = http::Response::new(body);
        let events = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", events);
        response
    }
}

fn parse(text: &str) -> Manifest {
    Manifest::parse(text, Path::new("spin.toml")).unwrap()
}

/// A response with any status, a body, and fields that are not a component's to send.
fn odd(status: &str) -> Response {
    let fields = [
        ("connection", "upgrade"),
        ("transfer-encoding", "gzip"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "websocket"),
        ("x-request-id", "forged"),
        ("x-own", "kept"),
    ];
    let builder = http::Response::builder().status(status);
    let builder = fields.into_iter().fold(builder, |b, (name, value)| b.header(name, value));
    builder.body(full("a body")).unwrap()
}

/// What a component answers that signs somebody in.
fn sets_session() -> Response {
    let cookie = "nexus-session=nxs_new; Path=/; HttpOnly; SameSite=Lax";
    http::Response::builder().header("set-cookie", cookie).body(full("")).unwrap()
}

/// A body that fails after its first chunk.
fn cut() -> Response {
    let first = Ok(http_body::Frame::data(Bytes::from_static(b"first")));
    let fails = Err(wasmtime_wasi_http::Error::HttpResponseTimeout);
    let frames = futures::stream::iter([first]).chain(futures::stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        fails
    }));
    http::Response::new(StreamBody::new(frames).boxed_unsync())
}

/// Five bytes of which the head tells a length, as guests do: the body itself does not know that
/// they are all, until it is asked for more.
fn told(length: &str) -> Response {
    let five = Ok(http_body::Frame::data(Bytes::from_static(b"whole")));
    let body = StreamBody::new(futures::stream::iter([five])).boxed_unsync();
    http::Response::builder().header("content-length", length).body(body).unwrap()
}

/// Everything the component saw, as JSON.
async fn describe(request: Request, call: &Call) -> Response {
    let (parts, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => json!(body.to_bytes().len()),
        Err(error) => json!(format!("{error:?}")),
    };
    let mut headers = serde_json::Map::new();
    for (name, value) in &parts.headers {
        headers.insert(name.to_string(), String::from_utf8_lossy(value.as_bytes()).into());
    }
    let traceparent = call.trace.traceparent.as_ref().map(|value| value.to_str().unwrap());
    let seen: Value = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "body": body,
        "principal": &*call.principal,
        "principal_header": call.principal_header.to_str().unwrap(),
        "request_id": &*call.request_id,
        "traceparent": traceparent,
    });
    http::Response::new(full(seen.to_string()))
}

impl Backend for Echo {
    fn generation(&self) -> u64 {
        self.0.generation.load(SeqCst)
    }

    fn view(&self) -> View {
        let generation = self.generation();
        let manifest = self.0.manifest.lock().unwrap();
        let inactive = self.0.inactive.lock().unwrap();
        let components = manifest.components.iter().map(|component| {
            let off = inactive.contains(component.id.as_str());
            let state = if off { Err("switched off".into()) } else { Ok(component.clone()) };
            (component.id.clone(), state)
        });
        View {
            generation,
            application: manifest.application.clone(),
            version: manifest.version.clone(),
            routes: manifest.routes.clone(),
            components: components.collect(),
            native: Default::default(),
        }
    }

    async fn call(
        &self,
        component: &ComponentId,
        request: Request,
        call: Call,
    ) -> Result<Response, CallError> {
        if self.0.inactive.lock().unwrap().contains(component.as_str()) {
            let reason = "switched off".into();
            return Err(CallError::NotActive { component: component.clone(), reason });
        }
        self.answer(request, &call).await
    }

    fn shards(&self) -> usize {
        2
    }

    fn enter_shard(&self, _index: usize) {}
}
