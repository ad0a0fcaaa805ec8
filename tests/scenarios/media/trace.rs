//! From the upload of a film until it is ready: one trace, in which every span has its cause. The
//! collector is a real one as far as the host can see: it takes OTLP over HTTP.

use super::stage::{PATIENCE, asset_of, becomes, creator, film, studio, upload};
use nexus_harness::prelude::*;
use nexus_observability::{Format, Settings, otlp};
use prost::Message as _;
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const BROWSER: &str = "00f067aa0ba902b7";

/// As far as it is read here: opentelemetry-proto 1.x.
#[derive(Clone, PartialEq, prost::Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    began: u64,
    #[prost(fixed64, tag = "8")]
    ended: u64,
}

/// `SPAN_KIND_CONSUMER`.
const CONSUMER: i32 = 5;

/// Takes what is posted, until the test ends.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    /// Where it listens.
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = self.clone();
        std::thread::spawn(move || {
            listener.incoming().for_each(|stream| own.take(stream.unwrap()))
        });
        format!("http://{address}/v1/traces")
    }

    /// One request; the host makes a connection for each batch.
    fn take(&self, mut stream: TcpStream) {
        let (mut read, mut piece) = (Vec::new(), [0; 64 << 10]);
        let body = loop {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the request breaks off");
            read.extend_from_slice(&piece[..count]);
            let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.unwrap().trim().parse().unwrap();
            if read.len() >= end + 4 + length {
                break &read[end + 4..];
            }
        };
        let export = Export::decode(body).unwrap();
        let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }

    /// The spans of our trace so far.
    fn spans(&self) -> Vec<Span> {
        let ours = |span: &&Span| hex(&span.trace_id) == TRACE;
        self.0.lock().unwrap().iter().filter(ours).cloned().collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names of spans whose parent nobody has told.
fn orphans(spans: &[Span]) -> Vec<String> {
    let known: HashSet<String> = spans.iter().map(|span| hex(&span.span_id)).collect();
    let has_parent = |span: &&Span| {
        let parent = hex(&span.parent_span_id);
        parent == BROWSER || known.contains(&parent)
    };
    spans.iter().filter(|span| !has_parent(span)).map(|span| span.name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_one_trace_without_a_gap_until_it_is_ready() {
    let collector = Collector::default();
    let settings = otlp::Settings {
        endpoint: collector.listen().parse().unwrap(),
        headers: Vec::new(),
        resource: vec![("service.name".into(), "nexus".into())],
        ratio: 0.0,
        timeout: Duration::from_secs(10),
        delay: Duration::from_millis(200),
    };
    let filter = "warn".into();
    let _logging = nexus_observability::init(&Settings {
        format: Format::Pretty,
        filter,
        otlp: Some(settings),
    })
    .unwrap();
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let traced = by.clone().header("traceparent", &format!("00-{TRACE}-{BROWSER}-01"));
    let upload = upload(&traced, "film.mp4", film(6, "640x360")).await;
    becomes(&by, &asset_of(&by, &upload).await, "ready").await;
    let wanted = [
        "process media.upload.completed.v1",
        "process media.step.requested.v1",
        "process probe",
        "process media.probe_job.settled.v1",
        "process media.step.done.v1",
        "process transcode",
        "process media.transcode_job.settled.v1",
        "process thumbnail",
    ];
    eventually("all of it was exported", PATIENCE, async || {
        let spans = collector.spans();
        let there = |name: &&str| spans.iter().any(|span| span.name == **name);
        wanted.iter().all(|name| there(&name)) && orphans(&spans).is_empty()
    })
    .await;
    let spans = collector.spans();
    let names =
        |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
    // What a job has told goes on from the attempt that did it.
    let jobs: HashSet<_> =
        names("process transcode").into_iter().map(|span| span.span_id).collect();
    let heard = names("process media.transcode_job.settled.v1");
    assert!(heard.iter().all(|span| jobs.contains(&span.parent_span_id)), "{spans:#?}");
    let post = spans.iter().find(|span| span.name.starts_with("POST /files")).expect("the upload");
    let first = &names("process media.upload.completed.v1")[0];
    assert_eq!((&first.parent_span_id, first.kind), (&post.span_id, CONSUMER));
    // Told at its end, and yet as long as it took.
    let transcode = &names("process transcode")[0];
    assert!(transcode.ended - transcode.began > 50_000_000, "{transcode:?}");
}
