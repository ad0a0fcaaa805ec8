//! Secrets are written by many, read by few, and kept in versions.

use nexus_harness::prelude::*;

const SECRET: &str = "/api/kms/v1/secrets/smtp";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_a_secret_need_not_be_able_to_read_it() {
    let nexus = Nexus::start().await;
    let writer = nexus.member_with(["kms:manage", "kms:view"]).await;
    let data = json!({ "user": "mailer", "password": "a planted secret" });
    let written: Value = writer.put(SECRET, json!({ "data": data })).await.ok().json();
    assert_eq!(written, json!({ "name": "smtp", "version": 1 }));
    let value = format!("{SECRET}/value");
    writer.get(&value).await.problem(403, "forbidden");
    nexus.anonymous().get(&value).await.problem(401, "unauthenticated");
    let seen = writer.get(SECRET).await.ok().text();
    assert!(!seen.contains("planted"), "{seen}");
    let reader = nexus.member_with(["kms:reveal"]).await;
    let read = reader.get(&value).await.ok();
    assert_eq!(read.header("cache-control"), Some("no-store"));
    assert_eq!(read.json::<Value>()["data"], data);
    let stranger = nexus.stranger_with(uuid::Uuid::now_v7(), ["kms:reveal"]).await;
    stranger.get(&value).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_who_has_not_seen_the_latest_version_is_told_so() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(["kms:manage", "kms:view", "kms:reveal"]).await;
    by.put(SECRET, json!({ "data": 1, "seen_version": 1 })).await.problem(409, "check-and-set");
    by.put(SECRET, json!({ "data": 1, "seen_version": 0 })).await.ok();
    by.put(SECRET, json!({ "data": 2, "seen_version": 0 })).await.problem(409, "check-and-set");
    by.patch(SECRET, json!({ "check_and_set": true })).await.ok();
    by.put(SECRET, json!({ "data": 2 })).await.problem(422, "check-and-set-required");
    by.put(SECRET, json!({ "data": 2, "seen_version": 1 })).await.ok();
    let read: Value = by.get(&format!("{SECRET}/value?version=1")).await.ok().json();
    assert_eq!((&read["data"], &read["version"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_version_comes_back_and_a_destroyed_one_does_not() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(["kms:manage", "kms:view", "kms:reveal"]).await;
    by.put(SECRET, json!({ "data": "first" })).await.ok();
    by.patch(SECRET, json!({ "versions_max": 2 })).await.ok();
    let (value, first) = (format!("{SECRET}/value?version=1"), format!("{SECRET}/versions/1"));
    by.delete(&first).await.no_content();
    by.get(&value).await.problem(404, "version-gone");
    by.post(&format!("{first}/restore"), json!({})).await.no_content();
    by.get(&value).await.ok();
    // The third version pushes the first one out.
    by.put(SECRET, json!({ "data": "second" })).await.ok();
    by.put(SECRET, json!({ "data": "third" })).await.ok();
    by.get(&value).await.problem(404, "version-gone");
    by.post(&format!("{first}/restore"), json!({})).await.problem(404, "version-gone");
    by.post(&format!("{SECRET}/versions/3/destroy"), json!({})).await.no_content();
    by.get(&format!("{SECRET}/value")).await.problem(404, "version-gone");
    by.delete(SECRET).await.no_content();
    by.get(SECRET).await.problem(404, "not-found");
}
