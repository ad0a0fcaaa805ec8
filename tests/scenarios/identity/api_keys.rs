//! A program has a key: it may do a part of what its owner may, from where its owner said, until it
//! is exchanged or taken back.

use super::sessions_ground::{
    TOKENS, ask, browser, may, number, person, sign_in, sign_in_proven, suite, tell,
};
use http::Method;
use nexus_harness::Client;
use nexus_harness::prelude::*;
use uuid::Uuid;

async fn nexus() -> Nexus {
    suite(&["core-os", "kms", "session-mgr", "token-mgr"]).await
}

fn keys() -> String {
    format!("{TOKENS}/apikeys")
}

fn with(nexus: &Nexus, made: &Value) -> Client {
    nexus.anonymous().header("x-api-key", made["key"].as_str().unwrap())
}

const FLAGS: &str = "/api/core-os/v1/flags";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_does_a_part_of_what_its_owner_may() {
    let nexus = nexus().await;
    let ada = person(&nexus, &["core-os:view", "core-os:configure"]).await;
    let owner = browser(&nexus, &sign_in(&nexus, &ada).await);
    let draft = json!({ "name": " Deploy ", "permissions": ["core-os:view"] });
    let answer = owner.post(&keys(), &draft).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.created().json;
    let key = made["key"].as_str().unwrap();
    let id = made["id"].as_str().unwrap().replace('-', "");
    assert!(key.starts_with(&format!("nx_test_{id}_")), "{key}");
    let program = with(&nexus, &made);
    program.get(FLAGS).await.ok();
    program.post(FLAGS, json!({})).await.problem(403, "forbidden");
    let bearer = nexus.anonymous().bearer(key);
    bearer.get(FLAGS).await.ok();
    // A key makes no keys and no tokens, and neither sees nor ends others.
    program.post(&keys(), &draft).await.problem(403, "people-only");
    program.post(&format!("{TOKENS}/tokens"), json!({})).await.problem(403, "people-only");
    let own = format!("{}/{}", keys(), made["id"].as_str().unwrap());
    program.delete(&own).await.problem(403, "people-only");
    program.get(&keys()).await.problem(403, "people-only");
    program.get("/api/session-mgr/v1/sessions").await.problem(403, "people-only");
    let list: Value = owner.get(&keys()).await.ok().json();
    assert_eq!(list["items"][0]["name"], "Deploy");
    assert_eq!(list["items"][0]["beginning"], json!(format!("nx_test_{id}")));
    assert!(!list.to_string().contains(key));
    let kept = format!("select count(*) from token_mgr.api_key k where k::text like '%{key}%'");
    assert_eq!(number(&nexus, &kept).await, 0);
    let path = format!("{TOKENS}/internal/introspect");
    let told = ask(&nexus, "gateway", "token-mgr", Method::POST, &path, json!({ "token": key }));
    let told = told.await.status(200);
    assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("core-os:view")));
    may(&nexus, &ada, &["core-os:configure"]).await;
    let gone = async || program.get(FLAGS).await.status == 403;
    eventually("what its owner has lost is lost", seconds(5), gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_nothing_that_its_owner_may_not() {
    let nexus = nexus().await;
    let ada = person(&nexus, &["core-os:view"]).await;
    let owner = browser(&nexus, &sign_in(&nexus, &ada).await);
    for (change, status, name) in [
        (json!({ "permissions": ["core-os:configure"] }), 403, "api-key-too-much"),
        (json!({ "permissions": ["*"] }), 403, "api-key-too-much"),
        (json!({ "permissions": [] }), 422, "api-key-permissions"),
        (json!({ "permissions": ["everything"] }), 422, "api-key-permissions"),
        (json!({ "networks": ["203.0.113.7/24"] }), 422, "network-form"),
        (json!({ "expires_at": "2099-01-01T00:00:00Z" }), 422, "api-key-expiry"),
        (json!({ "name": " " }), 422, "api-key-name"),
        (json!({ "organisation": Uuid::now_v7() }), 403, "not-a-member"),
    ] {
        let mut draft = json!({ "name": "Deploy" });
        draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        owner.post(&keys(), draft).await.problem(status, name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_key_overlaps_with_the_next_and_a_revoked_one_is_out() {
    let nexus = nexus().await;
    let ada = person(&nexus, &["core-os:view"]).await;
    let owner = browser(&nexus, &sign_in(&nexus, &ada).await);
    let first = owner.post(&keys(), json!({ "name": "Deploy" })).await.created().json;
    let path = |made: &Value| format!("{}/{}", keys(), made["id"].as_str().unwrap());
    let rotate = format!("{}/rotate", path(&first));
    let second = owner.post(&rotate, json!({ "overlap_hours": 1 })).await.status(201);
    let second: Value = second.json();
    owner.post(&rotate, json!({})).await.problem(409, "api-key-exchanged");
    for made in [&first, &second] {
        with(&nexus, made).get(FLAGS).await.ok();
    }
    let kept = "select count(*) from platform.credential
        where kind = 'api_key' and expires_at < now() + interval '61 minutes'";
    assert_eq!(number(&nexus, kept).await, 1);
    owner.delete(&path(&second)).await.no_content();
    owner.delete(&path(&second)).await.problem(404, "not-found");
    let out = async || with(&nexus, &second).get(FLAGS).await.status == 401;
    eventually("the revoked key is out", seconds(5), out).await;
    with(&nexus, &first).get(FLAGS).await.ok();
    // Whoever finds a key somewhere may give it back.
    let found = json!({ "token": first["key"] });
    nexus.anonymous().post(&format!("{TOKENS}/tokens/revoke"), found).await.no_content();
    let out = async || with(&nexus, &first).get(FLAGS).await.status == 401;
    eventually("the found key is out", seconds(5), out).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_from_its_own_networks_only() {
    let nexus = nexus().await;
    let ada = person(&nexus, &["core-os:view"]).await;
    let owner = browser(&nexus, &sign_in(&nexus, &ada).await);
    for (network, status) in [("127.0.0.0/8", 200), ("203.0.113.0/24", 401)] {
        let draft = json!({ "name": network, "networks": [network] });
        let made = owner.post(&keys(), draft).await.created().json;
        with(&nexus, &made).get(FLAGS).await.status(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_left_open_makes_no_keys() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let old = browser(&nexus, &sign_in_proven(&nexus, &ada, minutes(61)).await);
    old.post(&keys(), json!({ "name": "Deploy" })).await.problem(403, "step-up-required");
    old.get(&keys()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_at_most_fifty_keys_and_only_keepers_see_those_of_others() {
    let nexus = nexus().await;
    let ada = person(&nexus, &[]).await;
    let owner = browser(&nexus, &sign_in(&nexus, &ada).await);
    for n in 0..50 {
        owner.post(&keys(), json!({ "name": format!("Key {n}") })).await.status(201);
    }
    let one_more = owner.post(&keys(), json!({ "name": "One more" })).await;
    one_more.problem(409, "too-many-api-keys");
    let first: Value = owner.get(&format!("{}?limit=1", keys())).await.ok().json();
    let id = first["items"][0]["id"].as_str().unwrap();
    let bob = person(&nexus, &[]).await;
    let other = browser(&nexus, &sign_in(&nexus, &bob).await);
    other.get(&format!("{}/{id}", keys())).await.problem(404, "not-found");
    other.delete(&format!("{}/{id}", keys())).await.problem(404, "not-found");
    let of_ada = format!("{TOKENS}/users/{}/apikeys", ada.id);
    other.get(&of_ada).await.problem(403, "forbidden");
    let keeper = nexus.member_with(["token-mgr:manage"]).await;
    let list: Value = keeper.get(&format!("{of_ada}?limit=200")).await.ok().json();
    assert_eq!(list["items"].as_array().unwrap().len(), 50);
    let stranger = nexus.stranger_with(Uuid::now_v7(), ["token-mgr:manage"]).await;
    assert_eq!(stranger.get(&of_ada).await.ok().json::<Value>()["items"], json!([]));
    stranger.delete(&format!("{of_ada}/{id}")).await.problem(404, "not-found");
    keeper.delete(&format!("{of_ada}/{id}")).await.no_content();
    owner.post(&keys(), json!({ "name": "One more" })).await.status(201);
    tell(&nexus, "token-mgr", "identity.user.erased.v1", json!({ "id": ada.id })).await;
    assert_eq!(number(&nexus, "select count(*) from token_mgr.api_key").await, 0);
    let left = "select count(*) from platform.credential
        where kind = 'api_key' and revoked_at is null";
    assert_eq!(number(&nexus, left).await, 0);
}
