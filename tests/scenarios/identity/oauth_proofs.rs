//! What programs prove without a secret, and what their tokens are bound to; tokens that are
//! exchanged; programs that look after their own registration. The other side is a library that is
//! not ours.

use super::oauth::{ADDRESS, Program, VERIFIER, escaped, person, query, refused, sent_on};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use nexus_harness::prelude::*;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn public(key: &SigningKey) -> Value {
    let point = key.verifying_key().to_encoded_point(false);
    let part = |part: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(part.unwrap());
    json!({ "kty": "EC", "crv": "P-256", "x": part(point.x()), "y": part(point.y()) })
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature: Signature = key.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A form without anything else that would prove who sends it.
async fn bare(client: &Client, path: &str, proof: &str, fields: &[(&str, &str)]) -> Answer {
    let pairs = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
    let request = client.request(Method::POST, path).body(pairs.collect::<Vec<_>>().join("&"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    match proof.is_empty() {
        true => request.send().await,
        false => request.header("dpop", proof).send().await,
    }
}

/// A proof for the token endpoint (RFC 9449 §4.2).
fn proof(nexus: &Nexus, key: &SigningKey) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(key) });
    let target = format!("{}/oauth2/token", nexus.host().public_url());
    let claims =
        json!({ "htm": "POST", "htu": target, "iat": now(), "jti": Uuid::now_v7().to_string() });
    signed(key, &header, &claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_proves_itself_by_its_key_and_an_assertion_works_once() {
    let nexus = Nexus::start().await;
    let robot = json!({
        "grant_types": ["client_credentials"], "redirect_uris": [], "scopes": [],
        "permissions": ["core-os:view"], "auth_method": "private_key_jwt",
        "jwks": { "keys": [public(&key(7))] },
    });
    let robot = Program::register(&nexus, robot).await;
    assert!(robot.secret.is_empty(), "it has no secret");
    let issuer = nexus.host().public_url().to_owned();
    let assertion = |key: &SigningKey, changed: Value| {
        let mut claims = json!({
            "iss": robot.id, "sub": robot.id, "aud": issuer, "exp": now() + 60,
            "jti": Uuid::now_v7().to_string(),
        });
        claims.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        signed(key, &json!({ "alg": "ES256" }), &claims)
    };
    let ask = async |assertion: &str| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
        ];
        bare(&robot.nexus, "/oauth2/token", "", &fields).await
    };
    let good = assertion(&key(7), json!({}));
    let token: Value = ask(&good).await.ok().json();
    let program = nexus.anonymous().bearer(token["access_token"].as_str().unwrap());
    program.get("/api/core-os/v1/flags").await.ok();
    refused(&ask(&good).await, "invalid_client");
    for (key, changed) in [
        (key(8), json!({})),
        (key(7), json!({ "aud": "https://evil.example" })),
        (key(7), json!({ "exp": now() - 120 })),
        (key(7), json!({ "exp": now() + 3600 })),
        (key(7), json!({ "jti": "" })),
        (key(7), json!({ "iss": "https://evil.example" })),
    ] {
        refused(&ask(&assertion(&key, changed)).await.status(401), "invalid_client");
    }
    // A client with a key is not let in by a secret, and one with a secret not by a key.
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", robot.id.as_str()),
        ("client_secret", "nxc_guessed"),
    ];
    refused(&bare(&robot.nexus, "/oauth2/token", "", &fields).await, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_worth_nothing_to_whoever_does_not_hold_its_key() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let app = Program::register(&nexus, json!({ "kind": "public" })).await;
    let (mine, thief) = (key(7), key(8));
    let code = app.code(&person).await;
    let redeem = async |proof: &str, code: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", app.id.as_str()),
            ("code", code),
            ("redirect_uri", ADDRESS),
            ("code_verifier", VERIFIER),
        ];
        bare(&app.nexus, "/oauth2/token", proof, &fields).await
    };
    let first = proof(&nexus, &mine);
    let tokens: Value = redeem(&first, &code).await.ok().json();
    assert_eq!(tokens["token_type"], "DPoP");
    let text = tokens["access_token"].as_str().unwrap();
    let jkt = claims_of(text)["cnf"]["jkt"].as_str().unwrap().to_owned();
    assert_eq!(jkt.len(), 43);
    // As bearer it is refused; with a proof of its key it is taken.
    assert_eq!(nexus.anonymous().bearer(text).get("/api/core-os/v1/flags").await.status, 401);
    let about = |key: &SigningKey| {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(key) });
        let target = format!("{}/api/core-os/v1/flags", nexus.url());
        let claims = json!({ "htm": "GET", "htu": target, "iat": now(),
            "jti": Uuid::now_v7().to_string(),
            "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(text)) });
        signed(key, &header, &claims)
    };
    let shown = async |key: &SigningKey| {
        let client = nexus.anonymous().header("authorization", &format!("DPoP {text}"));
        let request = client.request(Method::GET, "/api/core-os/v1/flags");
        request.header("dpop", &about(key)).send().await
    };
    shown(&mine).await.ok();
    assert_eq!(shown(&thief).await.status, 401);
    // So is its refresh token, since the client has no secret.
    let refresh = async |proof: &str| {
        let token = tokens["refresh_token"].as_str().unwrap();
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", app.id.as_str()),
            ("refresh_token", token),
        ];
        bare(&app.nexus, "/oauth2/token", proof, &fields).await
    };
    refused(&refresh("").await, "invalid_grant");
    refused(&refresh(&proof(&nexus, &thief)).await, "invalid_grant");
    refused(&refresh(&first).await, "invalid_dpop_proof");
    let next: Value = refresh(&proof(&nexus, &mine)).await.ok().json();
    assert_eq!(claims_of(next["access_token"].as_str().unwrap())["cnf"]["jkt"], jkt.as_str());
    // A code that was asked for with a key is redeemed with that key alone.
    let bound = sent_on(&person.get(&app.wish(&[("dpop_jkt", &jkt)])).await);
    let code = query(&bound, "code").expect("a code");
    refused(&redeem(&proof(&nexus, &thief), &code).await, "invalid_grant");
    refused(&redeem("", &code).await, "invalid_grant");
    redeem(&proof(&nexus, &mine), &code).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_asks_for_rs256_gets_its_id_tokens_so_and_nothing_else() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({ "id_token_alg": "RS256" })).await;
    let tokens: Value = shop.redeem(&shop.code(&person).await).await.ok().json();
    let text = |name: &str| tokens[name].as_str().unwrap();
    let header = decode_header(text("id_token")).unwrap();
    assert_eq!(header.alg, Algorithm::RS256);
    assert_eq!(decode_header(text("access_token")).unwrap().alg, Algorithm::ES256);
    let set: JwkSet = nexus.anonymous().get("/.well-known/jwks.json").await.ok().json();
    let key = set.find(&header.kid.unwrap()).expect("the RSA key is published");
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[&shop.id]);
    rules.set_issuer(&[nexus.host().public_url()]);
    let key = DecodingKey::from_jwk(key).unwrap();
    decode::<Value>(text("id_token"), &key, &rules).unwrap();
    // Hosts have never heard of that key.
    let client = nexus.anonymous().bearer(text("id_token"));
    assert_eq!(client.get("/api/core-os/v1/flags").await.status, 401);
    let about: Value = nexus.anonymous().get("/.well-known/openid-configuration").await.ok().json();
    let algorithms = &about["id_token_signing_alg_values_supported"];
    assert_eq!(*algorithms, json!(["ES256", "RS256"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_token_may_less_for_no_longer_and_says_who_acts() {
    let nexus = Nexus::start().await;
    let person = person(&nexus).await;
    let shop = Program::register(&nexus, json!({})).await;
    let tokens: Value = shop.redeem(&shop.code(&person).await).await.ok().json();
    let subject = tokens["access_token"].as_str().unwrap();
    let grants = json!({ "grant_types": [EXCHANGE], "redirect_uris": [],
        "scopes": ["core-os:view", "core-os:configure"] });
    let service = Program::register(&nexus, grants).await;
    let exchange = async |who: &Program, token: &str, more: &[(&str, &str)]| {
        let mut fields = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        fields.extend(more.iter().copied());
        who.form("/oauth2/token", &fields).await
    };
    let given: Value = exchange(&service, subject, &[]).await.ok().json();
    assert_eq!(
        (&given["scope"], &given["issued_token_type"]),
        (&json!("core-os:view"), &json!(ACCESS_TOKEN))
    );
    let text = given["access_token"].as_str().unwrap();
    let (before, after) = (claims_of(subject), claims_of(text));
    assert_eq!(after["sub"], before["sub"]);
    assert_eq!(after["act"]["sub"], service.id.as_str());
    assert!(after["exp"].as_i64() <= before["exp"].as_i64());
    nexus.anonymous().bearer(text).get("/api/core-os/v1/flags").await.ok();
    // The person may configure, and so may the service ask; the token that was shown may not.
    let more = exchange(&service, subject, &[("scope", "core-os:configure")]).await;
    refused(&more, "invalid_scope");
    refused(
        &exchange(&service, subject, &[("audience", "https://evil.example")]).await,
        "invalid_target",
    );
    refused(&exchange(&shop, subject, &[]).await, "unauthorized_client");
    for worthless in [
        "eyJ.e30.x",
        tokens["refresh_token"].as_str().unwrap(),
        tokens["id_token"].as_str().unwrap(),
    ] {
        refused(&exchange(&service, worthless, &[]).await, "invalid_grant");
    }
    // For another program: this platform does not take it.
    let narrow: Value = exchange(&service, subject, &[("audience", &shop.id)]).await.ok().json();
    let client = nexus.anonymous().bearer(narrow["access_token"].as_str().unwrap());
    assert_eq!(client.get("/api/core-os/v1/flags").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_looks_after_its_own_registration_and_gives_itself_nothing() {
    let nexus = Nexus::start().await;
    let maker = nexus.member_with(["auth:register", "core-os:view"]).await;
    let metadata = json!({ "client_name": "Shop", "redirect_uris": [ADDRESS],
        "scope": "core-os:view" });
    let made: Value = maker.post("/oauth2/register", &metadata).await.status(201).json();
    let token = made["registration_access_token"].as_str().unwrap();
    let path = made["registration_client_uri"].as_str().unwrap();
    let path = path.strip_prefix(nexus.host().public_url()).unwrap();
    let shop = nexus.anonymous().bearer(token);
    let read: Value = shop.get(path).await.ok().json();
    assert_eq!((&read["client_name"], &read["client_id"]), (&json!("Shop"), &made["client_id"]));
    assert!(read.get("client_secret").is_none());
    let change = |more: Value| {
        let mut changed = metadata.clone();
        changed["client_id"] = made["client_id"].clone();
        changed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        changed
    };
    let renamed = change(json!({ "client_name": "New shop" }));
    let renamed: Value = shop.put(path, renamed).await.ok().json();
    assert_eq!(renamed["client_name"], "New shop");
    for more in [
        json!({ "scope": "core-os:configure" }),
        json!({ "scope": "*" }),
        json!({ "grant_types": ["authorization_code", "client_credentials"] }),
        json!({ "grant_types": [EXCHANGE] }),
        json!({ "token_endpoint_auth_method": "none" }),
        json!({ "client_id": Uuid::now_v7() }),
        json!({ "client_secret": "nxc_guessed" }),
    ] {
        refused(&shop.put(path, change(more)).await, "invalid_client_metadata");
    }
    let evil = change(json!({ "redirect_uris": ["javascript:alert(1)"] }));
    refused(&shop.put(path, evil).await, "invalid_redirect_uri");
    // Nobody else's token, and no other credential, reads or ends it.
    let other: Value = maker.post("/oauth2/register", &metadata).await.status(201).json();
    let other = nexus.anonymous().bearer(other["registration_access_token"].as_str().unwrap());
    for stranger in [&other, &nexus.anonymous(), &nexus.operator()] {
        refused(&stranger.get(path).await.status(401), "invalid_token");
        refused(&stranger.delete(path).await.status(401), "invalid_token");
    }
    shop.delete(path).await.no_content();
    refused(&shop.get(path).await.status(401), "invalid_token");
}
