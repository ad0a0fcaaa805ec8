//! Pictures of the way through a film, as a player finds the one of a moment: WebVTT cues with
//! media fragments (`#xywh`). Pure.

use crate::package::Offer;
use nexus_sdk::prelude::*;

/// `images/sprite.json`, which the worker writes that has made the pictures
/// (`media-native/thumbnail`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sprites {
    /// Between two pictures.
    pub interval_ms: u64,
    pub tile: Tile,
    pub columns: u32,
    pub rows: u32,
    #[serde(rename = "sprites")]
    pub sheets: Vec<Sheet>,
}

/// Points of one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Tile {
    pub w: u32,
    pub h: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Sheet {
    pub tiles: u32,
}

impl Sprites {
    /// None when there are no pictures that a player could find.
    pub fn read(index: &[u8]) -> Option<Sprites> {
        let sprites: Sprites = serde_json::from_slice(index).ok()?;
        let parts = [sprites.columns, sprites.rows, sprites.tile.w, sprites.tile.h];
        let sane = parts.iter().all(|part| (1..=10_000).contains(part));
        let there = sprites.interval_ms > 0 && !sprites.sheets.is_empty();
        (sane && there).then_some(sprites)
    }

    pub fn per_sheet(&self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }
}

/// The text, empty but for its head where there are no pictures.
pub fn vtt(offer: &Offer<'_>) -> String {
    let mut text = String::from("WEBVTT\n");
    let Some(sprites) = offer.sprites else { return text };
    let end_ms = offer.microseconds() / 1000;
    let Tile { w, h } = sprites.tile;
    let mut begin = 0;
    for (number, sheet) in sprites.sheets.iter().enumerate() {
        let address = offer.media(&format!("images/sprite-{number}.jpg"));
        for tile in 0..sheet.tiles {
            if begin >= end_ms {
                return text;
            }
            let end = (begin + sprites.interval_ms).min(end_ms);
            let (x, y) = (tile % sprites.columns * w, tile / sprites.columns * h);
            let (from, to) = (instant(begin), instant(end));
            text += &format!("\n{from} --> {to}\n{address}#xywh={x},{y},{w},{h}\n");
            begin = end;
        }
    }
    text
}

/// `hours:minutes:seconds.milliseconds`.
fn instant(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::package::tests::package;

    pub fn sprites() -> Sprites {
        let index = json!({
            "version": 1, "interval_ms": 2000, "tile": { "w": 160, "h": 90 }, "columns": 2,
            "rows": 2, "sprites": [{ "key": "x", "tiles": 4 }, { "key": "y", "tiles": 1 }],
        });
        Sprites::read(index.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_moment_has_its_place_in_a_picture_that_the_token_opens() {
        let mut package = package(9);
        package.sprites = Some(sprites());
        let text = vtt(&package.offer(Uuid::nil(), "T", 720));
        let places: Vec<&str> =
            text.lines().filter_map(|line| line.split_once("images/")).map(|it| it.1).collect();
        assert_eq!(
            places,
            [
                "sprite-0.jpg?t=T#xywh=0,0,160,90",
                "sprite-0.jpg?t=T#xywh=160,0,160,90",
                "sprite-0.jpg?t=T#xywh=0,90,160,90",
                "sprite-0.jpg?t=T#xywh=160,90,160,90",
                "sprite-1.jpg?t=T#xywh=0,0,160,90",
            ]
        );
        let last = "00:00:08.000 --> 00:00:09.000\n\
                    /media/00000000-0000-0000-0000-000000000000/images/sprite-1.jpg?t=T\
                    #xywh=0,0,160,90\n";
        assert!(text.ends_with(last), "{text}");
    }
}
