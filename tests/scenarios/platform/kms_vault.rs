//! Clients that were written for Vault's transit engine find it here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_harness::prelude::*;

const ALL: [&str; 3] = ["kms:view", "kms:manage", "kms:use"];

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_encrypted_decrypted_and_wrapped_anew() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    by.post("/v1/transit/keys/cards", json!({})).await.ok();
    let batch: Vec<Value> =
        ["4242", "4711"].iter().map(|text| json!({ "plaintext": b64(text) })).collect();
    let answer: Value =
        by.post("/v1/transit/encrypt/cards", json!({ "batch_input": batch })).await.ok().json();
    let sealed = answer["data"]["batch_results"].clone();
    assert_eq!(sealed.as_array().unwrap().len(), 2);
    by.post("/v1/transit/keys/cards/rotate", json!({})).await.ok();
    let old: Vec<Value> = sealed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| json!({ "ciphertext": item["ciphertext"] }))
        .collect();
    let answer: Value =
        by.post("/v1/transit/rewrap/cards", json!({ "batch_input": old })).await.ok().json();
    let anew = answer["data"]["batch_results"].clone();
    assert_eq!(anew[1]["key_version"], 2);
    let answer: Value =
        by.post("/v1/transit/decrypt/cards", json!({ "batch_input": anew })).await.ok().json();
    assert_eq!(answer["data"]["batch_results"][1]["plaintext"], b64("4711"));
    // One that cannot be read spoils its own place only.
    let mixed = json!([{ "ciphertext": anew[0]["ciphertext"] }, { "ciphertext": "vault:v1:AAAA" }]);
    let answer: Value = by
        .post("/v1/transit/decrypt/cards", json!({ "batch_input": mixed }))
        .await
        .status(400)
        .json();
    assert_eq!(answer["data"]["batch_results"][0]["plaintext"], b64("4242"));
    assert!(answer["data"]["batch_results"][1]["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_marshaled_both_ways_and_macs_are_verified() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    by.post("/v1/transit/keys/web", json!({ "type": "ecdsa-p256" })).await.ok();
    for marshaling in ["asn1", "jws"] {
        let asked = json!({ "input": b64("a token"), "marshaling_algorithm": marshaling });
        let signed: Value = by.post("/v1/transit/sign/web/sha2-256", asked).await.ok().json();
        let signature = signed["data"]["signature"].as_str().unwrap();
        let asked = json!({
            "input": b64("a token"), "signature": signature, "marshaling_algorithm": marshaling,
        });
        let verified: Value = by.post("/v1/transit/verify/web", asked).await.ok().json();
        assert_eq!(verified["data"]["valid"], true, "{marshaling}");
    }
    by.post("/v1/transit/keys/mac", json!({ "type": "hmac" })).await.ok();
    let asked = json!({ "input": b64("a message") });
    let made: Value = by.post("/v1/transit/hmac/mac/sha2-512", asked).await.ok().json();
    for (input, valid) in [("a message", true), ("another", false)] {
        let asked = json!({ "input": b64(input), "hmac": made["data"]["hmac"] });
        let verified: Value = by.post("/v1/transit/verify/mac/sha2-512", asked).await.ok().json();
        assert_eq!(verified["data"]["valid"], valid, "{input}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_refused_in_vaults_words() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    let missing: Value = by.get("/v1/transit/keys/unheard-of").await.status(404).json();
    assert!(missing["errors"].is_array());
    by.post("/v1/transit/keys/cards", json!({ "convergent_encryption": true })).await.status(400);
    by.post("/v1/transit/keys/cards", json!({})).await.ok();
    by.delete("/v1/transit/keys/cards").await.status(400);
    let export = "/v1/transit/export/encryption-key/cards";
    by.get(export).await.status(403);
    by.post("/v1/transit/keys/cards/config", json!({ "deletion_allowed": true })).await.ok();
    by.delete("/v1/transit/keys/cards").await.no_content();
    by.get("/v1/transit/keys/cards").await.status(404);
    let exportable = json!({ "exportable": true, "auto_rotate_period": "30d" });
    by.post("/v1/transit/keys/open", exportable).await.ok();
    let exported: Value = by.get("/v1/transit/export/encryption-key/open").await.ok().json();
    let key = exported["data"]["keys"]["1"].as_str().unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 32);
    let health: Value = nexus.anonymous().get("/v1/sys/health").await.ok().json();
    assert_eq!(health["sealed"], false);
}
