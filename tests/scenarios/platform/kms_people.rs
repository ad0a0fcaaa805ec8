//! People own signing keys: they sign with them, take them along wrapped, and get them back from
//! shares that they have given to others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_harness::prelude::*;

const KEYS: &str = "/api/kms/v1/pv/keys";

fn nobody() -> [&'static str; 0] {
    []
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_with_a_key_that_nobody_else_can_reach() {
    let nexus = Nexus::start().await;
    let ada = nexus.member_with(nobody()).await;
    let made = ada.post(KEYS, json!({ "name": "artist", "type": "ed25519" })).await.created();
    assert_eq!(made.json["versions"][0]["jwk"]["kty"], "OKP");
    let own = format!("{KEYS}/artist");
    let input = json!({ "input": STANDARD.encode("a work") });
    let signed: Value = ada.post(&format!("{own}/sign"), &input).await.ok().json();
    assert_eq!(STANDARD.decode(signed["signature"].as_str().unwrap()).unwrap().len(), 64);
    nexus.anonymous().get(&own).await.problem(401, "unauthenticated");
    // Not even by those who may do everything with the tenant's keys.
    let operator = nexus.operator();
    operator.post(&format!("{own}/sign"), &input).await.problem(404, "not-found");
    let listed: Value = operator.get("/api/kms/v1/transit/keys").await.ok().json();
    assert_eq!(listed["items"], json!([]));
    let listed: Value = ada.get(KEYS).await.ok().json();
    assert_eq!(listed["items"][0]["name"], "artist");
    let rsa = json!({ "name": "old", "type": "rsa-2048" });
    ada.post(KEYS, rsa).await.problem(422, "persons-key-type");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_leaves_only_wrapped_and_its_owner_has_just_signed_in() {
    let nexus = Nexus::start().await;
    let ada = nexus.member_with(nobody()).await;
    ada.post(KEYS, json!({ "name": "artist", "type": "ecdsa-p256" })).await.created();
    let export = format!("{KEYS}/artist/export");
    let short = json!({ "wrapping_key": STANDARD.encode([1; 8]) });
    ada.post(&export, short).await.problem(422, "wrapping-key");
    let asked = json!({ "wrapping_key": STANDARD.encode([1; 32]) });
    let exported: Value = ada.post(&export, &asked).await.ok().json();
    let wrapped = STANDARD.decode(exported["wrapped"].as_str().unwrap()).unwrap();
    assert_eq!(wrapped.len() % 8, 0);
    let import = "/api/kms/v1/pv/imports";
    let mut again = json!({
        "name": "again", "wrapped": exported["wrapped"],
        "wrapping_key": STANDARD.encode([2; 32]),
    });
    ada.post(import, &again).await.problem(422, "wrapped-key");
    again["wrapping_key"] = asked["wrapping_key"].clone();
    let imported: Value = ada.post(import, &again).await.status(201).json();
    let shown: Value = ada.get(&format!("{KEYS}/artist")).await.ok().json();
    assert_eq!(imported["versions"][0]["jwk"], shown["versions"][0]["jwk"]);
    nexus.advance(minutes(11)).await;
    ada.post(&export, &asked).await.problem(403, "step-up-required");
    ada.delete(&format!("{KEYS}/artist")).await.problem(403, "step-up-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_comes_back_from_enough_shares() {
    let nexus = Nexus::start().await;
    let ada = nexus.member_with(nobody()).await;
    let made = ada.post(KEYS, json!({ "name": "artist", "type": "ed25519" })).await.created();
    let jwk = made.json["versions"][0]["jwk"].clone();
    let path = format!("{KEYS}/artist/shares");
    let few = json!({ "shares": 3, "threshold": 4 });
    ada.post(&path, few).await.problem(422, "share-count");
    let asked = json!({ "shares": 5, "threshold": 3 });
    let shared: Value = ada.post(&path, asked).await.ok().json();
    let shares: Vec<Value> = shared["shares"].as_array().unwrap().clone();
    assert_eq!(shares.len(), 5);
    ada.delete(&format!("{KEYS}/artist")).await.no_content();
    ada.get(&format!("{KEYS}/artist")).await.problem(404, "not-found");
    let recover = "/api/kms/v1/pv/recoveries";
    let two = json!({ "name": "artist", "shares": shares[..2] });
    ada.post(recover, two).await.problem(422, "shares-too-few");
    let three = json!({ "name": "artist", "shares": [shares[4], shares[0], shares[2]] });
    let back: Value = ada.post(recover, three).await.status(201).json();
    assert_eq!(back["versions"][0]["jwk"], jwk);
}
