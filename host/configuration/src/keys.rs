//! Secrets at rest: each under a key of its own, which is wrapped under one that follows from the
//! root key. Both are bound to the secret's place, so that none can be put where another stands.
//!
//! Sources: NIST SP 800-38D (GCM, 96-bit nonces), RFC 5869 (HKDF).

use crate::Error;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use nexus_storage::configuration::Sealed;
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// First byte of what is sealed so; another way of sealing will take another.
const FORM: u8 = 1;

/// Where a secret stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// A component, or `_`.
    pub scope: &'a str,
    pub name: &'a str,
    pub version: u64,
}

impl Place<'_> {
    /// What is authenticated besides. None of the parts can hold a slash.
    fn context(&self) -> Vec<u8> {
        format!("nexus configuration/{}/{}/{}", self.scope, self.name, self.version).into_bytes()
    }

    fn forged(&self) -> Error {
        Error::Forged { scope: self.scope.to_owned(), name: self.name.to_owned() }
    }
}

/// The key that new secrets are sealed under, and those that older ones may be.
pub struct Keyring {
    current: Wrapping,
    former: Vec<Wrapping>,
}

struct Wrapping {
    id: String,
    cipher: Aes256Gcm,
    /// The key of fingerprints.
    prints: Zeroizing<[u8; KEY_BYTES]>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let former: Vec<_> = self.former.iter().map(|key| &key.id).collect();
        f.debug_struct("Keyring")
            .field("current", &self.current.id)
            .field("former", &former)
            .finish()
    }
}

impl Keyring {
    /// From root keys: 32 bytes as base64 each.
    ///
    /// # Errors
    ///
    /// [`Error::Key`] when one is not.
    pub fn new(root: &str, former: Option<&str>) -> Result<Self, Error> {
        let former = former.map(Wrapping::of).transpose()?;
        Ok(Self { current: Wrapping::of(root)?, former: former.into_iter().collect() })
    }

    /// The key that secrets are sealed under now: 16 hexadecimal digits.
    pub fn key_id(&self) -> &str {
        &self.current.id
    }

    /// What nobody without the key can make of a hash; the same on every host that has it.
    pub(crate) fn fingerprint(&self, hash: &[u8; 32]) -> [u8; 32] {
        let mut made = [0; 32];
        let derived = Hkdf::<Sha256>::new(Some(hash), self.current.prints.as_slice());
        derived.expand(b"nexus configuration fingerprint", &mut made).expect("few enough");
        made
    }

    /// Seals a secret for its place.
    pub fn seal(&self, place: Place<'_>, secret: &str) -> Sealed {
        let own = Zeroizing::new(rand::random::<[u8; KEY_BYTES]>());
        let context = place.context();
        let mut bytes = vec![FORM];
        bytes.extend(encrypt(&self.current.cipher, own.as_slice(), &context));
        bytes.extend(encrypt(&cipher(own.as_slice()), secret.as_bytes(), &context));
        Sealed { bytes, key_id: self.current.id.clone() }
    }

    /// Reads a secret at its place.
    ///
    /// # Errors
    ///
    /// [`Error::OtherKey`]; [`Error::Forged`] when it is not what was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Zeroizing<String>, Error> {
        let (own, body) = self.own_key(place, sealed)?;
        let plain = decrypt(&cipher(&own), body, &place.context()).ok_or_else(|| place.forged())?;
        let text = std::str::from_utf8(&plain).map_err(|_| place.forged())?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The same secret under the current key; what it says is not looked at.
    ///
    /// # Errors
    ///
    /// As [`Keyring::open`].
    pub fn rewrap(&self, place: Place<'_>, sealed: &Sealed) -> Result<Sealed, Error> {
        let (own, body) = self.own_key(place, sealed)?;
        let mut bytes = vec![FORM];
        bytes.extend(encrypt(&self.current.cipher, &own, &place.context()));
        bytes.extend(body);
        Ok(Sealed { bytes, key_id: self.current.id.clone() })
    }

    /// The key of one secret, and what is under it.
    fn own_key<'a>(
        &self,
        place: Place<'_>,
        sealed: &'a Sealed,
    ) -> Result<(Zeroizing<Vec<u8>>, &'a [u8]), Error> {
        let keys = std::iter::once(&self.current).chain(&self.former);
        let key = keys.into_iter().find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| Error::OtherKey {
            scope: place.scope.to_owned(),
            name: place.name.to_owned(),
            key_id: sealed.key_id.clone(),
        })?;
        let parts = sealed.bytes.split_first().filter(|(form, _)| **form == FORM);
        let parts = parts.and_then(|(_, rest)| rest.split_at_checked(WRAPPED_BYTES));
        let (wrapped, body) = parts.ok_or_else(|| place.forged())?;
        let own = decrypt(&key.cipher, wrapped, &place.context());
        let own = own.filter(|own| own.len() == KEY_BYTES).ok_or_else(|| place.forged())?;
        Ok((own, body))
    }
}

