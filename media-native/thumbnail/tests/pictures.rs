//! Posters, sprites and pictures in another size, as jobs of a real host; measured with ffprobe.

use nexus_harness::prelude::*;
use nexus_media_corpus::{Bed, FILMS, Fate, film};
use nexus_media_protocol::Crew;
use nexus_media_thumbnail::{Image, ImageOutput, Output, Thumbnail};
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

async fn bed() -> Bed {
    Bed::begin(Crew::default().with(Thumbnail).with(Image)).await
}

/// A film of 8 s whose grey says how many seconds have passed, and where the picture has a corner
/// of noise; a keyframe every so many frames.
fn counted(keyframes: u32) -> PathBuf {
    let film = folder().join(format!("seconds-{keyframes}.mp4"));
    if film.exists() {
        return film;
    }
    let own = folder().join(format!("{}-seconds-{keyframes}.mp4", std::process::id()));
    let lum = "geq=lum='40+20*floor(T)+if(lt(X\\,20)*lt(Y\\,20)\\,random(1)*60\\,0)':cb=128:cr=128";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg(format!("color=gray:size=320x180:rate=25,{lum}"))
        .args(["-t", "8", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .args(["-sc_threshold", "0", "-g", &keyframes.to_string()])
        .arg(&own)
        .output()
        .expect("ffmpeg is there: see cargo xtask doctor");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::rename(own, &film).unwrap();
    film
}

fn job(source: &Value, prefix: &str) -> Value {
    json!({
        "source": source, "prefix": Bed::object(prefix), "posters": 4,
        "sprite": { "interval_seconds": 1, "tile_width": 80, "columns": 3, "rows": 2 },
    })
}

fn size(file: &Path) -> (u32, u32) {
    let told = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0", "-show_entries", "stream=width,height"])
        .arg(file)
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let (width, height) = told.trim().split_once(',').expect("it is a picture");
    (width.parse().unwrap(), height.parse().unwrap())
}

/// The grey in the middle of each tile, row by row.
fn greys(sprite: &Path, columns: usize, rows: usize) -> Vec<u8> {
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(sprite)
        .args(["-vf", "format=gray", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let (width, height) = size(sprite);
    let (width, height) = (width as usize, height as usize);
    let middle = |tile: usize| {
        let (column, row) = (tile % columns, tile / columns);
        let x = width / columns * column + width / columns / 2;
        let y = height / rows * row + height / rows / 2;
        decoded.stdout[y * width + x]
    };
    (0..columns * rows).map(middle).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tile_shows_its_second_whether_keyframes_are_near_or_far() {
    let bed = bed().await;
    for keyframes in [25, 1000] {
        let source = bed.stash(&counted(keyframes)).await;
        let prefix = format!("packages/{keyframes}");
        let made = bed.ended("thumbnail", &job(&source, &prefix)).await.unwrap();
        let made: Output = serde_json::from_value(made).unwrap();
        assert_eq!(made.interval_ms, 1000);
        assert_eq!((made.tile.w, made.tile.h), (80, 44));
        let tiles: Vec<_> = made.sprites.iter().map(|sheet| sheet.tiles).collect();
        assert_eq!(tiles, [6, 2], "{keyframes}");
        let keys: Vec<_> = made.sprites.iter().map(|sheet| sheet.key.clone()).collect();
        let collected = bed.collect(keys.clone()).await;
        let mut shown = greys(&collected.join(&keys[0]), 3, 2);
        shown.extend(&greys(&collected.join(&keys[1]), 3, 2)[..2]);
        for (second, grey) in shown.iter().enumerate() {
            // A tile shows what is there within half an interval of its time.
            let expected = |second: f64| (40.0 + 20.0 * second - 16.0) * 255.0 / 219.0;
            let second = second as f64;
            let near = [second - 1.0, second].map(expected);
            let grey = f64::from(*grey);
            assert!(near.iter().any(|it| (grey - it).abs() < 6.0), "{keyframes}: {shown:?}");
        }
        let index = bed.collect(vec![format!("{prefix}/images/sprite.json")]).await;
        let index = std::fs::read(index.join(format!("{prefix}/images/sprite.json"))).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        assert_eq!((&index["columns"], &index["tile"]["w"]), (&json!(3), &json!(80)));
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posters_are_upright_pictures_of_the_film_the_best_first() {
    let bed = bed().await;
    let table = [("plain.mp4", (320, 180)), ("rotated.mp4", (180, 320)), ("hdr10.mp4", (320, 180))];
    for (name, expected) in table {
        let source = bed.stash(&film(name).make(folder()).unwrap()).await;
        let prefix = format!("packages/{name}");
        let made = bed.ended("thumbnail", &job(&source, &prefix)).await.unwrap();
        let made: Output = serde_json::from_value(made).unwrap();
        assert!(!made.posters.is_empty(), "{name}");
        assert!(made.posters.windows(2).all(|pair| pair[0].score >= pair[1].score), "{made:?}");
        assert!(made.posters[0].score > 10.0, "{name}: {:?}", made.posters);
        let key = made.posters[0].key.clone();
        let collected = bed.collect(vec![key.clone()]).await;
        assert_eq!(size(&collected.join(key)), expected, "{name}");
        assert_eq!((made.posters[0].width, made.posters[0].height), expected, "{name}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_awkward_film_with_pictures_gets_some_and_every_other_a_reason() {
    let bed = bed().await;
    let mut submitted = Vec::new();
    for film in FILMS {
        let source = bed.stash(&film.make(folder()).unwrap()).await;
        let wanted = job(&source, &format!("packages/{}", film.name));
        let id = bed.submit("thumbnail", &wanted, &json!({ "attempts_max": 1 })).await;
        submitted.push((film, id));
    }
    let mut wrong = Vec::new();
    for (film, id) in submitted {
        let ended = bed.outcome(&id).await;
        let expected = match film.fate {
            Fate::Plays { frames: Some(0), .. } => Err("no-media-streams: "),
            Fate::Plays { .. } => Ok(()),
            Fate::Refused(code) => Err(code),
        };
        let is_right = match (&ended, expected) {
            (Ok(made), Ok(())) => made["sprites"][0]["tiles"].as_u64() > Some(0),
            (Err(reason), Err(code)) => reason.starts_with(code),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: {ended:?}", film.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_gets_another_size_and_keeps_nothing_else() {
    let bed = bed().await;
    let file = folder().join(format!("{}-face.png", std::process::id()));
    let drawn = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=300x200"])
        .args(["-frames:v", "1", "-metadata", "comment=where I live"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(drawn.status.success());
    let source = bed.stash(&file).await;
    let table = [("cover", "jpeg", (64, 64)), ("contain", "webp", (64, 43))];
    for (fit, format, expected) in table {
        let key = format!("faces/{fit}");
        let wanted = json!({ "source": source, "target": Bed::object(&key), "width": 64,
            "height": 64, "fit": fit, "format": format });
        let made = bed.ended("image", &wanted).await.unwrap();
        let made: ImageOutput = serde_json::from_value(made).unwrap();
        assert_eq!((made.width, made.height), expected, "{fit}");
        let collected = bed.collect(vec![key.clone()]).await.join(&key);
        assert_eq!(collected.metadata().unwrap().len(), made.bytes);
        assert_eq!(size(&collected), expected, "{fit}");
        let bytes = std::fs::read(&collected).unwrap();
        assert!(!bytes.windows(5).any(|five| five == b"where"), "{fit}: nothing is told");
    }
    let text = film("text.mp4").make(folder()).unwrap();
    let source = bed.stash(&text).await;
    let wanted = json!({ "source": source, "target": Bed::object("faces/no"), "width": 64,
        "height": 64, "fit": "cover", "format": "jpeg" });
    let reason = bed.ended("image", &wanted).await.unwrap_err();
    assert!(reason.starts_with("unreadable: "), "{reason}");
    std::fs::remove_file(file).unwrap();
    bed.end().await;
}
