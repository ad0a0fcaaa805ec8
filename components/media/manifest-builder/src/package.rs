//! A package as players see it: which of its tracks stand for the others, and which of them a token
//! covers. Pure.

use crate::storyboard::Sprites;
use crate::track::Track;
use nexus_sdk::prelude::Uuid;
use std::sync::Arc;

/// What lies in a package.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Package {
    pub tracks: Vec<Arc<Track>>,
    /// By language.
    pub texts: Vec<Text>,
    pub sprites: Option<Sprites>,
    /// No track comes any more.
    pub is_complete: bool,
}

/// Subtitles of one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// BCP 47.
    pub language: String,
    /// Its object, `text/<file>.vtt`: another text has another one.
    pub file: String,
}

impl Text {
    /// `<language>`, or `<language>--<digest>`; none of a name that the origin does not serve.
    pub fn of(file: &str) -> Option<Text> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let language = file.split_once("--").map_or(file, |(language, _)| language);
        let sane = (1..=35).contains(&language.len()) && file.len() <= 100;
        (sane && file.bytes().all(plain))
            .then(|| Text { language: language.to_owned(), file: file.to_owned() })
    }
}

/// What one viewer may have of a package.
#[derive(Debug)]
pub struct Offer<'a> {
    pub package: Uuid,
    /// Goes into every address.
    pub token: &'a str,
    /// Smallest first.
    pub video: Vec<&'a Track>,
    pub audio: Vec<&'a Track>,
    pub texts: &'a [Text],
    pub sprites: Option<&'a Sprites>,
}

impl Package {
    pub fn offer<'a>(&'a self, package: Uuid, token: &'a str, height_max: u16) -> Offer<'a> {
        let tracks = || self.tracks.iter().map(Arc::as_ref);
        let better = tracks().any(|track| track.is_video() && !track.is_first());
        let mut video: Vec<&Track> = tracks()
            .filter(|track| track.lines().is_some_and(|lines| lines <= height_max))
            .filter(|track| !(better && track.is_first()))
            .collect();
        video.sort_by_key(|track| (track.lines(), track.name.clone()));
        let mut audio: Vec<&Track> = tracks().filter(|track| !track.is_video()).collect();
        audio.sort_by_key(|track| (track.name.len(), track.name.clone()));
        let (texts, sprites) = (self.texts.as_slice(), self.sprites.as_ref());
        Offer { package, token, video, audio, texts, sprites }
    }

    /// A track by its name, also one that others stand for by now: who has begun with it goes on.
    pub fn track(&self, name: &str, height_max: u16) -> Option<&Track> {
        let track = self.tracks.iter().find(|track| track.name == name)?;
        track.lines().is_none_or(|lines| lines <= height_max).then_some(track)
    }

    /// The picture of so many lines.
    pub fn picture(&self, lines: u16, height_max: u16) -> Option<&Track> {
        let named = |letter: char| self.track(&format!("{letter}{lines}"), height_max);
        named('v').or_else(|| named('f'))
    }

    /// Microseconds of the longest track.
    pub fn microseconds(&self) -> u64 {
        let ends = self.tracks.iter().map(|track| track.microseconds(track.end()));
        ends.max().unwrap_or(0)
    }

    /// Roughly what it takes in memory.
    pub fn weight(&self) -> usize {
        self.tracks.iter().map(|track| 1 + track.segments.len()).sum()
    }
}

impl Offer<'_> {
    /// Whether there is anything to see or hear.
    pub fn is_empty(&self) -> bool {
        self.video.is_empty() && self.audio.is_empty()
    }

    /// The address of a file of the package, as the origin serves it.
    pub fn media(&self, path: &str) -> String {
        format!("/media/{}/{path}?t={}", self.package, self.token)
    }

    /// The address of a playlist.
    pub fn playlist(&self, name: &str) -> String {
        format!("/hls/{}/{name}.m3u8?t={}", self.package, self.token)
    }

    /// Where keys are given, to whoever may have them.
    pub fn licence(&self) -> String {
        format!("/api/drm/v1/licences/clearkey?t={}", self.token)
    }

    pub fn is_protected(&self) -> bool {
        self.video.iter().chain(&self.audio).any(|track| track.protection.is_some())
    }

    pub fn microseconds(&self) -> u64 {
        let all = self.video.iter().chain(&self.audio);
        all.map(|track| track.microseconds(track.end())).max().unwrap_or(0)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::track::tests::{index, read, sound};

    pub fn package(seconds: u32) -> Package {
        let track = |index| Arc::new(read(&index).unwrap());
        Package {
            tracks: vec![
                track(index("f480", 480, seconds, 1_400_000)),
                track(index("v1080", 1080, seconds, 7_000_000)),
                track(index("v360", 360, seconds, 500_000)),
                track(index("v720", 720, seconds, 2_200_000)),
                track(sound("a0", seconds, "de")),
                track(sound("a1", seconds, "en")),
            ],
            texts: vec![Text { language: "en".into(), file: "en--01".into() }],
            sprites: None,
            is_complete: true,
        }
    }

    /// The same, with a key for sound, one for small pictures and one for large ones.
    pub fn protected(seconds: u32) -> Package {
        let track =
            |index, key| Arc::new(read(&crate::track::tests::protected(index, key)).unwrap());
        Package {
            tracks: vec![
                track(index("v360", 360, seconds, 500_000), 0xaa),
                track(index("v480", 480, seconds, 1_400_000), 0xaa),
                track(index("v720", 720, seconds, 2_200_000), 0xbb),
                track(sound("a0", seconds, "de"), 0xcc),
            ],
            ..package(seconds)
        }
    }

    #[test]
    fn tracks_above_the_height_of_a_token_are_not_there() {
        let package = package(10);
        let names = |height| -> Vec<String> {
            let offer = package.offer(Uuid::nil(), "t", height);
            offer.video.iter().map(|track| track.name.clone()).collect()
        };
        assert_eq!(names(720), ["v360", "v720"]);
        assert_eq!(names(2160), ["v360", "v720", "v1080"]);
        assert!(names(100).is_empty());
        assert!(package.track("v1080", 720).is_none());
        assert!(package.track("a0", 100).is_some());
    }

    #[test]
    fn the_first_track_is_there_until_better_ones_are_and_stays_for_who_has_begun() {
        let mut package = package(10);
        assert!(package.track("f480", 720).is_some());
        package.tracks.retain(|track| !track.name.starts_with('v'));
        let offer = package.offer(Uuid::nil(), "t", 720);
        assert_eq!(offer.video[0].name, "f480");
        assert_eq!(package.picture(480, 720).unwrap().name, "f480");
    }

    #[test]
    fn a_text_is_named_by_its_language_and_by_what_it_says() {
        let of = |file: &str| Text::of(file).map(|text| text.language);
        assert_eq!(of("de").as_deref(), Some("de"));
        assert_eq!(of("pt-BR--0123456789abcdef").as_deref(), Some("pt-BR"));
        for odd in ["", "--1", "d e", "../de", &"x".repeat(36)] {
            assert_eq!(of(odd), None, "{odd}");
        }
    }
}
