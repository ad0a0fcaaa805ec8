//! All sound of a film, one track after another: copied where it is fit, otherwise encoded; cut
//! into segments and stored. Refuses to know how pictures are made, which happens meanwhile.

use crate::args::{Args, Lane, Wish};
use crate::attempt::store;
use crate::grid::Span;
use crate::index::Kind;
use crate::remux;
use crate::sounds::Encoding;
use crate::track::{Cutter, Times, Track};
use nexus_media_ffmpeg::{Sound, Source};
use nexus_media_protocol::{Context, Failure};
use std::path::Path;
use std::time::Duration;

/// A track that is stored, and the CPU time that it took.
pub(crate) type Heard = Result<(Track, Duration), Failure>;

pub(crate) struct Soundtracks<'a> {
    pub(crate) args: &'a Args,
    pub(crate) source: &'a Source,
    pub(crate) cx: &'a Context,
    pub(crate) span: Span,
    /// Those that no earlier attempt has made.
    pub(crate) missing: Vec<&'a Wish>,
}

impl Soundtracks<'_> {
    /// Makes them for as long as each comes to an end and is wanted; `on_share` gets how much is
    /// done, 0 to 1.
    pub(crate) fn make(
        &self,
        on_share: &mut (dyn FnMut(f32) + Send),
        mut on_made: impl FnMut(Heard) -> bool,
    ) {
        let count = self.missing.len() as f32;
        for (number, wish) in self.missing.iter().enumerate() {
            let Some(sound) = self.source.sounds.get(wish.source_index) else { continue };
            let whole = self.source.duration.unwrap_or_default().as_secs_f32().max(1.0);
            let mut on_time = |time: Duration| {
                on_share((number as f32 + (time.as_secs_f32() / whole).min(1.0)) / count);
            };
            let made = self.track(wish, sound, &mut on_time);
            let has_failed = match &made {
                // A film with pictures is worth having without sound that nobody can decode.
                Err(Failure::Reject(reason)) if self.source.picture.is_some() => {
                    tracing::info!(track = wish.track, reason, "a track of sound is left out");
                    continue;
                }
                made => made.is_err(),
            };
            if !on_made(made) || has_failed {
                return;
            }
        }
    }

    fn track(
        &self,
        wish: &Wish,
        sound: &Sound,
        on_time: &mut (dyn FnMut(Duration) + Send),
    ) -> Heard {
        let file = self.cx.folder().join(format!("{}.mp4", wish.track));
        let (kind, cpu) = self.encode(wish, sound, &file, on_time)?;
        let mut track = Track::new(&wish.track, kind);
        let (folder, prefix) = (self.cx.folder(), &self.args.prefix);
        let cut = Cutter::new(&mut track, folder, prefix, self.span, Times::Own).cut(&file);
        let files = cut.map_err(Failure::retry)?;
        if track.segments.is_empty() {
            return Err(Failure::because("truncated", "nothing of the sound can be decoded"));
        }
        store(self.cx, &file, &files)?;
        Ok((track, cpu))
    }

    fn encode(
        &self,
        wish: &Wish,
        sound: &Sound,
        file: &Path,
        on_time: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<(Kind, Duration), Failure> {
        let copies =
            self.args.lane == Lane::Remux && remux::keeps(self.source, sound, wish.channels);
        if !copies {
            return Encoding { source: self.source, sound, wish }.encode(file, self.cx, on_time);
        }
        let cpu = remux::copy(self.source, sound.stream, file, self.cx, on_time)?;
        let kind = Kind::Audio {
            channels: sound.channels,
            sample_rate: sound.sample_rate,
            language: wish.language.clone(),
            loudness_lufs: None,
        };
        Ok((kind, cpu))
    }
}
