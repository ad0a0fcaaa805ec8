//! DASH manifests, ISO/IEC 23009-1, on the same segments as HLS. Pure.

use crate::package::{Offer, Text};
use crate::track::{Kind, Protection, Track};
use nexus_sdk::prelude::Uuid;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

/// As long as a segment is meant to be: a player begins when it has so much.
const BUFFER: &str = "PT4S";
const PROFILE: &str = "urn:mpeg:dash:profile:isoff-live:2011";
const CHANNELS: &str = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
const ROLES: &str = "urn:mpeg:dash:role:2011";
const PROTECTED: &str = "urn:mpeg:dash:mp4protection:2011";
/// ClearKey (DASH-IF IOP 7.6.2.4).
const CLEARKEY: &str = "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e";
/// Sets between which a player changes as within one (DASH-IF IOP 3.8).
const SWITCHING: &str = "urn:mpeg:dash:adaptation-set-switching:2016";
/// Where the tiles of a picture are (DASH-IF IOP 6.2.6).
const TILES: &str = "http://dashif.org/guidelines/thumbnail_tile";

/// The manifest of all tracks.
pub fn manifest(offer: &Offer<'_>) -> String {
    let mut xml = Xml(Writer::new_with_indent(Vec::new(), b' ', 1));
    xml.put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let duration = duration(offer.microseconds());
    let mut root = vec![("xmlns", "urn:mpeg:dash:schema:mpd:2011")];
    if offer.is_protected() {
        root.push(("xmlns:cenc", "urn:mpeg:cenc:2013"));
        root.push(("xmlns:dashif", "https://dashif.org/CPS"));
    }
    root.extend([
        ("profiles", PROFILE),
        ("type", "static"),
        ("mediaPresentationDuration", &duration),
        ("minBufferTime", BUFFER),
    ]);
    xml.element("MPD", &root, |xml| {
        xml.element("Period", &[("id", "0"), ("start", "PT0S")], |xml| {
            pictures(xml, offer);
            offer.audio.iter().enumerate().for_each(|(at, track)| sound(xml, offer, at, track));
            offer.texts.iter().for_each(|text| words(xml, offer, text));
            tiles(xml, offer);
        });
    });
    String::from_utf8(xml.0.into_inner()).expect("what is written is UTF-8")
}

/// Elements, written one by one.
struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn put(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("a Vec takes all");
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.put(Event::Empty(start));
    }

    fn element(&mut self, name: &str, attributes: &[(&str, &str)], within: impl FnOnce(&mut Xml)) {
        let start = BytesStart::new(name).with_attributes(attributes.iter().copied());
        self.put(Event::Start(start));
        within(self);
        self.put(Event::End(BytesEnd::new(name)));
    }
}

/// Pictures that are opened by one key, or by none, are a set; a set's id is its number.
fn pictures(xml: &mut Xml, offer: &Offer<'_>) {
    let mut sets: Vec<Vec<&Track>> = Vec::new();
    for track in &offer.video {
        match sets.iter_mut().find(|set| set[0].protection == track.protection) {
            Some(set) => set.push(track),
            None => sets.push(vec![track]),
        }
    }
    let ids: Vec<String> = (1..=sets.len()).map(|id| id.to_string()).collect();
    for (set, id) in sets.iter().zip(&ids) {
        let others = ids.iter().filter(|other| *other != id).map(String::as_str);
        pictures_of(xml, offer, set, id, &others.collect::<Vec<_>>().join(","));
    }
}

fn pictures_of(xml: &mut Xml, offer: &Offer<'_>, tracks: &[&Track], id: &str, others: &str) {
    let mut set = vec![
        ("contentType", "video"),
        ("mimeType", "video/mp4"),
        ("segmentAlignment", "true"),
        ("startWithSAP", "1"),
    ];
    if !others.is_empty() {
        set.insert(0, ("id", id));
    }
    xml.element("AdaptationSet", &set, |xml| {
        protection(xml, offer, tracks[0].protection.as_ref());
        if !others.is_empty() {
            let linked = [("schemeIdUri", SWITCHING), ("value", others)];
            xml.empty("SupplementalProperty", &linked);
        }
        for track in tracks {
            let Kind::Video { width, height, frame_rate, sample_aspect } = track.kind else {
                continue;
            };
            let (width, height) = (width.to_string(), height.to_string());
            let rate = format!("{}/{}", frame_rate.0, frame_rate.1);
            let aspect = format!("{}:{}", sample_aspect.0, sample_aspect.1);
            let more = [
                ("width", width.as_str()),
                ("height", &height),
                ("frameRate", &rate),
                ("sar", &aspect),
            ];
            representation(xml, offer, track, &more, |_| {});
        }
    });
}

