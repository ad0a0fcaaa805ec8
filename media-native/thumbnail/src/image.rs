//! The kind `image`: one picture in another size, such as a face for a profile. Nothing but pixels
//! is kept: no place, no camera, no preview that somebody had cropped away.

use nexus_media_ffmpeg::{FFmpeg, Limits, Picture, Size, Source, failure, last_words};
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Failure, Job, Worker};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Pixels in either direction.
const SIDE_MAX: u32 = 4096;
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Clone, Deserialize)]
pub struct ImageArgs {
    pub source: Object,
    pub target: Object,
    pub width: u32,
    pub height: u32,
    pub fit: Fit,
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Fills the size; what stands over on two sides is cut off.
    Cover,
    /// As large as fits into the size; never larger than the source.
    Contain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Jpeg,
    Webp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageOutput {
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
}

/// The worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Image;

impl Worker for Image {
    const KIND: &'static str = "image";
    type Args = ImageArgs;
    type Output = ImageOutput;

    fn work(&self, job: &Job<ImageArgs>, cx: &Context) -> Result<ImageOutput, Failure> {
        let args = &job.args;
        if !(1..=SIDE_MAX).contains(&args.width) || !(1..=SIDE_MAX).contains(&args.height) {
            return Err(Failure::reject("the arguments: a side is 1 to 4096 pixels"));
        }
        let (source, picture) = Source::open_still(&args.source, cx)?;
        let (filters, Size { width, height }) = scaling(args, &picture);
        let file = cx.folder().join(match args.format {
            Format::Jpeg => "image.jpg",
            Format::Webp => "image.webp",
        });
        let mut call = FFmpeg::reading(&source, &[] as &[&str]);
        call.push(["-map", &format!("0:{}", picture.stream), "-vf", &filters]);
        call.push(["-frames:v", "1", "-map_metadata", "-1", "-fflags", "+bitexact"]);
        call.push(args.format.arguments());
        call.file(&file);
        let limits = Limits::for_content(Duration::ZERO, FILE_BYTES_MAX);
        let ended = call.run(cx, limits, &mut |_| ()).map_err(failure)?;
        if !ended.status.success() || !file.exists() {
            return Err(Failure::because("unreadable", last_words(&ended.stderr)));
        }
        let bytes = cx.put(&file, &args.target, args.format.content_type())?;
        Ok(ImageOutput { width, height, bytes })
    }
}

impl Format {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Jpeg => &[
                "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", "3", "-update", "1", "-f",
                "image2",
            ],
            Self::Webp => &["-c:v", "libwebp", "-quality", "82", "-f", "webp"],
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }
}

/// The filters, and the size that comes out.
fn scaling(args: &ImageArgs, picture: &Picture) -> (String, Size) {
    let wanted = Size { width: args.width, height: args.height };
    let Size { width, height } = wanted;
    match args.fit {
        Fit::Cover => (
            format!(
                "scale=w={width}:h={height}:force_original_aspect_ratio=increase:flags=lanczos,\
                 crop={width}:{height},setsar=1"
            ),
            wanted,
        ),
        Fit::Contain => {
            let size = within(picture.shown, wanted);
            let Size { width, height } = size;
            (format!("scale=w={width}:h={height}:flags=lanczos,setsar=1"), size)
        }
    }
}

/// As large as fits, in the shape of `shown`.
fn within(shown: Size, wanted: Size) -> Size {
    let share = |wanted: u32, shown: u32| f64::from(wanted) / f64::from(shown.max(1));
    let share = share(wanted.width, shown.width).min(share(wanted.height, shown.height)).min(1.0);
    let side = |of: u32| ((f64::from(of) * share).round() as u32).max(1);
    Size { width: side(shown.width), height: side(shown.height) }
}

#[test]
fn a_picture_that_is_to_fit_keeps_its_shape_and_is_never_made_larger() {
    let size = |width, height| Size { width, height };
    assert_eq!(within(size(4000, 3000), size(400, 400)), size(400, 300));
    assert_eq!(within(size(100, 50), size(400, 400)), size(100, 50));
    assert_eq!(within(size(10, 3000), size(30, 30)), size(1, 30));
}
