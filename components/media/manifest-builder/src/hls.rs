//! HLS playlists, RFC 8216, protocol version 7. Every text that comes in from outside (names,
//! codecs, languages, tokens) is of plain characters by now, so that nothing needs an escape. Pure.

use crate::languages;
use crate::package::{Offer, Text};
use crate::track::{Kind, Track};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write as _;

const VERSION: u32 = 7;
/// With what a player begins that knows nothing of the line yet (HLS authoring specification 9.16).
const FIRST_BITS_PER_SECOND: u64 = 2_000_000;
const TEXT_GROUP: &str = "text";

macro_rules! line {
    ($text:expr, $($form:tt)*) => {
        writeln!($text, $($form)*).expect("a String takes all")
    };
}

/// Sound of one codec; a variant names one group, and each codec that it may need.
struct Group<'a> {
    name: String,
    tracks: Vec<&'a Track>,
}

impl Group<'_> {
    fn peak(&self) -> u64 {
        self.tracks.iter().map(|track| track.peak_bits_per_second).max().unwrap_or(0)
    }

    fn average(&self) -> u64 {
        self.tracks.iter().map(|track| track.average_bits_per_second).max().unwrap_or(0)
    }
}

/// The playlist of all variants.
pub fn master(offer: &Offer<'_>) -> String {
    let mut text = String::from("#EXTM3U\n");
    line!(text, "#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS");
    let groups = groups(offer);
    let alone = offer.video.is_empty() && offer.audio.len() == 1;
    if !alone {
        groups.iter().for_each(|group| renditions(&mut text, offer, group));
    }
    subtitles(&mut text, offer);
    for variant in variants(offer, &groups, alone) {
        text.push_str(&variant);
    }
    for track in &offer.video {
        let (_, peak) = pictures(track);
        line!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={peak},CODECS=\"{}\"{},URI=\"{}\"",
            track.codec,
            resolution(track),
            offer.playlist(&format!("iframes-{}", track.lines().unwrap_or(0)))
        );
    }
    text
}

fn groups<'a>(offer: &Offer<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for track in &offer.audio {
        match groups.iter_mut().find(|group| group.tracks[0].codec == track.codec) {
            Some(group) => group.tracks.push(track),
            None => {
                let name = format!("audio-{}", groups.len());
                groups.push(Group { name, tracks: vec![track] });
            }
        }
    }
    groups
}

fn renditions(text: &mut String, offer: &Offer<'_>, group: &Group<'_>) {
    for (number, track) in group.tracks.iter().enumerate() {
        let Kind::Audio { channels, .. } = track.kind else { continue };
        let language = track.language();
        let earlier = group.tracks[..number].iter().filter(|it| it.language() == language).count();
        // Names tell renditions of a group apart.
        let name = match earlier {
            0 => languages::name(language).to_owned(),
            more => format!("{} {}", languages::name(language), more + 1),
        };
        let default = if number == 0 { "YES" } else { "NO" };
        line!(
            text,
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"{name}\",LANGUAGE=\"{language}\",\
             DEFAULT={default},AUTOSELECT=YES,CHANNELS=\"{channels}\",URI=\"{}\"",
            group.name,
            offer.playlist(&track.name)
        );
    }
}

fn subtitles(text: &mut String, offer: &Offer<'_>) {
    for Text { language, .. } in offer.texts {
        let name = languages::name(language);
        let same = offer.texts.iter().filter(|it| languages::name(&it.language) == name).count();
        // Two ways of writing one language have different names.
        let name = if same > 1 { language } else { name };
        line!(
            text,
            "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{TEXT_GROUP}\",NAME=\"{name}\",\
             LANGUAGE=\"{language}\",DEFAULT=NO,AUTOSELECT=YES,FORCED=NO,URI=\"{}\"",
            offer.playlist(&format!("text-{language}"))
        );
    }
}

/// What a variant says; the one to begin with comes first, the others from small to large.
fn variants(offer: &Offer<'_>, groups: &[Group<'_>], alone: bool) -> Vec<String> {
    let mut all: Vec<(u64, String)> = Vec::new();
    if offer.video.is_empty() {
        for group in groups {
            let sound = if alone { None } else { Some(group) };
            all.push(variant(offer, group.tracks[0], sound));
        }
    }
    for track in &offer.video {
        match groups.is_empty() {
            true => all.push(variant(offer, track, None)),
            false => all.extend(groups.iter().map(|group| variant(offer, track, Some(group)))),
        }
    }
    all.sort_by_key(|(bandwidth, _)| *bandwidth);
    let distance = |(bandwidth, _): &&(u64, String)| bandwidth.abs_diff(FIRST_BITS_PER_SECOND);
    let first = all.iter().min_by_key(distance).map(|(bandwidth, _)| *bandwidth);
    all.sort_by_key(|(bandwidth, _)| (Some(*bandwidth) != first, *bandwidth));
    all.into_iter().map(|(_, text)| text).collect()
}

