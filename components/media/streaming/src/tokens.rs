//! Tokens and the addresses that hold them.

use crate::store::assets::Playable;
use media_contract::drm::Protection;
use media_contract::playback::{KEY_VARIABLE, Playback, PlaybackKey};
use media_contract::{PackageId, PlaybackId};
use nexus_sdk::prelude::*;

/// Where a viewer finds what they play. Each address holds the token and ends with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Addresses {
    pub hls: String,
    pub dash: String,
    /// WebVTT: which picture shows which moment.
    pub sprite: Option<String>,
    pub poster: Option<String>,
}

/// How what is played is protected, and where its keys are given. Ends with its token.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Protected {
    scheme: Protection,
    /// As browsers name it.
    key_system: &'static str,
    licence: String,
}

pub fn protected(scheme: Protection, token: &str) -> Protected {
    let licence = format!("/api/drm/v1/licences/clearkey?t={token}");
    Protected { scheme, key_system: "org.w3.clearkey", licence }
}

/// A token for a package up to a height.
///
/// # Errors
/// When the installation has no key.
pub async fn token(
    by: &Ctx,
    package: PackageId,
    session: PlaybackId,
    height_max: u16,
    expires_at: Time,
) -> Result<String> {
    let variable = by.variable(KEY_VARIABLE).await?;
    let key = PlaybackKey::of_variable(&variable);
    let key = key.ok_or_else(|| Failure::msg("the playback key is no 32 bytes as base64"))?;
    let expires = u32::try_from(expires_at.timestamp()).unwrap_or(0);
    let (tenant, package, session) = (by.tenant().into(), package.into(), session.into());
    Ok(Playback { tenant, package, session, height_max, expires }.token(&key))
}

pub fn addresses(package: PackageId, asset: &Playable, token: &str) -> Addresses {
    let poster = asset.poster.as_ref();
    Addresses {
        hls: format!("/hls/{package}/master.m3u8?t={token}"),
        dash: format!("/dash/{package}/manifest.mpd?t={token}"),
        sprite: asset.has_storyboard.then(|| format!("/hls/{package}/storyboard.vtt?t={token}")),
        poster: poster.map(|name| format!("/media/{package}/images/{name}?t={token}")),
    }
}
