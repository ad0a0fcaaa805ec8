//! The kind `thumbnail`: what it is asked for, what it gives, and in which order it works.

use crate::{posters, sprites};
use nexus_media_ffmpeg::Source;
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Failure, Job, Outgoing, Worker};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const POSTERS_MAX: usize = 12;
const TILE_WIDTHS: std::ops::RangeInclusive<u32> = 32..=640;
/// Tiles along a side of a sprite.
const SIDE_TILES_MAX: u32 = 20;

#[derive(Debug, Clone, Deserialize)]
pub struct ThumbnailArgs {
    pub source: Object,
    /// Where the pictures go: a bucket and the beginning of the keys.
    pub prefix: Object,
    pub posters: usize,
    pub sprite: Sprites,
}

/// How sprites are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Sprites {
    pub interval_seconds: f64,
    pub tile_width: u32,
    pub columns: u32,
    pub rows: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The best first.
    pub posters: Vec<Poster>,
    pub sprites: Vec<Sheet>,
    /// From one tile to the next.
    pub interval_ms: u64,
    pub tile: Tile,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Poster {
    pub key: String,
    pub width: u32,
    pub height: u32,
    pub at_ms: u64,
    /// Higher is better; 0 shows nothing.
    pub score: f64,
}

/// One sprite: tiles row by row, the last one perhaps not full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    pub key: String,
    pub tiles: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    pub w: u32,
    pub h: u32,
}

/// `sprite.json`.
#[derive(Debug, Serialize)]
struct Index<'a> {
    version: u32,
    interval_ms: u64,
    tile: Tile,
    columns: u32,
    rows: u32,
    sprites: &'a [Sheet],
}

/// The worker.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thumbnail;

impl Worker for Thumbnail {
    const KIND: &'static str = "thumbnail";
    type Args = ThumbnailArgs;
    type Output = Output;

    fn work(&self, job: &Job<ThumbnailArgs>, cx: &Context) -> Result<Output, Failure> {
        let args = &job.args;
        args.check()?;
        cx.progress(0.0, "fetching");
        let source = Source::open(&args.source, cx)?;
        let none = || Failure::because("no-media-streams", "nothing in the file moves");
        let picture = source.picture.as_ref().ok_or_else(none)?;
        let sheets = sprites::make(&source, picture, args.sprite, cx)?;
        let posters = posters::make(&source, picture, &sheets, args.posters, cx)?;
        cx.progress(0.95, "publishing");
        args.publish(sheets, posters, cx)
    }
}

impl ThumbnailArgs {
    fn check(&self) -> Result<(), Failure> {
        let Sprites { interval_seconds, tile_width, columns, rows } = self.sprite;
        let sides = 1..=SIDE_TILES_MAX;
        let sane = (0.1..=600.0).contains(&interval_seconds)
            && TILE_WIDTHS.contains(&tile_width)
            && sides.contains(&columns)
            && sides.contains(&rows)
            && self.posters <= POSTERS_MAX
            && !self.prefix.key.is_empty()
            && !self.prefix.key.ends_with('/');
        let refused = || Failure::reject("the arguments: pictures that cannot be made");
        sane.then_some(()).ok_or_else(refused)
    }

    fn publish(
        &self,
        sheets: sprites::Sheets,
        posters: Vec<posters::Made>,
        cx: &Context,
    ) -> Result<Output, Failure> {
        let mut files = Vec::new();
        let mut keep = |file: PathBuf, name: String, content_type| {
            let key = format!("{}/images/{name}", self.prefix.key);
            let object = Object { bucket: self.prefix.bucket.clone(), key: key.clone() };
            files.push(Outgoing { file, object, content_type });
            key
        };
        let mut sprites = Vec::new();
        for (number, (file, tiles)) in sheets.files.into_iter().enumerate() {
            let key = keep(file, format!("sprite-{number}.jpg"), "image/jpeg");
            sprites.push(Sheet { key, tiles });
        }
        let mut told = Vec::new();
        for (number, made) in posters.into_iter().enumerate() {
            let key = keep(made.file, format!("poster-{number}.jpg"), "image/jpeg");
            let (width, height) = (made.size.width, made.size.height);
            told.push(Poster { key, width, height, at_ms: made.at_ms, score: made.score });
        }
        let (interval_ms, tile) = (sheets.interval_ms, sheets.tile);
        let Sprites { columns, rows, .. } = self.sprite;
        let index = Index { version: 1, interval_ms, tile, columns, rows, sprites: &sprites };
        let file = cx.folder().join("sprite.json");
        let bytes = serde_json::to_vec(&index).map_err(Failure::retry)?;
        std::fs::write(&file, bytes).map_err(Failure::retry)?;
        cx.put_all(&files)?;
        // Who sees it finds every sprite.
        let key = format!("{}/images/sprite.json", self.prefix.key);
        let object = Object { bucket: self.prefix.bucket.clone(), key };
        cx.put(&file, &object, "application/json")?;
        Ok(Output { posters: told, sprites, interval_ms, tile })
    }
}
