//! A source whose own tracks can be published: nothing is decoded, only cut at keyframes. Says no
//! where players would have trouble, with the code `not-remuxable`; whoever asked takes another
//! lane then.

use crate::sounds::{LATE_MS_MAX, own_times};
use nexus_media_ffmpeg::{FFmpeg, Limits, Picture, Rate, Sound, Source, failure, last_words};
use nexus_media_protocol::{Context, Failure};
use std::path::Path;
use std::time::Duration;

/// What every browser decodes.
const PROFILES: [&str; 4] = ["Constrained Baseline", "Baseline", "Main", "High"];
const PIXEL_FORMATS: [&str; 2] = ["yuv420p", "yuvj420p"];
/// A player that changes sizes waits for a keyframe.
pub(crate) const KEYFRAME_SECONDS_MAX: u64 = 8;
/// A picture that begins later leaves players waiting.
const PICTURE_LATE_MS_MAX: i64 = 500;
const FILE_BYTES_MAX: u64 = 64 << 30;

/// Whether the file says anything against it.
///
/// # Errors
///
/// [`Failure::Reject`] with the code `not-remuxable`.
pub(crate) fn check(picture: &Picture) -> Result<(), Failure> {
    let known = |list: &[&str], told: &Option<String>| {
        told.as_deref().is_some_and(|told| list.contains(&told))
    };
    let square = picture.pixel_aspect == Rate { numerator: 1, denominator: 1 };
    let complaint = match () {
        () if picture.codec != "h264" => "the pictures are not H.264",
        () if !known(&PROFILES, &picture.profile) => "the profile is not one of every browser",
        () if !known(&PIXEL_FORMATS, &picture.pixel_format) => {
            "the colours are not 4:2:0 of 8 bits"
        }
        () if picture.rotation_degrees != 0 => "it has to be turned",
        () if !square => "its pixels are not square",
        () if picture.is_interlaced != Some(false) => "it may be interlaced",
        () if picture.is_hdr => "it is of high dynamic range",
        () if picture.late_ms > PICTURE_LATE_MS_MAX => "the pictures begin late",
        () => return Ok(()),
    };
    Err(refused(complaint))
}

pub(crate) fn refused(words: &str) -> Failure {
    Failure::because("not-remuxable", words)
}

/// Whether a track of sound can be published as it is.
pub(crate) fn keeps(source: &Source, sound: &Sound, channels: u32) -> bool {
    // In others each sample says itself what it is, and the head would say nothing.
    let has_a_head = ["mov", "matroska"].iter().any(|name| source.container.contains(name));
    has_a_head
        && sound.codec == "aac"
        && sound.profile.as_deref() == Some("LC")
        && sound.channels == channels
        && [44_100, 48_000].contains(&sound.sample_rate)
        && sound.late_ms.abs() <= LATE_MS_MAX
}

/// Copies one stream into `file`. Returns the CPU time.
pub(crate) fn copy(
    source: &Source,
    stream: u32,
    file: &Path,
    cx: &Context,
    on_time: &mut (dyn FnMut(Duration) + Send),
) -> Result<Duration, Failure> {
    let mut call = FFmpeg::reading(&source.file, &source.clock());
    call.push(["-map", &format!("0:{stream}"), "-c", "copy", "-map_metadata", "-1"]);
    call.push(["-map_chapters", "-1", "-fflags", "+bitexact"]);
    own_times(&mut call);
    call.push(["-frag_duration", "2000000", "-f", "mp4"]);
    call.file(file);
    let content = source.duration.unwrap_or_default();
    let ended = call.run(cx, Limits::for_content(content, FILE_BYTES_MAX), on_time);
    let ended = ended.map_err(failure)?;
    if !ended.status.success() {
        return Err(refused(&last_words(&ended.stderr)));
    }
    Ok(ended.cpu)
}