impl Wrapping {
    fn of(root: &str) -> Result<Self, Error> {
        let decoded = STANDARD.decode(root.trim()).map(Zeroizing::new);
        let root = decoded.map_err(|_| Error::Key("is not base64"))?;
        if root.len() != KEY_BYTES {
            return Err(Error::Key("does not have 32 bytes"));
        }
        let derived = Hkdf::<Sha256>::new(None, &root);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let made = derived.expand(b"nexus configuration secrets", key.as_mut());
        made.expect("32 bytes are few enough");
        let mut prints = Zeroizing::new([0; KEY_BYTES]);
        let made = derived.expand(b"nexus configuration prints", prints.as_mut());
        made.expect("32 bytes are few enough");
        // Of the derived key: says nothing about the root key that others could compare.
        let id = Sha256::digest([b"id ".as_slice(), key.as_slice()].concat());
        let id = id[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { id, cipher: cipher(key.as_slice()), prints })
    }
}

fn cipher(key: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(key))
}

fn encrypt(cipher: &Aes256Gcm, plain: &[u8], context: &[u8]) -> Vec<u8> {
    let nonce = rand::random::<[u8; NONCE_BYTES]>();
    let sealed = cipher.encrypt(Nonce::from_slice(&nonce), Payload { msg: plain, aad: context });
    let sealed = sealed.expect("a secret is shorter than what one nonce can take");
    [nonce.as_slice(), &sealed].concat()
}

fn decrypt(cipher: &Aes256Gcm, sealed: &[u8], context: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg: body, aad: context };
    cipher.decrypt(Nonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { scope: "catalog", name: "api_key", version: 7 };

    fn root(byte: u8) -> String {
        STANDARD.encode([byte; KEY_BYTES])
    }

    #[test]
    fn a_secret_is_read_at_its_own_place_and_nowhere_else() {
        let keys = Keyring::new(&root(1), None).unwrap();
        let sealed = keys.seal(HERE, "s3cret-of-catalog");
        assert_eq!(keys.open(HERE, &sealed).unwrap().as_str(), "s3cret-of-catalog");
        assert_ne!(keys.seal(HERE, "s3cret-of-catalog"), sealed, "every sealing is another");
        for place in [
            Place { scope: "orders", ..HERE },
            Place { name: "api_key2", ..HERE },
            Place { version: 8, ..HERE },
        ] {
            assert!(matches!(keys.open(place, &sealed), Err(Error::Forged { .. })), "{place:?}");
        }
        let shown = format!("{keys:?} {sealed:?}");
        assert!(!shown.contains("s3cret") && shown.contains(keys.key_id()), "{shown}");
        let bytes = String::from_utf8_lossy(&sealed.bytes).into_owned();
        assert!(!bytes.contains("s3cret"));
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_seen() {
        let keys = Keyring::new(&root(1), None).unwrap();
        let sealed = keys.seal(HERE, "x");
        for at in 0..sealed.bytes.len() {
            let mut forged = sealed.clone();
            forged.bytes[at] ^= 1;
            assert!(keys.open(HERE, &forged).is_err(), "byte {at}");
            forged.bytes = sealed.bytes[..at].to_vec();
            assert!(keys.open(HERE, &forged).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_new_root_key_reads_old_secrets_while_it_knows_the_former_one() {
        let old = Keyring::new(&root(1), None).unwrap();
        let sealed = old.seal(HERE, "s3cret");
        let stranger = Keyring::new(&root(2), None).unwrap();
        assert!(matches!(stranger.open(HERE, &sealed), Err(Error::OtherKey { .. })));
        let new = Keyring::new(&root(2), Some(&root(1))).unwrap();
        assert_eq!(new.open(HERE, &sealed).unwrap().as_str(), "s3cret");
        let rewrapped = new.rewrap(HERE, &sealed).unwrap();
        assert_eq!(stranger.open(HERE, &rewrapped).unwrap().as_str(), "s3cret");
        assert!(old.open(HERE, &rewrapped).is_err());
        let elsewhere = Place { scope: "_", ..HERE };
        assert!(new.rewrap(elsewhere, &sealed).is_err());
    }

    #[test]
    fn a_root_key_is_thirty_two_bytes_of_base64() {
        assert!(matches!(Keyring::new("no base64!", None), Err(Error::Key(_))));
        assert!(matches!(Keyring::new(&STANDARD.encode([1; 16]), None), Err(Error::Key(_))));
        assert!(Keyring::new(&root(1), Some("")).is_err());
    }
}
