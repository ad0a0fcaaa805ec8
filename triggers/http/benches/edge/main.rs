//! What the front door costs a request before its component is called, in microseconds of the
//! shard's own CPU time: nobody, a token, an API key, a session, a rate limit. The client is on
//! other threads and does not count; the component behind it does nothing. Cases take turns, so
//! that a busy moment of the machine concerns all of them alike.
//!
//! Prints one JSON object a line: `{"metric": …, "value": …}`, by rounds. Run by
//! `cargo xtask bench edge`.

#[path = "../../tests/data_plane/platform.rs"]
#[allow(dead_code)]
mod platform;

use nexus_runtime::{
    Call, CallError, ComponentId, Manifest, Request, Response, Shutdown, Trigger as _, full,
};
use platform::{Issuer, Platform};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::Duration;
use trigger_http::{Backend, HttpConfig, HttpTrigger, RateClass, View};

/// Requests of one case in one round.
const REQUESTS: usize = 4000;
/// Requests said at once: enough that the shard is never waiting for the client.
const PIPELINED: usize = 20;

const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "edge"
[[trigger.http]]
component = "nothing"
route = "/nothing/..."
[[trigger.http]]
component = "counted"
route = "/counted/..."
[component.nothing]
source = "nothing.wasm"
[component.counted]
source = "counted.wasm"
[component.counted.tool.nexus]
rate = "endless"
"#;

/// One shard whose components answer at once.
#[derive(Clone)]
struct Nothing {
    manifest: Arc<Manifest>,
    shard: Arc<AtomicI32>,
}

impl Backend for Nothing {
    fn generation(&self) -> u64 {
        1
    }

    fn view(&self) -> View {
        let component = |c: &Arc<nexus_runtime::ComponentManifest>| (c.id.clone(), Ok(c.clone()));
        View {
            generation: 1,
            application: self.manifest.application.clone(),
            version: self.manifest.version.clone(),
            routes: self.manifest.routes.clone(),
            components: self.manifest.components.iter().map(component).collect(),
            native: Default::default(),
        }
    }

    async fn call(
        &self,
        _component: &ComponentId,
        _request: Request,
        call: Call,
    ) -> Result<Response, CallError> {
        let mut response = http::Response::new(full(""));
        // So that a case that does not prove what it should is noticed.
        let subject = call.principal.subject.parse().expect("subjects are plain words");
        response.headers_mut().insert("x-subject", subject);
        Ok(response)
    }

    fn shards(&self) -> usize {
        1
    }

    fn enter_shard(&self, _index: usize) {
        // `<process>/task/<thread>`, as the kernel calls whoever asks.
        let path = std::fs::read_link("/proc/thread-self").expect("the kernel counts");
        let thread = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        self.shard.store(thread.expect("a thread has a number"), SeqCst);
    }
}

/// What is sent, and as whom it must arrive.
struct Case {
    metric: &'static str,
    path: &'static str,
    /// The credential's field, made anew for each request.
    credential: Box<dyn Fn() -> String + Send>,
    subject: &'static str,
}

impl Case {
    fn head(&self) -> String {
        let (path, credential) = (self.path, (self.credential)());
        format!("GET {path} HTTP/1.1\r\nhost: nexus.example\r\n{credential}\r\n")
    }
}

fn main() {
    let rounds = std::env::args().skip_while(|arg| arg != "--rounds").nth(1);
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("start a runtime").block_on(measure(rounds));
}

