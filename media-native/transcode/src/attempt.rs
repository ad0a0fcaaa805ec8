//! One attempt at a job: goes on where the last one ended, takes the next encoder where one fails,
//! and publishes all tracks at the end. A reader that sees a track's index finds every segment.
//!
//! Sound is made beside pictures that are encoded, on a thread of its own: its programs keep one
//! core busy, and whoever waits for a short film would wait for them as well. Where pictures are
//! copied it comes behind them, since they may turn out to be none to copy.

use crate::args::{Args, Lane, Made, Output, Rung};
use crate::checkpoint::Checkpoint;
use crate::encoder::Encoder;
use crate::grid::{Grid, Span, divider};
use crate::index::Kind;
use crate::pictures::Chunk;
use crate::remux;
use crate::soundtracks::{Heard, Soundtracks};
use crate::track::{Cutter, Times, Track, TrackError};
use nexus_media_ffmpeg::{Picture, Rate, Source, failure, last_words};
use nexus_media_protocol::{Context, Failure, Outgoing, ProgramError};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How the time of a job is divided for whoever watches it: fetching, then pictures, or sound where
/// there are none.
const FETCHED: f32 = 0.05;
/// What ffmpeg says of a codec that it was built without.
const UNKNOWN_CODEC: [&str; 2] = ["no decoder found for", "not found for input stream"];
/// Publishing is the rest.
const DONE: f32 = 0.98;

pub(crate) struct Attempt<'a> {
    pub(crate) args: &'a Args,
    pub(crate) source: &'a Source,
    pub(crate) cx: &'a Context,
    pub(crate) known: Checkpoint,
}

/// Why an encoder does not come to the end of a film.
enum Stumble {
    Failure(Failure),
    /// Another may.
    Encoder(String),
    /// Its head is not that of the chunks before, which another machine may have made.
    Changed,
}

impl From<Failure> for Stumble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl<'a> Attempt<'a> {
    pub(crate) fn make(mut self, encoders: &[Encoder]) -> Result<Output, Failure> {
        let picture = self.source.picture.as_ref().filter(|_| !self.args.video.is_empty());
        let grid = picture.map(|picture| Grid::new(picture.rate, self.args));
        let span = match (grid, self.args.lane) {
            (Some(grid), Lane::Fast | Lane::Ladder) => grid.segment(),
            _ => Span::seconds(self.args.segment_seconds),
        };
        match (picture, grid, self.args.lane) {
            (Some(picture), _, Lane::Remux) => {
                self.remux(picture, span)?;
                self.sounds(span)?;
            }
            (Some(picture), Some(grid), _) => {
                self.pictures_beside_sounds(picture, grid, span, encoders)?;
            }
            _ => self.sounds(span)?,
        }
        self.publish(span)
    }

    /// Every track of sound that is not there yet, while the pictures are made.
    fn pictures_beside_sounds(
        &mut self,
        picture: &Picture,
        grid: Grid,
        span: Span,
        encoders: &[Encoder],
    ) -> Result<(), Failure> {
        let soundtracks = self.soundtracks(span);
        let (told, heard) = channel();
        std::thread::scope(|scope| {
            // Who makes pictures tells how far they are.
            scope.spawn(move || soundtracks.make(&mut |_| {}, |made| told.send(made).is_ok()));
            // Where they fail, nobody listens any more, and the sound ends with its track.
            self.pictures(picture, grid, encoders, &heard)?;
            for made in heard {
                self.hear(made)?;
                self.known.keep(self.args, self.cx)?;
            }
            Ok(())
        })
    }

    /// Every track of sound that is not there yet, while nothing else is made.
    fn sounds(&mut self, span: Span) -> Result<(), Failure> {
        let soundtracks = self.soundtracks(span);
        let (cx, is_all) = (self.cx, self.known.pictures.is_empty());
        let mut told = |share| {
            if is_all {
                tell(cx, share, "sound");
            }
        };
        let mut ended = Ok(());
        soundtracks.make(&mut told, |made| {
            ended = self.hear(made).and_then(|()| self.known.keep(self.args, self.cx));
            ended.is_ok()
        });
        ended
    }

