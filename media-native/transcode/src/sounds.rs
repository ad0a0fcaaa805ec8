//! Sound: measured once, brought to one loudness, encoded as a whole. A track of it costs little,
//! and cut into chunks it would have a seam at each.
//!
//! The loudness is -16 LUFS (EBU R128), the usual one where people listen with telephones and
//! browsers; peaks that would pass -1.5 dB are held there. One gain for the whole film: what is
//! quiet in it stays quieter than what is loud.

use crate::args::Wish;
use crate::index::Kind;
use nexus_media_ffmpeg::{FFmpeg, Limits, Sound, Source, failure, last_words};
use nexus_media_protocol::{Context, Failure};
use std::path::Path;
use std::time::Duration;

const LOUDNESS_LUFS: f64 = -16.0;
const PEAK_MAX_DB: f64 = -1.5;
/// More would only make noise loud.
const GAIN_MAX_DB: f64 = 20.0;
/// What is quieter is silence, and stays.
const SILENCE_LUFS: f64 = -60.0;
/// Less is not heard.
const GAIN_HEARD_DB: f64 = 0.2;
const SAMPLE_RATE: u32 = 48_000;
const FILE_BYTES_SPARE: u64 = 256 << 20;
/// Of a film of unknown length.
const CONTENT_UNKNOWN: Duration = Duration::from_secs(12 * 3600);
/// A gap at the beginning that no player minds.
pub(crate) const LATE_MS_MAX: i64 = 100;

pub(crate) struct Encoding<'a> {
    pub(crate) source: &'a Source,
    pub(crate) sound: &'a Sound,
    pub(crate) wish: &'a Wish,
}

/// What EBU R128 says of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Loudness {
    integrated_lufs: f64,
    peak_db: f64,
}

impl Encoding<'_> {
    /// Encodes into `file`; tells how far it is, once the loudness is known. Returns what the index
    /// says of the track, and the CPU time.
    pub(crate) fn encode(
        &self,
        file: &Path,
        cx: &Context,
        on_time: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<(Kind, Duration), Failure> {
        let (measured, measuring) = self.measure(cx)?;
        let gain = measured.and_then(Loudness::gain);
        let mut filters = self.layout();
        if let Some((gain, passes)) = gain {
            filters.push_str(&format!(",volume={gain:.2}dB"));
            if passes {
                // Its limit is an amplitude.
                let limit = 10_f64.powf(PEAK_MAX_DB / 20.0);
                filters.push_str(&format!(",alimiter=limit={limit:.4}:level=disabled"));
            }
        }
        let mut call = self.reading();
        call.push(["-af", &filters, "-c:a", "aac", "-b:a", &self.wish.bitrate_bps.to_string()]);
        call.push(["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"]);
        call.push(["-flags:a", "+bitexact"]);
        own_times(&mut call);
        call.push(["-frag_duration", "2000000", "-f", "mp4"]);
        call.file(file);
        let bytes = self.wish.bitrate_bps / 4 * self.content().as_secs() + FILE_BYTES_SPARE;
        let limits = Limits::for_content(self.content(), bytes);
        let ended = call.run(cx, limits, on_time).map_err(failure)?;
        if !ended.status.success() {
            let words = format!("the sound: {}", last_words(&ended.stderr));
            return Err(Failure::because("unreadable", words));
        }
        let loud = measured.map(|it| it.integrated_lufs + gain.map_or(0.0, |(gain, _)| gain));
        let kind = Kind::Audio {
            channels: self.channels(),
            sample_rate: SAMPLE_RATE,
            language: self.wish.language.clone(),
            loudness_lufs: loud.map(|it| (it * 10.0).round() / 10.0),
        };
        Ok((kind, measuring + ended.cpu))
    }

    /// None for silence.
    fn measure(&self, cx: &Context) -> Result<(Option<Loudness>, Duration), Failure> {
        let mut call = self.reading();
        let filters = format!("{},ebur128=peak=sample:framelog=verbose", self.layout());
        // Its summary is news to ffmpeg, and no error.
        call.push(["-v", "info", "-af", &filters, "-f", "null", "-"]);
        let limits = Limits::for_content(self.content(), FILE_BYTES_SPARE);
        let ended = call.run(cx, limits, &mut |_| {}).map_err(failure)?;
        if !ended.status.success() {
            let words = format!("the sound: {}", last_words(&ended.stderr));
            return Err(Failure::because("unreadable", words));
        }
        let measured = Loudness::read(&ended.stderr);
        Ok((measured.filter(|it| it.integrated_lufs > SILENCE_LUFS), ended.cpu))
    }

    fn reading(&self) -> FFmpeg {
        let mut call = FFmpeg::reading(&self.source.file, &self.source.clock());
        call.push(["-map", &format!("0:{}", self.sound.stream), "-vn", "-sn", "-dn"]);
        call
    }

    /// Silence where the source has none, from the beginning of the film on; then the channels.
    fn layout(&self) -> String {
        let layout = if self.channels() == 1 { "mono" } else { "stereo" };
        format!(
            "aresample=async=1:first_pts=0,\
             aformat=sample_fmts=fltp:sample_rates={SAMPLE_RATE}:channel_layouts={layout}"
        )
    }

    fn channels(&self) -> u32 {
        self.wish.channels.clamp(1, 2)
    }

    fn content(&self) -> Duration {
        self.source.duration.unwrap_or(CONTENT_UNKNOWN)
    }
}

