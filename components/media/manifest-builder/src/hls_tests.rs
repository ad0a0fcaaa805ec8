//! Playlists against the rules of RFC 8216, read by a reader that knows nothing of their writer.

use super::*;
use crate::package::Package;
use crate::package::tests::{package, protected};
use crate::track::tests::{index, read, sound};
use nexus_sdk::prelude::Uuid;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TOKEN: &str = "AQ_-T";

/// Attributes of a tag (RFC 8216, 4.2).
fn attributes(list: &str) -> BTreeMap<&str, &str> {
    let mut rest = list;
    let mut found = BTreeMap::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').expect("a name and a value");
        let end = match after.strip_prefix('"') {
            Some(quoted) => 2 + quoted.find('"').expect("a quote that ends"),
            None => after.find(',').unwrap_or(after.len()),
        };
        let twice = found.insert(name, after[..end].trim_matches('"'));
        assert!(twice.is_none(), "{name} stands twice in {list}");
        rest = after[end..].strip_prefix(',').unwrap_or(&after[end..]);
    }
    found
}

fn all<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let tag = format!("#{tag}:");
    text.lines().filter_map(|line| line.strip_prefix(tag.as_str())).collect()
}

/// What holds for every playlist; gives the lines that are addresses.
fn lint(text: &str) -> Vec<&str> {
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:7\n"), "{text}");
    for once in ["EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-MAP"] {
        assert!(all(text, once).len() <= 1, "{once}: {text}");
    }
    assert!(text.lines().all(|line| !line.is_empty() && !line.contains('\r')), "{text}");
    let addresses: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let named = text.split("URI=\"").skip(1).map(|it| it.split('"').next().unwrap());
    for address in addresses.iter().copied().chain(named) {
        assert!(address.starts_with('/') && address.ends_with("?t=AQ_-T"), "{address}");
    }
    addresses
}

/// Lengths of segments in microseconds, after the rules of a media playlist.
fn lint_media(text: &str) -> Vec<u64> {
    let addresses = lint(text);
    let target: u64 = all(text, "EXT-X-TARGETDURATION")[0].parse().unwrap();
    assert!(text.ends_with("#EXT-X-ENDLIST\n") && text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n"));
    let lengths: Vec<u64> = all(text, "EXTINF")
        .iter()
        .map(|it| {
            let (whole, part) = it.strip_suffix(',').unwrap().split_once('.').unwrap();
            assert_eq!(part.len(), 6);
            whole.parse::<u64>().unwrap() * 1_000_000 + part.parse::<u64>().unwrap()
        })
        .collect();
    assert_eq!(lengths.len(), addresses.len(), "{text}");
    let longest = *lengths.iter().max().unwrap();
    assert!(longest <= target * 1_000_000 && target * 1_000_000 < longest + 1_000_000, "{text}");
    lengths
}

fn lint_master(text: &str) -> Vec<BTreeMap<&str, &str>> {
    let addresses = lint(text);
    assert!(text.contains("#EXT-X-INDEPENDENT-SEGMENTS\n"));
    let media: Vec<_> = all(text, "EXT-X-MEDIA").into_iter().map(attributes).collect();
    let mut names = BTreeSet::new();
    for rendition in &media {
        let name = (rendition["TYPE"], rendition["GROUP-ID"], rendition["NAME"]);
        assert!(names.insert(name), "{name:?} twice: {text}");
    }
    for group in media.iter().map(|it| it["GROUP-ID"]).collect::<BTreeSet<_>>() {
        let default = |it: &&BTreeMap<_, _>| it["GROUP-ID"] == group && it["DEFAULT"] == "YES";
        assert!(media.iter().filter(default).count() <= 1, "{text}");
    }
    let variants: Vec<_> = all(text, "EXT-X-STREAM-INF").into_iter().map(attributes).collect();
    assert_eq!(variants.len(), addresses.len(), "{text}");
    for variant in &variants {
        for kind in ["AUDIO", "SUBTITLES"] {
            let Some(group) = variant.get(kind) else { continue };
            let there = |it: &BTreeMap<_, _>| it["TYPE"] == kind && it["GROUP-ID"] == *group;
            assert!(media.iter().any(there), "{kind} {group}: {text}");
        }
        let rate = |name: &str| variant[name].parse::<u64>().unwrap();
        assert!(rate("BANDWIDTH") >= rate("AVERAGE-BANDWIDTH"), "{text}");
    }
    variants
}

fn offer(package: &Package, height_max: u16) -> Offer<'_> {
    package.offer(Uuid::from_u128(9), TOKEN, height_max)
}

#[test]
fn a_master_begins_with_what_most_lines_carry_and_names_all_that_it_refers_to() {
    let package = package(10);
    let text = master(&offer(&package, 1080));
    let variants = lint_master(&text);
    let bandwidths: Vec<&str> = variants.iter().map(|variant| variant["BANDWIDTH"]).collect();
    assert_eq!(bandwidths, ["2328000", "628000", "7128000"]);
    let first = &variants[0];
    assert_eq!(first["CODECS"], "avc1.64001f,mp4a.40.2");
    assert_eq!((first["RESOLUTION"], first["FRAME-RATE"]), ("1280x720", "29.970"));
    assert_eq!((first["AUDIO"], first["SUBTITLES"]), ("audio-0", "text"));
    let pictures: Vec<_> =
        all(&text, "EXT-X-I-FRAME-STREAM-INF").into_iter().map(attributes).collect();
    assert_eq!(pictures.len(), 3);
    assert!(pictures[0]["URI"].contains("/iframes-360.m3u8?t="), "{text}");
    // 900 bytes for two seconds.
    assert_eq!(pictures[0]["BANDWIDTH"], "3600");
}

