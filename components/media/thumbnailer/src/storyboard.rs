//! Which pictures of the way through a film there are, and the text by which a player finds the one
//! of a moment (WebVTT cues with media fragments, `#xywh`). Pure.

use crate::items::{Item, Sprite};

/// More would be more bytes than the film's first minute.
const TILES_MAX: i64 = 400;
/// A still changes little faster than this.
const INTERVAL_SECONDS_MIN: i64 = 2;
pub const COLUMNS: i32 = 10;
pub const ROWS: i32 = 10;
pub const TILE_WIDTH: i32 = 160;

/// Seconds between two pictures.
pub fn interval_seconds(duration_ms: i64) -> i64 {
    let seconds = (duration_ms.max(0) + 999) / 1000;
    ((seconds + TILES_MAX - 1) / TILES_MAX).max(INTERVAL_SECONDS_MIN)
}

/// The text; addresses are those under which packages are served.
pub fn vtt(item: &Item) -> String {
    let mut text = String::from("WEBVTT\n");
    let places = item.sprites.iter().flat_map(|sprite| (0..sprite.tiles).map(move |n| (sprite, n)));
    for (number, (sprite, n)) in places.enumerate() {
        let begin = item.interval_ms * i64::try_from(number).unwrap_or(i64::MAX);
        if begin >= item.duration_ms {
            break;
        }
        let end = (begin + item.interval_ms).min(item.duration_ms);
        let place = place(item, sprite, n);
        text += &format!("\n{} --> {}\n{place}\n", instant(begin), instant(end));
    }
    text
}

fn place(item: &Item, sprite: &Sprite, n: i32) -> String {
    let columns = item.tile_columns.max(1);
    let (x, y) = (n % columns * item.tile_width, n / columns * item.tile_height);
    let (width, height) = (item.tile_width, item.tile_height);
    format!("{}#xywh={x},{y},{width},{height}", address(&sprite.key))
}

/// Where an object of a package is served: its key, but for the first word.
pub fn address(key: &str) -> String {
    format!("/media/{}", key.strip_prefix("packages/").unwrap_or(key))
}

/// `hours:minutes:seconds.milliseconds`.
fn instant(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::prelude::Uuid;

    fn item(duration_ms: i64, tiles: &[i32]) -> Item {
        let sprite = |(n, tiles): (usize, &i32)| Sprite {
            key: format!("packages/p/images/sprite-{n}.jpg"),
            tiles: *tiles,
        };
        Item {
            asset_id: Uuid::nil().into(),
            package_id: Uuid::nil().into(),
            duration_ms,
            posters: Vec::new(),
            poster: 0,
            sprites: tiles.iter().enumerate().map(sprite).collect(),
            interval_ms: 2000,
            tile_width: 160,
            tile_height: 90,
            tile_columns: 2,
            updated_at: "2026-03-01T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn each_moment_has_its_place_in_a_picture() {
        let text = vtt(&item(7000, &[3, 3]));
        assert!(text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n"), "{text}");
        let places: Vec<&str> = text.lines().filter(|line| line.contains("#xywh")).collect();
        assert_eq!(
            places,
            [
                "/media/p/images/sprite-0.jpg#xywh=0,0,160,90",
                "/media/p/images/sprite-0.jpg#xywh=160,0,160,90",
                "/media/p/images/sprite-0.jpg#xywh=0,90,160,90",
                "/media/p/images/sprite-1.jpg#xywh=0,0,160,90",
            ]
        );
        assert!(text.contains("00:00:06.000 --> 00:00:07.000"), "{text}");
    }

    #[test]
    fn a_film_without_pictures_has_an_empty_storyboard() {
        assert_eq!(vtt(&item(7000, &[])), "WEBVTT\n");
    }

    #[test]
    fn long_films_have_their_pictures_further_apart() {
        assert_eq!(interval_seconds(0), 2);
        assert_eq!(interval_seconds(60_000), 2);
        assert_eq!(interval_seconds(2 * 3_600_000), 18);
        assert!((12 * 3600) / interval_seconds(12 * 3_600_000) <= TILES_MAX);
    }
}
