//! The single entry says what stands behind it, leads by other names, says when a version ends, and
//! shows people what there is.

use nexus_harness::prelude::*;

const GATEWAY: &str = "/api/gateway/v1";

async fn start() -> Nexus {
    Nexus::setup().services(&["core-os", "gateway", "kms"]).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_of_the_platform_is_listed_and_those_that_run_say_what_they_offer() {
    let nexus = start().await;
    let anyone = nexus.anonymous();
    let mut names = Vec::new();
    let mut path = "/services?limit=50".to_owned();
    loop {
        let page: Value = anyone.get(&path).await.ok().json();
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/services?limit=50&cursor={next}");
    }
    assert_eq!(names.len(), 77, "{names:?}");
    assert!(names.is_sorted(), "{names:?}");
    let running: Value = anyone.get("/services?state=running").await.ok().json();
    let running = running["items"].as_array().unwrap();
    let named: Vec<&str> = running.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(named, ["core-os", "gateway", "kms"]);
    let kms = &running[2];
    assert!(kms["operations"].as_i64().unwrap() > 10, "{kms}");
    assert!(kms["bases"].as_array().unwrap().contains(&json!("/api/kms/v1")), "{kms}");
    assert_eq!(kms["health"], "/services/kms/health");
    let found: Value = anyone.get("/services?q=pv-keys").await.ok().json();
    assert_eq!(found["items"][0]["name"], "kms");
    let module: Value = anyone.get("/services?module=v-suite&state=missing").await.ok().json();
    assert_eq!(module["items"].as_array().unwrap().len(), 5, "{module}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_of_a_name_is_honest_by_every_name_it_has() {
    let nexus = start().await;
    let anyone = nexus.anonymous();
    for name in ["kms", "PV%20Keys", "key-service", "gateway", "backend-api"] {
        let health: Value = anyone.get(&format!("/services/{name}/health")).await.ok().json();
        assert_eq!(health["status"], "pass", "{name}");
    }
    let missing = anyone.get("/services/v-suite/health").await;
    assert_eq!(missing.header("retry-after"), Some("30"));
    missing.problem(503, "not-running");
    anyone.get("/services/no-such-thing/health").await.problem(404, "unknown-name");
    // Liveness is the host's own, and depends on no component.
    for path in ["/health", "/api/health", "/health/gateway"] {
        let alive = anyone.get(path).await.ok();
        assert_eq!(alive.json::<Value>(), json!({ "status": "pass" }), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_leads_to_the_service_that_is_meant_and_nowhere_else() {
    let nexus = start().await;
    let anyone = nexus.anonymous();
    let led = anyone.get("/api/pv-keys/v1/pv/keys?limit=2").await.status(308);
    assert_eq!(led.header("location"), Some("/api/kms/v1/pv/keys?limit=2"), "by the registry");
    anyone.get("/api/vaulted/v1/keys").await.problem(404, "not-found");
    let manager = nexus.member_with(["gateway:manage", "gateway:view"]).await;
    let alias = format!("{GATEWAY}/aliases/vaulted");
    let draft = json!({ "service": "kms", "note": "as the old clients call it" });
    manager.put(&alias, &draft).await.ok();
    let led = anyone.post("/api/vaulted/v1/keys/a%2Fb", json!({})).await.status(308);
    assert_eq!(led.header("location"), Some("/api/kms/v1/keys/a%2Fb"), "the method stays");
    anyone.get("/services/vaulted/health").await.ok();
    let all: Value = manager.get(&format!("{GATEWAY}/aliases")).await.ok().json();
    assert_eq!(all["items"][0]["name"], "vaulted");
    manager.delete(&alias).await.no_content();
    anyone.get("/api/vaulted/v1/keys").await.problem(404, "not-found");
    for (name, draft, status, problem) in [
        ("kms", json!({ "service": "core-os" }), 409, "alias-is-service"),
        ("health", json!({ "service": "kms" }), 422, "alias-reserved"),
        ("Not-One", json!({ "service": "kms" }), 422, "alias-name"),
        ("vaulted", json!({ "service": "no-such" }), 422, "alias-target"),
    ] {
        let path = format!("{GATEWAY}/aliases/{name}");
        manager.put(&path, &draft).await.problem(status, problem);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_ends_says_so_on_every_answer() {
    let nexus = start().await;
    let anyone = nexus.anonymous();
    let version = format!("{GATEWAY}/versions/kms/v1");
    let current: Value = anyone.get(&version).await.ok().json();
    assert_eq!(current["stage"], "current");
    let manager = nexus.member_with(["gateway:manage"]).await;
    let end = json!({
        "deprecated_at": "2026-01-01T00:00:00Z", "sunset_at": "2099-01-01T00:00:00Z",
        "successor": "v2",
    });
    manager.put(&version, &end).await.ok();
    let path = "/api/kms/v1/transit/keys";
    eventually("answers of kms say that they end", seconds(30), async || {
        anyone.get(path).await.header("deprecation").is_some()
    })
    .await;
    let answer = anyone.get(path).await.status(401);
    assert_eq!(answer.header("deprecation"), Some("@1767225600"));
    assert_eq!(answer.header("sunset"), Some("Thu, 01 Jan 2099 00:00:00 GMT"));
    let link = answer.header("link").unwrap();
    assert_eq!(link, "</api/kms/v2>; rel=\"successor-version\"");
    let other = anyone.get("/api/core-os/v1/flags").await;
    assert_eq!(other.header("deprecation"), None, "another service does not end");
    let docs = anyone.get("/docs/kms").await.ok().text();
    assert!(docs.contains("is deprecated") && docs.contains("1 January 2099"), "{docs}");
    manager.delete(&version).await.ok();
    eventually("answers of kms say nothing any more", seconds(30), async || {
        anyone.get(path).await.header("deprecation").is_none()
    })
    .await;
    let wrong = json!({ "sunset_at": "2099-01-01T00:00:00Z" });
    manager.put(&version, wrong).await.problem(422, "sunset-order");
    let unknown = format!("{GATEWAY}/versions/kms/v9");
    manager.put(&unknown, &end).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whoever_may_changes_aliases_and_versions_and_a_tenant_sees_its_own() {
    let nexus = start().await;
    let alias = format!("{GATEWAY}/aliases/mine");
    let version = format!("{GATEWAY}/versions/kms/v1");
    let draft = json!({ "service": "kms" });
    nexus.anonymous().put(&alias, &draft).await.problem(401, "unauthenticated");
    let reader = nexus.member_with(["gateway:view"]).await;
    reader.put(&alias, &draft).await.problem(403, "forbidden");
    reader.put(&version, json!({})).await.problem(403, "forbidden");
    let manager = nexus.member_with(["gateway:*"]).await;
    let made = manager.put(&alias, &draft).await.ok();
    let stale = nexus.member_with(["gateway:*"]).await.header("if-match", "\"7\"");
    stale.put(&alias, &draft).await.problem(412, "precondition-failed");
    assert_eq!(made.header("etag"), Some("\"1\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_shows_every_service_and_is_searched_without_script() {
    let nexus = start().await;
    let anyone = nexus.anonymous();
    let index = anyone.get("/docs").await.ok();
    let policy = index.header("content-security-policy").unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = index.text();
    for shown in ["href=\"/docs/kms\"", "href=\"/docs/core-os\"", "name=\"q\"", "/openapi.json"] {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert!(!page.contains("<script") && !page.contains(" style="), "{page}");
    let found = anyone.get("/docs?q=ROTATE+keys").await.ok().text();
    assert!(found.contains("/docs/kms#post-api-kms-v1-transit-keys"), "{found}");
    let nothing = anyone.get("/docs?q=%3Cscript%3E").await.ok().text();
    assert!(nothing.contains("No operation has all of these words"), "{nothing}");
    assert!(!nothing.contains("<script>"), "what was asked is text");
    let service = anyone.get("/docs/kms").await.ok().text();
    for shown in ["aria-current=\"page\"", "<details", "kms:", "Needs the permission"] {
        assert!(service.contains(shown), "{shown} in {service}");
    }
    anyone.get("/docs/casino").await.problem(404, "not-found");
    let style = page.split("href=\"/docs/assets/docs").nth(1).unwrap();
    let style = format!("/docs/assets/docs{}", style.split('"').next().unwrap());
    let style = anyone.get(&style).await.ok();
    assert!(style.header("cache-control").unwrap().contains("immutable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merged_document_names_each_operation_once_and_who_is_missing() {
    let nexus = start().await;
    let merged: Value = nexus.anonymous().get("/openapi.json").await.ok().json();
    let mut ids = Vec::new();
    for item in merged["paths"].as_object().unwrap().values() {
        let operations = item.as_object().unwrap().values();
        ids.extend(operations.filter_map(|operation| operation["operationId"].as_str()));
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "no two operations have one name");
    assert!(ids.contains(&"gateway.services.list"), "{ids:?}");
    assert_eq!(merged.get("x-nexus-missing"), None, "all that run have answered");
    let schemes = merged["components"]["securitySchemes"].as_object().unwrap();
    assert!(schemes.contains_key("bearer") && schemes.contains_key("api_key"));
}
