//! What the host answers itself.

use crate::clients::{ask, get, send};
use crate::echo::MANIFEST;
use crate::host::Host;
use http::Request;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn liveness_is_answered_on_every_name_it_has() {
    let host = Host::start();
    for path in ["/health", "/health/gateway", "/api/health"] {
        let answer = ask(host.address(), get(path)).await;
        assert_eq!(answer.json(), json!({ "status": "pass" }), "{path}");
        assert_eq!(answer.field("cache-control"), "no-cache");
        assert_eq!(answer.field("x-frame-options"), "DENY");
        assert!(answer.field("content-security-policy").contains("default-src 'none'"));
        assert!(!answer.field("date").is_empty());
    }
    let post = Request::post("/health").header("host", "a");
    let answer = send(host.address(), post, "").await;
    answer.is_problem(405, "method-not-allowed");
    assert!(!answer.field("allow").is_empty());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_lists_what_is_not_active() {
    let host = Host::start();
    let ready = ask(host.address(), get("/ready")).await;
    assert_eq!((ready.status.as_u16(), &ready.json()["components"]), (200, &json!(4)));
    host.echo.deactivate("small");
    host.echo.deactivate("broken");
    let answer = ask(host.address(), get("/ready")).await;
    answer.is_problem(503, "not-ready");
    assert_eq!(answer.json()["detail"], "not active: broken, small");
    assert_eq!(ask(host.address(), get("/health")).await.status, 200, "alive all the same");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spins_own_paths_are_spins() {
    let host = Host::start();
    host.echo.activate(&MANIFEST.replace("/broken", "/.well-known/..."));
    assert_eq!(ask(host.address(), get("/.well-known/spin/health")).await.text(), "OK");
    let info = ask(host.address(), get("/.well-known/spin/info")).await;
    assert_eq!(info.json(), json!({ "name": "echo-suite", "version": "1.2.3" }));
    ask(host.address(), get("/.well-known/spin/other")).await.is_problem(404, "no-route");
    let other = ask(host.address(), get("/.well-known/openid-configuration")).await;
    assert_eq!(other.json()["headers"]["spin-path-info"], "/openid-configuration");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merged_api_is_made_once_and_known_by_its_tag() {
    let host = Host::start();
    let answer = ask(host.address(), get("/openapi.json")).await;
    let api = answer.json();
    assert_eq!(api["openapi"], "3.1.0");
    assert_eq!(api["info"], json!({ "title": "echo-suite API", "version": "1.2.3" }));
    let operation = &api["paths"]["/api/echo/v1/words"]["get"];
    assert_eq!(operation["tags"][0], "broken", "all four say the same here; the first has it");
    let again = get("/openapi.json").header("if-none-match", answer.field("etag"));
    let again = ask(host.address(), again).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    let docs = ask(host.address(), get("/docs")).await;
    assert!(docs.text().contains("<!doctype html>"));
    let policy = docs.field("content-security-policy");
    assert!(!policy.contains("script-src") && policy.contains("frame-ancestors 'none'"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_name_is_honest_until_a_component_answers_for_names() {
    let host = Host::start();
    assert_eq!(ask(host.address(), get("/services/echo/health")).await.status, 200);
    let answer = ask(host.address(), get("/services/v-suite/health")).await;
    answer.is_problem(503, "service-not-running");
    assert!(answer.json()["detail"].as_str().unwrap().contains("v-suite"));
    host.echo.deactivate("small");
    let answer = ask(host.address(), get("/services/small/health")).await;
    answer.is_problem(503, "service-not-running");
    host.echo.activate(&MANIFEST.replace("/broken", "/services/..."));
    let answer = ask(host.address(), get("/services/v-suite/health")).await;
    assert_eq!(answer.json()["headers"]["spin-path-info"], "/v-suite/health");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_wins_over_the_host_and_the_catch_all_does_not() {
    let host = Host::start();
    host.echo.activate(&MANIFEST.replace("\"/broken\"", "\"/...\""));
    assert_eq!(ask(host.address(), get("/")).await.json()["uri"], "http://nexus.example/");
    assert!(ask(host.address(), get("/docs")).await.text().contains("<!doctype html>"));
    assert_eq!(ask(host.address(), get("/api/health")).await.json()["status"], "pass");
    host.echo.activate(&MANIFEST.replace("\"/broken\"", "\"/docs\""));
    assert_eq!(ask(host.address(), get("/docs")).await.json()["method"], "GET");
    host.echo.activate(&MANIFEST.replace("\"/broken\"", "\"/health/...\""));
    assert_eq!(ask(host.address(), get("/health")).await.json()["status"], "pass");
    host.stop().await;
}