    fn soundtracks(&self, span: Span) -> Soundtracks<'a> {
        let Self { args, source, cx, .. } = *self;
        let is_missing = |name: &str| self.known.sounds.iter().all(|track| track.name != name);
        let missing = args.audio.iter().filter(|wish| is_missing(&wish.track)).collect();
        Soundtracks { args, source, cx, span, missing }
    }

    /// Takes over a track of sound.
    fn hear(&mut self, made: Heard) -> Result<(), Failure> {
        let (track, cpu) = made?;
        self.known.cpu += cpu;
        self.known.sounds.push(track);
        Ok(())
    }

    /// Copies the source's own pictures.
    fn remux(&mut self, picture: &Picture, span: Span) -> Result<(), Failure> {
        if !self.known.pictures.is_empty() {
            return Ok(());
        }
        remux::check(picture)?;
        let [rung] = &self.args.video[..] else {
            return Err(remux::refused("one size is there, and no other"));
        };
        let file = self.cx.folder().join("pictures.mp4");
        let told = |time| tell(self.cx, share(self.source, time), "copying");
        let cpu = remux::copy(self.source, picture.stream, &file, self.cx, &mut { told })?;
        let mut track = Track::new(&rung.track, video(picture, picture.rate, None));
        let cutter = self.cutter(&mut track, span, Times::Own);
        let files = cutter.cut(&file).map_err(|error| remux::refused(&error.to_string()))?;
        let timescale = track.opened.as_ref().map_or(1, |opened| u64::from(opened.timescale));
        let longest = track.keyframe_distance_max();
        if track.segments.is_empty() || longest > remux::KEYFRAME_SECONDS_MAX * timescale {
            return Err(remux::refused("its keyframes are too far apart"));
        }
        store(self.cx, &file, &files)?;
        self.known.cpu += cpu;
        self.known.pictures.push(track);
        self.known.is_complete = true;
        self.known.keep(self.args, self.cx)
    }

    /// With the first encoder that comes to the end.
    fn pictures(
        &mut self,
        picture: &Picture,
        grid: Grid,
        encoders: &[Encoder],
        heard: &Receiver<Heard>,
    ) -> Result<(), Failure> {
        // An encoder that has come far is gone on with.
        let begun = self.known.encoder.as_deref().and_then(crate::encoder::named);
        let others = encoders.iter().copied().filter(|it| Some(*it) != begun);
        let mut why = String::new();
        for encoder in begun.into_iter().chain(others) {
            for is_again in [false, true] {
                match self.encode(picture, grid, encoder, heard) {
                    Ok(()) => return Ok(()),
                    Err(Stumble::Failure(failure)) => return Err(failure),
                    Err(Stumble::Changed) if !is_again => self.known.without_pictures(),
                    Err(Stumble::Changed) => why = TrackError::Changed.to_string(),
                    Err(Stumble::Encoder(words)) => {
                        why = words;
                        break;
                    }
                }
            }
            tracing::info!(encoder = encoder.name, why, "the next encoder is taken");
            self.known.without_pictures();
        }
        Err(Failure::retry(format!("no encoder comes to the end: {why}")))
    }

    fn encode(
        &mut self,
        picture: &Picture,
        grid: Grid,
        encoder: Encoder,
        heard: &Receiver<Heard>,
    ) -> Result<(), Stumble> {
        let rungs = &self.args.video;
        if self.known.pictures.is_empty() {
            let new = |rung: &Rung| {
                let denominator = grid.rate.denominator * divider(grid.rate, rung);
                let rate = Rate { denominator, ..grid.rate };
                Track::new(&rung.track, video(picture, rate, Some(rung.height)))
            };
            self.known.pictures = rungs.iter().map(new).collect();
            self.known.encoder = Some(encoder.name.to_owned());
        }
        while !self.known.is_complete {
            let number = self.known.chunks;
            let (source, args) = (self.source, self.args);
            let chunk = Chunk { source, picture, args, grid, encoder, number };
            let cpu = self.run(&chunk)?;
            let before = self.known.pictures[0].frames;
            self.take(grid)?;
            let made = self.known.pictures[0].frames - before;
            if made == 0 && number == 0 {
                let words = "nothing of the pictures can be decoded";
                return Err(Failure::because("truncated", words).into());
            }
            let full = u64::from(grid.chunk_frames / divider(grid.rate, &rungs[0]));
            self.known.is_complete = made < full;
            self.known.chunks += u32::from(made > 0);
            self.known.cpu += cpu;
            heard.try_iter().try_for_each(|made| self.hear(made))?;
            self.known.keep(self.args, self.cx)?;
        }
        Ok(())
    }

    /// Encodes a chunk. Returns the CPU time.
    fn run(&self, chunk: &Chunk<'_>) -> Result<Duration, Stumble> {
        let begins = chunk.grid.time(u64::from(chunk.number) * u64::from(chunk.grid.chunk_frames));
        let mut told = |time| tell(self.cx, share(self.source, begins + time), "pictures");
        let is_last = chunk.encoder.is_cpu();
        match chunk.encode(self.cx.folder(), self.cx, &mut told) {
            Ok(ended) if ended.status.success() => Ok(ended.cpu),
            Ok(ended) if !is_last => Err(Stumble::Encoder(last_words(&ended.stderr))),
            Ok(ended) => Err(self.verdict(chunk, &ended.stderr).into()),
            Err(error @ (ProgramError::Stopped | ProgramError::NotStarted { .. })) => {
                Err(failure(error).into())
            }
            Err(error) if !is_last => Err(Stumble::Encoder(error.to_string())),
            Err(error) => Err(failure(error).into()),
        }
    }

    /// Why the processor's encoder, which takes everything, got to no end.
    fn verdict(&self, chunk: &Chunk<'_>, stderr: &str) -> Failure {
        if UNKNOWN_CODEC.iter().any(|words| stderr.contains(words)) {
            return Failure::because("unsupported-codec", "nobody here can decode the pictures");
        }
        let files = self.args.video.iter().map(|rung| Chunk::file(self.cx.folder(), rung));
        let bytes: u64 = files.filter_map(|file| file.metadata().ok()).map(|it| it.len()).sum();
        if bytes == 0 && chunk.number == 0 {
            return Failure::because("truncated", "nothing of the pictures can be decoded");
        }
        Failure::because("unreadable", format!("the pictures: {}", last_words(stderr)))
    }

    /// Cuts the files of a chunk and stores what comes of it.
    fn take(&mut self, grid: Grid) -> Result<(), Stumble> {
        let (args, folder) = (self.args, self.cx.folder());
        let mut files = Vec::new();
        let tracks = self.known.pictures.iter_mut().zip(&args.video);
        for (track, rung) in tracks {
            let file = Chunk::file(folder, rung);
            // Behind the end of a film there may be no file at all.
            if file.metadata().map_or(0, |found| found.len()) == 0 {
                continue;
            }
            let times = Times::Constant(grid.frame * divider(grid.rate, rung));
            let cutter = Cutter::new(track, folder, &args.prefix, grid.segment(), times);
            match cutter.cut(&file) {
                Ok(cut) => files.extend(cut),
                Err(TrackError::Changed) => return Err(Stumble::Changed),
                Err(error) => return Err(Failure::retry(error).into()),
            }
        }
        self.cx.put_all(&files)?;
        let sources = args.video.iter().map(|rung| Chunk::file(folder, rung));
        sources.chain(files.into_iter().map(|it| it.file)).for_each(|file| remove(&file));
        Ok(())
    }

    fn cutter<'t>(&'t self, track: &'t mut Track, span: Span, times: Times) -> Cutter<'t> {
        Cutter::new(track, self.cx.folder(), &self.args.prefix, span, times)
    }

    /// The indexes, last of all.
    fn publish(self, span: Span) -> Result<Output, Failure> {
        self.cx.progress(DONE, "publishing");
        let tracks: Vec<_> = self.known.pictures.iter().chain(&self.known.sounds).collect();
        let (mut made, mut files, mut seconds) = (Vec::new(), Vec::new(), 0.0_f64);
        for track in tracks {
            let Some(index) = track.index(span) else { continue };
            let file = self.cx.folder().join(format!("{}-index.json", track.name));
            let bytes = serde_json::to_vec(&index).map_err(Failure::retry)?;
            std::fs::write(&file, bytes).map_err(Failure::retry)?;
            let object = track.object(&self.args.prefix, "index.json");
            made.push(Made {
                track: track.name.clone(),
                index: object.clone(),
                segments: track.segments.len(),
                bytes: track.bytes(),
                frames: track.frames,
            });
            seconds = seconds.max(track.seconds());
            files.push(Outgoing { file, object, content_type: "application/json" });
        }
        if made.is_empty() {
            return Err(Failure::because("no-media-streams", "none of the tracks is in the file"));
        }
        self.cx.put_all(&files)?;
        Ok(Output {
            tracks: made,
            duration_ms: (seconds * 1000.0).round() as u64,
            encoder: self.known.encoder,
            cpu_seconds: self.known.cpu.as_secs_f64(),
            content_seconds: seconds,
            chunks: self.known.chunks,
        })
    }
}

