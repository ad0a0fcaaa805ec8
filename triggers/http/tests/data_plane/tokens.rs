//! Access tokens of the platform: what they may, and what attackers make of them.

use crate::clients::{Answer, ask, get};
use crate::platform::{ISSUER, Issuer, Platform, claims, now};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;
use uuid::Uuid;

async fn show(address: SocketAddr, token: &str) -> Answer {
    ask(address, get("/echo/x").header("authorization", format!("Bearer {token}"))).await
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_may_what_its_subject_may_cut_down_to_its_scope() {
    let platform = Platform::new().await;
    let issuer = Issuer::new("k-1");
    platform.publish(&issuer).await;
    platform.subject("u-1", &["catalog:*", "orders:view"]).await;
    platform.member("u-1", "o-1", Some(&["finance:view"])).await;
    let host = platform.host().await;
    for (more, permissions) in [
        (json!({}), json!(["catalog:*", "orders:view"])),
        (json!({ "scope": "openid profile" }), json!(["openid", "profile"])),
        (json!({ "scope": "catalog:view finance:view openid" }), json!(["catalog:view", "openid"])),
        (json!({ "scope": "*" }), json!(["catalog:*", "orders:view"])),
        (json!({ "org": "o-1" }), json!(["catalog:*", "orders:view", "finance:view"])),
        (json!({ "org": "o-1", "scope": "finance:*" }), json!(["finance:view"])),
        (json!({ "permissions": ["a:b"], "kind": "service", "sub": "robot" }), json!(["a:b"])),
    ] {
        let answer = show(host.address(), &issuer.token("u-1", &more)).await;
        assert_eq!(answer.json()["principal"]["permissions"], permissions, "{more}");
    }
    let left = issuer.token("u-1", &json!({ "org": "o-2" }));
    show(host.address(), &left).await.is_problem(401, "invalid-token");
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_lies_about_its_key_proves_nothing() {
    let platform = Platform::new().await;
    let (one, two) = (Issuer::new("k-1"), Issuer::new("k-2"));
    for issuer in [&one, &two] {
        platform.publish(issuer).await;
    }
    platform.subject("u-1", &["*"]).await;
    let host = platform.host_with(|config| config.rate.refused_tokens.quota = 100_000).await;
    assert_eq!(show(host.address(), &one.token("u-1", &json!({}))).await.status, 200);
    let claims = claims("u-1", &json!({}));
    let header = |alg: &str, more: Value| {
        let mut header = json!({ "alg": alg, "typ": "at+jwt", "kid": "k-1" });
        for (name, value) in more.as_object().into_iter().flatten() {
            header[name] = value.clone();
        }
        header
    };
    let mut attacks: Vec<(&str, String)> = Vec::new();
    for none in ["none", "None", "NONE", "nOnE"] {
        attacks.push(("none", format!("{}.{}.", part(&header(none, json!({}))), part(&claims))));
    }
    // The public key, in every form a client may have it, as the secret of an HMAC.
    for secret in [one.jwk.to_string(), one.jwk["x"].as_str().unwrap().to_owned()] {
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some("k-1".into());
            let key = EncodingKey::from_secret(secret.as_bytes());
            attacks.push(("hmac", encode(&header, &claims, &key).unwrap()));
        }
    }
    let forged = |kid: Option<&str>, change: &dyn Fn(&mut Header)| {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = kid.map(str::to_owned);
        change(&mut header);
        encode(&header, &claims, &two.encoding).unwrap()
    };
    for kid in ["k-1", "", "../../dev/null", "k-2' or '1'='1", "k-2\u{0}", "K-2"] {
        attacks.push(("kid", forged(Some(kid), &|_| {})));
    }
    attacks.push(("no kid among several keys", forged(None, &|_| {})));
    attacks.push(("crit", forged(Some("k-2"), &|h| h.crit = Some(vec!["exp".into()]))));
    attacks.push(("typ", forged(Some("k-2"), &|h| h.typ = Some("logout+jwt".into()))));
    attacks.push(("jku", forged(Some("k-9"), &|h| h.jku = Some(format!("{ISSUER}/jwks")))));
    let thief = Issuer::new("k-9");
    let mut own = Header::new(Algorithm::ES256);
    own.jwk = Some(serde_json::from_value(thief.jwk.clone()).unwrap());
    attacks.push(("jwk in the header", encode(&own, &claims, &thief.encoding).unwrap()));
    attacks.push(("oversized", one.token("u-1", &json!({ "pad": "a".repeat(9000) }))));
    let good = one.token("u-1", &json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let more = part(&self::claims("admin", &json!({})));
    attacks.push(("another payload", format!("{}.{more}.{}", parts[0], parts[2])));
    attacks.push(("no signature", format!("{}.{}.", parts[0], parts[1])));
    attacks.push(("four parts", format!("{good}.x")));
    attacks.push(("JSON form", json!({ "payload": parts[1], "signature": parts[2] }).to_string()));
    for (what, token) in &attacks {
        let answer = show(host.address(), token).await;
        assert_eq!(answer.status, 401, "{what}: {token}");
        answer.is_problem(401, "invalid-token");
    }
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_others_or_of_another_time_proves_nothing() {
    let platform = Platform::new().await;
    let issuer = Issuer::new("k-1");
    platform.publish(&issuer).await;
    platform.subject("u-1", &["*"]).await;
    let host = platform.host().await;
    let now = now();
    for (more, status) in [
        (json!({ "exp": now - 25 }), 200),
        (json!({ "exp": now - 35 }), 401),
        (json!({ "exp": null }), 401),
        (json!({ "exp": "tomorrow" }), 401),
        (json!({ "nbf": now + 25 }), 200),
        (json!({ "nbf": now + 60 }), 401),
        (json!({ "iat": now + 60 }), 401),
        (json!({ "iat": null }), 401),
        (json!({ "jti": null }), 401),
        (json!({ "aud": ["other", "nexus"] }), 200),
        (json!({ "aud": "other" }), 401),
        (json!({ "aud": "web" }), 401),
        (json!({ "aud": null }), 401),
        (json!({ "iss": "https://evil.example" }), 401),
        (json!({ "iss": "https://nexus.example/" }), 401),
        (json!({ "iss": null }), 401),
        (json!({ "sub": "" }), 401),
        (json!({ "kind": "anonymous" }), 401),
        (json!({ "tenant": Uuid::nil() }), 401),
    ] {
        let answer = show(host.address(), &issuer.token("u-1", &more)).await;
        assert_eq!(answer.status, status, "{more}");
    }
    host.stop().await;
    platform.end().await;
}

/// Whatever is done to a good token, it is that token or none.
#[tokio::test(flavor = "multi_thread")]
async fn no_change_of_a_single_character_is_believed() {
    let platform = Platform::new().await;
    let issuer = Issuer::new("k-1");
    platform.publish(&issuer).await;
    platform.subject("u-1", &["*"]).await;
    let host = platform.host_with(|config| config.rate.refused_tokens.quota = 100_000).await;
    let good = issuer.token("u-1", &json!({}));
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
    let change = (0..good.len(), 0..letters.len());
    let mut runner = TestRunner::deterministic();
    for _ in 0..400 {
        let (at, letter) = change.new_tree(&mut runner).unwrap().current();
        let mut changed = good.clone().into_bytes();
        changed[at] = letters[letter];
        let changed = String::from_utf8(changed).unwrap();
        if changed != good {
            let answer = show(host.address(), &changed).await;
            assert_eq!(answer.status, 401, "{at}: {changed}");
        }
    }
    host.stop().await;
    platform.end().await;
}

/// A proof (RFC 9449 section 4.2) of `by`'s key, for a request with the token `bound`.
pub fn proof(by: &Issuer, method: &str, path: &str, bound: &str) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("dpop+jwt".into());
    header.jwk = Some(serde_json::from_value(by.jwk.clone()).unwrap());
    let claims = json!({
        "htm": method, "htu": format!("http://nexus.example{path}"), "iat": now(),
        "jti": Uuid::new_v4(), "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(bound)),
    });
    encode(&header, &claims, &by.encoding).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_bound_to_a_key_is_worth_nothing_without_it() {
    let platform = Platform::new().await;
    let (issuer, holder) = (Issuer::new("k-1"), Issuer::new("holder"));
    platform.publish(&issuer).await;
    platform.subject("u-1", &[]).await;
    let host = platform.host().await;
    let jwk: Jwk = serde_json::from_value(holder.jwk.clone()).unwrap();
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256);
    let bound = issuer.token("u-1", &json!({ "cnf": { "jkt": thumbprint } }));
    let proof = |by: &Issuer, method: &str, path: &str| proof(by, method, path, &bound);
    let dpop = |proof: &str| {
        get("/echo/x").header("authorization", format!("DPoP {bound}")).header("dpop", proof)
    };
    let good = proof(&holder, "GET", "/echo/x");
    let seen = ask(host.address(), dpop(&good)).await.json();
    assert_eq!(seen["principal"]["subject"], "u-1");
    assert!(
        seen["headers"].get("dpop").is_none() && seen["headers"].get("authorization").is_none()
    );
    let thief = Issuer::new("thief");
    let wrong = [
        good.clone(),
        proof(&thief, "GET", "/echo/x"),
        proof(&holder, "POST", "/echo/x"),
        proof(&holder, "GET", "/echo/y"),
        "nonsense".to_owned(),
    ];
    for proof in &wrong {
        let answer = ask(host.address(), dpop(proof)).await;
        answer.is_problem(401, "invalid-dpop-proof");
        let challenge = answer.field("www-authenticate");
        assert!(challenge.starts_with("DPoP error=\"invalid_dpop_proof\""), "{challenge}");
    }
    show(host.address(), &bound).await.is_problem(401, "invalid-dpop-proof");
    let unbound = issuer.token("u-1", &json!({}));
    let as_dpop = get("/echo/x").header("authorization", format!("DPoP {unbound}"));
    ask(host.address(), as_dpop).await.is_problem(401, "invalid-token");
    host.stop().await;
    platform.end().await;
}
