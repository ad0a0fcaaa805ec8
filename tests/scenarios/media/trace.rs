//! What a collector is told: from the upload of a film until it is ready, one trace in which every
//! span has its cause; and the numbers of the page. The collector is a real one as far as the host
//! can see: it takes OTLP over HTTP.

use super::stage::{PATIENCE, asset_of, becomes, creator, film, studio, upload};
use nexus_harness::prelude::*;
use nexus_observability::{Format, Settings, otlp};
use prost::Message as _;
use std::collections::{HashMap, HashSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const BROWSER: &str = "00f067aa0ba902b7";
const TRACES: &str = "/v1/traces";

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

/// `SPAN_KIND_PRODUCER`.
const PRODUCER: i32 = 4;
/// `SPAN_KIND_CONSUMER`.
const CONSUMER: i32 = 5;

/// As far as it is read here: `ExportMetricsServiceRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct Reading {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Measured>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Measured {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Metrics>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metrics {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
}

/// Takes what is posted, until the test ends.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    spans: Vec<Span>,
    /// Names of metrics, a list for each reading.
    readings: Vec<HashSet<String>>,
}

impl Collector {
    /// Listens, and has all of this process's telemetry sent here until what is returned goes.
    fn listen(&self) -> nexus_observability::Guard {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = self.clone();
        std::thread::spawn(move || {
            listener.incoming().for_each(|stream| own.take(stream.unwrap()))
        });
        let there = |path: &str| otlp::Collector {
            endpoint: format!("http://{address}{path}").parse().unwrap(),
            headers: Vec::new(),
            resource: vec![("service.name".into(), "nexus".into())],
            timeout: Duration::from_secs(10),
        };
        let traces = otlp::Traces {
            collector: there(TRACES),
            ratio: 0.0,
            delay: Duration::from_millis(200),
        };
        let metrics = otlp::Metrics {
            collector: there("/v1/metrics"),
            interval: Duration::from_millis(500),
            patience: Duration::from_secs(10),
        };
        let otlp = otlp::Settings { traces: Some(traces), metrics: Some(metrics) };
        let settings = Settings { format: Format::Pretty, filter: "warn".into(), otlp: Some(otlp) };
        nexus_observability::init(&settings).unwrap()
    }

    /// One request; the host makes a connection for each.
    fn take(&self, mut stream: TcpStream) {
        let (mut read, mut piece) = (Vec::new(), [0; 64 << 10]);
        let (head, body) = loop {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the request breaks off");
            read.extend_from_slice(&piece[..count]);
            let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.unwrap().trim().parse().unwrap();
            if read.len() >= end + 4 + length {
                break (head, &read[end + 4..]);
            }
        };
        let mut taken = self.0.lock().unwrap();
        if head.starts_with(&format!("post {TRACES} ")) {
            let export = Export::decode(body).unwrap();
            let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
            taken.spans.extend(scopes.flat_map(|scope| scope.spans));
        } else {
            let reading = Reading::decode(body).unwrap();
            let scopes = reading.resources.into_iter().flat_map(|resource| resource.scopes);
            let metrics = scopes.flat_map(|scope| scope.metrics);
            taken.readings.push(metrics.map(|metric| metric.name).collect());
        }
        drop(taken);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }

