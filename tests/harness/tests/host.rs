//! The host as clients and operators meet it: booted in this process, with the smallest guest.

use nexus::dev_tokens::{Claims, DevKey};
use nexus::{Database, HomeError, Host};
use nexus_harness::prelude::*;
use nexus_harness::{TestDatabase, forward};
use nexus_runtime::{DEFAULT_TENANT, PrincipalKind};
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;

async fn hello() -> Nexus {
    Nexus::setup().components(&[probe("hello")]).without_database().start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_answers_on_the_port_that_the_kernel_picked() {
    let nexus = hello().await;
    let answer = nexus.anonymous().get("/hello/there").await.ok();
    assert_eq!(answer.text(), "hello");
    assert!(answer.header("x-request-id").is_some());
    nexus.anonymous().get("/ready").await.ok();
    nexus.anonymous().get("/health").await.ok();
    nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_development_key_is_believed_and_no_other() {
    let nexus = hello().await;
    nexus.operator().get("/hello").await.ok();
    nexus.member_with(["catalog:view"]).await.get("/hello").await.ok();
    let claims = Claims {
        subject: "operator".into(),
        kind: PrincipalKind::Operator,
        permissions: vec!["*".into()],
        tenant: DEFAULT_TENANT,
        lifetime: hours(1),
    };
    let foreign = DevKey::ephemeral().unwrap().mint(nexus.host().public_url(), &claims).unwrap();
    let own = nexus.token(&claims);
    let other_issuer =
        nexus.host().development_key().unwrap().mint("http://other.example", &claims).unwrap();
    for token in [&foreign, &other_issuer, "x", &own[..own.len() - 4]] {
        let stranger = nexus.anonymous().bearer(token);
        stranger.get("/hello").await.problem(401, "invalid-token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_components_and_strangers_do_not() {
    let nexus = hello().await;
    nexus.anonymous().get("/hello").await.ok();
    let admin = nexus.admin();
    let all: Value = admin.get("/api/v1/components").await.ok().json();
    assert_eq!(all["components"][0]["id"], "hello");
    let one: Value = admin.get("/api/v1/components/hello").await.ok().json();
    assert_eq!(one["state"], "active");
    assert_eq!(one["limits"]["memory_mib"], 128);
    assert!(one["calls"].as_u64().unwrap() >= 1);
    assert_eq!(one["routes"], json!(["/hello/...", "/..."]));
    let host: Value = admin.get("/api/v1/host").await.ok().json();
    assert_eq!(host["ready"], true);
    assert!(host["process"]["resident_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(host["engine"]["hash"].as_str().unwrap().len(), 16);
    let stranger = nexus_harness::Client::new(admin.origin());
    let refused = stranger.get("/api/v1/components").await.status(401);
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    // The pages show more than the machine's other users may see, so they ask who is there.
    let page = stranger.get("/").await.status(303);
    assert_eq!(page.header("location"), Some("/login?next=%2F"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_counted_by_component_and_class() {
    let nexus = hello().await;
    let client = nexus.anonymous();
    for _ in 0..3 {
        client.get("/hello").await.ok();
    }
    let hello = [("component", "hello")];
    let by_class = [("component", "hello"), ("class", "2xx")];
    // A response is counted when its last byte is out, which may be after the client has it.
    eventually("three requests are counted", seconds(10), async || {
        let page = nexus.metrics().await;
        page.value("nexus_http_requests_total", &by_class) == Some(3.0)
    })
    .await;
    let page = nexus.metrics().await;
    let count = page.value("nexus_http_request_duration_seconds_count", &hello);
    assert_eq!(count, Some(3.0));
    assert_eq!(page.value("nexus_component_calls_total", &hello), Some(3.0));
    assert_eq!(page.value("nexus_component_active", &hello), Some(1.0));
    assert_eq!(page.value("nexus_ready", &[]), Some(1.0));
    assert!(page.value("nexus_aot_cache_hits_total", &[]).is_some());
    let broken = page.value("nexus_http_responses_broken_total", &hello);
    assert_eq!(broken, Some(0.0), "every response was whole");
    assert!(page.families().all(|name| name.starts_with("nexus_")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_host_on_the_same_home_is_refused() {
    let nexus = hello().await;
    let home = nexus.host().home().to_owned();
    let mut settings = nexus::Settings::new(home, manifest());
    settings.database = Database::None;
    let error = Host::start(settings).await.err().expect("the home is taken");
    assert!(matches!(error.downcast_ref(), Some(HomeError::InUse { pid: Some(_), .. })));
}

fn manifest() -> nexus_runtime::Manifest {
    let text = "spin_manifest_version = 2\n[application]\nname = \"none\"\n";
    nexus_runtime::Manifest::parse(text, std::path::Path::new("spin.toml")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgresql_is_away_calls_are_503_and_work_when_it_comes() {
    // Held, so that nobody else gets the port; nobody listens on it yet.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let database = TestDatabase::create().await;
    let name = database.database().name().to_owned();
    let url = format!("postgres://nexus@127.0.0.1:{port}/{name}?sslmode=disable");
    let mut nexus = Nexus::setup()
        .components(&[probe("hello")])
        .settings(move |settings| settings.database = Database::Url(url))
        .start_unready()
        .await;
    nexus.expects_log("PostgreSQL is waited for");
    assert!(nexus.host().is_waiting().await, "the host waits for its database");
    let client = nexus.anonymous();
    let problem = client.get("/hello").await.problem(503, "not-active");
    assert!(problem.detail.contains("PostgreSQL"), "{}", problem.detail);
    assert!(!problem.detail.contains(&port.to_string()), "clients see no addresses");
    client.get("/ready").await.problem(503, "not-ready");
    client.get("/health").await.ok();
    let why = nexus.admin().get("/ready").await.status(503);
    assert!(why.text().contains("postgresql"), "{why:?}");
    let _forward = forward(port, &database).await;
    nexus.ready().await;
    assert_eq!(client.get("/hello").await.ok().text(), "hello");
    client.get("/ready").await.ok();
    let host: Value = nexus.admin().get("/api/v1/host").await.ok().json();
    assert_eq!(host["postgresql"]["database"], name.as_str());
    let page = nexus.metrics().await;
    assert!(page.value("nexus_postgresql_connections_max", &[]).unwrap() > 0.0);
    // Before its way to the database is gone.
    nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_ready_tells_when_postgresql_goes_away_and_when_it_is_back() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let database = TestDatabase::create().await;
    let way = forward(port, &database).await;
    let name = database.database().name();
    let url = format!("postgres://nexus@127.0.0.1:{port}/{name}?sslmode=disable");
    let nexus = Nexus::setup()
        .components(&[probe("hello")])
        .settings(move |settings| settings.database = Database::Url(url))
        .start()
        .await;
    let client = nexus.anonymous();
    client.get("/ready").await.ok();
    // The host itself says so, and whoever was about to use it.
    nexus.expects_log("PostgreSQL is away");
    nexus.expects_log("PostgreSQL at 127.0.0.1");
    nexus.expects_log("trigger_");
    drop(way);
    eventually("the public /ready is 503", seconds(30), async || {
        client.get("/ready").await.status == 503
    })
    .await;
    let problem = client.get("/ready").await.problem(503, "not-ready");
    assert_eq!(problem.detail, "waiting for: postgresql", "the class, and no address");
    client.get("/health").await.ok();
    client.get("/hello").await.ok();
    let _way = forward(port, &database).await;
    eventually("the public /ready is 200", seconds(30), async || {
        client.get("/ready").await.status == 200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_migrations_gets_them_and_a_role_for_each_component() {
    let nexus = Nexus::with_components(&[probe("hello")]).await;
    let database = nexus.host().database().expect("the host has a database");
    let session = database.host().await.unwrap();
    let rows = session.query("select service from platform.service order by 1", &[]).await.unwrap();
    let services: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(services.contains(&"hello".to_owned()), "{services:?}");
    database.service("hello").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_refused_makes_the_host_unready_and_says_why() {
    let toml = format!(
        "spin_manifest_version = 2\n[application]\nname = \"t\"\nversion = \"0\"\n\
         [[trigger.http]]\nroute = \"/one/...\"\ncomponent = \"one\"\n\
         [[trigger.http]]\nroute = \"/two/...\"\ncomponent = \"two\"\n\
         [component.one]\nsource = \"{0}\"\n[component.two]\nsource = \"{0}\"\n\
         variables = {{ colour = \"{{{{ colour }}}}\" }}\n\
         [variables]\ncolour = {{ required = true }}\n",
        probe("spin").display()
    );
    let mut nexus = Nexus::setup().manifest(toml).without_database().start_unready().await;
    nexus.expects_log("the component is not active");
    nexus.expects_log("variables cannot be resolved");
    nexus.ready().await;
    nexus.admin().get("/ready").await.status(503);
    let two: Value = nexus.admin().get("/api/v1/components/two").await.ok().json();
    assert_eq!(two["state"], "inactive");
    assert!(!two["reason"].as_str().unwrap().is_empty());
    nexus.anonymous().get("/two").await.problem(503, "not-active");
}

/// A host that warns with the first request, because nobody defines the rate class.
async fn warned() -> Nexus {
    let toml = format!(
        "spin_manifest_version = 2\n[application]\nname = \"t\"\nversion = \"0\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"hello\"\n\
         [component.hello]\nsource = \"{}\"\n[component.hello.tool.nexus]\n\
         rate = \"nobody-defined-it\"\n",
        probe("hello").display()
    );
    let nexus = Nexus::setup().manifest(toml).without_database().start().await;
    nexus.anonymous().get("/hello").await.ok();
    nexus
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_that_a_test_does_not_expect_fails_it() {
    let nexus = warned().await;
    let fallen = std::panic::catch_unwind(AssertUnwindSafe(|| drop(nexus)));
    // Where tests share a process, no line can be attributed.
    let judged = std::env::var("NEXTEST_EXECUTION_MODE").is_ok_and(|it| it == "process-per-test");
    let words = fallen.err().map(|panic| panic.downcast_ref::<String>().unwrap().clone());
    assert_eq!(words.is_some(), judged);
    assert!(words.is_none_or(|words| words.contains("nobody-defined-it")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_that_a_test_expects_does_not_fail_it() {
    let nexus = warned().await;
    nexus.expects_log("no such rate class");
    nexus.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_moves_for_components_only() {
    let nexus = hello().await;
    let before = nexus.runtime().clock().now();
    nexus.advance(days(29)).await;
    let ahead = nexus.runtime().clock().now().duration_since(before).unwrap();
    assert!(ahead >= days(29) && ahead < days(30));
    nexus.operator().get("/hello").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_client_and_a_stream_work() {
    let nexus = hello().await;
    let mut raw = nexus.connect().await;
    assert!(raw.send("GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n").await);
    assert!(raw.response().await.ends_with("hello"));
    let stream = nexus.anonymous().request(http::Method::GET, "/hello").stream().await;
    assert_eq!(stream.status(200).rest().await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_redis_can_be_started_beside() {
    let redis = Redis::start().await;
    let nexus = Nexus::setup()
        .components(&[probe("hello")])
        .without_database()
        .redis(redis.url())
        .start()
        .await;
    nexus.anonymous().get("/hello").await.ok();
}