fn variant(offer: &Offer<'_>, track: &Track, group: Option<&Group<'_>>) -> (u64, String) {
    // A group's track is heard with the pictures, or instead of the one that stands for it.
    let beside = group.filter(|_| track.is_video());
    let bandwidth = track.peak_bits_per_second + beside.map_or(0, Group::peak);
    let average = track.average_bits_per_second + beside.map_or(0, Group::average);
    let codecs = match beside {
        Some(group) => format!("{},{}", track.codec, group.tracks[0].codec),
        None => track.codec.clone(),
    };
    let mut text = format!(
        "#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\""
    );
    if let Kind::Video { frame_rate: (frames, seconds), .. } = track.kind {
        let rate = f64::from(frames) / f64::from(seconds);
        text += &format!("{},FRAME-RATE={rate:.3},CLOSED-CAPTIONS=NONE", resolution(track));
    }
    if let Some(group) = group {
        text += &format!(",AUDIO=\"{}\"", group.name);
    }
    if !offer.texts.is_empty() {
        text += &format!(",SUBTITLES=\"{TEXT_GROUP}\"");
    }
    line!(text, "\n{}", offer.playlist(&track.name));
    (bandwidth, text)
}

fn resolution(track: &Track) -> String {
    track.shown().map_or_else(String::new, |(w, h)| format!(",RESOLUTION={w}x{h}"))
}

/// The playlist of one track.
pub fn media(offer: &Offer<'_>, track: &Track) -> String {
    let mut text = head(track.lengths().max().unwrap_or(0));
    line!(text, "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS");
    protection(&mut text, track);
    line!(text, "#EXT-X-MAP:URI=\"{}\"", offer.media(&format!("{}/init.mp4", track.name)));
    for (number, length) in track.lengths().enumerate() {
        let address = offer.media(&format!("{}/{number}.m4s", track.name));
        line!(text, "#EXTINF:{},\n{address}", seconds(length));
    }
    text + "#EXT-X-ENDLIST\n"
}

/// Which key opens a track. hls.js takes the bytes of the address for the key's id.
fn protection(text: &mut String, track: &Track) {
    let Some(protection) = &track.protection else { return };
    let (bytes, digits) = (STANDARD.encode(protection.key_id()), &protection.key_id);
    line!(
        text,
        "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"data:text/plain;base64,{bytes}\",KEYID=0x{digits},\
         KEYFORMAT=\"org.w3.clearkey\",KEYFORMATVERSIONS=\"1\""
    );
}

/// Whose longest segment lasts so many microseconds.
fn head(longest: u64) -> String {
    let target = longest.div_ceil(1_000_000).max(1);
    format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target}\n\
         #EXT-X-MEDIA-SEQUENCE:0\n"
    )
}

/// A picture of the way through, by itself.
struct Still {
    segment: usize,
    offset: u64,
    bytes: u64,
    /// Microseconds until the next one.
    length: u64,
}

/// The keyframes of a track, and bits a second where they are dearest.
fn pictures(track: &Track) -> (Vec<Still>, u64) {
    let all: Vec<_> = track
        .segments
        .iter()
        .enumerate()
        .flat_map(|(segment, it)| it.keyframes.iter().map(move |keyframe| (segment, keyframe)))
        .collect();
    let next = all.iter().skip(1).map(|(_, keyframe)| keyframe.at).chain([track.end()]);
    let stills: Vec<Still> = all
        .iter()
        .zip(next)
        .map(|((segment, keyframe), next)| Still {
            segment: *segment,
            offset: keyframe.offset,
            bytes: keyframe.bytes,
            length: track.microseconds(next).saturating_sub(track.microseconds(keyframe.at)).max(1),
        })
        .collect();
    let rate = |it: &Still| {
        let bits = u128::from(it.bytes) * 8_000_000;
        u64::try_from(bits.div_ceil(u128::from(it.length))).unwrap_or(u64::MAX)
    };
    let peak = stills.iter().map(rate).max().unwrap_or(1);
    (stills, peak)
}

/// The playlist of a track's keyframes.
pub fn iframes(offer: &Offer<'_>, track: &Track) -> String {
    let (stills, _) = pictures(track);
    let mut text = head(stills.iter().map(|still| still.length).max().unwrap_or(0));
    line!(text, "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-I-FRAMES-ONLY");
    protection(&mut text, track);
    line!(text, "#EXT-X-MAP:URI=\"{}\"", offer.media(&format!("{}/init.mp4", track.name)));
    for Still { segment, offset, bytes, length } in stills {
        let address = offer.media(&format!("{}/{segment}.m4s", track.name));
        line!(text, "#EXTINF:{},\n#EXT-X-BYTERANGE:{bytes}@{offset}\n{address}", seconds(length));
    }
    text + "#EXT-X-ENDLIST\n"
}

/// The playlist of subtitles, which lie in one piece.
pub fn words(offer: &Offer<'_>, of: &Text, microseconds: u64) -> String {
    let mut text = head(microseconds);
    let address = offer.media(&format!("text/{}.vtt", of.file));
    line!(text, "#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:{},\n{address}", seconds(microseconds));
    text + "#EXT-X-ENDLIST\n"
}

fn seconds(microseconds: u64) -> String {
    format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000)
}

#[cfg(test)]
#[path = "hls_tests.rs"]
mod tests;
