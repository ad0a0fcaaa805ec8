//! A source in the job's folder, looked at and found fit to be decoded.

use crate::picture::Picture;
use crate::sound::Sound;
use nexus_media_probe::{Output, Probe, Stream, StreamKind};
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Failure};
use std::path::PathBuf;
use std::time::Duration;

/// Longer films are cut by their makers first.
const DURATION_MAX: Duration = Duration::from_secs(12 * 3600);
/// 8K, lying or standing, with room for what cameras add.
const PIXELS_MAX: u64 = 40_000_000;
const SIDE_MAX: u32 = 16_384;
/// Streams that move or sound; the others are not decoded.
const STREAMS_MAX: usize = 40;
/// Sound that begins no earlier than this before the pictures is cut to them.
const WARM_UP_MS_MAX: i64 = 100;
/// Demuxers of pictures: one picture is no film.
const PICTURES: &str = "_pipe";

/// A film that can be worked on.
#[derive(Debug, Clone)]
pub struct Source {
    pub file: PathBuf,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// The demuxer's names.
    pub container: String,
    /// As the file says, of the longest stream.
    pub duration: Option<Duration>,
    /// The moving picture that is shown.
    pub picture: Option<Picture>,
    /// In the file's order; what stands here by number is what a job calls `source_index`.
    pub sounds: Vec<Sound>,
}

impl Source {
    /// Fetches an object, looks at it, and refuses what nobody should try to decode.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] with one of the codes `empty`, `unreadable`, `no-media-streams`,
    /// `too-long`, `too-large`, `too-many-streams`, `unsupported-codec`; otherwise as
    /// [`Context::fetch`].
    pub fn open(object: &Object, cx: &Context) -> Result<Self, Failure> {
        let fetched = nexus_media_probe::fetch(object, cx)?;
        let seen = Probe::default().look(&fetched, cx)?;
        Self::judge(seen, fetched.path)
    }

    /// As [`Source::open`], of a picture that does not move.
    ///
    /// # Errors
    ///
    /// As [`Source::open`].
    pub fn open_still(object: &Object, cx: &Context) -> Result<(PathBuf, Picture), Failure> {
        let fetched = nexus_media_probe::fetch(object, cx)?;
        let seen = Probe::default().look(&fetched, cx)?;
        let shown = [StreamKind::Video, StreamKind::Cover];
        let stream = seen.streams.iter().find(|stream| shown.contains(&stream.kind));
        let none = || Failure::because("no-media-streams", "the file holds no picture");
        let stream = stream.ok_or_else(none)?;
        let picture = Picture::of(stream, 0).ok_or_else(unsupported)?;
        bounded(&picture)?;
        Ok((fetched.path, picture))
    }

    fn judge(seen: Output, file: PathBuf) -> Result<Self, Failure> {
        let of = |kind| seen.streams.iter().filter(move |stream| stream.kind == kind);
        let (videos, sounds) = (of(StreamKind::Video), of(StreamKind::Audio));
        if videos.clone().count() + sounds.clone().count() > STREAMS_MAX {
            let words = format!("more than {STREAMS_MAX} streams move or sound");
            return Err(Failure::because("too-many-streams", words));
        }
        let duration = seen.duration_ms.map(Duration::from_millis);
        if duration.is_some_and(|duration| duration > DURATION_MAX) {
            let words = format!("more than {} hours", DURATION_MAX.as_secs() / 3600);
            return Err(Failure::because("too-long", words));
        }
        let start_ms = start_ms(&seen.streams);
        let is_still = seen.container.contains(PICTURES);
        let shown = videos.clone().find(|it| it.is_default).or_else(|| videos.clone().next());
        let picture = match shown.filter(|_| !is_still) {
            Some(stream) => Some(Picture::of(stream, start_ms).ok_or_else(unsupported)?),
            None => None,
        };
        picture.iter().try_for_each(bounded)?;
        let count = sounds.clone().count();
        let sounds: Vec<_> = sounds.filter_map(|stream| Sound::of(stream, start_ms)).collect();
        if picture.is_none() && sounds.is_empty() {
            return Err(match count {
                0 => Failure::because("no-media-streams", "nothing in the file moves or sounds"),
                _ => unsupported(),
            });
        }
        let (container, sha256) = (seen.container, seen.sha256);
        Ok(Self { file, sha256, container, duration, picture, sounds })
    }

    /// Options of an input that make its times count from the film's beginning. That is where the
    /// pictures begin, if sound does just before: containers put the warm-up of a sound decoder
    /// there, and pictures half a frame late would be shown a whole one late.
    pub fn clock(&self) -> Vec<String> {
        let mut options = vec!["-copyts".to_owned(), "-start_at_zero".into()];
        let late_ms = self.picture.as_ref().map_or(0, |picture| picture.late_ms);
        if (1..=WARM_UP_MS_MAX).contains(&late_ms) {
            options.extend(["-itsoffset".into(), format!("-0.{late_ms:03}")]);
        }
        options
    }

    /// How far before a moment a search in this kind of file has to begin, so that it does not end
    /// behind it. None where the way to it is all of the file.
    pub fn search_margin(&self) -> Option<Duration> {
        let has = |name| self.container.split(',').any(|it| it == name);
        // With an index of their own.
        if ["mov", "matroska", "webm", "avi", "mxf", "asf"].into_iter().any(has) {
            return Some(Duration::from_secs(2));
        }
        // By their clocks, which are searched for.
        let by_clock = ["mpegts", "mpeg", "flv", "ogg", "nut"].into_iter().any(has);
        by_clock.then_some(Duration::from_secs(20))
    }
}

fn unsupported() -> Failure {
    Failure::because("unsupported-codec", "the codec is not known here")
}

fn bounded(picture: &Picture) -> Result<(), Failure> {
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    if pixels > PIXELS_MAX || picture.width.max(picture.height) > SIDE_MAX {
        let words = format!("{} × {} pixels", picture.width, picture.height);
        return Err(Failure::because("too-large", words));
    }
    Ok(())
}

/// When the film begins by the file's clock: when its first stream does.
fn start_ms(streams: &[Stream]) -> i64 {
    let plays = |stream: &&Stream| matches!(stream.kind, StreamKind::Video | StreamKind::Audio);
    streams.iter().filter(plays).filter_map(|stream| stream.start_ms).min().unwrap_or(0)
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
