//! A component that misbehaves gets the problem that says how; its neighbours notice nothing.

use nexus_harness::prelude::*;
use nexus_runtime::ComponentSnapshot;

/// Limits small enough that a test need not wait for them.
const LIMITS: &str = r#"
wall_ms = 20000
cpu_ms = 300
first_byte_ms = 5000
stream_idle_ms = 1000
memory_mib = 64
body_in_bytes = 1000000
body_out_bytes = 4000000
"#;

fn manifest() -> String {
    let (hostile, hello) = (probe("hostile"), probe("hello"));
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "hostile"
version = "0.0.0"
[[trigger.http]]
route = "/hostile/..."
component = "hostile"
[[trigger.http]]
route = "/neighbour/..."
component = "neighbour"
[component.hostile]
source = "{}"
variables = {{ pg_url = "{{{{ pg_url }}}}" }}
allowed_outbound_hosts = ["postgres://nexus.internal"]
[component.hostile.tool.nexus]
{LIMITS}
[[trigger.http]]
route = "/hoarder/..."
component = "hoarder"
[component.hoarder]
source = "{}"
allowed_outbound_hosts = ["postgres://nexus.internal"]
[component.hoarder.tool.nexus]
memory_mib = 64
concurrency_max = 1
[component.neighbour]
source = "{}"
"#,
        hostile.display(),
        hostile.display(),
        hello.display(),
    )
}

struct Stage {
    nexus: Nexus,
    client: Client,
}

impl Stage {
    async fn set() -> Self {
        Self::of(Nexus::setup().manifest(manifest()).start().await)
    }

    async fn without_database() -> Self {
        Self::of(Nexus::setup().manifest(manifest()).without_database().start().await)
    }

    fn of(nexus: Nexus) -> Self {
        // What happens to the hostile one is told, and nothing else may be.
        nexus.expects_log("instance lost component=\"hostile\"");
        nexus.expects_log("instance lost component=\"hoarder\"");
        let client = nexus.anonymous();
        Self { nexus, client }
    }

    /// The path, asked while a neighbour is asked all the time.
    async fn try_out(&self, path: &str) -> Answer {
        let (answer, neighbours) =
            tokio::join!(async { self.client.get(&format!("/hostile/{path}")).await }, async {
                for _ in 0..50 {
                    let answer = self.client.get("/neighbour/hello").await.ok();
                    assert_eq!(answer.text(), "hello");
                }
                50
            });
        assert_eq!(neighbours, 50);
        answer
    }

    /// The component itself serves the next request, in a new instance if need be.
    async fn recovers(&self) {
        assert_eq!(self.client.get("/hostile/hello").await.ok().text(), "hello");
    }

    fn hostile(&self) -> ComponentSnapshot {
        self.snapshot("hostile")
    }

