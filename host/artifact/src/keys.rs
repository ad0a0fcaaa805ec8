//! Keys of signatures: ed25519, in the files that openssl reads and writes. Refuses every other
//! kind of key, and to print a private one.
//! Sources: RFC 8032; RFC 8410 for both file formats (PKCS#8 and SubjectPublicKeyInfo).

use crate::digest::{Digest, hex};
use crate::error::Error;
use crate::signature::Signature;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// DER before the 32 bytes of a private key: version 0, id-Ed25519, two octet strings (RFC 8410,
/// section 7).
const PRIVATE_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// DER before the 32 bytes of a public key: id-Ed25519, a bit string (RFC 8410 §4).
const PUBLIC_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
/// A key's file has three lines.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The first 16 hexadecimal digits of the SHA-256 of the raw public key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct KeyId(String);

impl KeyId {
    /// Reads one as it is written.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 16 && text.bytes().all(digit) {
            return Ok(Self(text.into()));
        }
        let text: String = text.chars().take(80).collect();
        Err(Error::Signature(format!("{text:?} is no key's id: 16 hexadecimal digits")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose signatures can be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads a `PUBLIC KEY`, or the public half of a `PRIVATE KEY`.
    pub fn from_pem(place: &str, pem: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Key { place: place.into(), reason: reason.into() };
        if let Ok(key) = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()) {
            return Self::from_der(&key).ok_or_else(|| wrong("it is no ed25519 key"));
        }
        if pem.contains("PRIVATE KEY") {
            return Ok(SigningKey::from_pem(place, pem)?.public());
        }
        Err(wrong("it holds no PEM `PUBLIC KEY`"))
    }

    /// Every public key in a file.
    fn all_from_pem(place: &str, pem: &[u8]) -> Result<Vec<Self>, Error> {
        let wrong = |reason: &str| Error::Key { place: place.into(), reason: reason.into() };
        let mut keys = Vec::new();
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
            match section {
                Ok((SectionKind::PublicKey, der)) => {
                    let key = Self::from_der(&der);
                    keys.push(key.ok_or_else(|| wrong("a key in it is not ed25519"))?);
                }
                Ok((SectionKind::PrivateKey, _)) => {
                    return Err(wrong("it is a private key, which no host should have"));
                }
                Ok(_) => {}
                Err(_) => return Err(wrong("it is no PEM")),
            }
        }
        Ok(keys)
    }

    /// The keys of a file, or of every file in a folder that ends in `.pem` or `.pub`.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, Error> {
        if !path.is_dir() {
            let keys = Self::all_from_pem(&path.display().to_string(), &read(path)?)?;
            if keys.is_empty() {
                let reason = "it holds no PEM `PUBLIC KEY`".into();
                return Err(Error::Key { place: path.display().to_string(), reason });
            }
            return Ok(keys);
        }
        let unreadable = |error: std::io::Error| Error::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|it| it == "pem" || it == "pub") {
                files.push(file);
            }
        }
        files.sort();
        let keys = files.iter().map(|file| Self::read_all(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(keys.into_iter().flatten().collect())
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let raw = der.strip_prefix(&PUBLIC_HEAD)?;
        Some(Self(raw.try_into().ok()?))
    }

    /// As `openssl pkey -pubout` writes it.
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &[&PUBLIC_HEAD[..], &self.0].concat())
    }

    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(&self.0).hex()[..16].to_owned())
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex(&self.0))
    }
}

