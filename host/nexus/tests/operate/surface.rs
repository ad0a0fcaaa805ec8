//! Who may do what, what is written down about it, and what an operator sees of what happens.

use super::{Bed, QUEUE, SERVICE};
use nexus_harness::prelude::*;

const PATH: &str = "/api/v1/queues/billing/late%20fees%2Feu";

async fn operator(nexus: &Nexus, name: &str, role: &str) -> Client {
    let draft = json!({ "name": name, "role": role });
    let made = nexus.admin().post("/api/v1/operators", draft).await.status(201);
    let made: Value = made.json();
    nobody(nexus).bearer(made["token"].as_str().unwrap())
}

fn nobody(nexus: &Nexus) -> Client {
    Client::new(&format!("http://{}", nexus.host().admin_address()))
}

async fn journal(nexus: &Nexus, query: &str) -> Vec<Value> {
    let page: Value = nexus.admin().get(&format!("/api/v1/audit?{query}")).await.ok().json();
    page["entries"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_opens_what_it_is_for_and_nothing_above() {
    let bed = Bed::begin().await;
    let nexus = &bed.nexus;
    bed.bury("timeout").await;
    let viewer = operator(nexus, "vera", "viewer").await;
    let worker = operator(nexus, "otto", "operator").await;
    let admin = operator(nexus, "ada", "admin").await;
    for client in [&viewer, &worker, &admin] {
        client.get("/api/v1/queues").await.ok();
        client.get("/api/v1/audit").await.ok();
    }
    let letters = "/api/v1/dead-letters?payload=true";
    viewer.get(letters).await.problem(403, "role-required");
    worker.get(letters).await.ok();
    let all = json!({ "filter": { "all": true }, "dry_run": true });
    viewer.post(&format!("{PATH}/redrive"), &all).await.problem(403, "role-required");
    worker.post(&format!("{PATH}/redrive"), &all).await.ok();
    worker.post(&format!("{PATH}/purge"), &all).await.problem(403, "role-required");
    admin.post(&format!("{PATH}/purge"), &all).await.ok();
    for path in ["/api/v1/operators", "/api/v1/audit/export"] {
        worker.get(path).await.problem(403, "role-required");
        admin.get(path).await.ok();
    }
    let draft = json!({ "name": "eve", "role": "admin" });
    worker.post("/api/v1/operators", &draft).await.problem(403, "role-required");
    let list = admin.get("/api/v1/operators").await.ok().text();
    assert!(!list.contains("nx-operator-"), "a token is shown once");
    admin.delete("/api/v1/operators/otto").await.no_content();
    worker.get("/api/v1/queues").await.problem(401, "admin-token-wrong");
    admin.delete("/api/v1/operators/otto").await.problem(404, "no-such-operator");
    for (name, status) in [("root", 422), ("Ada", 422), ("ada", 409)] {
        let draft = json!({ "name": name, "role": "viewer" });
        admin.post("/api/v1/operators", draft).await.status(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_in_the_journal_with_who_gave_it_and_how_it_ended() {
    let bed = Bed::begin().await;
    let nexus = &bed.nexus;
    let otto = operator(nexus, "otto", "operator").await;
    otto.post(&format!("{PATH}/pause"), json!({ "by": "a release" })).await.ok();
    otto.post(&format!("{PATH}/purge"), json!({})).await.problem(403, "role-required");
    otto.post(&format!("{PATH}/pause"), json!({ "nonsense": 1 })).await.status(400);
    let entries = journal(nexus, "actor=otto").await;
    let seen: Vec<_> = entries
        .iter()
        .map(|e| (e["action"].as_str().unwrap(), e["outcome"].as_str().unwrap()))
        .collect();
    let pause = "POST queues/{service}/{queue}/pause";
    let purge = "POST queues/{service}/{queue}/purge";
    let expected = [
        (pause, "refused"),
        (pause, "begun"),
        (purge, "refused"),
        (pause, "done"),
        (pause, "begun"),
    ];
    assert_eq!(seen, expected);
    let last = entries.last().unwrap();
    assert_eq!(last["subject"], format!("{SERVICE}/{QUEUE}"));
    assert_eq!((&last["role"], &last["address"]), (&json!("operator"), &json!("127.0.0.1")));
    assert_eq!(last["credential"].as_str().unwrap().len(), 16);
    assert_eq!(last["body_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(last["call"], entries[3]["call"], "both say which call they are of");
    // Whoever looks leaves nothing.
    nexus.admin().get("/api/v1/queues").await.ok();
    let verified: Value = nexus.admin().get("/api/v1/audit/verify").await.ok().json();
    assert_eq!((&verified["whole"], &verified["entries"]), (&json!(true), &json!(7)));
    let export = nexus.admin().get("/api/v1/audit/export").await.ok().text();
    assert_eq!(export.lines().count(), 7);
    assert!(!export.contains("nx-operator-"), "no token is in the journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_tried_by_hand_and_the_call_is_remembered_with_its_lines() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let viewer = operator(&bed.nexus, "vera", "viewer").await;
    let order = json!({ "path": "/hello/echo", "method": "POST", "body": { "a": 1 } });
    viewer.post("/api/v1/components/hello/invoke", &order).await.problem(403, "role-required");
    let answer: Value = admin.post("/api/v1/components/hello/invoke", &order).await.ok().json();
    assert!(answer["status"].is_u64() && answer["headers"].is_object(), "{answer}");
    admin.post("/api/v1/components/nobody/invoke", &order).await.status(404);
    admin.post("/api/v1/components/hello/invoke", json!({ "path": "x" })).await.status(400);
    bed.nexus.anonymous().get("/").await;
    let list = "/api/v1/invocations?component=hello";
    let mut calls = Vec::new();
    eventually("both calls are remembered", seconds(20), async || {
        let page: Value = admin.get(list).await.ok().json();
        calls = page["invocations"].as_array().unwrap().clone();
        calls.len() >= 2
    })
    .await;
    let triggers: Vec<_> = calls.iter().map(|call| call["trigger"].as_str().unwrap()).collect();
    assert!(triggers.contains(&"invoke") && triggers.contains(&"http"), "{triggers:?}");
    let id = calls[0]["id"].as_str().unwrap();
    let one: Value = admin.get(&format!("/api/v1/invocations/{id}")).await.ok().json();
    assert_eq!(one["trace"][0]["id"], *id);
    admin.get("/api/v1/invocations/0000000000000000").await.problem(404, "no-such-invocation");
    admin.get("/api/v1/logs?level=loud").await.problem(400, "bad-query");
    let logs: Value = admin.get("/api/v1/logs?level=info").await.ok().json();
    assert!(!logs["lines"].as_array().unwrap().is_empty(), "the host has said something");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_happens_and_goes_on_where_a_reader_left_it() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let path = "/api/v1/stream?topics=invocations,conditions&component=hello";
    admin.get("/api/v1/stream?topics=gossip").await.problem(400, "bad-query");
    let mut stream = admin.request(http::Method::GET, path).stream().await.status(200);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    while stream.line().await.unwrap().unwrap() != "event: condition" {}
    bed.nexus.anonymous().get("/").await;
    let mut id = String::new();
    loop {
        let line = stream.line().await.unwrap().unwrap();
        if let Some(number) = line.strip_prefix("id: ") {
            number.clone_into(&mut id);
        }
        if line == "event: invocation" {
            break;
        }
    }
    let shown = stream.line().await.unwrap().unwrap();
    let call: Value = serde_json::from_str(shown.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&call["component"], &call["trigger"]), (&json!("hello"), &json!("http")));
    drop(stream);
    bed.nexus.anonymous().get("/missed").await;
    let again = admin.request(http::Method::GET, path).header("last-event-id", &id);
    let mut again = again.stream().await.status(200);
    while again.line().await.unwrap().unwrap() != "event: invocation" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_by_hand_once_for_each_key() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let send = format!("{PATH}/send");
    let order = json!({ "payload": { "fee": 1 }, "topic": "billing.fee.charged.v1", "key": "k" });
    let sent: Value = admin.post(&send, &order).await.status(202).json();
    let again: Value = admin.post(&send, &order).await.status(202).json();
    assert_eq!((&sent["existed"], &again["existed"]), (&json!(false), &json!(true)));
    assert_eq!(sent["id"], again["id"]);
    let messages: Value = admin.get(&format!("{PATH}/messages?payload=true")).await.ok().json();
    assert_eq!(messages["messages"].as_array().unwrap().len(), 1);
    assert_eq!(messages["messages"][0]["payload"], json!({ "fee": 1 }));
    admin.post(&send, json!({})).await.problem(400, "unreadable-body");
}

/// Every operation of the document is one that the host knows, and the document names them all
/// because the door lets nothing else through.
#[tokio::test(flavor = "multi_thread")]
async fn the_description_invents_no_route() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let document: Value = admin.get("/api/v1/openapi.json").await.ok().json();
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let filled: Vec<&str> =
            path.split('/').map(|piece| if piece.starts_with('{') { "x" } else { piece }).collect();
        for method in methods.as_object().unwrap().keys() {
            if path.ends_with("/stream") {
                continue;
            }
            let method: http::Method = method.to_uppercase().parse().unwrap();
            let ask = admin.request(method.clone(), &filled.join("/"));
            let answer = if method == http::Method::GET { ask } else { ask.json(json!({})) };
            let answer = answer.send().await;
            let text = answer.text();
            let unknown = ["no-admin-route", "method-not-allowed"];
            assert!(unknown.iter().all(|name| !text.contains(name)), "{method} {path}: {text}");
            operations += 1;
        }
    }
    assert!(operations > 50, "{operations}");
    admin.get("/api/v1/nowhere").await.problem(404, "no-admin-route");
}
