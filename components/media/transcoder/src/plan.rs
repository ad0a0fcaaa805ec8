//! What a worker is told: the tracks of one lane, from what is known of the source. Pure.

use crate::ladder::{self, Ladder, Rung};
use media_contract::asset_pipeline::StepRequested;
use media_contract::facts::{AudioFacts, Facts, VideoFacts};
use media_contract::step::Lane;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;
use sha2::{Digest, Sha256};

const SEGMENT_SECONDS: i32 = 4;
const GOP_SECONDS: i32 = 2;
/// What is done again at most when a worker dies.
const CHUNK_SECONDS: i32 = 60;
/// More languages than a player's menu shows.
const AUDIO_TRACKS_MAX: usize = 8;
const STEREO_BITS_PER_SECOND: i64 = 128_000;
const MONO_BITS_PER_SECOND: i64 = 64_000;
/// Quality and effort of the first size: it is there to be early.
const FAST_CRF: i32 = 25;
const FAST_PRESET: &str = "superfast";
/// The platform's own bound on one attempt.
const WALL_MS_MAX: i64 = 86_400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The source's own tracks are published.
    Remux,
    /// Tracks are made of it.
    Encode,
}

impl ToParam for Method {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// How the lane of a source is made.
pub fn method(lane: Lane, facts: &Facts) -> Method {
    match lane {
        Lane::Fast if facts.may_remux => Method::Remux,
        Lane::Fast | Lane::Ladder => Method::Encode,
    }
}

/// One picture track, as `media-native/transcode` reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Video {
    track: String,
    width: i32,
    height: i32,
    codec: &'static str,
    crf: i32,
    maxrate_bps: i64,
    fps_max: Option<i32>,
    preset: String,
}

/// One track of sound.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Audio {
    source_index: i32,
    track: String,
    bitrate_bps: i64,
    channels: i32,
    language: String,
}

/// What a worker is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub args: Value,
    /// The same for the same tracks of any source.
    pub hash: String,
    pub wall_ms: i64,
}

/// Tracks of the fast lane are called `f…`, those of the ladder `v…`: once the ladder is there, a
/// player needs the first ones no more, whose segments may begin elsewhere.
pub fn plan(order: &StepRequested, facts: &Facts, method: Method, profile: &Ladder) -> Plan {
    let lane = order.lane.unwrap_or(Lane::Fast);
    let video = facts.video.as_ref().map_or_else(Vec::new, |source| match lane {
        Lane::Fast => vec![first(source, method)],
        Lane::Ladder => {
            let rungs = profile.fit(side(source));
            rungs.iter().map(|rung| picture('v', source, rung, profile)).collect()
        }
    });
    // Sound is made once, with what comes first.
    let audio = match lane {
        Lane::Fast => facts.audio.iter().take(AUDIO_TRACKS_MAX).enumerate().map(sound).collect(),
        Lane::Ladder => Vec::new(),
    };
    let word = match (lane, method) {
        (_, Method::Remux) => "remux",
        (Lane::Fast, _) => "fast",
        (Lane::Ladder, _) => "ladder",
    };
    let tracks = json!({
        "lane": word, "video": video, "audio": audio, "segment_seconds": SEGMENT_SECONDS,
        "gop_seconds": GOP_SECONDS,
    });
    let mut args = tracks.clone();
    args["source"] = json!(order.source);
    args["prefix"] =
        json!({ "bucket": order.source.bucket, "key": format!("packages/{}", order.package) });
    args["chunk_seconds"] = CHUNK_SECONDS.into();
    Plan { args, hash: hash(&tracks), wall_ms: wall_ms(lane, facts.duration_ms) }
}

fn side(source: &VideoFacts) -> i32 {
    source.shown_width.min(source.shown_height)
}

fn first(source: &VideoFacts, method: Method) -> Video {
    let rung = match method {
        Method::Remux => {
            let maxrate_bps = source.bits_per_second.unwrap_or(0).clamp(50_000, 60_000_000);
            Rung { side: ladder::even(side(source)), maxrate_bps, fps_max: None }
        }
        Method::Encode => ladder::fast(side(source)),
    };
    let quick = Ladder { crf: FAST_CRF, preset: FAST_PRESET.into(), rungs: Vec::new() };
    picture('f', source, &rung, &quick)
}

fn picture(letter: char, source: &VideoFacts, rung: &Rung, how: &Ladder) -> Video {
    let (width, height) = ladder::size((source.shown_width, source.shown_height), rung.side);
    Video {
        track: format!("{letter}{}", rung.side),
        width,
        height,
        codec: "h264",
        crf: how.crf,
        maxrate_bps: rung.maxrate_bps,
        fps_max: rung.fps_max,
        preset: how.preset.clone(),
    }
}

