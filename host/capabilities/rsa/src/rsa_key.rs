//! Key pairs and signatures. Pure computation: knows no thread, no queue and no guest.
//!
//! Signing is ring's, in constant time. Making a pair is the `rsa` crate's, because ring makes
//! none: its advisory (RUSTSEC-2023-0071) is about what an attacker learns from the time of many
//! operations with one key that they may choose the input of, and a key is made once, from nothing
//! that anybody chose. Nothing else of that crate is used.
//! Sources: RFC 8017 (PKCS #1), RFC 5958 (PKCS #8).

use ring::rand::SystemRandom;
use ring::signature::{
    self, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair, RsaParameters,
};
use rsa::pkcs8::EncodePrivateKey as _;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use zeroize::Zeroizing;

/// What a guest's memory holds of one request anyway.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// Below, a key is broken; above, one key takes half a minute to make.
const BITS: [u32; 3] = [2048, 3072, 4096];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RsaError {
    #[error("all threads are taken and the queue is full")]
    Busy,
    #[error("the key is malformed: {0}")]
    Malformed(String),
    #[error("{0}")]
    Unsupported(String),
}

/// How a hash becomes a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1Sha256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes.
    PssSha256,
}

/// The public half, big-endian without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub modulus: Vec<u8>,
    pub exponent: Vec<u8>,
}

/// A pair; the secret half is PKCS#8, DER.
pub struct Pair {
    pub secret: Zeroizing<Vec<u8>>,
    pub public: PublicKey,
}

/// Makes a pair.
///
/// # Errors
///
/// [`RsaError::Unsupported`] for another size than 2,048, 3,072 or 4,096 bits.
pub fn generate(bits: u32) -> Result<Pair, RsaError> {
    if !BITS.contains(&bits) {
        return Err(RsaError::Unsupported(format!(
            "a key has 2048, 3072 or 4096 bits, not {bits}"
        )));
    }
    let made = |why: &dyn std::fmt::Display| RsaError::Malformed(why.to_string());
    let key = rsa::RsaPrivateKey::new(&mut OsRng, bits as usize).map_err(|why| made(&why))?;
    let secret = key.to_pkcs8_der().map_err(|why| made(&why))?.to_bytes();
    let public = PublicKey { modulus: key.n().to_bytes_be(), exponent: key.e().to_bytes_be() };
    // Whatever ring will not sign with must not leave this function.
    RsaKeyPair::from_pkcs8(&secret).map_err(|why| made(&why))?;
    Ok(Pair { secret, public })
}

/// Signs `message` with a secret key in PKCS#8, DER.
///
/// # Errors
///
/// [`RsaError::Malformed`] when it is no such key, [`RsaError::Unsupported`] when the message is
/// too long.
pub fn sign(secret: &[u8], scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, RsaError> {
    bounded(message)?;
    let pair = RsaKeyPair::from_pkcs8(secret);
    let pair = pair.map_err(|why| RsaError::Malformed(why.to_string()))?;
    let encoding: &dyn RsaEncoding = match scheme {
        Scheme::Pkcs1Sha256 => &RSA_PKCS1_SHA256,
        Scheme::PssSha256 => &RSA_PSS_SHA256,
    };
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
        .map_err(|_| RsaError::Malformed("it does not sign".into()))?;
    Ok(signature)
}

/// Whether `signature` belongs to `message`; one by a key that is none belongs to nothing.
///
/// # Errors
///
/// [`RsaError::Unsupported`] when the message is too long.
pub fn verify(
    public: &PublicKey,
    scheme: Scheme,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, RsaError> {
    bounded(message)?;
    let parameters: &RsaParameters = match scheme {
        Scheme::Pkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        Scheme::PssSha256 => &RSA_PSS_2048_8192_SHA256,
    };
    let key = signature::RsaPublicKeyComponents { n: &public.modulus, e: &public.exponent };
    Ok(key.verify(parameters, message, signature).is_ok())
}

fn bounded(message: &[u8]) -> Result<(), RsaError> {
    if message.len() > MESSAGE_BYTES_MAX {
        let words = format!("a message takes at most {MESSAGE_BYTES_MAX} bytes");
        return Err(RsaError::Unsupported(words));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::sha2::{Digest as _, Sha256};

    #[test]
    fn a_signature_belongs_to_its_message_its_key_and_its_scheme() {
        let (one, other) = (generate(2048).unwrap(), generate(2048).unwrap());
        for (scheme, another) in
            [(Scheme::Pkcs1Sha256, Scheme::PssSha256), (Scheme::PssSha256, Scheme::Pkcs1Sha256)]
        {
            let signature = sign(&one.secret, scheme, b"a message").unwrap();
            let belongs = |public, scheme, message: &[u8]| {
                verify(public, scheme, message, &signature).unwrap()
            };
            assert!(belongs(&one.public, scheme, b"a message"));
            assert!(!belongs(&one.public, scheme, b"another message"));
            assert!(!belongs(&one.public, another, b"a message"));
            assert!(!belongs(&other.public, scheme, b"a message"));
        }
    }

    /// Another implementation of RFC 8017 reads what ring writes.
    #[test]
    fn a_signature_is_read_by_another_library() {
        let pair = generate(2048).unwrap();
        let signature = sign(&pair.secret, Scheme::Pkcs1Sha256, b"a message").unwrap();
        let number = |bytes: &[u8]| rsa::BigUint::from_bytes_be(bytes);
        let (n, e) = (number(&pair.public.modulus), number(&pair.public.exponent));
        let theirs = rsa::RsaPublicKey::new(n, e).unwrap();
        let digest = Sha256::digest(b"a message");
        theirs.verify(rsa::Pkcs1v15Sign::new::<Sha256>(), &digest, &signature).unwrap();
    }

    #[test]
    fn what_is_no_key_or_too_large_is_refused() {
        assert!(matches!(generate(1024), Err(RsaError::Unsupported(_))));
        assert!(matches!(generate(u32::MAX), Err(RsaError::Unsupported(_))));
        let nonsense = sign(b"no key", Scheme::Pkcs1Sha256, b"");
        assert!(matches!(nonsense, Err(RsaError::Malformed(_))));
        let public = PublicKey { modulus: vec![1], exponent: vec![3] };
        assert_eq!(verify(&public, Scheme::PssSha256, b"", b""), Ok(false));
        let long = vec![0; MESSAGE_BYTES_MAX + 1];
        assert!(verify(&public, Scheme::PssSha256, &long, b"").is_err());
    }
}
