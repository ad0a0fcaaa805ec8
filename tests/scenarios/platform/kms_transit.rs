//! A tenant keeps keys that never leave: what they encrypt comes back, what they sign is theirs,
//! and a new version changes neither.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_harness::prelude::*;

const KEYS: &str = "/api/kms/v1/transit/keys";
const ALL: [&str; 3] = ["kms:view", "kms:manage", "kms:use"];

fn b64(text: &str) -> String {
    STANDARD.encode(text)
}

async fn make(by: &Client, name: &str, kind: &str) {
    by.post(KEYS, json!({ "name": name, "type": kind })).await.created();
}

async fn encrypt(by: &Client, name: &str, message: &str, context: &str) -> String {
    let path = format!("/api/kms/v1/transit/encrypt/{name}");
    let body = json!({ "plaintext": b64(message), "context": context });
    let answer: Value = by.post(&path, body).await.ok().json();
    answer["ciphertext"].as_str().unwrap().to_owned()
}

async fn decrypt(by: &Client, name: &str, ciphertext: &str, context: &str) -> Answer {
    let path = format!("/api/kms/v1/transit/decrypt/{name}");
    by.post(&path, json!({ "ciphertext": ciphertext, "context": context })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_encrypts_comes_back_in_its_context_only() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    for kind in ["aes256-gcm96", "chacha20-poly1305"] {
        make(&by, kind, kind).await;
        let sealed = encrypt(&by, kind, "a lamp", "order 7").await;
        assert!(sealed.starts_with("vault:v1:"), "{sealed}");
        assert_ne!(sealed, encrypt(&by, kind, "a lamp", "order 7").await);
        let opened = decrypt(&by, kind, &sealed, "order 7").await.ok();
        assert_eq!(opened.header("cache-control"), Some("no-store"));
        assert_eq!(opened.json::<Value>()["plaintext"], b64("a lamp"));
        decrypt(&by, kind, &sealed, "order 8").await.problem(422, "ciphertext");
        let other = if kind == "aes256-gcm96" { "other-a" } else { "other-b" };
        make(&by, other, kind).await;
        decrypt(&by, other, &sealed, "order 7").await.problem(422, "ciphertext");
    }
    decrypt(&by, "aes256-gcm96", "vault:v9:AAAA", "").await.problem(422, "version-unavailable");
    decrypt(&by, "aes256-gcm96", "hunter2", "").await.problem(422, "ciphertext-form");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_old_ciphertexts_open_until_the_key_says_otherwise() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    make(&by, "cards", "aes256-gcm96").await;
    let old = encrypt(&by, "cards", "4242", "").await;
    let rotated: Value = by.post(&format!("{KEYS}/cards/rotate"), json!({})).await.ok().json();
    assert_eq!(rotated["latest_version"], 2);
    let states: Vec<_> =
        rotated["versions"].as_array().unwrap().iter().map(|v| v["state"].clone()).collect();
    assert_eq!(states, ["retiring", "active"]);
    let new = encrypt(&by, "cards", "4242", "").await;
    assert!(new.starts_with("vault:v2:"), "{new}");
    decrypt(&by, "cards", &old, "").await.ok();
    let least = json!({ "min_decryption_version": 2 });
    by.patch(&format!("{KEYS}/cards"), least).await.ok();
    decrypt(&by, "cards", &old, "").await.problem(422, "version-unavailable");
    decrypt(&by, "cards", &new, "").await.ok();
    // Trimmed is gone: not even the former configuration brings it back.
    let trim = json!({ "min_available_version": 2 });
    let trimmed: Value = by.post(&format!("{KEYS}/cards/trim"), trim).await.ok().json();
    assert_eq!(trimmed["versions"][0]["state"], "destroyed");
    let back = json!({ "min_decryption_version": 1 });
    by.patch(&format!("{KEYS}/cards"), back).await.problem(422, "version-order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_and_knows_its_own_signature() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    for (kind, bytes) in [("ed25519", 64), ("ecdsa-p256", 64), ("rsa-2048", 256)] {
        make(&by, kind, kind).await;
        let input = b64("an invoice");
        let path = format!("/api/kms/v1/transit/sign/{kind}");
        let signed: Value = by.post(&path, json!({ "input": input })).await.ok().json();
        let signature = signed["signature"].as_str().unwrap();
        assert_eq!(STANDARD.decode(signature).unwrap().len(), bytes, "{kind}");
        let path = format!("/api/kms/v1/transit/verify/{kind}");
        for (input, valid) in [("an invoice", true), ("another invoice", false)] {
            let asked = json!({ "input": b64(input), "signature": signature, "version": 1 });
            let answer: Value = by.post(&path, asked).await.ok().json();
            assert_eq!(answer["valid"], valid, "{kind}: {input}");
        }
        let shown: Value = by.get(&format!("{KEYS}/{kind}")).await.ok().json();
        let jwk = &shown["versions"][0]["jwk"];
        assert_eq!(jwk["use"], "sig", "{kind}");
        assert!(jwk.get("d").is_none(), "{kind}");
    }
    let asked = json!({ "plaintext": b64("x") });
    by.post("/api/kms/v1/transit/encrypt/ed25519", asked).await.problem(422, "key-cannot");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_used_by_those_who_may_and_seen_by_their_tenant_alone() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    make(&by, "cards", "aes256-gcm96").await;
    let sealed = encrypt(&by, "cards", "4242", "").await;
    nexus.anonymous().get(KEYS).await.problem(401, "unauthenticated");
    let reader = nexus.member_with(["kms:view"]).await;
    let draft = json!({ "name": "mine", "type": "hmac" });
    reader.post(KEYS, draft).await.problem(403, "forbidden");
    decrypt(&reader, "cards", &sealed, "").await.problem(403, "forbidden");
    let stranger = nexus.stranger_with(uuid::Uuid::now_v7(), ALL).await;
    stranger.get(&format!("{KEYS}/cards")).await.problem(404, "not-found");
    decrypt(&stranger, "cards", &sealed, "").await.problem(404, "not-found");
    // Their key of the same name is another key.
    make(&stranger, "cards", "aes256-gcm96").await;
    decrypt(&stranger, "cards", &sealed, "").await.problem(422, "ciphertext");
    // Nobody from outside reaches the keys of components.
    let inner = "/api/kms/v1/internal/keys/tokens";
    nexus.operator().get(inner).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_own_policy_narrows_what_permissions_allow() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    let policy = json!([
        { "to": { "permission": "billing:refund" }, "operations": ["decrypt"] },
        { "to": { "permission": "kms:manage" }, "operations": ["encrypt"] },
    ]);
    let draft = json!({ "name": "cards", "type": "aes256-gcm96", "policy": policy });
    by.post(KEYS, draft).await.created();
    let sealed = encrypt(&by, "cards", "4242", "").await;
    decrypt(&by, "cards", &sealed, "").await.problem(403, "key-policy");
    let refunder = nexus.member_with(["kms:use", "billing:refund"]).await;
    decrypt(&refunder, "cards", &sealed, "").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_destroyed_after_its_waiting_period_and_not_before() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    make(&by, "cards", "aes256-gcm96").await;
    let sealed = encrypt(&by, "cards", "4242", "").await;
    let destruction = format!("{KEYS}/cards/destruction");
    let order = json!({ "waiting_days": 7 });
    by.post(&destruction, &order).await.problem(409, "not-deletable");
    by.patch(&format!("{KEYS}/cards"), json!({ "deletion_allowed": true })).await.ok();
    by.post(&destruction, &order).await.ok();
    decrypt(&by, "cards", &sealed, "").await.problem(409, "key-disabled");
    // Called off, it is disabled until somebody enables it.
    by.delete(&destruction).await.ok();
    by.post(&format!("{KEYS}/cards/enable"), json!({})).await.ok();
    decrypt(&by, "cards", &sealed, "").await.ok();
    by.post(&destruction, &order).await.ok();
    nexus.advance(days(6)).await;
    by.get(&format!("{KEYS}/cards")).await.ok();
    nexus.advance(days(2)).await;
    let gone = async || by.get(&format!("{KEYS}/cards")).await.status.as_u16() == 404;
    eventually("the key is destroyed", seconds(30), gone).await;
    decrypt(&by, "cards", &sealed, "").await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_rotates_by_itself_and_a_version_waits_for_its_day() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    let draft = json!({ "name": "daily", "type": "hmac", "auto_rotate_seconds": 86_400 });
    by.post(KEYS, draft).await.created();
    make(&by, "weekly", "ed25519").await;
    let later = json!({ "activate_after_seconds": 604_800 });
    let waiting: Value = by.post(&format!("{KEYS}/weekly/rotate"), later).await.ok().json();
    assert_eq!(waiting["latest_version"], 1);
    assert_eq!(waiting["versions"][1]["state"], "pre_active");
    assert!(waiting["versions"][1]["jwk"].is_object(), "it is known before it is used");
    nexus.advance(days(2)).await;
    let latest = async |name: &str| {
        let shown: Value = by.get(&format!("{KEYS}/{name}")).await.ok().json();
        shown["latest_version"].as_i64().unwrap()
    };
    let rotated = async || latest("daily").await >= 2;
    eventually("the daily key has rotated", seconds(30), rotated).await;
    assert_eq!(latest("weekly").await, 1);
    nexus.advance(days(6)).await;
    let taken_over = async || latest("weekly").await == 2;
    eventually("the weekly version has taken over", seconds(30), taken_over).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_use_of_a_key_is_counted_by_whom_and_for_what() {
    let nexus = Nexus::start().await;
    let by = nexus.member_with(ALL).await;
    make(&by, "cards", "aes256-gcm96").await;
    let mut sealed = String::new();
    for _ in 0..5 {
        sealed = encrypt(&by, "cards", "4242", "").await;
    }
    decrypt(&by, "cards", &sealed, "").await.ok();
    let other = nexus.member_with(["kms:use"]).await;
    decrypt(&other, "cards", &sealed, "").await.ok();
    let used: Value = by.get(&format!("{KEYS}/cards/usage")).await.ok().json();
    let used = used["items"].as_array().unwrap();
    let of = |operation: &str| {
        let some = used.iter().filter(|row| row["operation"] == operation);
        some.map(|row| row["uses"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(of("encrypt"), [5]);
    assert_eq!(of("decrypt"), [1, 1]);
    let shown: Value = by.get(&format!("{KEYS}/cards")).await.ok().json();
    assert_eq!(shown["versions"][0]["messages"], 5);
}