    /// The spans of our trace so far.
    fn spans(&self) -> Vec<Span> {
        let ours = |span: &&Span| hex(&span.trace_id) == TRACE;
        self.0.lock().unwrap().spans.iter().filter(ours).cloned().collect()
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

/// What came of a span, a line each.
fn tree(spans: &[Span], parent: &str, depth: usize) -> String {
    let below = spans.iter().filter(|span| hex(&span.parent_span_id) == parent);
    below
        .map(|span| {
            let name = &span.name;
            let own = tree(spans, &hex(&span.span_id), depth + 1);
            format!("{:depth$}{name}\n{own}", "", depth = 2 * depth)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_one_trace_without_a_gap_until_it_is_ready() {
    let collector = Collector::default();
    let _logging = collector.listen();
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let traced = by.clone().header("traceparent", &format!("00-{TRACE}-{BROWSER}-01"));
    let upload = upload(&traced, "film.mp4", film(6, "640x360")).await;
    becomes(&by, &asset_of(&by, &upload).await, "ready").await;
    let wanted = [
        "publish media.upload.completed.v1",
        "process media.upload.completed.v1",
        "publish media.step.requested.v1",
        "process media.step.requested.v1",
        "submit probe",
        "process probe",
        "process media.probe_job.settled.v1",
        "publish media.step.done.v1",
        "process media.step.done.v1",
        "submit transcode",
        "process transcode",
        "process media.transcode_job.settled.v1",
        "process thumbnail",
    ];
    let end = Instant::now() + PATIENCE;
    loop {
        let spans = collector.spans();
        let missing: Vec<_> =
            wanted.iter().filter(|name| !spans.iter().any(|span| span.name == **name)).collect();
        let orphans = orphans(&spans);
        if missing.is_empty() && orphans.is_empty() {
            break;
        }
        let tree = tree(&spans, BROWSER, 0);
        assert!(Instant::now() < end, "missing {missing:?}, without cause {orphans:?}:\n{tree}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let spans = collector.spans();
    let names =
        |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
    // What a job has told goes on from the attempt that did it.
    let jobs: HashSet<_> =
        names("process transcode").into_iter().map(|span| span.span_id).collect();
    let heard = names("process media.transcode_job.settled.v1");
    assert!(heard.iter().all(|span| jobs.contains(&span.parent_span_id)), "{spans:#?}");
    // From the request over what was told to whoever heard it.
    let post = spans.iter().find(|span| span.name.starts_with("POST /files")).expect("the upload");
    let told = &names("publish media.upload.completed.v1")[0];
    assert_eq!((&told.parent_span_id, told.kind), (&post.span_id, PRODUCER));
    let heard = &names("process media.upload.completed.v1")[0];
    assert_eq!((&heard.parent_span_id, heard.kind), (&told.span_id, CONSUMER));
    // Told at its end, and yet as long as it took.
    let transcode = &names("process transcode")[0];
    assert!(transcode.ended - transcode.began > 50_000_000, "{transcode:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_sent_all_the_numbers_that_the_page_has() {
    let collector = Collector::default();
    let _logging = collector.listen();
    let nexus = Nexus::setup().services(&["users"]).start().await;
    nexus.anonymous().get("/health").await.ok();
    let page = nexus.metrics().await;
    // Families without a series yet are on the page alone.
    let is_there = |family: &&str| {
        page.series().iter().any(|series| {
            let rest = series.name.strip_prefix(family);
            rest.is_some_and(|rest| matches!(rest, "" | "_bucket" | "_sum" | "_count"))
        })
    };
    let page: HashSet<&str> = page.families().filter(is_there).collect();
    assert!(page.contains("nexus_http_connections_total"), "{page:?}");
    let conventional = conventional();
    let told = |family: &&str| match conventional.get(*family) {
        Some(names) => names.clone(),
        None => vec![(*family).to_owned()],
    };
    let told: HashSet<String> = page.iter().flat_map(told).collect();
    assert!(told.contains("faas.invocations") && !told.contains("nexus_component_calls_total"));
    eventually("a reading has all of it", PATIENCE, async || {
        let taken = collector.0.lock().unwrap();
        taken.readings.last().is_some_and(|names| told.is_subset(names))
    })
    .await;
    let taken = collector.0.lock().unwrap();
    let twice = conventional.keys().find(|family| taken.readings.last().unwrap().contains(*family));
    assert_eq!(twice, None, "what has a conventional name is told under it alone");
}

/// What the runbook says of families that go by other names: the first two columns of its table.
fn conventional() -> HashMap<String, Vec<String>> {
    let page = nexus_harness::repository().join("deploy/docs/runbooks/telemetry.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut all: HashMap<String, Vec<String>> = HashMap::new();
    for row in page.lines().filter(|line| line.starts_with("| `nexus_")) {
        let (family, name) = (row.split('`').nth(1).unwrap(), row.split(" | ").nth(1).unwrap());
        all.entry(family.into()).or_default().push(name.trim_matches('`').into());
    }
    assert!(all.len() > 10, "{all:?}");
    all
}
