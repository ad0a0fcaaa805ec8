//! A track on its way into the store: samples come in, segments go out. Remembers of each segment
//! what the index says, so that a later attempt can go on behind the last one.

use crate::grid::Span;
use crate::index::{Index, Keyframe, Kind, Part, Segment, VERSION, rates};
use crate::mp4::{Fragment, Head, Mp4Error, Reader, Sample, segment_head};
use nexus_media_protocol::Outgoing;
use nexus_media_protocol::wire::Object;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

const SEGMENT_TYPE: &str = "video/iso.segment";

/// What is known of a track so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Track {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) kind: Kind,
    /// Of the first file that it came from; every other one must have the same.
    pub(crate) opened: Option<Opened>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) frames: u64,
    /// When the next sample is decoded, in ticks.
    pub(crate) time: u64,
    fragments: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opened {
    codec: String,
    /// The first picture is shown so many ticks after it is decoded.
    shift: i32,
    pub(crate) timescale: u32,
    init: Part,
}

/// Why an encoder's file cannot become a part of a track.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrackError {
    #[error(transparent)]
    Mp4(#[from] Mp4Error),
    #[error("write a segment: {0}")]
    File(#[from] std::io::Error),
    /// Players would need another initialization segment in the middle.
    #[error("the encoder has changed its parameters within a track")]
    Changed,
}

/// What becomes of times in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Frames come one after another, each so many ticks long, whatever the file says.
    Constant(u32),
    /// As the file has them; what would be heard or seen before the beginning is left out.
    Own,
}

impl Track {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        let (segments, name) = (Vec::new(), name.to_owned());
        Self { name, kind, opened: None, segments, frames: 0, time: 0, fragments: 0 }
    }

    pub(crate) fn object(&self, prefix: &Object, file: &str) -> Object {
        let key = format!("{}/{}/{file}", prefix.key, self.name);
        Object { bucket: prefix.bucket.clone(), key }
    }

    pub(crate) fn bytes(&self) -> u64 {
        let head = self.opened.as_ref().map_or(0, |opened| opened.init.bytes);
        head + self.segments.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    pub(crate) fn seconds(&self) -> f64 {
        let timescale = self.opened.as_ref().map_or(1, |opened| opened.timescale);
        self.time as f64 / f64::from(timescale)
    }

    /// Ticks from one keyframe to the next, or to the end.
    pub(crate) fn keyframe_distance_max(&self) -> u64 {
        let keyframes = self.segments.iter().flat_map(|segment| &segment.keyframes);
        let mut times: Vec<_> = keyframes.map(|keyframe| keyframe.at).collect();
        times.push(self.time);
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    /// What is published about it; None while it is empty.
    pub(crate) fn index(&self, span: Span) -> Option<Index> {
        let opened = self.opened.clone()?;
        let span = span.end_of(1, opened.timescale);
        let (peak, average) = rates(&self.segments, span, opened.timescale);
        (!self.segments.is_empty()).then(|| Index {
            version: VERSION,
            track: self.name.clone(),
            kind: self.kind.clone(),
            codec: opened.codec,
            timescale: opened.timescale,
            init: opened.init,
            segments: self.segments.clone(),
            peak_bits_per_second: peak,
            average_bits_per_second: average,
            frames: self.frames,
        })
    }

    fn is_video(&self) -> bool {
        matches!(self.kind, Kind::Video { .. })
    }
}

/// Cuts one file of an encoder into segments of a track.
pub(crate) struct Cutter<'a> {
    track: &'a mut Track,
    folder: PathBuf,
    prefix: &'a Object,
    span: Span,
    times: Times,
    timescale: u32,
    /// The distance of the file's first sample from being decoded to being shown. A chunk of very
    /// few pictures may have another than the chunks before, and gets theirs.
    shift: Option<i32>,
    /// Samples that are left out, because they would be heard before the beginning.
    skipped: usize,
    /// Fragments of the segment that is not full yet.
    open: Vec<Fragment>,
    files: Vec<Outgoing>,
}

impl<'a> Cutter<'a> {
    /// Segments become files in `folder`.
    pub(crate) fn new(
        track: &'a mut Track,
        folder: &Path,
        prefix: &'a Object,
        span: Span,
        times: Times,
    ) -> Self {
        let (folder, open, files) = (folder.to_owned(), Vec::new(), Vec::new());
        let (timescale, shift, skipped) = (1, None, 0);
        Self { track, folder, prefix, span, times, timescale, shift, skipped, open, files }
    }

