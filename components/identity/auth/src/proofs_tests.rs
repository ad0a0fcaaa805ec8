//! Which assertions and proofs are taken, and which are not.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};

const ORIGIN: &str = "https://nexus.example";
const TARGET: &str = "https://nexus.example/oauth2/token";
const NOW: i64 = 1_800_000_000;

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

fn with(mut object: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => object.as_object_mut().unwrap().remove(name),
        value => object.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    object
}

#[test]
fn an_assertion_is_for_us_for_five_minutes_and_for_once() {
    let claims = json!({ "iss": "c", "sub": "c", "aud": ORIGIN, "exp": NOW + 60, "jti": "1" });
    let judge = |claims: &Value| {
        let text = signed(&key(7), &json!({ "alg": "ES256" }), claims);
        assertion_is_good(&Token::read(&text).unwrap(), ORIGIN, NOW)
    };
    assert_eq!(judge(&claims), Ok(()));
    assert_eq!(judge(&with(claims.clone(), "aud", json!([TARGET]))), Ok(()));
    for (name, value, why) in [
        ("aud", json!("https://evil.example"), "for somebody else"),
        ("aud", json!("https://nexus.example/"), "for somebody else"),
        ("aud", Value::Null, "for somebody else"),
        ("exp", Value::Null, "does not say"),
        ("exp", json!(NOW - 61), "is over"),
        ("exp", json!(NOW + 361), "five minutes"),
        ("iat", json!(NOW + 61), "not of now"),
        ("nbf", json!(NOW + 61), "not of now"),
        ("jti", Value::Null, "no jti"),
        ("jti", json!(""), "no jti"),
        ("jti", json!(7), "no jti"),
    ] {
        let refused = judge(&with(claims.clone(), name, value.clone())).unwrap_err();
        assert!(refused.contains(why), "{name} {value}: {refused}");
    }
}

#[test]
fn an_assertion_names_one_client_and_comes_with_its_type() {
    let id = "0197c5a0-0000-7000-8000-000000000001";
    let text = |iss: &str, sub: &str| {
        signed(&key(7), &json!({ "alg": "ES256" }), &json!({ "iss": iss, "sub": sub }))
    };
    let form = |kind: &str, assertion: &str, client: &str| {
        let mut form = Parameters::default();
        for (name, value) in [
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
            ("client_id", client),
        ] {
            if !value.is_empty() {
                form.set(name, value);
            }
        }
        form
    };
    assert!(claimed_by(&Parameters::default()).unwrap().is_none());
    for client in ["", id] {
        let form = form(ASSERTION_TYPE, &text(id, id), client);
        assert_eq!(claimed_by(&form).unwrap().unwrap().0.to_string(), id);
    }
    for (kind, assertion, client) in [
        ("", text(id, id), ""),
        (ASSERTION_TYPE, String::new(), ""),
        ("urn:ietf:params:oauth:client-assertion-type:saml2-bearer", text(id, id), ""),
        (ASSERTION_TYPE, text("other", id), ""),
        (ASSERTION_TYPE, text("x", "x"), ""),
        (ASSERTION_TYPE, text(id, id), "0197c5a0-0000-7000-8000-000000000002"),
        (ASSERTION_TYPE, "eyJhbGciOiJub25lIn0.e30.".to_owned(), ""),
    ] {
        let form = form(kind, &assertion, client);
        assert_eq!(claimed_by(&form).unwrap_err().code, "invalid_client", "{kind} {assertion}");
    }
}

#[test]
fn a_proof_of_a_key_is_for_this_request_and_of_now() {
    let head = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public(&key(7)) });
    let claims = json!({ "htm": "POST", "htu": TARGET, "iat": NOW, "jti": "1" });
    let judge =
        |header: &Value, claims: &Value| holder(&signed(&key(7), header, claims), TARGET, NOW);
    let jkt = jose::thumbprint(&public(&key(7))).unwrap();
    assert_eq!(judge(&head, &claims), Ok((jkt.clone(), "1".into())));
    assert!(is_thumbprint(&jkt) && !is_thumbprint("short") && !is_thumbprint(&"*".repeat(43)));
    let port = with(claims.clone(), "htu", json!("HTTPS://nexus.example:443/oauth2/token"));
    assert!(judge(&head, &port).is_ok());
    for (name, value) in [
        ("htm", json!("GET")),
        ("htu", json!("https://evil.example/oauth2/token")),
        ("htu", json!("http://nexus.example/oauth2/token")),
        ("htu", json!("https://nexus.example/oauth2/par")),
        ("htu", json!("https://nexus.example/oauth2/token?x")),
        ("htu", json!("https://nexus.example/oauth2/token#x")),
        ("htu", Value::Null),
        ("iat", json!(NOW + 61)),
        ("iat", json!(NOW - 121)),
        ("iat", Value::Null),
        ("jti", json!("")),
        ("jti", json!("a".repeat(256))),
        ("jti", Value::Null),
    ] {
        assert!(
            judge(&head, &with(claims.clone(), name, value.clone())).is_err(),
            "{name} {value}"
        );
    }
    let mut private = public(&key(7));
    private["d"] = "AA".into();
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("jwk", Value::Null),
        ("jwk", private),
        ("jwk", public(&key(8))),
        ("crit", json!(["x"])),
    ] {
        assert!(
            judge(&with(head.clone(), name, value.clone()), &claims).is_err(),
            "{name} {value}"
        );
    }
}
