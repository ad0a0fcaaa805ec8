//! Kinds of keys and what each of them can do.

use crate::policy::Operation;
use nexus_sdk::prelude::*;

/// As Vault's transit engine names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyType {
    Aes256Gcm96,
    Chacha20Poly1305,
    Ed25519,
    EcdsaP256,
    Hmac,
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl ToParam for KeyType {
    fn to_param(&self) -> Param {
        word(self)
    }
}

impl KeyType {
    pub fn encrypts(self) -> bool {
        matches!(self, Self::Aes256Gcm96 | Self::Chacha20Poly1305)
    }

    pub fn signs(self) -> bool {
        self.rsa_bits().is_some() || matches!(self, Self::Ed25519 | Self::EcdsaP256)
    }

    pub fn rsa_bits(self) -> Option<u32> {
        match self {
            Self::Rsa2048 => Some(2048),
            Self::Rsa3072 => Some(3072),
            Self::Rsa4096 => Some(4096),
            _ => None,
        }
    }

    /// Whether such a key can do this at all.
    pub fn can(self, operation: Operation) -> bool {
        match operation {
            Operation::Encrypt | Operation::Decrypt | Operation::Rewrap | Operation::Datakey => {
                self.encrypts()
            }
            Operation::Sign => self.signs(),
            Operation::Verify => self.signs() || self == Self::Hmac || self.encrypts(),
            Operation::Hmac | Operation::Export => true,
        }
    }
}

#[test]
fn keys_are_spelled_as_vault_spells_them() {
    for (kind, word) in [
        (KeyType::Aes256Gcm96, "aes256-gcm96"),
        (KeyType::Chacha20Poly1305, "chacha20-poly1305"),
        (KeyType::Ed25519, "ed25519"),
        (KeyType::EcdsaP256, "ecdsa-p256"),
        (KeyType::Hmac, "hmac"),
        (KeyType::Rsa4096, "rsa-4096"),
    ] {
        assert_eq!(serde_json::to_value(kind).unwrap(), word);
    }
}
