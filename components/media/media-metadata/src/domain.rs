//! From a worker's report to facts, and what is no source at all. Pure.

use crate::report::{Kind, Ratio, Report, Stream};
use media_contract::Reason;
use media_contract::facts::{AudioFacts, Facts, VideoFacts};
use std::collections::BTreeMap;

/// An opera has fewer.
const DURATION_MS_MAX: i64 = 12 * 3600 * 1000;
/// Of one side, as stored: 8K and some.
const SIDE_MAX: i32 = 8192;
/// More tracks of sound than any film has languages.
const AUDIO_TRACKS_MAX: usize = 32;
/// Beyond these a copy would play in fewer browsers than what we would make of it.
const REMUX_SIDES_MAX: (i32, i32) = (1920, 1080);
const REMUX_FRAMES_PER_SECOND_MAX: i64 = 60;
const REMUX_BITS_PER_SECOND_MAX: i64 = 12_000_000;
/// Tags that say what something is. All others are dropped: places, devices and people's names
/// are among them.
const TAGS: [&str; 8] =
    ["title", "artist", "album", "date", "genre", "copyright", "description", "show"];

/// What is known of a source, or why it is none.
pub fn facts(report: &Report) -> Result<Facts, Reason> {
    let video = moving(report)?;
    let audio = sounds(report)?;
    if video.is_none() && audio.is_empty() {
        let codecless = report.streams.iter().any(|s| matches!(s.kind, Kind::Video | Kind::Audio));
        return Err(match codecless {
            true => reason("unsupported-codec", "nobody here knows how this was encoded"),
            false => reason("no-media-streams", "there is neither a moving picture nor sound"),
        });
    }
    let durations = report.streams.iter().filter_map(|stream| stream.duration_ms);
    let duration_ms = report.duration_ms.into_iter().chain(durations).max().unwrap_or(0);
    if duration_ms > DURATION_MS_MAX {
        return Err(reason("too-long", "it lasts more than 12 hours"));
    }
    let subtitles = report.streams.iter().filter(|stream| stream.kind == Kind::Subtitle);
    Ok(Facts {
        container: report.container.clone(),
        bytes: report.size_bytes,
        duration_ms,
        bits_per_second: report.bits_per_second,
        may_remux: may_remux(report, video.as_ref(), &audio),
        subtitles: subtitles.map(|stream| language(stream.language.as_deref())).collect(),
        chapters: report.chapters,
        video,
        audio,
    })
}

fn reason(code: &str, detail: &str) -> Reason {
    Reason { code: code.to_owned(), detail: detail.to_owned() }
}

/// The picture that is shown: the default one, otherwise the first.
fn moving(report: &Report) -> Result<Option<VideoFacts>, Reason> {
    let pictures = || report.streams.iter().filter(|stream| stream.kind == Kind::Video);
    let known = |stream: &&Stream| stream.codec.is_some() && stream.width > Some(0);
    let shown = pictures().filter(known).find(|stream| stream.is_default);
    let Some(stream) = shown.or_else(|| pictures().find(known)) else { return Ok(None) };
    let (width, height) = (stream.width.unwrap_or(0), stream.height.unwrap_or(0));
    if height <= 0 {
        return Ok(None);
    }
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(reason("too-large", "a picture has more than 8192 points on one side"));
    }
    let aspect = stream.pixel_aspect.and_then(Ratio::pair).unwrap_or((1, 1));
    let rotation = stream.rotation_degrees.unwrap_or(0);
    let (shown_width, shown_height) = shown_size((width, height), aspect, rotation);
    let transfer = stream.color.as_ref().and_then(|color| color.transfer.as_deref());
    Ok(Some(VideoFacts {
        stream: stream.index,
        codec: stream.codec.clone().unwrap_or_default(),
        profile: stream.profile.clone(),
        pixel_format: stream.pixel_format.clone(),
        width,
        height,
        pixel_aspect: aspect,
        rotation_degrees: rotation,
        shown_width,
        shown_height,
        frames_per_second: stream.frames_per_second.and_then(Ratio::pair),
        is_constant_rate: stream.constant_rate.unwrap_or(false),
        is_interlaced: stream.interlaced.unwrap_or(false),
        is_hdr: matches!(transfer, Some("smpte2084" | "arib-std-b67")),
        bits_per_second: stream.bits_per_second,
        frames: stream.frames,
        duration_ms: stream.duration_ms,
    }))
}