async fn measure(rounds: usize) {
    let platform = Platform::new().await;
    let issuer = Issuer::new("k-1");
    platform.publish(&issuer).await;
    platform.subject("u-1", &["catalog:*", "orders:view"]).await;
    let cases = cases(&platform, issuer).await;
    let (identities, follower) = platform.identities().await;
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut config =
        HttpConfig { listen: vec![any], identities: Some(identities), ..HttpConfig::default() };
    config.rate.classes.push(RateClass::new("endless", 1 << 30, Duration::from_secs(60)));
    let trigger = HttpTrigger::new(config).expect("bind a port");
    let address = trigger.addresses()[0];
    let manifest = Manifest::parse(MANIFEST, Path::new("spin.toml")).expect("a manifest");
    let nothing = Nothing { manifest: Arc::new(manifest), shard: Arc::default() };
    let (stop, told) = Shutdown::channel();
    let shard = nothing.shard.clone();
    let serving = tokio::spawn(trigger.serve(nothing, told));
    let measured = tokio::task::spawn_blocking(move || {
        // Once for the caches.
        for case in &cases {
            run(address, case, &shard);
        }
        for _ in 0..rounds {
            for case in &cases {
                let value = run(address, case, &shard);
                println!("{}", json!({ "metric": case.metric, "value": value }));
            }
        }
    });
    measured.await.expect("all cases end");
    stop.shut_down();
    serving.await.expect("the host ends").expect("it ends well");
    follower.abort();
    platform.end().await;
}

async fn cases(platform: &Platform, issuer: Issuer) -> Vec<Case> {
    let (_, session) = platform.session("u-1").await;
    let (_, key) = platform.api_key("u-1", None, Some(&["catalog:view"]), None).await;
    let bearer = |token: String| format!("authorization: Bearer {token}\r\n");
    let token = bearer(issuer.token("u-1", &json!({ "scope": "catalog:view" })));
    let carrying = bearer(issuer.token("u-1", &json!({ "permissions": ["catalog:view"] })));
    let key = format!("x-api-key: {key}\r\n");
    let session = format!("cookie: nexus-session={session}\r\n");
    let new = Box::new(move || bearer(issuer.token("u-1", &json!({}))));
    let case = |metric, path, credential: &str, subject| {
        let credential = credential.to_owned();
        Case { metric, path, credential: Box::new(move || credential.clone()), subject }
    };
    vec![
        case("no_credential", "/nothing/x", "", "anonymous"),
        case("token", "/nothing/x", &token, "u-1"),
        case("token_carrying", "/nothing/x", &carrying, "u-1"),
        case("api_key", "/nothing/x", &key, "u-1"),
        case("session", "/nothing/x", &session, "u-1"),
        case("rate_limit", "/counted/x", "", "anonymous"),
        case("token_and_rate_limit", "/counted/x", &token, "u-1"),
        Case { metric: "token_seen_first", path: "/nothing/x", credential: new, subject: "u-1" },
    ]
}

/// Microseconds of the shard's CPU time per request.
fn run(address: SocketAddr, case: &Case, shard: &AtomicI32) -> f64 {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    let mut spoken = |count: usize| {
        let said: String = (0..count).map(|_| case.head()).collect();
        stream.write_all(said.as_bytes()).expect("send requests");
        answers(&mut stream, count, case);
    };
    // The connection's own cost is another matter.
    spoken(1);
    let before = cpu(shard);
    for _ in 0..REQUESTS / PIPELINED {
        spoken(PIPELINED);
    }
    let used = cpu(shard) - before;
    used.as_secs_f64() * 1e6 / REQUESTS as f64
}

/// Reads `count` answers, all of which must be to the right subject.
fn answers(stream: &mut TcpStream, count: usize, case: &Case) {
    let mut heard = Vec::new();
    let mut part = [0; 64 << 10];
    let end = b"\r\n\r\n";
    let ends = |heard: &[u8]| heard.windows(4).filter(|w| w == end).count();
    while ends(&heard) < count {
        let length = stream.read(&mut part).expect("an answer");
        assert!(length > 0, "the host has closed the connection");
        heard.extend_from_slice(&part[..length]);
    }
    let text = String::from_utf8_lossy(&heard);
    let wanted = format!("x-subject: {}\r\n", case.subject);
    assert_eq!(text.matches(&wanted).count(), count, "{}: {text}", case.metric);
}

/// CPU time of the shard's thread: the first number of its `schedstat` is nanoseconds on a CPU.
fn cpu(shard: &AtomicI32) -> Duration {
    let file = format!("/proc/self/task/{}/schedstat", shard.load(SeqCst));
    let text = std::fs::read_to_string(file).expect("the kernel counts");
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}