fn tell(cx: &Context, share: f32, stage: &str) {
    cx.progress(FETCHED + (DONE - FETCHED) * share, stage);
}

/// How much of a film is before a moment.
fn share(source: &Source, time: Duration) -> f32 {
    let whole = source.duration.unwrap_or_default().as_secs_f32();
    if whole > 0.0 { (time.as_secs_f32() / whole).min(1.0) } else { 0.0 }
}

/// At the height of a size, or as it is.
fn video(picture: &Picture, rate: Rate, height: Option<u32>) -> Kind {
    let (width, height) = match height.map(|height| picture.size_at(height)) {
        Some(size) => (size.width, size.height),
        None => (picture.width, picture.height),
    };
    let frame_rate = (rate.numerator, rate.denominator);
    Kind::Video { width, height, frame_rate, sample_aspect: (1, 1), hdr: false }
}

/// Stores what was cut out of a file, which is needed no more then.
pub(crate) fn store(cx: &Context, from: &Path, files: &[Outgoing]) -> Result<(), Failure> {
    cx.put_all(files)?;
    remove(from);
    files.iter().for_each(|it| remove(&it.file));
    Ok(())
}

/// The job's folder goes anyway; a film of hours should not wait for that.
fn remove(file: &Path) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, "a file stays until the job ends");
    }
}
