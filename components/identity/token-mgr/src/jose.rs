//! The form of signed tokens: JWS in compact serialization around a JSON claims set. Pure; knows no
//! key and verifies nothing. Sources: RFC 7515 §3.1, §7.1; RFC 7519 §3.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nexus_sdk::prelude::*;
use serde_json::{Map, Value};

/// What stands before a token's claims.
#[derive(Serialize)]
pub struct Header<'a> {
    /// What kind of token it is, so that one is never taken for another (RFC 8725 §3.11).
    pub typ: &'a str,
    pub alg: &'a str,
    pub kid: &'a str,
}

/// What is signed: header and claims, `<base64url>.<base64url>`.
pub fn signing_input(header: &Header<'_>, claims: &Map<String, Value>) -> String {
    let part = |json: Vec<u8>| URL_SAFE_NO_PAD.encode(json);
    let header = serde_json::to_vec(header).expect("three strings always serialize");
    let claims = serde_json::to_vec(claims).expect("a map with string keys always serializes");
    format!("{}.{}", part(header), part(claims))
}

/// The whole token. The signature comes as base64 with padding, as kms gives it.
///
/// # Errors
/// A signature that is no base64.
pub fn token(signing_input: String, signature: &str) -> Result<String, Failure> {
    let signature = STANDARD.decode(signature).context("decode a signature")?;
    Ok(format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What is signed, as kms takes it.
pub fn for_kms(signing_input: &str) -> String {
    STANDARD.encode(signing_input)
}

/// The claims of a token that is known to be ours.
pub fn claims(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    use p256::ecdsa::signature::{Signer as _, Verifier as _};
    use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
    use p256::pkcs8::{EncodePublicKey as _, LineEnding};

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    /// RFC 7515 appendix A.3: a token made with ES256, its key and what was signed.
    const RFC_INPUT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const RFC_SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const RFC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const RFC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    #[test]
    fn the_vector_of_rfc_7515_has_its_claims_and_its_signature_where_we_look_for_them() {
        let bytes = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
        let raw = bytes(RFC_SIGNATURE);
        let whole = token(RFC_INPUT.to_owned(), &STANDARD.encode(&raw)).unwrap();
        assert_eq!(whole, format!("{RFC_INPUT}.{RFC_SIGNATURE}"));
        let read = claims(&whole).unwrap();
        assert_eq!((&read["iss"], &read["exp"]), (&json!("joe"), &json!(1_300_819_380)));
        let point = [vec![4], bytes(RFC_X), bytes(RFC_Y)].concat();
        let key = VerifyingKey::from_sec1_bytes(&point).unwrap();
        let signed = STANDARD.decode(for_kms(RFC_INPUT)).unwrap();
        key.verify(&signed, &Signature::from_slice(&raw).unwrap()).unwrap();
    }

    /// RFC 7519 §3.1: our writing of claims is unpadded base64url of JSON in UTF-8.
    #[test]
    fn a_token_of_ours_is_read_and_verified_by_an_independent_library() {
        let secret = SigningKey::from_slice(&[7; 32]).unwrap();
        let header = Header { typ: "at+jwt", alg: "ES256", kid: "k1" };
        let said = json!({ "iss": "http://localhost:8080", "aud": "nexus", "sub": "ü/+?",
            "exp": 4_000_000_000_i64 });
        let input = signing_input(&header, &object(said.clone()));
        let signature: Signature = secret.sign(input.as_bytes());
        let whole = token(input, &STANDARD.encode(signature.to_bytes())).unwrap();
        assert!(whole.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        let public = secret.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_audience(&["nexus"]);
        rules.set_issuer(&["http://localhost:8080"]);
        let key = DecodingKey::from_ec_pem(public.as_bytes()).unwrap();
        assert_eq!(decode::<Value>(&whole, &key, &rules).unwrap().claims, said);
        let head = decode_header(&whole).unwrap();
        assert_eq!((head.typ.as_deref(), head.kid.as_deref()), (Some("at+jwt"), Some("k1")));
        assert_eq!(claims(&whole), Some(object(said)));
    }

    #[test]
    fn what_is_no_token_has_no_claims() {
        for odd in ["", "a", "a.b", "a.e30", "a.%%%.c", "..", "a.W10.c"] {
            assert!(claims(odd).is_none_or(|claims| claims.is_empty()), "{odd}");
        }
    }
}
