//! The key of a backup: where it comes from, and the keys that follow from it.

use super::{Refusal, hex, unhex};
use anyhow::{Context as _, Result, ensure};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::path::Path;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const BYTES: usize = 32;

/// RFC 9106, section 4, the second choice: 64 MiB and three passes, for machines that have little.
const MEMORY_KIB: u32 = 64 << 10;
const PASSES: u32 = 3;
const LANES: u32 = 4;

/// What a header may ask for; a forged one must not exhaust the machine.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;

/// What the operator gives.
#[derive(Clone)]
pub enum Given {
    Key(Zeroizing<[u8; BYTES]>),
    Passphrase(Zeroizing<String>),
}

impl Given {
    /// 32 bytes as base64.
    ///
    /// Fails when the file cannot be read or holds something else.
    pub fn key_file(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("read {shown}"))?;
        let text = Zeroizing::new(text);
        let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new);
        let bytes = bytes.with_context(|| format!("read the key in {shown} as base64"))?;
        let key = <[u8; BYTES]>::try_from(bytes.as_slice());
        let key = key.ok().with_context(|| {
            format!("the key in {shown} has {} bytes, not {BYTES}", bytes.len())
        })?;
        Ok(Self::Key(Zeroizing::new(key)))
    }

    /// The words themselves, without the line's end.
    ///
    /// Fails when they are too few to protect anything.
    pub fn passphrase(words: &str) -> Result<Self> {
        let words = words.trim_end_matches(['\r', '\n']);
        ensure!(words.chars().count() >= 12, "a passphrase has at least 12 characters");
        Ok(Self::Passphrase(Zeroizing::new(words.to_owned())))
    }
}

/// How the key is made; stands in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub(super) enum Derivation {
    KeyFile,
    Argon2id { salt: String, memory_kib: u32, passes: u32, lanes: u32 },
}

impl Derivation {
    pub(super) fn of(given: &Given) -> Self {
        match given {
            Given::Key(_) => Self::KeyFile,
            Given::Passphrase(_) => Self::Argon2id {
                salt: hex(&rand::random::<[u8; 16]>()),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
            },
        }
    }
}

/// The key from which a backup's others follow.
pub(super) struct Master(Zeroizing<[u8; BYTES]>);

impl Master {
    /// From what was given, for the backup with this id.
    pub(super) fn derive(given: &Given, how: &Derivation, id: &str) -> Result<Self, Refusal> {
        let secret = match (given, how) {
            (Given::Key(key), Derivation::KeyFile) => key.clone(),
            (
                Given::Passphrase(words),
                Derivation::Argon2id { salt, memory_kib, passes, lanes },
            ) => {
                let forged = || Refusal::Changed("the header".into());
                let sane = *memory_kib <= MEMORY_KIB_MAX && *passes <= PASSES_MAX;
                let params = Params::new(*memory_kib, *passes, *lanes, Some(BYTES));
                let params = params.ok().filter(|_| sane).ok_or_else(forged)?;
                let salt = unhex(salt).ok_or_else(forged)?;
                let mut key = Zeroizing::new([0; BYTES]);
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
                let made = argon2.hash_password_into(words.as_bytes(), &salt, key.as_mut());
                made.map_err(|_| forged())?;
                key
            }
            (Given::Key(_), Derivation::Argon2id { .. }) => {
                return Err(Refusal::OtherKind("passphrase"));
            }
            (Given::Passphrase(_), Derivation::KeyFile) => {
                return Err(Refusal::OtherKind("key file"));
            }
        };
        let mut master = Zeroizing::new([0; BYTES]);
        let extracted = Hkdf::<Sha256>::new(Some(id.as_bytes()), secret.as_ref());
        extracted.expand(b"nexus backup master", master.as_mut()).expect("32 bytes are few enough");
        Ok(Self(master))
    }

    /// What the header shows of it: tells a wrong key from a broken backup.
    pub(super) fn check(&self) -> String {
        hex(&self.key(b"check")[..16])
    }

    /// Whether `shown` is of this key.
    pub(super) fn is_of(&self, shown: &str) -> bool {
        self.check().as_bytes().ct_eq(shown.as_bytes()).into()
    }

    pub(super) fn of_contents(&self) -> Zeroizing<[u8; BYTES]> {
        self.key(b"contents")
    }

    pub(super) fn of_entry(&self, number: u64) -> Zeroizing<[u8; BYTES]> {
        self.key(&[b"entry ".as_slice(), &number.to_be_bytes()].concat())
    }

    fn key(&self, purpose: &[u8]) -> Zeroizing<[u8; BYTES]> {
        let mut key = Zeroizing::new([0; BYTES]);
        let known = Hkdf::<Sha256>::from_prk(self.0.as_ref()).expect("a hash is long enough");
        known.expand(purpose, key.as_mut()).expect("32 bytes are few enough");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Given {
        Given::Key(Zeroizing::new([byte; BYTES]))
    }

    #[test]
    fn every_backup_and_every_entry_has_a_key_of_its_own() {
        let one = Master::derive(&key(1), &Derivation::KeyFile, "a").unwrap();
        let again = Master::derive(&key(1), &Derivation::KeyFile, "a").unwrap();
        let other = Master::derive(&key(1), &Derivation::KeyFile, "b").unwrap();
        assert!(one.is_of(&again.check()) && !one.is_of(&other.check()));
        assert_ne!(one.of_entry(0), one.of_entry(1));
        assert_ne!(one.of_entry(0), other.of_entry(0));
        assert_ne!(one.of_entry(0), one.of_contents());
    }

    #[test]
    fn a_passphrase_makes_the_same_key_again_and_no_key_file_does() {
        let words = Given::passphrase("correct horse battery\n").unwrap();
        let how = Derivation::of(&words);
        let made = Master::derive(&words, &how, "a").unwrap();
        assert!(Master::derive(&words, &how, "a").unwrap().is_of(&made.check()));
        let wrong = Given::passphrase("incorrect horse battery").unwrap();
        assert!(!Master::derive(&wrong, &how, "a").unwrap().is_of(&made.check()));
        assert!(matches!(
            Master::derive(&key(1), &how, "a"),
            Err(Refusal::OtherKind("passphrase"))
        ));
    }

    #[test]
    fn a_header_cannot_ask_for_all_memory() {
        let words = Given::passphrase("correct horse battery").unwrap();
        let salt = hex(&[0; 16]);
        let how = Derivation::Argon2id { salt, memory_kib: u32::MAX, passes: 1, lanes: 1 };
        assert!(matches!(Master::derive(&words, &how, "a"), Err(Refusal::Changed(_))));
    }
}