    /// Reads the whole file; what is left at its end becomes a segment as well. Returns what is to
    /// be stored, the head first.
    pub(crate) fn cut(mut self, file: &Path) -> Result<Vec<Outgoing>, TrackError> {
        let mut reader = Reader::open(file)?;
        self.timescale = reader.head().timescale;
        let mut began = false;
        while let Some((time, samples, bytes)) = reader.fragment()? {
            if !began {
                self.begin(time, &samples);
                began = true;
            }
            let mut at = 0;
            for sample in samples {
                let end = at + sample.size as usize;
                self.sample(sample, &bytes[at..end])?;
                at = end;
            }
        }
        if began {
            self.close()?;
            self.head(&reader.head().clone())?;
        }
        Ok(self.files)
    }

    /// A track whose first sample is late begins late. Sound that an encoder put before the
    /// beginning, to warm up decoders, is left out: not every player would leave it out.
    fn begin(&mut self, time: i64, samples: &[Sample]) {
        if self.times != Times::Own || !self.track.segments.is_empty() {
            return;
        }
        let mut shown = time + samples.first().map_or(0, |sample| i64::from(sample.offset));
        if !self.track.is_video() {
            for sample in samples {
                if shown >= 0 {
                    break;
                }
                shown += i64::from(sample.duration);
                self.skipped += 1;
            }
        }
        self.track.time = u64::try_from(shown).unwrap_or(0);
    }

    fn sample(&mut self, mut sample: Sample, bytes: &[u8]) -> Result<(), TrackError> {
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        let own = *self.shift.get_or_insert(sample.offset);
        sample.offset += self.track.opened.as_ref().map_or(own, |opened| opened.shift) - own;
        if let Times::Constant(ticks) = self.times {
            sample.duration = ticks;
        }
        let begins = sample.is_sync && (self.track.is_video() || self.is_full());
        if begins && self.is_full() {
            self.close()?;
        }
        if begins || self.open.is_empty() {
            self.open.push(Fragment::default());
        }
        if let Some(fragment) = self.open.last_mut() {
            fragment.samples.push(sample);
            fragment.bytes.extend(bytes);
        }
        Ok(())
    }

    /// Whether the open segment reaches the end that its number gives it.
    fn is_full(&self) -> bool {
        let open: u64 = self.open.iter().map(Fragment::duration).sum();
        let end = self.span.end_of(self.track.segments.len() + 1, self.timescale);
        let last = self.open.last().and_then(|fragment| fragment.samples.last());
        // Sound has no frame that ends just there: the nearest one does.
        let half = last.map_or(0, |sample| u64::from(sample.duration) / 2);
        open > 0 && self.track.time + open + half >= end
    }

    fn close(&mut self) -> Result<(), TrackError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let start = self.track.time;
        let mut bytes = segment_head();
        let mut keyframes = Vec::new();
        for fragment in std::mem::take(&mut self.open) {
            let offset = bytes.len() as u64;
            self.track.fragments += 1;
            let first = fragment.write(self.track.fragments, self.track.time, &mut bytes);
            if self.track.is_video() {
                keyframes.push(Keyframe { at: self.track.time, offset, bytes: first });
            }
            self.track.time += fragment.duration();
            self.track.frames += fragment.samples.len() as u64;
        }
        let name = format!("{}.m4s", self.track.segments.len());
        let Part { bytes, sha256 } = self.store(&name, SEGMENT_TYPE, &bytes)?;
        let duration = self.track.time - start;
        self.track.segments.push(Segment { start, duration, bytes, sha256, keyframes });
        Ok(())
    }

    fn head(&mut self, head: &Head) -> Result<(), TrackError> {
        let known = self.track.opened.as_ref().map(|opened| opened.shift);
        let shift = known.or(self.shift).unwrap_or(0);
        let bytes = head.bytes(shift);
        let init = Part { bytes: bytes.len() as u64, sha256: sha256(&bytes) };
        let opened = Opened { codec: head.codec.clone(), shift, timescale: head.timescale, init };
        match &self.track.opened {
            Some(known) if *known == opened => Ok(()),
            Some(_) => Err(TrackError::Changed),
            None => {
                let content_type = if self.track.is_video() { "video/mp4" } else { "audio/mp4" };
                self.store("init.mp4", content_type, &bytes)?;
                self.track.opened = Some(opened);
                Ok(())
            }
        }
    }

    fn store(
        &mut self,
        name: &str,
        content_type: &'static str,
        bytes: &[u8],
    ) -> Result<Part, TrackError> {
        let file = self.folder.join(format!("{}-{name}", self.track.name));
        std::fs::write(&file, bytes)?;
        let object = self.track.object(self.prefix, name);
        self.files.push(Outgoing { file, object, content_type });
        Ok(Part { bytes: bytes.len() as u64, sha256: sha256(bytes) })
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
