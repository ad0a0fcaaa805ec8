//! The ids of `kms`, and the facts it publishes. No fact carries a key.

use nexus_sdk::Time;
use std::collections::BTreeMap;

nexus_sdk::id! {
    /// A key with all its versions.
    KeyId;
    /// A secret with all its versions.
    SecretId
}

nexus_sdk::event! {
    /// A key has a new version: one that is in use, or one that takes over at an instant.
    "platform.key.rotated.v1" => KeyRotated {
        id: KeyId,
        name: String,
        /// `tenant`, `service/<component>` or `user/<subject>`.
        owner: String,
        version: i32,
        /// When the version takes over, where it does not yet.
        activates_at: Option<Time>,
    }
    /// A key, or one version of it, may not be used for the time being.
    "platform.key.disabled.v1" => KeyDisabled {
        id: KeyId,
        name: String,
        owner: String,
        version: Option<i32>,
    }
    /// A key, or one version of it, is gone for good, and with it whatever it has encrypted.
    "platform.key.destroyed.v1" => KeyDestroyed {
        id: KeyId,
        name: String,
        owner: String,
        version: Option<i32>,
    }
    /// How often a key was used within an hour, by operation and by whom.
    "platform.key.used.v1" => KeyUsed {
        id: KeyId,
        hour: Time,
        /// `<operation> <actor>` and the number of uses (see the README of kms: exact to 256).
        uses: BTreeMap<String, i64>,
    }
    /// A secret has a new version.
    "platform.secret.written.v1" => SecretWritten { id: SecretId, name: String, version: i32 }
    /// Somebody has read a secret.
    "platform.secret.revealed.v1" => SecretRevealed {
        id: SecretId,
        name: String,
        version: i32,
        subject: String,
    }
}