/// What signs.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new one, from the machine's randomness.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        let filled = SystemRandom::new().fill(&mut seed[..]);
        filled.expect("a machine that has no randomness cannot do anything");
        Self::from_seed(seed)
    }

    fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..]);
        Self { pair: pair.expect("any 32 bytes are an ed25519 key"), seed }
    }

    /// Reads a `PRIVATE KEY` (PKCS#8), as `openssl genpkey -algorithm ed25519` writes it.
    pub fn from_pem(place: &str, pem: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Key { place: place.into(), reason: reason.into() };
        if pem.contains("ENCRYPTED PRIVATE KEY") {
            return Err(wrong("it is encrypted: `openssl pkey` writes it without a password"));
        }
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| wrong("it holds no PEM `PRIVATE KEY`"))?;
        let raw = der.secret_pkcs8_der().strip_prefix(&PRIVATE_HEAD);
        let seed = raw.and_then(|raw| <[u8; 32]>::try_from(raw).ok());
        seed.map(|seed| Self::from_seed(Zeroizing::new(seed)))
            .ok_or_else(|| wrong("it is no ed25519 key"))
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let bytes = Zeroizing::new(read(path)?);
        let text = std::str::from_utf8(&bytes);
        let no_pem = |_| Error::Key { place: place.clone(), reason: "it is no PEM".into() };
        Self::from_pem(&place, text.map_err(no_pem)?)
    }

    /// As openssl writes it; a secret.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let der = Zeroizing::new([&PRIVATE_HEAD[..], &self.seed[..]].concat());
        Zeroizing::new(pem("PRIVATE KEY", &der))
    }

    pub fn public(&self) -> PublicKey {
        let raw = self.pair.public_key().as_ref();
        PublicKey(raw.try_into().expect("an ed25519 key has 32 bytes"))
    }

    /// Signs the exact bytes of a manifest.
    pub fn sign(&self, manifest: &[u8]) -> Signature {
        let bytes = self.pair.sign(manifest);
        let bytes = bytes.as_ref().try_into().expect("an ed25519 signature has 64 bytes");
        Signature { key_id: self.public().id(), bytes }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    // One line holds either: 48 bytes of base64 are 64 letters.
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(der))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |reason: String| Error::Unreadable { path: path.into(), reason };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(format!("it has {size} bytes; a key has a few hundred")));
    }
    std::fs::read(path).map_err(|e| unreadable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 §10.3 and §10.1: a private key and its public half.
    const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn keys_are_read_and_written_as_the_standard_has_them() {
        let key = SigningKey::from_pem("key", PRIVATE).unwrap();
        assert_eq!(key.to_pem().as_str(), PRIVATE);
        assert_eq!(key.public().to_pem(), PUBLIC);
        assert_eq!(PublicKey::from_pem("key", PUBLIC).unwrap(), key.public());
        assert_eq!(PublicKey::from_pem("key", PRIVATE).unwrap(), key.public());
        assert_eq!(key.public().id().as_str().len(), 16);
        assert!(!format!("{key:?}").contains("1O5y"));
    }

    #[test]
    fn every_new_key_is_another_and_verifies_its_own_signatures_only() {
        let (one, two) = (SigningKey::generate(), SigningKey::generate());
        assert_ne!(one.public(), two.public());
        let signature = one.sign(b"manifest");
        assert!(one.public().verifies(b"manifest", &signature.bytes));
        assert!(!two.public().verifies(b"manifest", &signature.bytes));
        assert!(!one.public().verifies(b"manifesto", &signature.bytes));
    }

    #[test]
    fn other_kinds_of_keys_are_refused_with_the_place() {
        let told = |pem: &str| SigningKey::from_pem("k.pem", pem).unwrap_err().to_string();
        assert!(told("").starts_with("the key k.pem cannot be used: it holds no PEM"));
        assert!(told(PUBLIC).contains("no PEM `PRIVATE KEY`"));
        assert!(told(&PRIVATE.replace("K2Vw", "K2Vu")).contains("no ed25519"), "X25519");
        assert!(told("-----BEGIN ENCRYPTED PRIVATE KEY-----").contains("encrypted"));
        assert!(PublicKey::from_pem("k", &PUBLIC.replace("K2Vw", "K2Vu")).is_err());
    }

    #[test]
    fn a_folder_gives_all_its_keys_and_no_private_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let other = SigningKey::generate().public();
        std::fs::write(path("a.pem"), format!("a note\n{PUBLIC}{}", other.to_pem())).unwrap();
        std::fs::write(path("README"), "no key").unwrap();
        assert_eq!(PublicKey::read_all(folder.path()).unwrap().len(), 2);
        std::fs::write(path("b.pem"), PRIVATE).unwrap();
        let told = PublicKey::read_all(folder.path()).unwrap_err().to_string();
        assert!(told.contains("b.pem") && told.contains("private key"), "{told}");
        assert!(PublicKey::read_all(&path("README")).is_err());
    }
}