fn sound((number, source): (usize, &AudioFacts)) -> Audio {
    let channels = source.channels.clamp(1, 2);
    Audio {
        source_index: source.index,
        track: format!("a{number}"),
        bitrate_bps: if channels == 1 { MONO_BITS_PER_SECOND } else { STEREO_BITS_PER_SECOND },
        channels,
        language: source.language.clone(),
    }
}

fn hash(tracks: &Value) -> String {
    let digest = Sha256::digest(tracks.to_string());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Long enough for a slow machine that does nothing else; a stall is the worker's to notice.
fn wall_ms(lane: Lane, duration_ms: i64) -> i64 {
    let (least, times) = match lane {
        Lane::Fast => (600_000, 8),
        Lane::Ladder => (1_800_000, 60),
    };
    (least + duration_ms.max(0).saturating_mul(times)).min(WALL_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(more: Value) -> Facts {
        let mut facts = json!({
            "duration_ms": 10_000, "may_remux": false,
            "video": {
                "stream": 0, "codec": "hevc", "profile": null, "pixel_format": null,
                "width": 1080, "height": 1920, "pixel_aspect": [1, 1], "rotation_degrees": 0,
                "shown_width": 1080, "shown_height": 1920, "frames_per_second": [30, 1],
                "is_constant_rate": true, "is_interlaced": false, "is_hdr": false,
                "bits_per_second": null, "frames": null, "duration_ms": null,
            },
            "audio": [{
                "stream": 1, "index": 0, "codec": "ac3", "profile": null, "channels": 6,
                "sample_rate": 48000, "language": "de", "is_default": true,
                "bits_per_second": null, "duration_ms": null,
            }],
        });
        facts.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        serde_json::from_value(facts).unwrap()
    }

    fn planned(lane: &str, facts: &Facts) -> Plan {
        let nobody = Uuid::nil();
        let order: StepRequested = serde_json::from_value(json!({
            "asset": nobody, "owner": nobody, "run": nobody, "step": "transcode", "lane": lane,
            "attempt": 1, "source": { "bucket": "media", "key": "uploads/u" },
            "package": nobody, "priority": 0, "facts": null,
        }))
        .unwrap();
        let method = method(order.lane.unwrap(), facts);
        plan(&order, facts, method, &ladder::built_in("standard").unwrap())
    }

    #[test]
    fn what_can_be_published_as_it_is_is_and_all_else_gets_one_small_size_first() {
        let args = planned("fast", &facts(json!({}))).args;
        assert_eq!((&args["lane"], args["video"].as_array().unwrap().len()), (&json!("fast"), 1));
        let first = &args["video"][0];
        assert_eq!((&first["track"], &first["height"]), (&json!("f480"), &json!(854)));
        let sound = json!({ "source_index": 0, "track": "a0", "bitrate_bps": 128000,
            "channels": 2, "language": "de" });
        assert_eq!(args["audio"], json!([sound]));
        let args = planned("fast", &facts(json!({ "may_remux": true }))).args;
        assert_eq!((&args["lane"], &args["video"][0]["track"]), (&json!("remux"), &json!("f1080")));
        assert_eq!(args["prefix"]["key"], format!("packages/{}", Uuid::nil()));
    }

    #[test]
    fn the_ladder_of_an_upright_picture_has_the_same_sizes_and_no_sound() {
        let args = planned("ladder", &facts(json!({ "may_remux": true }))).args;
        let tracks: Vec<_> =
            args["video"].as_array().unwrap().iter().map(|video| &video["track"]).collect();
        assert_eq!(tracks, ["v234", "v360", "v432", "v540", "v720", "v1080"]);
        assert_eq!((&args["lane"], &args["audio"]), (&json!("ladder"), &json!([])));
        assert_eq!(args["video"][4]["width"], 720);
        assert_eq!(args["video"][4]["height"], 1280);
    }

    #[test]
    fn sound_alone_is_published_without_pictures() {
        let args = planned("fast", &facts(json!({ "video": null }))).args;
        assert_eq!(args["video"], json!([]));
        assert_eq!(args["audio"][0]["track"], "a0");
    }

    #[test]
    fn the_hash_tells_one_way_of_making_tracks_from_another() {
        let of = |facts| planned("fast", &facts).hash;
        let longer = json!({ "duration_ms": 20_000 });
        assert_eq!(of(facts(json!({}))), of(facts(longer)));
        assert_ne!(of(facts(json!({}))), of(facts(json!({ "audio": [] }))));
    }

    #[test]
    fn an_attempt_has_time_for_its_content_and_never_more_than_a_day() {
        assert_eq!(wall_ms(Lane::Fast, 0), 600_000);
        assert_eq!(wall_ms(Lane::Ladder, 12 * 3_600_000), WALL_MS_MAX);
    }
}
