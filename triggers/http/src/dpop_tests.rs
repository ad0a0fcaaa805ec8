//! Proofs made with real keys, honest and not.

use super::*;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

const NOW: i64 = 2_000_000_000;
const TOKEN: &str = "a.b.c";

struct Holder {
    jwk: Value,
    key: EncodingKey,
}

impl Holder {
    fn new() -> Self {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.der_bytes();
        let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "x": part(1..33), "y": part(33..65) });
        Self { jwk, key: EncodingKey::from_ec_der(&pair.serialize_der()) }
    }

    fn thumbprint(&self) -> String {
        let jwk: Jwk = serde_json::from_value(self.jwk.clone()).unwrap();
        jwk.thumbprint(ThumbprintHash::SHA256)
    }

    fn proof(&self, typ: &str, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.into());
        header.jwk = Some(serde_json::from_value(self.jwk.clone()).unwrap());
        encode(&header, claims, &self.key).unwrap()
    }
}

fn claims(jti: &str) -> Value {
    json!({
        "htm": "POST", "htu": "https://nexus.example/api/x", "iat": NOW, "jti": jti,
        "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(TOKEN)),
    })
}

fn checked(proofs: &[String], thumbprint: &str, seen: &Seen) -> Result<(), &'static str> {
    let mut headers = HeaderMap::new();
    for proof in proofs {
        headers.append(DPOP, HeaderValue::from_str(proof).unwrap());
    }
    let request = Request {
        headers: (&headers).into(),
        method: &Method::POST,
        scheme: "https",
        host: &"Nexus.example:443".parse().unwrap(),
        path: "/api/x",
    };
    check(&request, TOKEN, thumbprint, NOW, seen).map(|_| ())
}

/// The example key of RFC 9449 section 4.1 and its thumbprint in section 6.1.
#[test]
fn the_thumbprint_is_that_of_the_rfc() {
    let jwk: Jwk = serde_json::from_value(json!({
        "kty": "EC", "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    }))
    .unwrap();
    let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256);
    assert_eq!(thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn an_honest_proof_is_taken_once() {
    let (holder, seen) = (Holder::new(), Seen::new());
    let proof = holder.proof("dpop+jwt", &claims("1"));
    assert_eq!(checked(std::slice::from_ref(&proof), &holder.thumbprint(), &seen), Ok(()));
    let again = checked(std::slice::from_ref(&proof), &holder.thumbprint(), &seen);
    assert_eq!(again, Err("the proof was used before"));
    let next = holder.proof("dpop+jwt", &claims("2"));
    assert_eq!(checked(&[next], &holder.thumbprint(), &seen), Ok(()));
}

#[test]
fn a_proof_for_anything_else_is_none() {
    let (holder, seen) = (Holder::new(), Seen::new());
    for (name, value, words) in [
        ("htm", json!("GET"), "another request"),
        ("htu", json!("https://nexus.example/api/y"), "another request"),
        ("htu", json!("http://nexus.example/api/x"), "another request"),
        ("htu", json!("https://evil.example/api/x"), "another request"),
        ("htu", json!("https://nexus.example:444/api/x"), "another request"),
        ("htu", json!("https://nexus.example/api/x?a=b"), "another request"),
        ("htu", json!("/api/x"), "another request"),
        ("iat", json!(NOW - 91), "not of now"),
        ("iat", json!(NOW + 31), "not of now"),
        ("ath", json!(URL_SAFE_NO_PAD.encode(Sha256::digest("other"))), "another token"),
        ("ath", Value::Null, "signature"),
        ("jti", json!(""), "used before"),
    ] {
        let mut claims = claims("1");
        claims[name] = value.clone();
        let proof = holder.proof("dpop+jwt", &claims);
        let refused = checked(&[proof], &holder.thumbprint(), &seen).unwrap_err();
        assert!(refused.contains(words), "{name}: {value}: {refused}");
    }
}

#[test]
fn a_proof_of_another_kind_or_key_is_none() {
    let (holder, thief, seen) = (Holder::new(), Holder::new(), Seen::new());
    let bound = holder.thumbprint();
    let stolen = thief.proof("dpop+jwt", &claims("1"));
    assert_eq!(checked(&[stolen], &bound, &seen), Err("the token is bound to another key"));
    let mut forged = Header::new(Algorithm::ES256);
    forged.typ = Some("dpop+jwt".into());
    forged.jwk = Some(serde_json::from_value(holder.jwk.clone()).unwrap());
    let forged = encode(&forged, &claims("1"), &thief.key).unwrap();
    assert_eq!(checked(&[forged], &bound, &seen), Err("the proof's signature does not match"));
    let other = holder.proof("JWT", &claims("1"));
    assert_eq!(checked(&[other], &bound, &seen), Err("the proof is malformed"));
    assert_eq!(checked(&[], &bound, &seen), Err("a proof is missing"));
    let two = ["2", "3"].map(|jti| holder.proof("dpop+jwt", &claims(jti)));
    assert_eq!(checked(&two, &bound, &seen), Err("there are several proofs"));
    for garbage in ["", "a.b.c", &"a".repeat(5000)] {
        assert_eq!(checked(&[garbage.into()], &bound, &seen), Err("the proof is malformed"));
    }
    let secret = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC", "d": "x" } });
    let given_away = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(secret.to_string()));
    assert_eq!(checked(&[given_away], &bound, &seen), Err("the proof is malformed"));
}
