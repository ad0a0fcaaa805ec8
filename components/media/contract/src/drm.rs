//! The facts that `drm` publishes: which assets are to be protected, which packages are, and who
//! was given keys. Keys themselves are in no event.

use crate::{AssetId, PackageId, PlaybackId};
use nexus_sdk::schemars::JsonSchema;
use nexus_sdk::serde::{Deserialize, Serialize};
use nexus_sdk::uuid::Uuid;
use nexus_sdk::{Param, Time, ToParam, word};

/// Whether what is played of an asset is encrypted, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(crate = "nexus_sdk::serde", rename_all = "snake_case")]
#[schemars(crate = "nexus_sdk::schemars")]
pub enum Protection {
    #[default]
    None,
    /// ISO/IEC 23001-7: a tenth of the bytes of pictures and whole frames of sound, by AES-128 in
    /// CBC.
    Cbcs,
}

impl ToParam for Protection {
    fn to_param(&self) -> Param {
        word(self)
    }
}

nexus_sdk::event! {
    /// An asset is to be protected, or not, from now on.
    "media.protection.decided.v1" => ProtectionDecided about asset {
        asset: AssetId,
        /// Absent where it is as the tenant's default says.
        protection: Option<Protection>,
        /// When that was decided: of two decisions the later one holds, however they arrive.
        at: Time,
    }
    /// What holds for assets of which nothing else was decided.
    "media.protection.default_decided.v1" => ProtectionDefaultDecided about tenant {
        tenant: Uuid,
        protection: Protection,
        at: Time,
    }
    /// A part of a track is to be encrypted. `drm` tells it to itself.
    "media.protection.ordered.v1" => ProtectionOrdered about package {
        /// The protected one.
        package: PackageId,
        track: String,
        /// The first of the segments.
        first: i32,
    }
    /// A protected package can be played; told again when it is complete.
    "media.package.protected.v1" => PackageProtected about package {
        package: PackageId,
        asset: AssetId,
        owner: Uuid,
        /// The package that it was made of.
        clear: PackageId,
        scheme: Protection,
        /// 32 hexadecimal digits each.
        key_ids: Vec<String>,
        /// No track comes any more.
        is_complete: bool,
    }
    /// Nobody may play a protected package any more, from now on.
    "media.package.withdrawn.v1" => PackageWithdrawn about package {
        package: PackageId,
        asset: AssetId,
    }
    /// A player was given keys.
    "media.licence.issued.v1" => LicenceIssued about playback {
        playback: PlaybackId,
        asset: AssetId,
        package: PackageId,
        viewer: Uuid,
        key_ids: Vec<String>,
    }
    /// A player was given none, though it showed a playback token of ours.
    "media.licence.denied.v1" => LicenceDenied about playback {
        playback: PlaybackId,
        package: PackageId,
        /// `ended`, `unprotected`, `withdrawn`, `not-covered`.
        reason: String,
    }
    /// Somebody has taken the keys of a package along.
    "media.keys.exported.v1" => KeysExported about package {
        package: PackageId,
        asset: AssetId,
        /// Who, as the host has proven it.
        subject: String,
    }
}
