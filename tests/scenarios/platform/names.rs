//! Every name the suite goes by answers for its health: with 200 when it runs, honestly otherwise.

use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_something_that_runs_is_healthy_in_any_spelling() {
    let nexus = Nexus::start().await;
    for name in ["core-os", "CORE%20OS", "Core_OS"] {
        let health: Value =
            nexus.anonymous().get(&format!("/services/{name}/health")).await.ok().json();
        assert_eq!(health["status"], "pass", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_the_registry_answers_and_says_what_is_missing() {
    let nexus = Nexus::start().await;
    let anyone = nexus.anonymous();
    let aliases: Value = anyone.get("/api/core-os/v1/aliases").await.ok().json();
    let modules: Value = anyone.get("/api/core-os/v1/modules").await.ok().json();
    let services: Value = anyone.get("/api/core-os/v1/services").await.ok().json();
    let apps: Value = anyone.get("/api/core-os/v1/apps").await.ok().json();
    let all = [&aliases, &modules, &services, &apps];
    let names: Vec<&str> = all
        .iter()
        .flat_map(|list| list["items"].as_array().unwrap())
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert!(names.len() > 200, "{} names", names.len());
    for name in names {
        let answer = anyone.get(&format!("/services/{name}/health")).await;
        let body: Value = answer.json();
        match answer.status.as_u16() {
            200 => assert!(body["parts"].as_array().unwrap().iter().all(|p| p["state"] == "up")),
            503 => assert!(!body["missing"].as_array().unwrap().is_empty(), "{body}"),
            other => panic!("{name}: {other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_gave_is_not_found() {
    let nexus = Nexus::start().await;
    nexus.anonymous().get("/services/no-such-thing/health").await.problem(404, "unknown-name");
}
