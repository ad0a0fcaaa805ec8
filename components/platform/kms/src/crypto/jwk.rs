//! Public keys as others read them: JSON Web Keys with their thumbprint as name, and PEM.
//! Sources: RFC 7517, RFC 7518, RFC 7638, RFC 8037, RFC 5280 (SubjectPublicKeyInfo).

use crate::crypto::text::{base64, base64url, unbase64url};
use nexus_sdk::prelude::*;
use sha2::{Digest as _, Sha256};

/// A public key. Members that a kind of key does not have are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Jwk {
    /// `EC`, `OKP` or `RSA`.
    pub kty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// `ES256`, `EdDSA` or `RS256`.
    pub alg: String,
    /// `sig`.
    pub r#use: String,
    /// The thumbprint (RFC 7638).
    pub kid: String,
}

impl Jwk {
    /// From an uncompressed point, `4 || x || y`.
    pub fn p256(point: &[u8]) -> Option<Jwk> {
        let (x, y) = point.strip_prefix(&[4]).filter(|xy| xy.len() == 64)?.split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        let named = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let crv = Some("P-256".into());
        Some(Jwk { crv, x: Some(x), y: Some(y), ..Jwk::bare("EC", "ES256", &named) })
    }

    pub fn ed25519(public: &[u8]) -> Jwk {
        let x = base64url(public);
        let named = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let crv = Some("Ed25519".into());
        Jwk { crv, x: Some(x), ..Jwk::bare("OKP", "EdDSA", &named) }
    }

    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Jwk {
        let (n, e) = (base64url(modulus), base64url(exponent));
        let named = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        Jwk { n: Some(n), e: Some(e), ..Jwk::bare("RSA", "RS256", &named) }
    }

    fn bare(kty: &str, alg: &str, named: &str) -> Jwk {
        Jwk {
            kty: kty.into(),
            crv: None,
            x: None,
            y: None,
            n: None,
            e: None,
            alg: alg.into(),
            r#use: "sig".into(),
            kid: base64url(&Sha256::digest(named)),
        }
    }

    /// A number of the key.
    pub fn number(part: &Option<String>) -> Option<Vec<u8>> {
        unbase64url(part.as_deref()?)
    }

    /// The uncompressed point of a P-256 key.
    pub fn point(&self) -> Option<Vec<u8>> {
        let (x, y) = (Jwk::number(&self.x)?, Jwk::number(&self.y)?);
        Some([&[4][..], &x, &y].concat())
    }

    /// `-----BEGIN PUBLIC KEY-----`, as Vault shows keys; of an Ed25519 key Vault shows the bare
    /// bytes as base64, and so does this.
    pub fn vault(&self) -> Option<String> {
        let der = match self.kty.as_str() {
            "OKP" => return Some(base64(&Jwk::number(&self.x)?)),
            "EC" => [P256_INFO, &self.point()?].concat(),
            _ => rsa_info(&Jwk::number(&self.n)?, &Jwk::number(&self.e)?),
        };
        let text = base64(&der);
        let lines: Vec<&str> = text
            .as_bytes()
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
            .collect();
        let lines = lines.join("\n");
        Some(format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"))
    }
}

/// SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480).
const P256_INFO: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The algorithm of an RSA key (RFC 3279): `rsaEncryption` and NULL.
const RSA_ALGORITHM: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// SubjectPublicKeyInfo of an RSA key.
fn rsa_info(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = [der(0x02, &positive(modulus)), der(0x02, &positive(exponent))].concat();
    let key = [&[0][..], &der(0x30, &numbers)].concat();
    der(0x30, &[RSA_ALGORITHM, &der(0x03, &key)].concat())
}

/// A number that DER does not take for a negative one.
fn positive(number: &[u8]) -> Vec<u8> {
    match number.first() {
        Some(first) if *first >= 0x80 => [&[0][..], number].concat(),
        _ => number.to_vec(),
    }
}

/// Tag, length, content (X.690 section 8.1).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let length = match content.len() {
        short @ 0..=0x7f => vec![short as u8],
        _ => [&[0x80 | significant.len() as u8][..], &significant].concat(),
    };
    [&[tag][..], &length, content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 section 3.1.
    #[test]
    fn the_thumbprint_of_the_rfc_is_found() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR\
                 1L6t\
                 Soc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4Qy\
                 Q5v-65\
                 YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08\
                 qNLyr\
                 dkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8aw\
                 apJzK\
                 nqDKgw";
        let jwk = Jwk::rsa(&unbase64url(n).unwrap(), &unbase64url("AQAB").unwrap());
        assert_eq!(jwk.kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    /// RFC 8037 appendix A.3.
    #[test]
    fn the_thumbprint_of_an_ed25519_key_is_found() {
        let x = unbase64url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(Jwk::ed25519(&x).kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn der_lengths_are_as_short_as_they_can_be() {
        assert_eq!(der(2, &[7])[..2], [2, 1]);
        assert_eq!(der(2, &[7; 128])[..3], [2, 0x81, 128]);
        assert_eq!(der(2, &[7; 256])[..4], [2, 0x82, 1, 0]);
    }

    #[test]
    fn a_point_has_two_halves_of_thirty_two_bytes() {
        assert!(Jwk::p256(&[4; 65]).is_some());
        assert!(Jwk::p256(&[4; 64]).is_none());
        assert!(Jwk::p256(&[2; 65]).is_none());
    }
}
