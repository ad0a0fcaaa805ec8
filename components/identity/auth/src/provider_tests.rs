//! What of a provider's word is believed.

use super::*;
use crate::jose::thumbprint;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

const ISSUER: &str = "https://id.example";
const NOW: i64 = 1_800_000_000;

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn public(key: &SigningKey) -> Value {
    let point = key.verifying_key().to_encoded_point(false);
    let part = |part: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(part.unwrap());
    json!({ "kty": "EC", "crv": "P-256", "x": part(point.x()), "y": part(point.y()), "kid": "1" })
}

fn signed(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    let signature: Signature = key().sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "nexus", "sub": "ada", "nonce": "n", "iat": NOW - 5,
        "exp": NOW + 300, "email": "ada@example.org",
        "at_hash": secrets::half_digest("access"),
    })
}

fn judged(header: Value, claims: Value) -> Result<String, &'static str> {
    let expected = Expected {
        issuer: ISSUER,
        client_id: "nexus",
        nonce: "n",
        access_token: Some("access"),
        now: NOW,
    };
    let token = signed(&header, &claims);
    let claims = believed(&token, &[public(&key())], &expected)?;
    Ok(claims["sub"].as_str().unwrap().to_owned())
}

fn changed(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    claims
}

#[test]
fn an_id_token_is_believed_when_everything_about_it_fits_and_not_otherwise() {
    let head = json!({ "alg": "ES256", "kid": "1" });
    assert!(thumbprint(&public(&key())).is_some());
    assert_eq!(judged(head.clone(), claims()), Ok("ada".into()));
    for (name, value) in [
        ("aud", json!(["nexus"])),
        ("azp", json!("nexus")),
        ("at_hash", Value::Null),
        ("exp", json!(NOW - 59)),
        ("iat", json!(NOW + 59)),
    ] {
        assert_eq!(judged(head.clone(), changed(name, value.clone())), Ok("ada".into()), "{name}");
    }
    for (name, value, why) in [
        ("iss", json!("https://id.example/"), "of another issuer"),
        ("iss", json!("https://evil.example"), "of another issuer"),
        ("iss", Value::Null, "of another issuer"),
        ("aud", json!("other"), "for somebody else"),
        ("aud", json!([]), "for somebody else"),
        ("aud", Value::Null, "for somebody else"),
        ("aud", json!(["nexus", "other"]), "made for another client"),
        ("azp", json!("other"), "made for another client"),
        ("exp", json!(NOW - 60), "is over"),
        ("exp", Value::Null, "does not say when it ends"),
        ("exp", json!("never"), "does not say when it ends"),
        ("iat", Value::Null, "does not say when it ends"),
        ("iat", json!(NOW + 61), "not of now"),
        ("iat", json!(NOW - 601), "not of now"),
        ("nbf", json!(NOW + 61), "not of now"),
        ("nonce", json!("m"), "answers another question"),
        ("nonce", Value::Null, "answers another question"),
        ("at_hash", json!("AAAA"), "another one's"),
        ("sub", json!(""), "names nobody"),
        ("sub", json!("a\u{0}b"), "names nobody"),
        ("sub", Value::Null, "names nobody"),
        ("sub", json!("a".repeat(256)), "names nobody"),
    ] {
        let refused = judged(head.clone(), changed(name, value.clone())).unwrap_err();
        assert!(refused.contains(why), "{name} {value}: {refused}");
    }
    for (header, why) in [
        (json!({ "alg": "none" }), "malformed"),
        (json!({ "alg": "HS256", "kid": "1" }), "malformed"),
        (json!({ "alg": "RS256", "kid": "1" }), "not signed"),
        (json!({ "alg": "ES256", "kid": "2" }), "not signed"),
        (json!({ "alg": "ES256", "kid": "1", "typ": "at+jwt" }), "no ID token"),
        (json!({ "alg": "ES256", "kid": "1", "typ": "logout+jwt" }), "no ID token"),
    ] {
        let refused = judged(header.clone(), claims()).unwrap_err();
        assert!(refused.contains(why), "{header}: {refused}");
    }
}

#[test]
fn a_configuration_is_about_its_issuer_and_names_no_inside_address() {
    let document = |name: &str, value: Value| {
        let mut document = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token", "jwks_uri": "https://id.example/keys",
        });
        document[name] = value;
        Metadata::read(&document, ISSUER, "https://nexus.example").map(|_| ())
    };
    assert_eq!(document("scopes_supported", json!(["openid"])), Ok(()));
    assert_eq!(document("code_challenge_methods_supported", json!(["plain", "S256"])), Ok(()));
    for (name, value) in [
        ("issuer", json!("https://evil.example")),
        ("issuer", json!("https://id.example/")),
        ("token_endpoint", json!("http://id.example/token")),
        ("token_endpoint", json!("https://127.0.0.1/token")),
        ("token_endpoint", json!("https://[::1]/token")),
        ("jwks_uri", json!("https://169.254.169.254/keys")),
        ("jwks_uri", json!("https://0xA9FEA9FE/keys")),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("jwks_uri", Value::Null),
        ("userinfo_endpoint", json!("https://10.0.0.1/userinfo")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("code_challenge_methods_supported", json!(["plain"])),
    ] {
        assert!(document(name, value.clone()).is_err(), "{name} {value}");
    }
}

#[test]
fn a_clients_secret_is_encoded_before_it_is_joined_to_its_name() {
    let header = basic("a b", "s:1/+").unwrap();
    let pair = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), "a+b:s%3A1%2F%2B");
}