impl Loudness {
    /// From the summary that the filter leaves at the end.
    fn read(stderr: &str) -> Option<Self> {
        let summary = &stderr[stderr.rfind("Summary:")?..];
        let value = |name: &str| {
            let line = summary.lines().find(|line| line.trim_start().starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        let (integrated_lufs, peak_db) = (value("I:")?, value("Peak:")?);
        integrated_lufs.is_finite().then_some(Self { integrated_lufs, peak_db })
    }

    /// Decibels by which the sound is made louder or quieter, if anybody would hear it, and whether
    /// peaks have to be held then.
    fn gain(self) -> Option<(f64, bool)> {
        let gain = (LOUDNESS_LUFS - self.integrated_lufs).min(GAIN_MAX_DB);
        (gain.abs() >= GAIN_HEARD_DB).then_some((gain, self.peak_db + gain > PEAK_MAX_DB))
    }
}

/// Has the muxer keep the times of samples, also of those before the beginning.
pub(crate) fn own_times(call: &mut FFmpeg) {
    call.push(["-avoid_negative_ts", "disabled", "-use_editlist", "0", "-movflags"]);
    call.push(["+empty_moov+default_base_moof+frag_keyframe+frag_discont"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "[Parsed_ebur128_2 @ 0x1] Summary:\n\n  Integrated loudness:\n    \
        I:         -23.4 LUFS\n    Threshold: -33.7 LUFS\n\n  Loudness range:\n    LRA: 1.0 LU\n\n\
        Sample peak:\n    Peak:      -18.1 dBFS\n";

    #[test]
    fn a_quiet_film_is_made_louder_and_its_peaks_are_held_only_where_they_would_pass() {
        let quiet = Loudness::read(SAID).unwrap();
        assert_eq!((quiet.integrated_lufs, quiet.peak_db), (-23.4, -18.1));
        let (gain, held) = quiet.gain().unwrap();
        assert!((gain - 7.4).abs() < 1e-9 && !held, "{gain} {held}");
        let peaky = Loudness { peak_db: -6.0, ..quiet };
        assert!(peaky.gain().unwrap().1);
        assert_eq!(Loudness { integrated_lufs: -16.1, ..quiet }.gain(), None);
        let whisper = Loudness { integrated_lufs: -50.0, peak_db: -40.0 };
        assert_eq!(whisper.gain(), Some((20.0, false)));
    }

    #[test]
    fn silence_has_no_loudness() {
        assert_eq!(Loudness::read(&SAID.replace("-23.4", "-inf")), None);
        assert_eq!(Loudness::read("nothing"), None);
    }
}
