//! Signatures of the kinds that are made in here: Ed25519 and ECDSA on P-256. RSA is the host's.
//! Sources: RFC 8032, FIPS 186-5, RFC 6979 (nonces from the message: no randomness to get wrong).

use crate::crypto::digest::Hash;
use crate::crypto::jwk::Jwk;
use crate::crypto::key_type::KeyType;
use ecdsa::hazmat::{SignPrimitive as _, bits2field};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How the two numbers of an ECDSA signature are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marshaling {
    /// As DER, in base64.
    #[default]
    Asn1,
    /// One after the other, 64 bytes, as JOSE wants them.
    Jws,
}

/// Whether these 32 bytes can be the secret of a P-256 key: not nought, and below the order.
pub fn is_p256_secret(secret: &[u8]) -> bool {
    p256::SecretKey::from_slice(secret).is_ok()
}

/// The public half of a secret that was made in here.
pub fn p256_public(secret: &[u8]) -> Option<Jwk> {
    let key = p256::SecretKey::from_slice(secret).ok()?;
    let point = p256::EncodedPoint::from(key.public_key());
    Jwk::p256(point.as_bytes())
}

pub fn ed25519_public(secret: &[u8]) -> Option<Jwk> {
    Some(Jwk::ed25519(ed25519(secret)?.verifying_key().as_bytes()))
}

/// Signs a digest. By the scalar, because a `SigningKey` also computes its public half, which takes
/// as long as the signature and is not needed for it.
pub fn p256_sign(secret: &[u8], digest: &[u8], marshaling: Marshaling) -> Option<Vec<u8>> {
    let scalar = p256::SecretKey::from_slice(secret).ok()?.to_nonzero_scalar();
    let scalar = Zeroizing::new(*scalar);
    let field = bits2field::<p256::NistP256>(digest).ok()?;
    let (signature, _) = scalar.try_sign_prehashed_rfc6979::<Sha256>(&field, b"").ok()?;
    Some(match marshaling {
        Marshaling::Asn1 => signature.to_der().as_bytes().to_vec(),
        Marshaling::Jws => signature.to_bytes().to_vec(),
    })
}

pub fn p256_verify(jwk: &Jwk, digest: &[u8], marshaling: Marshaling, signature: &[u8]) -> bool {
    let verify = || {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&jwk.point()?).ok()?;
        let signature = match marshaling {
            Marshaling::Asn1 => p256::ecdsa::Signature::from_der(signature).ok()?,
            Marshaling::Jws => p256::ecdsa::Signature::from_slice(signature).ok()?,
        };
        key.verify_prehash(digest, &signature).ok()
    };
    verify().is_some()
}

pub fn ed25519_sign(secret: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    Some(ed25519(secret)?.sign(message).to_bytes().to_vec())
}

/// Strictly: a key or a signature that several messages could share is refused (RFC 8032 section
/// 5.1.7, and small orders besides).
pub fn ed25519_verify(jwk: &Jwk, message: &[u8], signature: &[u8]) -> bool {
    let verify = || {
        let public: [u8; 32] = Jwk::number(&jwk.x)?.try_into().ok()?;
        let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
        VerifyingKey::from_bytes(&public).ok()?.verify_strict(message, &signature).ok()
    };
    verify().is_some()
}

fn ed25519(secret: &[u8]) -> Option<SigningKey> {
    Some(SigningKey::from_bytes(secret.try_into().ok()?))
}

/// PKCS#8, DER, of a P-256 secret.
pub fn p256_pkcs8(secret: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = p256::SecretKey::from_slice(secret).ok()?;
    key.to_pkcs8_der().ok().map(|der| der.to_bytes())
}

/// PKCS#8, PEM, of a P-256 secret.
pub fn p256_pem(secret: &[u8]) -> Option<Zeroizing<String>> {
    p256::SecretKey::from_slice(secret).ok()?.to_pkcs8_pem(LineEnding::LF).ok()
}

