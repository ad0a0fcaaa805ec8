//! What is done with an opened key. The routes of every protocol end here.

use crate::crypto::bound::bound;
use crate::crypto::digest::{self, Hash};
use crate::crypto::key_type::KeyType;
use crate::crypto::seal;
use crate::crypto::signing::{self, Marshaling};
use crate::crypto::{aead, text};
use crate::keyring::{Held, KeyCannot, Keyring};
use crate::random;
use crate::rsa::{self, Scheme};
use nexus_sdk::prelude::*;
use zeroize::Zeroizing;

nexus_sdk::refusals! {
    Ciphertext = 422, "this is no ciphertext of this key, or its context is another";
    CiphertextForm = 422, "a ciphertext looks like `vault:v1:` and base64";
    SignatureForm = 422, "a signature looks like `vault:v1:` and base64";
    Prehashed = 422, "only ecdsa keys sign a digest, and a digest has its hash's length";
    RsaHash = 422, "RSA keys sign with sha2-256";
    DatakeyBits = 422, "a data key has 128, 256 or 512 bits"
}

/// What a message was encrypted about, beside the key itself.
#[derive(Default)]
pub struct Surroundings<'a> {
    /// Keys may be derived from it.
    pub context: &'a [u8],
    /// Only compared.
    pub associated: &'a [u8],
}

/// `vault:v3:<base64>`, and the version.
pub fn encrypt(
    ring: &Keyring,
    version: Option<i32>,
    about: &Surroundings<'_>,
    message: &[u8],
) -> Result<(i32, String)> {
    let held = ring.fresh_for_message(version)?;
    let key = ring.material_in(held, about.context)?;
    let bound = bound_to(ring, held.version, about);
    let sealed = aead::encrypt(ring.kind, &key, random::array(), &bound, message)?;
    Ok((held.version, text::versioned(held.version, &text::base64(&sealed))))
}

/// The version that a ciphertext or a signature names: it must be opened for it.
pub fn version_of(versioned: &str) -> Result<i32, Refusal> {
    text::split(versioned).map(|(version, _)| version).ok_or(CiphertextForm)
}

pub fn decrypt(
    ring: &Keyring,
    ciphertext: &str,
    about: &Surroundings<'_>,
) -> Result<Zeroizing<Vec<u8>>> {
    let (version, sealed) = text::split(ciphertext).ok_or(CiphertextForm)?;
    let sealed = text::unbase64(sealed).ok_or(CiphertextForm)?;
    let held = ring.past(version)?;
    let key = ring.material_in(held, about.context)?;
    let opened = aead::decrypt(ring.kind, &key, &bound_to(ring, version, about), &sealed);
    opened.ok_or_else(|| Ciphertext.into())
}

/// A message is bound to its tenant, its key, the version and what it is about.
fn bound_to(ring: &Keyring, version: i32, about: &Surroundings<'_>) -> Vec<u8> {
    bound(&[
        b"nexus-kms/message/v1",
        ring.place.tenant.as_bytes(),
        Uuid::from(ring.id).as_bytes(),
        &version.to_be_bytes(),
        about.context,
        about.associated,
    ])
}

/// A new key, in the open and encrypted.
pub struct Datakey {
    pub plaintext: Zeroizing<Vec<u8>>,
    pub ciphertext: String,
    pub version: i32,
}

pub fn datakey(
    ring: &Keyring,
    version: Option<i32>,
    bits: i32,
    about: &Surroundings<'_>,
) -> Result<Datakey> {
    if ![128, 256, 512].contains(&bits) {
        return Err(DatakeyBits.at("bits").into());
    }
    let plaintext = random::secret(bits as usize / 8);
    let (version, ciphertext) = encrypt(ring, version, about, &plaintext)?;
    Ok(Datakey { plaintext, ciphertext, version })
}

/// How something is signed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    pub hash: Hash,
    /// The input is a digest already.
    pub prehashed: bool,
    pub marshaling: Marshaling,
    /// RSASSA-PSS rather than PKCS #1 v1.5.
    pub pss: bool,
}

impl Manner {
    fn scheme(self) -> Scheme {
        if self.pss { Scheme::PssSha256 } else { Scheme::Pkcs1Sha256 }
    }

    fn check(self, kind: KeyType) -> Result<(), Refusal> {
        let ecdsa = kind == KeyType::EcdsaP256;
        if self.prehashed && !ecdsa {
            return Err(Prehashed.at("prehashed"));
        }
        if kind.rsa_bits().is_some() && self.hash != Hash::Sha256 {
            return Err(RsaHash.at("hash_algorithm"));
        }
        Ok(())
    }
}

/// The version that signed, and the signature.
pub async fn sign(
    ring: &Keyring,
    version: Option<i32>,
    manner: Manner,
    input: &[u8],
) -> Result<(i32, Vec<u8>)> {
    manner.check(ring.kind)?;
    let held = ring.fresh(version)?;
    let secret = ring.material(held)?;
    let signature = match ring.kind {
        KeyType::Ed25519 => signing::ed25519_sign(&secret, input),
        KeyType::EcdsaP256 => {
            let digest = signing::digest_of(input, manner.hash, manner.prehashed);
            let digest = digest.ok_or(Prehashed)?;
            signing::p256_sign(&secret, &digest, manner.marshaling)
        }
        _ => Some(rsa::sign(&secret, manner.scheme(), input).await?),
    };
    let signature = signature.ok_or_else(|| Failure::msg("sign: the key is damaged"))?;
    Ok((held.version, signature))
}

/// Whether a version has made this signature of the input.
pub async fn verify(
    ring: &Keyring,
    version: i32,
    manner: Manner,
    input: &[u8],
    signature: &[u8],
) -> Result<bool> {
    manner.check(ring.kind)?;
    let held = ring.past(version)?;
    let jwk = held.jwk.as_ref().ok_or(KeyCannot)?;
    Ok(match ring.kind {
        KeyType::Ed25519 => signing::ed25519_verify(jwk, input, signature),
        KeyType::EcdsaP256 => {
            let digest = signing::digest_of(input, manner.hash, manner.prehashed);
            let digest = digest.ok_or(Prehashed)?;
            signing::p256_verify(jwk, &digest, manner.marshaling, signature)
        }
        _ => rsa::verify(jwk, manner.scheme(), input, signature).await?,
    })
}

/// The version, and its HMAC of the input.
pub fn hmac(
    ring: &Keyring,
    version: Option<i32>,
    hash: Hash,
    input: &[u8],
) -> Result<(i32, Vec<u8>)> {
    let held = ring.fresh(version)?;
    Ok((held.version, hash.hmac(&hmac_key(ring, held)?, input)))
}

/// Whether a version gives this HMAC of the input.
pub fn verify_hmac(
    ring: &Keyring,
    version: i32,
    hash: Hash,
    input: &[u8],
    mac: &[u8],
) -> Result<bool> {
    let held = ring.past(version)?;
    Ok(digest::same(&hash.hmac(&hmac_key(ring, held)?, input), mac))
}

/// A key of another type has an HMAC key beside it, so that nothing is used for two purposes.
fn hmac_key(ring: &Keyring, held: &Held) -> Result<Zeroizing<Vec<u8>>> {
    let material = ring.material(held)?;
    if ring.kind == KeyType::Hmac {
        return Ok(material);
    }
    let derived = seal::derive(&material, &[b"nexus-kms/hmac/v1"]);
    Ok(Zeroizing::new(derived.to_vec()))
}
