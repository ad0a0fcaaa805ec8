//! What a player is told before it begins: one answer for a title or an asset on a kind of device.

use crate::beacons::EVENTS_MAX;
use crate::devices::{self, Device, Engine};
use crate::sdk::{self, Files};
use crate::titles::{self, Asked, Cue, Next};
use media_contract::AssetId;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    NothingAsked = 400, "name what is to be played: a title or an asset"
}

/// What `streaming` also says of each playback, where it is what counts.
const HEARTBEAT_SECONDS: i32 = 30;
/// A sum of a minute at most is lost with a player.
const BEACON_SECONDS: i32 = 20;
/// Lines of the largest picture for whoever saves data.
const SAVER_HEIGHT: i32 = 480;

pub fn router() -> Router {
    Router::new().route("/config", get(show))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// A title's id or slug; cues and what comes next are known of titles only.
    #[serde(default)]
    title: String,
    asset: Option<AssetId>,
    /// The name of a device profile.
    #[serde(default)]
    device: String,
    /// One of the household.
    #[serde(default)]
    profile: String,
    /// For names; a BCP 47 tag.
    #[serde(default)]
    language: String,
}

/// What a player plays, and how.
#[derive(Debug, Serialize, JsonSchema)]
struct Config {
    asset: AssetId,
    title: Option<Uuid>,
    name: Option<String>,
    /// With which of the two addresses of a playback to begin.
    engine: Engine,
    /// Until a playback says otherwise.
    heartbeat_seconds: i32,
    cues: Vec<Cue>,
    next: Option<Next>,
    /// Whether to begin what comes next without being asked.
    autoplay_next: bool,
    captions: Captions,
    quality: Quality,
    device: Device,
    /// Whether pictures of the way through are shown above the bar; their address is the
    /// playback's (`sprite`).
    storyboard: bool,
    beacons: Beacons,
    cmcd: Cmcd,
    sdk: Files,
}

/// Text in the picture.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Captions {
    /// From the beginning on.
    show: bool,
    /// Which language first; a BCP 47 tag.
    language: Option<String>,
}

/// The best that is asked for; what may be had is in the token.
#[derive(Debug, Serialize, JsonSchema)]
struct Quality {
    height_max: Option<i32>,
    kbps_max: Option<i32>,
    buffer_seconds: i32,
}

/// Where to tell how it goes.
#[derive(Debug, Serialize, JsonSchema)]
struct Beacons {
    url: &'static str,
    seconds: i32,
    events_max: usize,
}

/// Common Media Client Data (CTA-5004) on requests for playlists and segments.
#[derive(Debug, Serialize, JsonSchema)]
struct Cmcd {
    version: i32,
    /// `query`: headers would cost a question beforehand on another origin.
    transport: &'static str,
    keys: &'static [&'static str],
}

const CMCD: Cmcd = Cmcd {
    version: 1,
    transport: "query",
    keys: &["br", "bl", "bs", "cid", "d", "mtp", "ot", "pr", "sf", "sid", "st", "su", "tb"],
};

/// How somebody likes to watch, as `profiles` keeps it.
#[derive(Debug, Default, Deserialize)]
struct Liked {
    #[serde(default)]
    playback: Option<Playback>,
}

#[derive(Debug, Default, Deserialize)]
struct Playback {
    autoplay: Option<bool>,
    captions: Option<bool>,
    caption_language: Option<String>,
    height_max: Option<i32>,
    data_saver: Option<bool>,
}

async fn show(by: Public, Query(wish): Query<Wish>) -> Result<Json<Config>> {
    let asked = Asked { title: &wish.title, profile: &wish.profile, language: &wish.language };
    let title = match wish.title.is_empty() {
        true => None,
        false => Some(titles::find(asked).await?),
    };
    let asset = match &title {
        Some(title) => Some(title.asset.ok_or(standard::NotFound)?),
        None => wish.asset,
    };
    let asset = asset.ok_or(NothingAsked)?;
    let device = devices::of(&by, &wish.device).await?;
    let liked = liked(&by).await;
    Ok(Json(Config {
        asset,
        title: title.as_ref().map(|it| it.id),
        name: title.as_ref().map(|it| it.name.clone()),
        engine: device.limits.engine,
        heartbeat_seconds: HEARTBEAT_SECONDS,
        cues: title.as_ref().map(|it| it.cues.clone()).unwrap_or_default(),
        next: title.and_then(|it| it.next),
        autoplay_next: liked.autoplay.unwrap_or(true),
        quality: quality(&device, &liked),
        captions: Captions {
            show: liked.captions.unwrap_or(false),
            language: liked.caption_language,
        },
        device,
        storyboard: true,
        beacons: Beacons {
            url: "/api/player-api/v1/beacons",
            seconds: BEACON_SECONDS,
            events_max: EVENTS_MAX,
        },
        cmcd: CMCD,
        sdk: sdk::files(),
    }))
}

/// The smallest of what the device shows, what somebody wants, and what saves data.
fn quality(device: &Device, liked: &Playback) -> Quality {
    let saver = (liked.data_saver == Some(true)).then_some(SAVER_HEIGHT);
    let heights = [device.limits.height_max, liked.height_max, saver];
    Quality {
        height_max: heights.into_iter().flatten().min(),
        kbps_max: device.limits.kbps_max,
        buffer_seconds: device.limits.buffer_seconds,
    }
}

/// Nothing where nobody is signed in, and nothing while `profiles` is away: a film begins without.
async fn liked(by: &Ctx) -> Playback {
    if !by.principal().is_authenticated() {
        return Playback::default();
    }
    let reply = call("profiles").get("/api/profiles/v1/me/preferences").send().await;
    let liked = match reply {
        Ok(reply) if reply.status.is_success() => serde_json::from_slice::<Liked>(&reply.body).ok(),
        _ => None,
    };
    liked.and_then(|it| it.playback).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::Limits;

    fn device(height_max: Option<i32>) -> Device {
        let limits = Limits { engine: Engine::Hls, height_max, kbps_max: None, buffer_seconds: 30 };
        Device { name: "web-desktop".into(), limits }
    }

    #[test]
    fn the_smallest_of_all_wishes_is_the_best_picture() {
        let height = |device: &Device, liked: &Playback| quality(device, liked).height_max;
        assert_eq!(height(&device(None), &Playback::default()), None);
        let liked = Playback { height_max: Some(1080), ..Playback::default() };
        assert_eq!(height(&device(Some(720)), &liked), Some(720));
        assert_eq!(height(&device(None), &liked), Some(1080));
        let saves = Playback { data_saver: Some(true), ..liked };
        assert_eq!(height(&device(Some(720)), &saves), Some(480));
    }

    #[test]
    fn what_somebody_likes_is_read_from_the_whole_document() {
        let said = json!({ "theme": "dark", "playback": { "captions": true }, "apps": {} });
        let liked: Liked = serde_json::from_value(said).unwrap();
        assert_eq!(liked.playback.unwrap().captions, Some(true));
        assert!(serde_json::from_value::<Liked>(json!({})).unwrap().playback.is_none());
    }
}