/// What stands before an Ed25519 secret in PKCS#8 (RFC 8410 section 7, without the public half).
const ED25519_BEFORE: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// PKCS#8, DER, of an Ed25519 secret.
pub fn ed25519_pkcs8(secret: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([ED25519_BEFORE, secret].concat())
}

/// The secret in PKCS#8, DER: of P-256, or of Ed25519 in the shape that is written here.
pub fn secret_of_pkcs8(der: &[u8]) -> Option<(KeyType, Zeroizing<Vec<u8>>)> {
    if let Some(secret) = der.strip_prefix(ED25519_BEFORE).filter(|rest| rest.len() == 32) {
        return Some((KeyType::Ed25519, Zeroizing::new(secret.to_vec())));
    }
    let key = p256::SecretKey::from_pkcs8_der(der).ok()?;
    Some((KeyType::EcdsaP256, Zeroizing::new(key.to_bytes().to_vec())))
}

/// The digest that is signed: the message's, or the input itself where it is one already.
pub fn digest_of(input: &[u8], hash: Hash, prehashed: bool) -> Option<Vec<u8>> {
    match prehashed {
        true => (input.len() == hash.bytes()).then(|| input.to_vec()),
        false => Some(hash.of(input)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::text::{hex, unbase64url};

    /// RFC 8032 section 7.1, test 2; RFC 8037 appendix A.4 signs with test 1's key.
    #[test]
    fn ed25519_gives_the_signature_of_the_rfc() {
        let secret = unbase64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let jwk = ed25519_public(&secret).unwrap();
        assert_eq!(jwk.x.as_deref(), Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = ed25519_sign(&secret, message).unwrap();
        let published = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g\
                 7sVvpAr_MuM0KAg";
        assert_eq!(signature, unbase64url(published).unwrap());
        assert!(ed25519_verify(&jwk, message, &signature));
        assert!(!ed25519_verify(&jwk, b"another", &signature));
    }

    /// RFC 6979 appendix A.2.5, message "sample" with SHA-256.
    #[test]
    fn ecdsa_gives_the_signature_of_the_rfc() {
        let secret: Vec<u8> = (0..32)
            .map(|at| {
                let text = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
                u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()
            })
            .collect();
        let digest = Hash::Sha256.of(b"sample");
        let signature = p256_sign(&secret, &digest, Marshaling::Jws).unwrap();
        assert!(hex(&signature).starts_with("efd48b2aacb6a8fd1140dd9cd45e81d6"));
        let jwk = p256_public(&secret).unwrap();
        assert!(p256_verify(&jwk, &digest, Marshaling::Jws, &signature));
        let der = p256_sign(&secret, &digest, Marshaling::Asn1).unwrap();
        assert!(p256_verify(&jwk, &digest, Marshaling::Asn1, &der));
        assert!(!p256_verify(&jwk, &digest, Marshaling::Jws, &der));
        assert!(!p256_verify(&jwk, &Hash::Sha256.of(b"other"), Marshaling::Asn1, &der));
    }

    #[test]
    fn a_secret_survives_the_way_into_pkcs8_and_back() {
        let back = |der: &[u8]| secret_of_pkcs8(der).map(|(kind, secret)| (kind, secret.to_vec()));
        let (ed25519, p256) = (ed25519_pkcs8(&[7; 32]), p256_pkcs8(&[7; 32]).unwrap());
        assert_eq!(back(&ed25519), Some((KeyType::Ed25519, vec![7; 32])));
        assert_eq!(back(&p256), Some((KeyType::EcdsaP256, vec![7; 32])));
        assert_eq!(back(&ed25519[..40]), None);
        assert_eq!(back(b"no key"), None);
    }

    #[test]
    fn a_digest_given_as_such_has_its_hashs_length() {
        assert_eq!(digest_of(&[1; 32], Hash::Sha256, true), Some(vec![1; 32]));
        assert_eq!(digest_of(&[1; 31], Hash::Sha256, true), None);
    }

    #[test]
    fn nought_and_the_order_are_no_secrets() {
        assert!(!is_p256_secret(&[0; 32]));
        assert!(!is_p256_secret(&[0xff; 32]));
        assert!(is_p256_secret(&[1; 32]));
    }
}
