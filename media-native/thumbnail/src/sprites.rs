//! Small pictures at even distances, joined to sprites; and the same in grey, for whoever judges
//! them.
//!
//! Keyframes alone are decoded first. Where one is missing near a tile's time, the film is decoded
//! whole.

use crate::thumbnail::{Sprites, Tile};
use nexus_media_ffmpeg::{FFmpeg, Limits, Picture, Size, Source, failure, last_words};
use nexus_media_protocol::{Context, Failure};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The grey pictures.
pub(crate) const GREY: Size = Size { width: 96, height: 54 };
const FILE_BYTES_MAX: u64 = 2 << 30;
/// A film of half a day at an interval of a second.
const TILES_MAX: usize = 50_000;
/// Of a film of unknown length.
const CONTENT_UNKNOWN: Duration = Duration::from_secs(12 * 3600);

/// What has come about.
pub(crate) struct Sheets {
    /// Each with its number of tiles.
    pub(crate) files: Vec<(PathBuf, u32)>,
    pub(crate) interval_ms: u64,
    pub(crate) tile: Tile,
    /// One picture of [`GREY`] size after another, one for each tile.
    pub(crate) greys: Vec<u8>,
}

/// Which pictures of a film are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    Keyframes,
    All,
}

pub(crate) fn make(
    source: &Source,
    picture: &Picture,
    wanted: Sprites,
    cx: &Context,
) -> Result<Sheets, Failure> {
    let interval_ms = (wanted.interval_seconds * 1000.0).round() as u64;
    let shown = picture.shown;
    let height = f64::from(wanted.tile_width) * f64::from(shown.height) / f64::from(shown.width);
    // A very tall film does not get tiles that fill a screen.
    let height = (height.round() as u32).clamp(2, 2 * wanted.tile_width) & !1;
    let tile = Tile { w: wanted.tile_width & !1, h: height };
    let call = Call { source, picture, wanted, interval_ms, tile, cx };
    let is_near = call.run(Pass::Keyframes)? && call.keyframes_are_near()?;
    if !is_near && !call.run(Pass::All)? {
        return Err(Failure::because("truncated", "nothing of the pictures can be decoded"));
    }
    let greys = std::fs::read(call.file("greys")).map_err(Failure::retry)?;
    let per_sheet = wanted.columns * wanted.rows;
    let tiles = greys.len() / (GREY.width * GREY.height) as usize;
    let tiles = u32::try_from(tiles).unwrap_or(u32::MAX);
    let count = tiles.div_ceil(per_sheet);
    let sheet = |number: u32| {
        let tiles = per_sheet.min(tiles - number * per_sheet);
        (cx.folder().join(format!("sprite-{number}.jpg")), tiles)
    };
    Ok(Sheets { files: (0..count).map(sheet).collect(), interval_ms, tile, greys })
}

struct Call<'a> {
    source: &'a Source,
    picture: &'a Picture,
    wanted: Sprites,
    interval_ms: u64,
    tile: Tile,
    cx: &'a Context,
}

impl Call<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.cx.folder().join(name)
    }

    /// Whether it gave any picture.
    fn run(&self, pass: Pass) -> Result<bool, Failure> {
        let mut options = self.source.clock();
        if pass == Pass::Keyframes {
            options.extend(["-skip_frame", "nokey"].map(str::to_owned));
        }
        let mut call = FFmpeg::reading(&self.source.file, &options);
        call.push(["-filter_complex", &self.graph()]);
        call.push(["-map", "[tiles]", "-fps_mode", "passthrough", "-c:v", "mjpeg", "-q:v", "5"]);
        call.push(["-frames:v", &TILES_MAX.to_string(), "-start_number", "0", "-f", "image2"]);
        call.file(&self.file("sprite-%d.jpg"));
        call.push(["-map", "[greys]", "-fps_mode", "passthrough"]);
        call.push(["-frames:v", &TILES_MAX.to_string(), "-f", "rawvideo"]);
        call.file(&self.file("greys"));
        // The times of what was decoded, a line each.
        call.push(["-map", "[times]", "-fps_mode", "passthrough", "-f", "framecrc"]);
        call.file(&self.file("times"));
        let content = self.source.duration.unwrap_or(CONTENT_UNKNOWN);
        let limits = Limits::for_content(content, FILE_BYTES_MAX);
        let mut told = |time: Duration| {
            let share = time.as_secs_f32() / content.as_secs_f32().max(1.0);
            self.cx.progress(0.05 + 0.7 * share.min(1.0), "tiles");
        };
        let ended = call.run(self.cx, limits, &mut told).map_err(failure)?;
        let bytes = self.file("greys").metadata().map_or(0, |found| found.len());
        if !ended.status.success() && pass == Pass::All && bytes > 0 {
            return Err(Failure::because("unreadable", last_words(&ended.stderr)));
        }
        Ok(ended.status.success() && bytes > 0)
    }

    /// Upright, progressive and of standard range; then three ways.
    fn graph(&self) -> String {
        let Tile { w, h } = self.tile;
        let (picture, interval_ms) = (self.picture, self.interval_ms);
        let mut filters: Vec<String> = Vec::new();
        filters.extend(picture.deinterlacing().map(str::to_owned));
        let small = Size { width: w, height: h };
        let evenly = format!("fps=fps=1000/{interval_ms}:start_time=0:eof_action=pass");
        let first = if filters.is_empty() { "null".to_owned() } else { filters.join(",") };
        let tones = picture.tone_mapping(small).map_or(String::new(), |it| format!("{it},"));
        let layout = format!("tile={}x{}", self.wanted.columns, self.wanted.rows);
        format!(
            "[0:{}]{first},split[whole][seen];[seen]scale=16:16,format=gray[times];\
             [whole]{evenly},{tones}split[a][b];[a]{},format=yuvj420p,{layout}[tiles];\
             [b]scale={}:{},format=gray[greys]",
            picture.stream,
            picture.scaling(small),
            GREY.width,
            GREY.height
        )
    }

    /// Whether there is a keyframe within half an interval of every tile's time.
    fn keyframes_are_near(&self) -> Result<bool, Failure> {
        let times = times(&self.file("times"))?;
        let bytes = self.file("greys").metadata().map_err(Failure::retry)?.len();
        let tiles = bytes / u64::from(GREY.width * GREY.height);
        let end = self.source.duration.map_or(0, |duration| duration.as_millis());
        // Fewer tiles than the film has time for: it goes on behind the last keyframe.
        if u128::from(tiles) + 1 < end / u128::from(self.interval_ms) {
            return Ok(false);
        }
        let half = self.interval_ms / 2 + 1;
        Ok((0..tiles).all(|tile| {
            let at = tile * self.interval_ms;
            times.iter().any(|time| time.abs_diff(at) <= half)
        }))
    }
}

/// Milliseconds of the pictures that `framecrc` has written about.
fn times(file: &Path) -> Result<Vec<u64>, Failure> {
    let text = std::fs::read_to_string(file).map_err(Failure::retry)?;
    // `#tb 0: 1/25`
    let unit = text.lines().find_map(|line| line.strip_prefix("#tb 0: ")?.split_once('/'));
    let unit =
        unit.and_then(|(n, d)| Some((n.parse::<u64>().ok()?, d.trim().parse::<u64>().ok()?)));
    let (numerator, denominator) = unit.unwrap_or((1, 1));
    let stamps = text.lines().filter(|line| !line.starts_with('#'));
    let stamps = stamps.filter_map(|line| line.split(',').nth(2)?.trim().parse::<u64>().ok());
    Ok(stamps.map(|stamp| stamp * 1000 * numerator / denominator.max(1)).collect())
}