/// By which key a set is opened, and where that is given.
fn protection(xml: &mut Xml, offer: &Offer<'_>, protection: Option<&Protection>) {
    let Some(protection) = protection else { return };
    let key_id = Uuid::from_bytes(protection.key_id()).to_string();
    let common = [
        ("schemeIdUri", PROTECTED),
        ("value", protection.scheme.name()),
        ("cenc:default_KID", key_id.as_str()),
    ];
    xml.empty("ContentProtection", &common);
    let system = [("schemeIdUri", CLEARKEY), ("value", "ClearKey1.0")];
    xml.element("ContentProtection", &system, |xml| {
        xml.element("dashif:Laurl", &[("Lic_type", "EME-1.0")], |xml| {
            xml.put(Event::Text(BytesText::new(&offer.licence())));
        });
    });
}

fn sound(xml: &mut Xml, offer: &Offer<'_>, at: usize, track: &Track) {
    let Kind::Audio { channels, sample_rate, .. } = track.kind else { return };
    let set = [
        ("contentType", "audio"),
        ("mimeType", "audio/mp4"),
        ("lang", track.language()),
        ("segmentAlignment", "true"),
        ("startWithSAP", "1"),
    ];
    let role = if at == 0 { "main" } else { "alternate" };
    let (channels, rate) = (channels.to_string(), sample_rate.to_string());
    xml.element("AdaptationSet", &set, |xml| {
        protection(xml, offer, track.protection.as_ref());
        xml.empty("Role", &[("schemeIdUri", ROLES), ("value", role)]);
        let more = [("audioSamplingRate", rate.as_str())];
        representation(xml, offer, track, &more, |xml| {
            let value = [("schemeIdUri", CHANNELS), ("value", channels.as_str())];
            xml.empty("AudioChannelConfiguration", &value);
        });
    });
}

fn representation(
    xml: &mut Xml,
    offer: &Offer<'_>,
    track: &Track,
    more: &[(&str, &str)],
    first: impl FnOnce(&mut Xml),
) {
    let bandwidth = track.peak_bits_per_second.to_string();
    let all = [("id", track.name.as_str()), ("bandwidth", &bandwidth), ("codecs", &track.codec)];
    let all: Vec<(&str, &str)> = all.into_iter().chain(more.iter().copied()).collect();
    xml.element("Representation", &all, |xml| {
        first(xml);
        let timescale = track.timescale.to_string();
        let head = offer.media("$RepresentationID$/init.mp4");
        let media = offer.media("$RepresentationID$/$Number$.m4s");
        let template = [
            ("timescale", timescale.as_str()),
            ("startNumber", "0"),
            ("initialization", &head),
            ("media", &media),
        ];
        xml.element("SegmentTemplate", &template, |xml| timeline(xml, track));
    });
}

/// Runs of segments that last alike.
fn timeline(xml: &mut Xml, track: &Track) {
    xml.element("SegmentTimeline", &[], |xml| {
        let mut rest = track.segments.as_slice();
        let mut told_until = None;
        while let Some(first) = rest.first() {
            let follows = |(n, it): (usize, &crate::track::Segment)| {
                let start = first.start + first.duration * n as u64;
                it.duration == first.duration && it.start == start
            };
            let run = rest.iter().enumerate().take_while(|it| follows(*it)).count();
            let (start, length) = (first.start.to_string(), first.duration.to_string());
            let again = (run - 1).to_string();
            let mut attributes = Vec::new();
            if told_until != Some(first.start) {
                attributes.push(("t", start.as_str()));
            }
            attributes.push(("d", &length));
            if run > 1 {
                attributes.push(("r", &again));
            }
            xml.empty("S", &attributes);
            told_until = Some(first.start + first.duration * run as u64);
            rest = &rest[run..];
        }
    });
}

fn words(xml: &mut Xml, offer: &Offer<'_>, text: &Text) {
    let language = text.language.as_str();
    let id = format!("text-{language}");
    let set = [("contentType", "text"), ("mimeType", "text/vtt"), ("lang", language)];
    xml.element("AdaptationSet", &set, |xml| {
        xml.empty("Role", &[("schemeIdUri", ROLES), ("value", "subtitle")]);
        // A text of an hour has about 60 kB: what is said is an upper bound.
        xml.element("Representation", &[("id", &id), ("bandwidth", "1000")], |xml| {
            xml.element("BaseURL", &[], |xml| {
                let address = offer.media(&format!("text/{}.vtt", text.file));
                xml.put(Event::Text(BytesText::new(&address)));
            });
        });
    });
}

