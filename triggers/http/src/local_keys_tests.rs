//! Tokens that were minted with real keys, honest and not.

use super::*;
use crate::key_set::LEEWAY;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use nexus_runtime::PrincipalKind;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

const ISSUER: &str = "https://nexus.example";
const NOW: i64 = 2_000_000_000;
const TENANT: Uuid = Uuid::from_u128(7);

struct Signer {
    jwk: Value,
    encoding: EncodingKey,
    algorithm: Algorithm,
    id: &'static str,
}

fn es256(id: &'static str) -> Signer {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = pair.der_bytes();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
    Signer {
        jwk: json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": x, "y": y }),
        encoding: EncodingKey::from_ec_der(&pair.serialize_der()),
        algorithm: Algorithm::ES256,
        id,
    }
}

fn eddsa(id: &'static str) -> Signer {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.der_bytes());
    Signer {
        jwk: json!({ "kty": "OKP", "crv": "Ed25519", "kid": id, "x": x }),
        encoding: EncodingKey::from_ed_der(&pair.serialize_der()),
        algorithm: Algorithm::EdDSA,
        id,
    }
}

impl Signer {
    fn mint(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.encoding).unwrap()
    }
}

fn keys(signers: &[&Signer]) -> LocalKeys {
    let set = json!({ "keys": signers.iter().map(|s| &s.jwk).collect::<Vec<_>>() });
    LocalKeys::from_jwks(&set.to_string(), ISSUER, TENANT).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "u-1", "iss": ISSUER, "aud": "nexus", "exp": NOW + 60 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn tokens_of_both_algorithms_prove_their_subject() {
    let (ec, ed) = (es256("ec"), eddsa("ed"));
    let keys = keys(&[&ec, &ed]);
    for signer in [&ec, &ed] {
        let proven = keys.verify(&signer.mint(&claims()), NOW).unwrap();
        assert_eq!(proven.principal.subject, "u-1");
        assert_eq!(proven.principal.kind, PrincipalKind::User);
        assert_eq!(proven.principal.tenant, TENANT);
        assert_eq!(proven.expires, NOW + 60 + LEEWAY);
    }
}

#[test]
fn every_claim_reaches_the_principal() {
    let signer = es256("ec");
    let tenant = Uuid::from_u128(9);
    let mut all = claims();
    for (name, value) in [
        ("tenant", json!(tenant)),
        ("kind", json!("service")),
        ("scope", json!("a:read  b:write")),
        ("org", json!("o-1")),
        ("sid", json!("s-1")),
        ("auth_time", json!(5)),
        ("acr", json!("mfa")),
    ] {
        all[name] = value;
    }
    let principal = keys(&[&signer]).verify(&signer.mint(&all), NOW).unwrap().principal;
    assert_eq!(principal.tenant, tenant);
    assert_eq!(principal.kind, PrincipalKind::Service);
    assert_eq!(principal.permissions, ["a:read", "b:write"]);
    assert_eq!(principal.organisation.as_deref(), Some("o-1"));
    assert_eq!(principal.session.as_deref(), Some("s-1"));
    assert_eq!(principal.auth_time, Some(5));
    assert_eq!(principal.acr.as_deref(), Some("mfa"));
}

#[test]
fn the_clock_has_thirty_seconds_of_leeway_and_no_more() {
    let signer = es256("ec");
    let keys = keys(&[&signer]);
    let token = signer.mint(&claims());
    assert!(keys.verify(&token, NOW + 89).is_ok());
    assert_eq!(keys.verify(&token, NOW + 90).unwrap_err(), Unproven::Expired);
    let early = signer.mint(&with("nbf", json!(NOW + 30)));
    assert!(keys.verify(&early, NOW).is_ok());
    assert_eq!(keys.verify(&early, NOW - 1).unwrap_err(), Unproven::NotYet);
}

#[test]
fn a_token_with_a_wrong_or_missing_claim_proves_nothing() {
    let signer = es256("ec");
    let keys = keys(&[&signer]);
    for (name, value, refusal) in [
        ("iss", json!("https://evil.example"), Unproven::Audience),
        ("aud", json!("other"), Unproven::Audience),
        ("iss", Value::Null, Unproven::Claim("iss")),
        ("aud", Value::Null, Unproven::Claim("aud")),
        ("sub", json!(""), Unproven::Claim("sub")),
        ("kind", json!("anonymous"), Unproven::Claim("kind")),
        ("tenant", json!("not a uuid"), Unproven::Malformed),
    ] {
        let token = signer.mint(&with(name, value.clone()));
        assert_eq!(keys.verify(&token, NOW).unwrap_err(), refusal, "{name}: {value}");
    }
}

#[test]
fn a_strange_key_algorithm_or_signature_proves_nothing() {
    let (ours, theirs) = (es256("ec"), es256("ec"));
    let keys = keys(&[&ours]);
    assert_eq!(keys.verify(&theirs.mint(&claims()), NOW).unwrap_err(), Unproven::Signature);
    let other = eddsa("ed").mint(&claims());
    assert_eq!(keys.verify(&other, NOW).unwrap_err(), Unproven::UnknownKey);
    let secret = EncodingKey::from_secret(ours.jwk.to_string().as_bytes());
    let hmac = encode(&Header::new(Algorithm::HS256), &claims(), &secret).unwrap();
    assert_eq!(keys.verify(&hmac, NOW).unwrap_err(), Unproven::UnknownKey);
    let payload = URL_SAFE_NO_PAD.encode(claims().to_string());
    let none = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    assert_eq!(keys.verify(&none, NOW).unwrap_err(), Unproven::Malformed);
    for garbage in ["", "a", "a.b", "a.b.c", "....", "\u{1f980}"] {
        assert_eq!(keys.verify(garbage, NOW).unwrap_err(), Unproven::Malformed, "{garbage:?}");
    }
}

#[test]
fn an_id_token_or_a_critical_extension_is_refused() {
    let signer = es256("ec");
    let keys = keys(&[&signer]);
    let mut header = Header::new(Algorithm::ES256);
    header.typ = Some("secevent+jwt".into());
    let token = encode(&header, &claims(), &signer.encoding).unwrap();
    assert_eq!(keys.verify(&token, NOW).unwrap_err(), Unproven::Malformed);
    let mut header = Header::new(Algorithm::ES256);
    header.crit = Some(vec!["b64".into()]);
    let token = encode(&header, &claims(), &signer.encoding).unwrap();
    assert_eq!(keys.verify(&token, NOW).unwrap_err(), Unproven::Malformed);
}

#[test]
fn a_key_set_without_usable_keys_is_refused() {
    let hmac = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"h"}]}"#;
    for set in ["{}", r#"{"keys":[]}"#, hmac, "nonsense"] {
        assert!(LocalKeys::from_jwks(set, ISSUER, TENANT).is_err(), "{set}");
    }
}
