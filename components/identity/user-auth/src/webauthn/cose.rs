//! Public keys as authenticators give them (RFC 9053) and the signatures they make. Verification
//! only: RUSTSEC-2023-0071 is about private RSA keys, of which there are none here. Pure.

use super::cbor::{self, Item};
use p256::ecdsa::signature::Verifier;
use rsa::BigUint;
use rsa::traits::PublicKeyParts;
use sha2::Sha256;

/// What is offered to authenticators, most wanted first (COSE algorithm numbers).
pub const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

pub const ES256: i64 = -7;
pub const EDDSA: i64 = -8;
pub const RS256: i64 = -257;

/// NIST SP 800-131A: less is no longer a signature.
const RSA_BITS_MIN: usize = 2048;

/// A key that verifies.
#[derive(Debug)]
pub enum PublicKey {
    Es256(p256::ecdsa::VerifyingKey),
    Eddsa(ed25519_dalek::VerifyingKey),
    Rs256(rsa::pkcs1v15::VerifyingKey<Sha256>),
}

impl PublicKey {
    /// A COSE_Key. Its algorithm is part of it: a key for one is never used with another.
    pub fn read(bytes: &[u8]) -> Option<PublicKey> {
        PublicKey::of(&cbor::whole(bytes)?)
    }

    fn of(key: &Item) -> Option<PublicKey> {
        let coordinate = |label| <[u8; 32]>::try_from(key.at(label)?.bytes()?).ok();
        // Key type and algorithm, then (as RFC 9053 §7 and RFC 8230 §4 say) the parts.
        match (key.at(1)?.integer()?, key.at(3)?.integer()?) {
            (2, ES256) if key.at(-1)?.integer() == Some(1) => {
                let (x, y) = (coordinate(-2)?, coordinate(-3)?);
                let point =
                    p256::EncodedPoint::from_affine_coordinates(&x.into(), &y.into(), false);
                let key = p256::ecdsa::VerifyingKey::from_encoded_point(&point).ok()?;
                Some(PublicKey::Es256(key))
            }
            (1, EDDSA) if key.at(-1)?.integer() == Some(6) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(&coordinate(-2)?).ok()?;
                (!key.is_weak()).then_some(PublicKey::Eddsa(key))
            }
            (3, RS256) => {
                let n = BigUint::from_bytes_be(key.at(-1)?.bytes()?);
                let e = BigUint::from_bytes_be(key.at(-2)?.bytes()?);
                let key = rsa::RsaPublicKey::new(n, e).ok()?;
                let wide = key.n().bits() >= RSA_BITS_MIN;
                wide.then(|| PublicKey::Rs256(rsa::pkcs1v15::VerifyingKey::new(key)))
            }
            _ => None,
        }
    }

    pub fn algorithm(&self) -> i64 {
        match self {
            PublicKey::Es256(_) => ES256,
            PublicKey::Eddsa(_) => EDDSA,
            PublicKey::Rs256(_) => RS256,
        }
    }

    /// Whether `signature`, in the form that WebAuthn §6.5.5 gives it, is of this message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            PublicKey::Es256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            PublicKey::Eddsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            PublicKey::Rs256(key) => rsa::pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_type_curve_or_algorithm_is_none() {
        // {1: 2, 3: -7, -1: 1, -2: h'…', -3: h'…'}: the base point of P-256.
        let x = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        let y = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let good = format!("a5010203262001215820{x}225820{y}");
        assert!(matches!(read(&good), Some(PublicKey::Es256(_))));
        for bad in [
            // EdDSA with a P-256 key, another curve, no point of the curve, a cut one.
            format!("a5010203272001215820{x}225820{y}"),
            format!("a5010203262002215820{x}225820{y}"),
            format!("a5010203262001215820{x}225820{x}"),
            format!("a401020326200121581f{}", &x[2..]),
            // An Ed25519 key of small order signs everything.
            format!("a4010103272006215820{}", "00".repeat(32)),
            // RSA of 1024 bits.
            format!("a401030339010020{}2143010001", format!("5880{}", "c5".repeat(128))),
        ] {
            assert!(read(&bad).is_none(), "{bad}");
        }
    }

    fn read(hex: &str) -> Option<PublicKey> {
        PublicKey::read(&super::super::vectors::bytes(hex))
    }
}