/// Square pixels, upright. The side that shape makes longer grows, so that no detail is lost.
fn shown_size(stored: (i32, i32), aspect: (i32, i32), rotation: i32) -> (i32, i32) {
    let (width, height) = (i64::from(stored.0), i64::from(stored.1));
    let (x, y) = (i64::from(aspect.0), i64::from(aspect.1));
    let side =
        |long: i64| i32::try_from(long.clamp(1, 4 * i64::from(SIDE_MAX))).unwrap_or(i32::MAX);
    let square = match x >= y {
        true => (side((width * x + y / 2) / y), stored.1),
        false => (stored.0, side((height * y + x / 2) / x)),
    };
    match rotation % 180 {
        0 => square,
        _ => (square.1, square.0),
    }
}

fn sounds(report: &Report) -> Result<Vec<AudioFacts>, Reason> {
    let tracks = report.streams.iter().filter(|stream| stream.kind == Kind::Audio);
    let mut audio: Vec<AudioFacts> = tracks
        .enumerate()
        .filter_map(|(index, stream)| {
            Some(AudioFacts {
                stream: stream.index,
                index: i32::try_from(index).ok()?,
                codec: stream.codec.clone()?,
                profile: stream.profile.clone(),
                channels: stream.channels.filter(|channels| *channels > 0)?,
                sample_rate: stream.sample_rate,
                language: language(stream.language.as_deref()),
                is_default: stream.is_default,
                bits_per_second: stream.bits_per_second,
                duration_ms: stream.duration_ms,
            })
        })
        .collect();
    if audio.len() > AUDIO_TRACKS_MAX {
        return Err(reason("too-many-streams", "there are more than 32 tracks of sound"));
    }
    audio.sort_by_key(|track| !track.is_default);
    Ok(audio)
}

/// Whether what is there can be published as it is, for all that the file says.
fn may_remux(report: &Report, video: Option<&VideoFacts>, audio: &[AudioFacts]) -> bool {
    let Some(video) = video else { return false };
    let container = ["mov,mp4", "matroska"].iter().any(|known| report.container.starts_with(known));
    let (long, short) = (video.width.max(video.height), video.width.min(video.height));
    let slow = video.frames_per_second.is_some_and(|(frames, per)| {
        i64::from(frames) <= REMUX_FRAMES_PER_SECOND_MAX * i64::from(per)
    });
    let plain = video.rotation_degrees == 0
        && video.pixel_aspect.0 == video.pixel_aspect.1
        && video.is_constant_rate
        && !video.is_interlaced
        && !video.is_hdr;
    let profiles = ["Constrained Baseline", "Baseline", "Main", "High"];
    let decodable = video.codec == "h264"
        && video.pixel_format.as_deref() == Some("yuv420p")
        && video.profile.as_deref().is_some_and(|profile| profiles.contains(&profile));
    let bits = video.bits_per_second.or(report.bits_per_second).unwrap_or(i64::MAX);
    let sound = |track: &AudioFacts| {
        track.codec == "aac" && track.profile.as_deref() == Some("LC") && track.channels <= 2
    };
    container
        && decodable
        && plain
        && slow
        && long <= REMUX_SIDES_MAX.0
        && short <= REMUX_SIDES_MAX.1
        && bits <= REMUX_BITS_PER_SECOND_MAX
        && audio.iter().all(sound)
}

/// ISO 639-2, in both of its spellings, as the two letters that BCP 47 wants.
fn language(told: Option<&str>) -> String {
    let told = told.unwrap_or("und").to_ascii_lowercase();
    let two = match told.as_str() {
        "ara" => "ar",
        "ces" | "cze" => "cs",
        "chi" | "zho" => "zh",
        "dan" => "da",
        "deu" | "ger" => "de",
        "dut" | "nld" => "nl",
        "ell" | "gre" => "el",
        "eng" => "en",
        "fin" => "fi",
        "fra" | "fre" => "fr",
        "heb" => "he",
        "hin" => "hi",
        "hun" => "hu",
        "ind" => "id",
        "ita" => "it",
        "jpn" => "ja",
        "kor" => "ko",
        "nor" => "no",
        "pol" => "pl",
        "por" => "pt",
        "ron" | "rum" => "ro",
        "rus" => "ru",
        "spa" => "es",
        "swe" => "sv",
        "tha" => "th",
        "tur" => "tr",
        "ukr" => "uk",
        "vie" => "vi",
        other => other,
    };
    let fits = (2..=3).contains(&two.len()) && two.bytes().all(|byte| byte.is_ascii_lowercase());
    if fits { two.to_owned() } else { "und".to_owned() }
}

/// What the file calls itself, without what it says of places and people.
pub fn tags(report: &Report) -> BTreeMap<String, String> {
    let lower = report.tags.iter().map(|(name, text)| (name.to_ascii_lowercase(), text.clone()));
    lower.filter(|(name, _)| TAGS.contains(&name.as_str())).collect()
}

