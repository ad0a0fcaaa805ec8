//! An ordinary Spin component, built with `spin-sdk` alone, finds every interface it knows.

use nexus_harness::prelude::*;

async fn host() -> Nexus {
    Nexus::setup().manifest(manifest("http://*.spin.internal")).start().await
}

fn manifest(outbound: &str) -> String {
    let (spin, proxy) = (probe("spin"), probe("proxy"));
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "guests"
version = "0.0.0"
[variables]
greeting = {{ default = "good day" }}
[[trigger.http]]
route = "/..."
component = "spin"
[[trigger.http]]
route = "/proxy/..."
component = "proxy"
[component.spin]
source = "{}"
key_value_stores = ["default"]
variables = {{ pg_url = "{{{{ pg_url }}}}", greeting = "{{{{ greeting }}}}, guest" }}
allowed_outbound_hosts = ["redis://nexus.internal", "postgres://nexus.internal", "{outbound}"]
[component.proxy]
source = "{}"
"#,
        spin.display(),
        proxy.display(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_answers_with_what_it_was_asked() {
    let nexus = host().await;
    let anyone = nexus.anonymous();
    assert_eq!(anyone.get("/hello").await.ok().text(), "hello");
    anyone.get("/no-such-path").await.status(404);
    let seen: Value = anyone.get("/headers?x=1").await.ok().json();
    assert_eq!(seen["spin-path-info"], "/headers");
    assert_eq!(seen["spin-matched-route"], "/...");
    assert!(seen["spin-full-url"].as_str().unwrap().ends_with("/headers?x=1"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_say_who_it_is_in_the_hosts_headers() {
    let nexus = host().await;
    let forger = nexus
        .anonymous()
        .header("nexus-principal", "eyJzdWJqZWN0IjoiYm9zcyJ9")
        .header("nexus-caller", "ledger")
        .header("spin-client-addr", "6.6.6.6");
    let seen: Value = forger.get("/headers").await.ok().json();
    assert_ne!(seen["nexus-principal"], "eyJzdWJqZWN0IjoiYm9zcyJ9");
    assert!(seen.get("nexus-caller").is_none(), "{seen}");
    assert!(!seen["spin-client-addr"].as_str().unwrap().starts_with("6.6.6.6"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_and_a_trace_pass_through() {
    let nexus = host().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = nexus.anonymous().header("x-request-id", "chosen-1").header("traceparent", trace);
    let answer = traced.get("/headers").await.ok();
    assert_eq!(answer.header("x-request-id"), Some("chosen-1"));
    let seen: Value = answer.json();
    assert_eq!(seen["x-request-id"], "chosen-1");
    let continued = seen["traceparent"].as_str().unwrap();
    assert!(continued.contains("4bf92f3577b34da6a3ce929d0e0e4736"), "{continued}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_streamed_there_and_back() {
    let nexus = host().await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let client = nexus.anonymous();
    let answer = client.request(http::Method::POST, "/echo").body(sent.clone()).send().await.ok();
    assert!(answer.body == sent, "{} bytes came back, of {}", answer.body.len(), sent.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_arrive_one_by_one() {
    let nexus = host().await;
    let client = nexus.anonymous();
    let mut events = client.request(http::Method::GET, "/events/3").stream().await.status(200);
    assert_eq!(events.headers["content-type"], "text/event-stream");
    for number in 0..3 {
        assert_eq!(events.line().await.unwrap(), Some(format!("id: {number}")));
        assert_eq!(events.line().await.unwrap(), Some(format!("data: event {number}")));
        assert_eq!(events.line().await.unwrap(), Some(String::new()));
    }
    assert_eq!(events.line().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_kept_listed_and_removed() {
    let nexus = host().await;
    let client = nexus.anonymous();
    let put = |key: &str, value: &'static [u8]| {
        let path = format!("/key-value/{key}");
        let client = client.clone();
        async move { client.request(http::Method::PUT, &path).body(value).send().await.ok() }
    };
    put("a", b"1").await;
    put("b", &[0, 255, 7]).await;
    assert_eq!(client.get("/key-value/b").await.ok().body.as_ref(), [0, 255, 7]);
    let mut keys: Vec<String> = client.get("/keys").await.ok().json();
    keys.sort();
    assert_eq!(keys, ["a", "b"]);
    client.delete("/key-value/a").await.ok();
    client.get("/key-value/a").await.status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_after_the_response() {
    let nexus = host().await;
    let client = nexus.anonymous();
    assert_eq!(client.get("/after-response/late").await.ok().text(), "answered");
    eventually("the key is written", seconds(10), async || {
        client.get("/key-value/late").await.status.is_success()
    })
    .await;
    let written = client.get("/key-value/late").await.ok().text();
    assert_eq!(written, "written after the response");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_are_templates_over_the_applications_own() {
    let nexus = host().await;
    let client = nexus.anonymous();
    assert_eq!(client.get("/variables/greeting").await.ok().text(), "good day, guest");
    let undefined = client.get("/variables/unheard_of").await.status(422).text();
    assert!(undefined.contains("Undefined"), "{undefined}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_postgres_type_comes_back_as_it_went() {
    let nexus = host().await;
    let address = nexus.anonymous().get("/variables/pg_url").await.ok().text();
    let path = format!("/postgres/types?address={address}");
    let types: Value = nexus.anonymous().get(&path).await.ok().json();
    let expected = json!({
        "columns": 11, "bool": true, "int2": -2, "int4": 3, "int8": 4_000_000_000_i64,
        "float8": 0.5, "text": "grüße", "bytea": [0, 255], "jsonb": { "a": 1 },
        "array": ["a", null], "numeric": "12.340", "null": true,
    });
    assert_eq!(types, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_result_is_streamed() {
    let nexus = host().await;
    let address = nexus.anonymous().get("/variables/pg_url").await.ok().text();
    let path = format!("/postgres/stream/200000?address={address}");
    let summed: Value = nexus.anonymous().get(&path).await.ok().json();
    assert_eq!(summed, json!({ "count": 200_000, "sum": 20_000_100_000_i64 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_services_schema_is_out_of_reach() {
    let nexus = host().await;
    nexus.expects_log("component spin may not open the data of \\\"core-os\\\"");
    let client = nexus.anonymous();
    let address = client.get("/variables/pg_url").await.ok().text();
    for statement in [
        "select * from core_os.flag",
        "select * from platform.event",
        "reset role",
        "set session authorization postgres",
        "set role postgres",
        "create table public.mine (x int)",
        "create extension dblink",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'id'",
        "alter role current_user superuser",
    ] {
        let path = format!("/postgres/query?address={address}");
        let request = client.request(http::Method::POST, &path).body(statement);
        let answer: Value = request.send().await.ok().json();
        let refused = answer["error"].is_string();
        // `reset role` changes nothing for one who logged in as himself.
        assert!(refused || statement == "reset role", "{statement}: {answer}");
    }
    let path = "/postgres/query?address=postgres://nexus.internal/core-os";
    let request = client.request(http::Method::POST, path).body("select 1");
    let answer: Value = request.send().await.ok().json();
    assert!(answer["refused"].is_string(), "the address of another service: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_is_asked_in_process_and_sees_who_asks() {
    let nexus = host().await;
    let client = nexus.anonymous();
    let fetched = client.get("/fetch?url=http://spin.spin.internal/headers").await.ok();
    let seen: Value = fetched.json();
    assert_eq!(seen["nexus-caller"], "spin");
    assert!(seen["nexus-principal"].is_string());
    let absent = client.get("/fetch?url=http://absent.spin.internal/").await;
    absent.status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_granted_is_refused() {
    let nexus = host().await;
    nexus.expects_log("spin may not reach http://");
    let client = nexus.anonymous();
    for url in
        ["http://example.com/", "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/"]
    {
        let refused = client.get(&format!("/fetch?url={url}")).await.status(424).text();
        assert!(refused.contains("Denied") || refused.contains("Prohibited"), "{url}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_everything_does_not_reach_private_addresses() {
    let everything = manifest("*://*:*");
    let nexus = Nexus::setup().manifest(everything).start().await;
    nexus.expects_log("spin may not reach http://");
    let client = nexus.anonymous();
    let own = nexus.address().port();
    for url in [
        "http://169.254.169.254/latest/meta-data".to_string(),
        format!("http://127.0.0.1:{own}/hello"),
        format!("http://localhost:{own}/hello"),
        format!("http://[::ffff:127.0.0.1]:{own}/hello"),
        format!("http://2130706433:{own}/hello"),
    ] {
        let refused = client.get(&format!("/fetch?url={url}")).await.status(424).text();
        assert!(!refused.is_empty(), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_runs_on_a_real_redis_as_on_the_embedded_store() {
    let redis = Redis::start().await;
    let embedded = || Nexus::setup().manifest(manifest("http://*.spin.internal"));
    for setup in [embedded(), embedded().redis(redis.url())] {
        let nexus = setup.start().await;
        let client = nexus.anonymous();
        let path = "/redis/key?address=redis://nexus.internal";
        let round: Value = client.get(path).await.ok().json();
        assert_eq!(round, json!({ "value": "value", "counted": 2 }));
        let put = client.request(http::Method::PUT, "/key-value/k").body("v").send().await;
        put.ok();
        assert_eq!(client.get("/key-value/k").await.ok().text(), "v");
    }
}