#[test]
fn sound_alone_has_variants_without_pictures() {
    let track = |index| Arc::new(read(&index).unwrap());
    let one = Package { tracks: vec![track(sound("a0", 5, ""))], ..Package::default() };
    let text = master(&offer(&one, 720));
    assert_eq!(lint_master(&text).len(), 1);
    assert!(!text.contains("EXT-X-MEDIA:") && !text.contains("RESOLUTION"), "{text}");
    let same = vec![track(sound("a0", 5, "de")), track(sound("a1", 5, "de"))];
    let two = Package { tracks: same, ..Package::default() };
    let text = master(&offer(&two, 720));
    assert_eq!(lint_master(&text)[0]["AUDIO"], "audio-0");
    assert!(text.contains("NAME=\"Deutsch 2\""), "{text}");
}

#[test]
fn sound_of_two_codecs_is_two_groups_and_every_picture_goes_with_each() {
    let mut other = sound("a2", 10, "de");
    other["codec"] = "ec-3".into();
    let mut package = package(10);
    package.tracks.push(Arc::new(read(&other).unwrap()));
    let text = master(&offer(&package, 720));
    assert_eq!(lint_master(&text).len(), 4);
    assert!(text.contains("CODECS=\"avc1.64001f,ec-3\"") && text.contains("audio-1"), "{text}");
}

#[test]
fn subtitles_are_a_playlist_of_one_piece() {
    let package = package(10);
    let offer = offer(&package, 720);
    assert_eq!(lint_media(&words(&offer, &offer.texts[0], 10_000_000)), [10_000_000]);
}

#[test]
fn keyframes_are_ranges_of_the_segments() {
    let package = package(10);
    let offer = offer(&package, 720);
    let track = package.track("v720", 720).unwrap();
    let text = iframes(&offer, track);
    assert_eq!(lint_media(&text), [2_000_000; 5]);
    assert!(text.contains("#EXT-X-I-FRAMES-ONLY\n"));
    let ranges = all(&text, "EXT-X-BYTERANGE");
    assert_eq!(ranges, ["900@100", "900@5100", "900@100", "900@5100", "900@100"]);
}

proptest! {
    #[test]
    fn segments_last_as_long_as_the_track(
        seconds in 1..400_u32,
        timescale in 1..200_000_u32,
        peak in 1..90_000_000_u64,
    ) {
        let mut index = index("v720", 720, seconds, peak);
        index["timescale"] = timescale.into();
        let track = Arc::new(read(&index).unwrap());
        let package = Package { tracks: vec![track.clone()], ..Package::default() };
        let lengths = lint_media(&media(&offer(&package, 720), &track));
        prop_assert_eq!(lengths.iter().sum::<u64>(), track.microseconds(track.end()));
        let stills = lint_media(&iframes(&offer(&package, 720), &track));
        prop_assert_eq!(stills.iter().sum::<u64>(), track.microseconds(track.end()));
    }

    #[test]
    fn no_variant_is_higher_than_the_token_allows(height_max in 0..3000_u16) {
        let package = package(8);
        let text = master(&offer(&package, height_max));
        for variant in lint_master(&text) {
            let shape = variant.get("RESOLUTION").copied().unwrap_or("0x0");
            let (_, high) = shape.split_once('x').unwrap();
            prop_assert!(high.parse::<u16>().unwrap() <= height_max, "{}", text);
        }
        for name in ["v360", "v720", "v1080"] {
            let lines: u16 = name[1..].parse().unwrap();
            let named = |it: String| text.contains(&it);
            prop_assert_eq!(named(format!("/{name}.m3u8")), lines <= height_max);
            prop_assert_eq!(named(format!("/iframes-{lines}.m3u8")), lines <= height_max);
        }
    }
}

#[test]
fn a_playlist_of_a_protected_track_says_by_which_key_before_its_first_byte() {
    let package = protected(10);
    let offer = package.offer(Uuid::nil(), TOKEN, 720);
    for text in [media(&offer, offer.video[0]), iframes(&offer, offer.video[0])] {
        let key = attributes(all(&text, "EXT-X-KEY")[0]);
        assert_eq!((key["METHOD"], key["KEYFORMAT"]), ("SAMPLE-AES", "org.w3.clearkey"));
        assert_eq!(key["KEYID"], format!("0x{}", "aa".repeat(16)));
        assert_eq!(key["URI"], "data:text/plain;base64,qqqqqqqqqqqqqqqqqqqqqg==");
        assert!(text.find("#EXT-X-KEY") < text.find("#EXT-X-MAP"), "{text}");
    }
    let clear = crate::package::tests::package(10);
    let offer = clear.offer(Uuid::nil(), TOKEN, 720);
    assert!(!media(&offer, offer.video[0]).contains("EXT-X-KEY"));
}
