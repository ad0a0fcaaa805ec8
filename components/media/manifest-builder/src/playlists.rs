//! What players ask for: playlists and manifests, for whoever shows a token.

use crate::package::Package;
use crate::{dash, hls, shelf, storyboard};
use media_contract::PackageId;
use media_contract::playback::{KEY_VARIABLE, Playback, PlaybackKey, Refused};
use nexus_sdk::prelude::*;
use std::sync::Arc;

nexus_sdk::refusals! {
    PlaybackDenied = 403, "this playback token opens nothing here: ask for another"
}

const HLS: &str = "application/vnd.apple.mpegurl";
const DASH: &str = "application/dash+xml";
const VTT: &str = "text/vtt; charset=utf-8";
/// While tracks come, and when none does any more: a player that asks twice gets the same.
const GROWS: &str = "private, max-age=2";
const STANDS: &str = "private, max-age=30";

pub fn router() -> Router {
    Router::new()
        .route("/hls/{package}/{file}", get(show_hls))
        .route("/dash/{package}/manifest.mpd", get(show_dash))
}

/// The playback token, as `streaming` has given it.
#[derive(Deserialize, JsonSchema)]
struct Shown {
    #[serde(default)]
    t: String,
}

/// Reads the token: whoever shows one for this package and tenant may have what it covers.
async fn admit(by: &Public, package: PackageId, token: &str) -> Result<Playback> {
    let variable = by.variable(KEY_VARIABLE).await?;
    let key = PlaybackKey::of_variable(&variable);
    let key = key.ok_or_else(|| Failure::msg("the playback key is no 32 bytes as base64"))?;
    let denied = |why: &str| PlaybackDenied.because(why);
    let playback = Playback::read(token, &key, by.now().timestamp()).map_err(|why| match why {
        Refused::Expired => denied("the playback token has expired: ask for another"),
        Refused::Forged if token.is_empty() => denied("there is no playback token (`?t=`)"),
        Refused::Forged => denied("the playback token is none of this installation's"),
    })?;
    let (own, tenant): (Uuid, Uuid) = (package.into(), by.tenant().into());
    match playback.package == own && playback.tenant == tenant {
        true => Ok(playback),
        false => Err(denied("the playback token is for another package").into()),
    }
}

/// `master.m3u8`, `<track>.m3u8`, `iframes-<height>.m3u8`, `text-<language>.m3u8` and
/// `storyboard.vtt`.
async fn show_hls(
    by: Public,
    Path((id, file)): Path<(PackageId, String)>,
    Query(Shown { t }): Query<Shown>,
) -> Result<Response> {
    let playback = admit(&by, id, &t).await?;
    let package = shelf::package(&by, id).await?;
    let (kind, text) = file_of(&package, &playback, &t, &file).ok_or(standard::NotFound)?;
    Ok(answer(&package, kind, text))
}

/// A file of the HLS presentation; None when there is none of this name.
fn file_of(
    package: &Arc<Package>,
    playback: &Playback,
    token: &str,
    file: &str,
) -> Option<(&'static str, String)> {
    let most = playback.height_max;
    let offer = package.offer(playback.package, token, most);
    if file == "storyboard.vtt" {
        return offer.sprites.map(|_| (VTT, storyboard::vtt(&offer)));
    }
    let name = file.strip_suffix(".m3u8")?;
    let text = if name == "master" {
        (!offer.is_empty()).then(|| hls::master(&offer))?
    } else if let Some(lines) = name.strip_prefix("iframes-") {
        hls::iframes(&offer, package.picture(lines.parse().ok()?, most)?)
    } else if let Some(language) = name.strip_prefix("text-") {
        let known = offer.texts.iter().find(|it| it.language == language)?;
        hls::words(&offer, known, package.microseconds())
    } else {
        hls::media(&offer, package.track(name, most)?)
    };
    Some((HLS, text))
}

async fn show_dash(
    by: Public,
    Path(id): Path<PackageId>,
    Query(Shown { t }): Query<Shown>,
) -> Result<Response> {
    let playback = admit(&by, id, &t).await?;
    let package = shelf::package(&by, id).await?;
    let offer = package.offer(playback.package, &t, playback.height_max);
    if offer.is_empty() {
        return Err(standard::NotFound.into());
    }
    let text = dash::manifest(&offer);
    Ok(answer(&package, DASH, text))
}

fn answer(package: &Package, kind: &'static str, text: String) -> Response {
    let kept = if package.is_complete { STANDS } else { GROWS };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests;

    #[test]
    fn a_name_is_a_playlist_only_where_the_token_covers_the_track() {
        let package = Arc::new(tests::package(10));
        let (tenant, session) = (Uuid::nil(), Uuid::nil());
        let playback =
            Playback { tenant, package: Uuid::nil(), session, height_max: 720, expires: 0 };
        let there = |file: &str| file_of(&package, &playback, "t", file).is_some();
        for file in
            ["master.m3u8", "v720.m3u8", "f480.m3u8", "a1.m3u8", "iframes-360.m3u8", "text-en.m3u8"]
        {
            assert!(there(file), "{file}");
        }
        for file in [
            "v1080.m3u8",
            "iframes-1080.m3u8",
            "iframes-a0.m3u8",
            "text-de.m3u8",
            "master.mpd",
            "v720",
            "storyboard.vtt",
            "..m3u8",
        ] {
            assert!(!there(file), "{file}");
        }
    }
}
