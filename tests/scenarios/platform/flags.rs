//! A feature is switched on for some, then for all, and every client of OFREP sees it.

use nexus_harness::prelude::*;

fn player() -> Value {
    json!({
        "key": "new-player",
        "description": "The player with chapters",
        "variants": { "off": false, "on": true },
        "default_variant": "off",
        "off_variant": "off",
        "rules": [
            { "when": [{ "attribute": { "name": "plan", "is": "in", "values": ["HOLLYWOOD"] } }],
              "serve": { "variant": "on" } },
        ],
    })
}

async fn evaluate(nexus: &Nexus, context: Value) -> Value {
    let path = "/ofrep/v1/evaluate/flags/new-player";
    nexus.anonymous().post(path, json!({ "context": context })).await.ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_reaches_its_audience_once_it_is_on() {
    let nexus = Nexus::start().await;
    let editor = nexus.member_with(["core-os:configure", "core-os:view"]).await;
    editor.post("/api/core-os/v1/flags", player()).await.created();
    let evaluated = evaluate(&nexus, json!({ "plan": "HOLLYWOOD" })).await;
    assert_eq!(evaluated["reason"], "DISABLED");
    assert_eq!(evaluated["value"], false);
    let on = json!({ "state": "on" });
    editor.put("/api/core-os/v1/flags/new-player/state", on).await.ok();
    let evaluated = evaluate(&nexus, json!({ "plan": "HOLLYWOOD" })).await;
    assert_eq!((&evaluated["value"], &evaluated["variant"]), (&json!(true), &json!("on")));
    assert_eq!(evaluated["reason"], "TARGETING_MATCH");
    let evaluated = evaluate(&nexus, json!({ "plan": "FREE" })).await;
    assert_eq!((&evaluated["value"], &evaluated["reason"]), (&json!(false), &json!("DEFAULT")));
    let changes: Value = editor.get("/api/core-os/v1/flags/new-player/changes").await.ok().json();
    assert_eq!(changes["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_flag_is_told_in_the_protocols_own_words() {
    let nexus = Nexus::start().await;
    let path = "/ofrep/v1/evaluate/flags/unheard-of";
    let answer = nexus.anonymous().post(path, json!({ "context": {} })).await.status(404);
    let body: Value = answer.json();
    assert_eq!(body["errorCode"], "FLAG_NOT_FOUND");
    assert_eq!(body["key"], "unheard-of");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_polls_gets_304_until_something_changes() {
    let nexus = Nexus::start().await;
    let editor = nexus.operator();
    editor.post("/api/core-os/v1/flags", player()).await.created();
    let path = "/ofrep/v1/evaluate/flags";
    let context = json!({ "context": { "targetingKey": "viewer-1" } });
    let first = nexus.anonymous().post(path, &context).await.ok();
    let tag = first.header("etag").unwrap().to_string();
    let poller = nexus.anonymous().header("if-none-match", &tag);
    poller.post(path, &context).await.status(304);
    editor.put("/api/core-os/v1/flags/new-player/state", json!({ "state": "on" })).await.ok();
    poller.post(path, &context).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_editors_is_told_that_the_flag_has_changed() {
    let nexus = Nexus::start().await;
    let editor = nexus.operator();
    editor.post("/api/core-os/v1/flags", player()).await.created();
    let flag = editor.get("/api/core-os/v1/flags/new-player").await.ok();
    let tag = flag.header("etag").unwrap().to_string();
    let mut revision = player();
    revision.as_object_mut().unwrap().remove("key");
    let path = "/api/core-os/v1/flags/new-player";
    let seen = editor.clone().header("if-match", &tag);
    seen.put(path, &revision).await.ok();
    seen.put(path, &revision).await.problem(412, "precondition-failed");
    editor.put(path, &revision).await.problem(428, "precondition-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_flag_is_pointed_at() {
    let nexus = Nexus::start().await;
    let editor = nexus.operator();
    let mut flag = player();
    flag["default_variant"] = json!("gone");
    let problem = editor.post("/api/core-os/v1/flags", flag).await.problem(422, "unknown-variant");
    assert_eq!(problem.errors[0]["pointer"], "#/default_variant");
    editor.post("/api/core-os/v1/flags", player()).await.created();
    editor.post("/api/core-os/v1/flags", player()).await.problem(409, "flag-exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_edited_by_those_who_may_and_seen_by_their_tenant_alone() {
    let nexus = Nexus::start().await;
    let path = "/api/core-os/v1/flags";
    nexus.anonymous().post(path, player()).await.problem(401, "unauthenticated");
    let reader = nexus.member_with(["core-os:view"]).await;
    reader.post(path, player()).await.problem(403, "forbidden");
    nexus.operator().post(path, player()).await.created();
    let stranger = nexus.stranger_with(uuid::Uuid::now_v7(), ["core-os:view"]).await;
    stranger.get("/api/core-os/v1/flags/new-player").await.problem(404, "not-found");
    let theirs: Value = stranger.get(path).await.ok().json();
    assert_eq!(theirs["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_sent_twice_with_one_key_makes_one_flag() {
    let nexus = Nexus::start().await;
    let editor = nexus.operator().header("idempotency-key", "make-player-1");
    let first = editor.post("/api/core-os/v1/flags", player()).await.status(201);
    let second = editor.post("/api/core-os/v1/flags", player()).await.status(201);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.json::<Value>(), second.json::<Value>());
    let mut other = player();
    other["key"] = json!("another");
    let reused = editor.post("/api/core-os/v1/flags", other).await;
    reused.problem(422, "idempotency-key-reused");
}