fn tiles(xml: &mut Xml, offer: &Offer<'_>) {
    let Some(sprites) = offer.sprites else { return };
    let width = (sprites.columns * sprites.tile.w).to_string();
    let height = (sprites.rows * sprites.tile.h).to_string();
    let length = (sprites.interval_ms * sprites.per_sheet()).to_string();
    let layout = format!("{}x{}", sprites.columns, sprites.rows);
    let media = offer.media("images/sprite-$Number$.jpg");
    let set = [("contentType", "image"), ("mimeType", "image/jpeg")];
    xml.element("AdaptationSet", &set, |xml| {
        let all = [
            ("id", "sprites"),
            ("bandwidth", "20000"),
            ("width", width.as_str()),
            ("height", &height),
        ];
        xml.element("Representation", &all, |xml| {
            xml.empty("EssentialProperty", &[("schemeIdUri", TILES), ("value", &layout)]);
            let template = [
                ("timescale", "1000"),
                ("duration", length.as_str()),
                ("startNumber", "0"),
                ("media", &media),
            ];
            xml.empty("SegmentTemplate", &template);
        });
    });
}

/// `PT8.008S`, exact to the microsecond.
fn duration(microseconds: u64) -> String {
    let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
    match rest {
        0 => format!("PT{seconds}S"),
        rest => format!("PT{seconds}.{}S", format!("{rest:06}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::tests::package;
    use crate::storyboard::tests::sprites;
    use nexus_sdk::prelude::Uuid;
    use quick_xml::Reader;

    /// Every element with its attributes; fails where the text is no XML.
    fn elements(text: &str) -> Vec<(String, String)> {
        let mut reader = Reader::from_str(text);
        let mut found = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => return found,
                Event::Start(tag) | Event::Empty(tag) => {
                    let name = String::from_utf8(tag.name().as_ref().to_vec()).unwrap();
                    found.push((name, String::from_utf8(tag.to_vec()).unwrap()));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_manifest_names_the_same_segments_as_the_playlists() {
        let mut package = package(10);
        package.sprites = Some(sprites());
        let text = manifest(&package.offer(Uuid::from_u128(9), "TOKEN", 720));
        let all = elements(&text);
        let of = |name: &str| -> Vec<&str> {
            let named = all.iter().filter(|(it, _)| it == name);
            named.map(|(_, attributes)| attributes.as_str()).collect()
        };
        assert!(of("MPD")[0].contains("mediaPresentationDuration=\"PT10S\""), "{text}");
        // Two sizes, two languages, a text, the pictures.
        assert_eq!((of("AdaptationSet").len(), of("Representation").len()), (5, 6));
        assert!(!text.contains("v1080") && !text.contains("f480"), "{text}");
        // A set's id would have to be a number.
        assert!(of("AdaptationSet").iter().all(|it| !it.contains(" id=")), "{text}");
        let template = of("SegmentTemplate")[0];
        let media = "media=\"/media/00000000-0000-0000-0000-000000000009/$RepresentationID$/\
                     $Number$.m4s?t=TOKEN\"";
        assert!(template.contains(media), "{template}");
        let runs = of("S");
        assert_eq!(&runs[..2], ["S t=\"0\" d=\"360000\" r=\"1\"", "S d=\"180000\""]);
        assert!(of("EssentialProperty")[0].contains("2x2"), "{text}");
    }

    #[test]
    fn a_manifest_has_a_set_for_each_key_and_says_where_keys_are_given() {
        let package = crate::package::tests::protected(10);
        let text = manifest(&package.offer(Uuid::from_u128(9), "TOKEN", 720));
        let all = elements(&text);
        let of = |name: &str| -> Vec<&str> {
            let named = all.iter().filter(|(it, _)| it == name);
            named.map(|(_, attributes)| attributes.as_str()).collect()
        };
        // Small pictures, large ones, sound; and the text, which is clear.
        assert_eq!((of("AdaptationSet").len(), of("Representation").len()), (4, 5));
        let keys: Vec<&str> =
            of("ContentProtection").into_iter().filter(|it| it.contains("default_KID")).collect();
        assert_eq!(keys.len(), 3, "{text}");
        let first = "cenc:default_KID=\"aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa\"";
        assert!(keys[0].contains(first) && keys[0].contains("value=\"cbcs\""), "{}", keys[0]);
        let licence = ">/api/drm/v1/licences/clearkey?t=TOKEN</dashif:Laurl>";
        assert_eq!(text.matches(licence).count(), 3, "{text}");
        let linked: Vec<&str> = of("SupplementalProperty");
        assert!(linked[0].contains("value=\"2\"") && linked[1].contains("value=\"1\""), "{text}");
        // As the schema orders them.
        let order = ["ContentProtection", "SupplementalProperty", "Representation"];
        let places = order.map(|name| text.find(&format!("<{name} ")).unwrap());
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn a_duration_is_exact() {
        assert_eq!(duration(8_008_000), "PT8.008S");
        assert_eq!(duration(4_000_000), "PT4S");
    }
}