    fn snapshot(&self, component: &str) -> ComponentSnapshot {
        let all = self.nexus.runtime().snapshot();
        all.into_iter().find(|c| c.component.as_str() == component).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_ends_at_the_cpu_limit() {
    let stage = Stage::without_database().await;
    stage.try_out("endless-loop").await.problem(504, "cpu-limit");
    stage.recovers().await;
    let hostile = stage.hostile();
    assert_eq!(
        (hostile.counts.cpu_kills, hostile.counts.timeouts),
        (1, 0),
        "it did not wait, it computed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_loop_comes_to_its_end_where_computing_is_not_limited() {
    let limited = Stage::without_database().await;
    limited.try_out("long-loop").await.problem(504, "cpu-limit");
    let free = Nexus::setup().manifest(manifest()).without_database();
    let free = free.settings(|settings| settings.cpu_limits = false).start().await;
    assert_eq!(free.anonymous().get("/hostile/long-loop").await.ok().text(), "computed");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_endless_loops_leave_the_neighbours_served() {
    let stage = Stage::without_database().await;
    let loops = (0..8).map(|_| {
        let client = stage.client.clone();
        tokio::spawn(async move { client.get("/hostile/endless-loop").await })
    });
    let loops: Vec<_> = loops.collect();
    for _ in 0..20 {
        stage.client.get("/neighbour/hello").await.ok();
    }
    for answer in loops {
        answer.await.unwrap().status(504);
    }
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_allocation_ends_at_the_memory_limit_and_gives_it_all_back() {
    let stage = Stage::without_database().await;
    stage.try_out("endless-allocation").await.problem(500, "memory-limit");
    stage.recovers().await;
    let used = stage.hostile().memory_bytes;
    assert!(used < 8 << 20, "{used} bytes are still held");
}

/// Each call has an instance of its own; four times its share is all that they get together.
#[tokio::test(flavor = "multi_thread")]
async fn many_instances_of_a_component_share_one_bound_of_memory() {
    let stage = Stage::without_database().await;
    let (calls, bound) = (8, 4 * (64 << 20));
    let hoarder = || stage.snapshot("hoarder");
    let mut callers = Vec::new();
    for _ in 0..calls {
        let mut raw = stage.nexus.connect().await;
        let head = "POST /hoarder/holds-memory HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n";
        assert!(raw.send(head).await);
        callers.push(raw);
    }
    let mut most = 0;
    eventually("some have all there is, and the others are refused", seconds(20), async || {
        most = hoarder().memory_bytes.max(most);
        hoarder().counts.traps == 3 && most > 5 * (48 << 20)
    })
    .await;
    assert!(most <= bound, "{most} bytes were held at once, {bound} are allowed");
    stage.client.get("/neighbour/hello").await.ok();
    let mut statuses = Vec::new();
    for raw in &mut callers {
        // Those who were refused may be gone.
        let _sent = raw.send("x").await;
        statuses.push(raw.response().await[9..12].to_owned());
    }
    statuses.sort();
    assert_eq!(statuses, ["200", "200", "200", "200", "200", "500", "500", "500"]);
    // An instance that grew to more than half of its share is replaced, so its memory comes back.
    eventually("it is given back", seconds(20), async || hoarder().memory_bytes < 48 << 20).await;
    stage.client.get("/hoarder/hello").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_handles_and_streams_end_as_traps() {
    let stage = Stage::without_database().await;
    for bomb in ["handle-bomb", "stream-bomb"] {
        let answer = stage.try_out(bomb).await;
        assert!(answer.status.is_server_error(), "{bomb}: {answer:?}");
        stage.recovers().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_recursion_is_a_trap() {
    let stage = Stage::without_database().await;
    stage.try_out("deep-recursion").await.problem(500, "trapped");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_tells_the_client_nothing_but_the_request_id() {
    let stage = Stage::without_database().await;
    let answer = stage.try_out("trap").await;
    let problem = answer.problem(500, "trapped");
    assert_eq!(problem.detail, "");
    stage.recovers().await;
}

/// In WebAssembly's own text, since no tool makes such a component.
const MISTYPED: &str = r#"
(component
  (core module $code (func (export "handle")))
  (core instance $running (instantiate $code))
  (func $handle (canon lift (core func $running "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_export_has_not_the_type_of_its_name_is_never_called() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("mistyped.wasm");
    std::fs::write(&file, wat::parse_str(MISTYPED).unwrap()).unwrap();
    let nexus = Nexus::setup().components(&[file]).without_database().start().await;
    for _ in 0..3 {
        nexus.anonymous().get("/").await.problem(500, "no-instance");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_the_middle_of_a_response_breaks_it_off() {
    let stage = Stage::without_database().await;
    stage.nexus.expects_log("the response broke off");
    let request = stage.client.request(http::Method::GET, "/hostile/trap-mid-response");
    let broken = request.stream().await.rest().await;
    assert!(broken.is_err(), "a response that was cut short looked whole: {broken:?}");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_answers_is_given_up_at_the_first_byte_limit() {
    let stage = Stage::without_database().await;
    stage.try_out("never-answers").await.problem(504, "first-byte-timeout");
    stage.recovers().await;
    let hostile = stage.hostile();
    assert_eq!(
        (hostile.counts.cpu_kills, hostile.counts.timeouts),
        (0, 1),
        "it did not compute, it waited"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sibling_on_the_same_instance_survives_a_call_that_never_answers() {
    let stage = Stage::without_database().await;
    stage.recovers().await;
    let stuck = {
        let client = stage.client.clone();
        tokio::spawn(async move { client.get("/hostile/never-answers").await })
    };
    for _ in 0..50 {
        stage.recovers().await;
    }
    stuck.await.unwrap().problem(504, "first-byte-timeout");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_beyond_every_measure_are_not_passed_on() {
    let stage = Stage::without_database().await;
    let answer = stage.try_out("huge-headers").await;
    assert!(answer.status.is_server_error(), "{answer:?}");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end_is_cut_at_its_limit() {
    let stage = Stage::without_database().await;
    stage.nexus.expects_log("the response broke off");
    let request = stage.client.request(http::Method::GET, "/hostile/never-ending-body");
    let mut body = request.stream().await.status(200);
    let mut bytes = 0;
    let ended = loop {
        match body.next().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(ended.is_err(), "it looked whole");
    assert!((3_000_000..=4_000_000).contains(&bytes), "{bytes} bytes came");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_is_cut_after_the_idle_time() {
    let stage = Stage::without_database().await;
    stage.nexus.expects_log("the response broke off");
    let request = stage.client.request(http::Method::GET, "/hostile/stalled-body");
    let mut body = request.stream().await.status(200);
    assert_eq!(body.next().await.unwrap().unwrap(), "and then nothing");
    assert!(body.next().await.is_err(), "a stalled body looked whole");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_after_the_response_that_never_ends_disturbs_nobody() {
    let stage = Stage::without_database().await;
    assert_eq!(stage.try_out("answers-then-hangs").await.ok().text(), "answered");
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_log_lines_is_counted_and_not_kept() {
    let stage = Stage::without_database().await;
    let answer = stage.try_out("log-flood").await;
    assert!(answer.status == 200 || answer.status == 504, "{answer:?}");
    assert!(stage.hostile().counts.log_lines_dropped > 0);
    stage.recovers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_larger_than_its_limit_is_refused() {
    let stage = Stage::without_database().await;
    for path in ["/hostile/drinks-the-request-body", "/hostile/ignores-the-request-body"] {
        let request = stage.client.request(http::Method::POST, path).body(vec![b'x'; 1_000_001]);
        request.send().await.problem(413, "body-too-large");
    }
    let fits = stage.client.request(http::Method::POST, "/hostile/drinks-the-request-body");
    assert_eq!(fits.body(vec![b'x'; 1_000_000]).send().await.ok().text(), "1000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_left_open_is_rolled_back() {
    let stage = Stage::set().await;
    stage.nexus.expects_log("no database connection component=\"hostile\"");
    stage.nexus.expects_log("a database connection was held too long: closed");
    let address = "postgres://nexus.internal/hostile";
    for path in ["transaction-left-open", "transaction-then-trap"] {
        // Without its table the guest answers 5xx by itself; what counts is what comes after.
        let _answer = stage.client.get(&format!("/hostile/{path}?{address}")).await;
        stage.recovers().await;
    }
    let hoard = format!("/hostile/hoard-connections?{address}");
    let text = stage.client.get(&hoard).await.ok().text();
    assert!(!text.contains("never refused"), "{text}");
    let again = stage.client.get(&hoard).await.ok().text();
    assert!(!again.starts_with("0 open"), "the hoard was not given back: {again}");
}