/// What a worker says that found no source, as a reason.
pub fn refused(error: &str) -> Option<Reason> {
    if let Some(told) = Reason::told(error) {
        return Some(told);
    }
    let code = match error {
        "the object is empty" => "empty",
        "the file holds no stream" => "no-media-streams",
        other if other.starts_with("the file holds more than") => "too-many-streams",
        other if other.starts_with("the file") => "unreadable",
        other if other.starts_with("nothing is known of the file") => "unreadable",
        _ => return None,
    };
    Some(reason(code, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::prelude::*;
    use serde_json::Value;

    fn report(streams: Value) -> Report {
        let report = json!({
            "container": "mov,mp4,m4a,3gp,3g2,mj2", "size_bytes": 1000, "duration_ms": 4000,
            "bits_per_second": 2000, "streams": streams, "chapters": 0,
            "tags": { "title": "Holiday", "location": "+48.1+011.5/", "Artist": "Ada" },
        });
        serde_json::from_value(report).unwrap()
    }

    fn picture(more: Value) -> Value {
        let mut stream = json!({
            "index": 0, "kind": "video", "codec": "h264", "profile": "High", "width": 1280,
            "height": 720, "pixel_format": "yuv420p", "constant_rate": true,
            "frames_per_second": { "numerator": 30, "denominator": 1 },
        });
        stream.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        stream
    }

    fn sound() -> Value {
        json!({ "index": 1, "kind": "audio", "codec": "aac", "profile": "LC", "channels": 2,
            "sample_rate": 48000, "language": "ger" })
    }

    fn shown(more: Value) -> (i32, i32) {
        let video = facts(&report(json!([picture(more)]))).unwrap().video.unwrap();
        (video.shown_width, video.shown_height)
    }

    #[test]
    fn a_picture_is_as_large_as_it_is_seen() {
        let narrow = json!({ "numerator": 8, "denominator": 9 });
        let wide = json!({ "numerator": 64, "denominator": 45 });
        assert_eq!(shown(json!({})), (1280, 720));
        assert_eq!(shown(json!({ "rotation_degrees": 90 })), (720, 1280));
        assert_eq!(
            shown(json!({ "width": 720, "height": 576, "pixel_aspect": wide })),
            (1024, 576)
        );
        assert_eq!(
            shown(json!({ "width": 720, "height": 480, "pixel_aspect": narrow })),
            (720, 540)
        );
    }

    #[test]
    fn only_what_plays_everywhere_is_copied() {
        let may = |more: Value| facts(&report(json!([picture(more), sound()]))).unwrap().may_remux;
        assert!(may(json!({})));
        for other in [
            json!({ "codec": "hevc" }),
            json!({ "pixel_format": "yuv420p10le" }),
            json!({ "rotation_degrees": 90 }),
            json!({ "constant_rate": false }),
            json!({ "interlaced": true }),
            json!({ "width": 3840, "height": 2160 }),
            json!({ "color": { "transfer": "smpte2084" } }),
            json!({ "frames_per_second": { "numerator": 120, "denominator": 1 } }),
            json!({ "bits_per_second": 40_000_000 }),
        ] {
            assert!(!may(other.clone()), "{other}");
        }
    }

    #[test]
    fn what_neither_moves_nor_sounds_is_no_source() {
        let code = |streams| facts(&report(streams)).unwrap_err().code;
        let text = json!([{ "index": 0, "kind": "subtitle", "codec": "subrip" }]);
        assert_eq!(code(text), "no-media-streams");
        assert_eq!(code(json!([{ "index": 0, "kind": "video" }])), "unsupported-codec");
        assert_eq!(code(json!([picture(json!({ "width": 9000 }))])), "too-large");
        let long = json!([picture(json!({ "duration_ms": 43_200_001 }))]);
        assert_eq!(code(long), "too-long");
        assert!(facts(&report(json!([sound()]))).unwrap().video.is_none());
    }

    #[test]
    fn languages_are_told_as_the_web_tells_them() {
        for (told, language) in
            [("ger", "de"), ("fre", "fr"), ("en", "en"), ("haw", "haw"), ("English", "und")]
        {
            assert_eq!(super::language(Some(told)), language);
        }
        assert_eq!(super::language(None), "und");
    }

    #[test]
    fn where_something_was_recorded_is_not_kept() {
        let kept = tags(&report(json!([sound()])));
        let names: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(names, ["artist", "title"]);
    }

    #[test]
    fn a_refusal_of_the_worker_is_a_reason_and_its_bad_luck_is_none() {
        let code = |error| refused(error).map(|reason| reason.code);
        assert_eq!(code("unreadable: no index").as_deref(), Some("unreadable"));
        assert_eq!(code("the object is empty").as_deref(), Some("empty"));
        assert_eq!(code("the file cannot be read: moov").as_deref(), Some("unreadable"));
        assert_eq!(code("out of attempts: the last worker was lost"), None);
    }
}
