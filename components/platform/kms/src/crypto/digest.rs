//! Hashes and HMACs by their names.
//! Sources: FIPS 180-4, RFC 2104.

use hmac::{Hmac, Mac};
use nexus_sdk::prelude::*;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq as _;

/// As Vault names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Hash {
    #[serde(rename = "sha2-224")]
    Sha224,
    #[default]
    #[serde(rename = "sha2-256")]
    Sha256,
    #[serde(rename = "sha2-384")]
    Sha384,
    #[serde(rename = "sha2-512")]
    Sha512,
}

impl Hash {
    /// By its name in a path.
    pub fn named(name: &str) -> Option<Hash> {
        match name {
            "sha2-224" => Some(Self::Sha224),
            "sha2-256" => Some(Self::Sha256),
            "sha2-384" => Some(Self::Sha384),
            "sha2-512" => Some(Self::Sha512),
            _ => None,
        }
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha224 => Sha224::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha384 => Sha384::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    pub fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha224 => mac::<Hmac<Sha224>>(key, message),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, message),
            Self::Sha384 => mac::<Hmac<Sha384>>(key, message),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, message),
        }
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Equality in a time that does not tell where two differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

#[test]
fn hashes_and_macs_give_published_values() {
    use crate::crypto::text::hex;
    // FIPS 180-4 examples for "abc", and RFC 4231 test case 2.
    let abc = [
        (Hash::Sha224, "23097d223405d822"),
        (Hash::Sha256, "ba7816bf8f01cfea"),
        (Hash::Sha384, "cb00753f45a35e8b"),
        (Hash::Sha512, "ddaf35a193617aba"),
    ];
    for (hash, begins) in abc {
        assert!(hex(&hash.of(b"abc")).starts_with(begins), "{hash:?}");
        assert_eq!(hash.of(b"abc").len(), hash.bytes());
    }
    let macs = [
        (Hash::Sha224, "a30e01098bc6dbbf"),
        (Hash::Sha256, "5bdcc146bf60754e"),
        (Hash::Sha384, "af45d2e376484031"),
        (Hash::Sha512, "164b7a7bfcf819e2"),
    ];
    for (hash, begins) in macs {
        let mac = hash.hmac(b"Jefe", b"what do ya want for nothing?");
        assert!(hex(&mac).starts_with(begins), "{hash:?}");
    }
    assert!(same(b"ab", b"ab") && !same(b"ab", b"ac") && !same(b"ab", b"a"));
}
