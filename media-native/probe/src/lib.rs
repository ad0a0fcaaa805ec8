//! The kind `probe`: what is inside a media object, as `ffprobe` sees it. Reads the head and the
//! index of a file, decodes nothing. Refuses to know what a service makes of the answer.
//!
//! The file is hostile. `ffprobe` gets it as a local file by a neutral name, may open nothing else
//! (neither a protocol nor a playlist that would name other files), and has limits of time, memory
//! and output.

mod ffprobe;
mod output;
mod rate;

pub use output::{Color, Output, Stream, StreamKind};
pub use rate::Rate;

use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Failure, Fetched, Job, Program, ProgramError, Worker};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// An hour of production video; the store takes no larger object either.
pub const OBJECT_BYTES_MAX: u64 = 64 << 30;

/// Demuxers of single files. Those that read playlists or images by pattern are not among them:
/// they would open whatever other files their input names.
pub const FORMATS: &str = "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,\
    jpeg_pipe,matroska,mov,mp3,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,opus,png_pipe,rm,tta,w64,wav,\
    webm,webp_pipe,wv,av1,m4v,bmp_pipe,tiff_pipe,srt,webvtt,ass";

/// What to look at.
#[derive(Debug, Clone, Deserialize)]
pub struct Args {
    pub object: Object,
}

/// The worker.
#[derive(Debug, Clone)]
pub struct Probe {
    program: String,
}

impl Default for Probe {
    /// With the machine's own `ffprobe`.
    fn default() -> Self {
        Self { program: "ffprobe".into() }
    }
}

impl Worker for Probe {
    const KIND: &'static str = "probe";
    type Args = Args;
    type Output = Output;

    fn work(&self, job: &Job<Args>, cx: &Context) -> Result<Output, Failure> {
        cx.progress(0.0, "fetching");
        let fetched = fetch(&job.args.object, cx)?;
        cx.progress(0.8, "reading");
        self.look(&fetched, cx)
    }
}

/// Copies a source into the job's folder.
///
/// # Errors
///
/// [`Failure::Reject`] with the codes `empty` and `too-large`, and as [`Context::fetch`].
pub fn fetch(object: &Object, cx: &Context) -> Result<Fetched, Failure> {
    let size = cx.readable_url(object)?.size;
    if size == 0 {
        return Err(Failure::because("empty", "the object is empty"));
    }
    if size > OBJECT_BYTES_MAX {
        let words = format!("the object has more than {OBJECT_BYTES_MAX} bytes");
        return Err(Failure::because("too-large", words));
    }
    cx.fetch(object, OBJECT_BYTES_MAX)
}

impl Probe {
    /// What is inside a file of the job's folder.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] with the codes `unreadable`, `no-media-streams` and `too-many-streams`.
    pub fn look(&self, fetched: &Fetched, cx: &Context) -> Result<Output, Failure> {
        let ended = cx.run(&self.program(&fetched.path)).map_err(failure)?;
        if !ended.status.success() {
            return Err(Failure::because("unreadable", unreadable(&ended.stderr)));
        }
        let found = ffprobe::read(&ended.stdout);
        let found = found.map_err(|words| Failure::because("unreadable", words))?;
        Output::new(found, fetched)
    }

    fn program(&self, file: &Path) -> Program {
        // With the protocol in front, no name is taken for an option or another protocol.
        let mut input = OsString::from("file:");
        input.push(file);
        let mut program = Program::new(&self.program)
            .args(["-v", "error", "-hide_banner", "-protocol_whitelist", "file"])
            .args(["-format_whitelist", FORMATS])
            // Streams that begin late are found; a file without an index is not read to its end.
            .args(["-probesize", "50M", "-analyzeduration", "30M", "-max_streams", "200"])
            .args(["-print_format", "json", "-show_format", "-show_streams", "-show_chapters"])
            .args([OsString::from("-i"), input]);
        program.cpu_max = Duration::from_secs(30);
        program.memory_bytes_max = 2 << 30;
        program.stdout_bytes_max = 4 << 20;
        program.wall_max = Duration::from_secs(120);
        program
    }
}

fn failure(error: ProgramError) -> Failure {
    match error {
        ProgramError::Stopped => Failure::Stopped,
        error if error.is_the_inputs_fault() => {
            Failure::because("unreadable", format!("the file: {error}"))
        }
        // A machine without the program is no fault of the job.
        ProgramError::NotStarted { .. } => {
            Failure::Release { after: Some(Duration::from_secs(60)), reason: error.to_string() }
        }
        error => Failure::retry(error),
    }
}

/// The last thing that ffprobe says, without the paths of this machine.
fn unreadable(stderr: &str) -> String {
    let last = stderr.lines().last().unwrap_or_default();
    let words = last.rsplit(": ").next().unwrap_or_default().trim();
    match words.is_empty() {
        true => "the file cannot be read".into(),
        false => format!("the file cannot be read: {words}"),
    }
}
