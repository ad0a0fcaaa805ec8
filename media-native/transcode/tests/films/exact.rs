//! To the frame: chunks leave no frame out and show none twice, keyframes of all sizes fall
//! together, and a second time gives the same bytes.

use crate::cinema::{Cinema, bed, job, made};
use nexus_harness::prelude::*;
use nexus_media_corpus::Bed;
use nexus_media_transcode::Kind;
use std::path::Path;

/// Whose grey tells its number: seven more each, within what video may have.
fn counted(name: &str) -> std::path::PathBuf {
    let film = "-f lavfi -i color=gray:size=320x180:rate=30000/1001,\
        geq=lum='30+mod(N*7\\,180)':cb=128:cr=128 -frames:v 310 \
        -c:v libx264 -preset veryfast -crf 12 -g 75 -pix_fmt yuv420p";
    made(name, film)
}

/// Every picture has the grey of its number.
fn assert_counted(greys: &[u8], frames: u32, step: u32) {
    assert_eq!(greys.len() as u32, frames.div_ceil(step), "the number of pictures");
    for (picture, grey) in greys.iter().enumerate() {
        let number = picture as u32 * step;
        let luma = 30 + number * 7 % 180;
        let off = u32::from(*grey).abs_diff(luma);
        assert!(off < 4, "picture {picture} shows {grey}, and number {number} is {luma}");
    }
}

async fn ladder(bed: &Bed, film: &Path, prefix: &str) -> Cinema {
    let source = bed.stash(film).await;
    let mut wanted = job(&source, prefix);
    wanted["chunk_seconds"] = json!(4);
    wanted["video"] = json!([
        { "track": "v180", "height": 180, "crf": 18, "maxrate_bps": 4_000_000,
            "preset": "veryfast" },
        { "track": "v90", "height": 90, "crf": 18, "maxrate_bps": 2_000_000, "fps_max": 20,
            "preset": "ultrafast" },
    ]);
    let output = bed.ended("transcode", &wanted).await.unwrap();
    Cinema::open(bed, output).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_in_chunks_has_every_frame_once_whatever_its_container() {
    let bed = bed().await;
    let films = [
        ("mp4", counted("counted.mp4")),
        ("mkv", counted("counted.mkv")),
        ("ts", counted("counted.ts")),
    ];
    for (container, film) in films {
        let cinema = ladder(&bed, &film, &format!("packages/{container}")).await;
        assert_eq!(cinema.output.chunks, 3, "{container}");
        assert_counted(&cinema.greys("v180"), 310, 1);
        assert_counted(&cinema.greys("v90"), 310, 2);
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keyframes_and_segments_of_all_sizes_fall_together_and_times_are_exact() {
    let bed = bed().await;
    let film = counted("counted.mp4");
    let cinema = ladder(&bed, &film, "packages/aligned").await;
    let pictures = cinema.pictures("v180");
    for (number, (time, is_key)) in pictures.iter().enumerate() {
        let exact = number as f64 * 1001.0 / 30_000.0;
        assert!((time - exact).abs() < 0.0001, "picture {number} at {time}, not {exact}");
        assert_eq!(*is_key, number % 60 == 0, "picture {number}");
    }
    let keys = |name| -> Vec<f64> {
        cinema.pictures(name).iter().filter(|it| it.1).map(|it| it.0).collect()
    };
    assert_eq!(keys("v180"), keys("v90"));
    let (large, small) = (&cinema.indexes["v180"], &cinema.indexes["v90"]);
    let starts = |index: &nexus_media_transcode::Index| -> Vec<u64> {
        index.segments.iter().map(|segment| segment.start).collect()
    };
    assert_eq!(starts(large), [0, 360_360, 720_720]);
    assert_eq!(starts(large), starts(small));
    let Kind::Video { width, height, frame_rate, .. } = small.kind else { panic!("{small:?}") };
    assert_eq!((width, height, frame_rate), (160, 90, (30_000, 2002)));
    assert!(large.codec.starts_with("avc1.64"), "{}", large.codec);
    assert!(large.peak_bits_per_second >= large.average_bits_per_second);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyframe_plays_behind_the_head_alone() {
    let bed = bed().await;
    let film = counted("counted.mp4");
    let cinema = ladder(&bed, &film, "packages/keyframes").await;
    let index = &cinema.indexes["v180"];
    let init = std::fs::read(cinema.part("v180/init.mp4")).unwrap();
    let segment = std::fs::read(cinema.part("v180/1.m4s")).unwrap();
    assert_eq!(index.segments[1].keyframes.len(), 2);
    for keyframe in &index.segments[1].keyframes {
        let from = keyframe.offset as usize;
        let alone = [&init[..], &segment[from..from + keyframe.bytes as usize]].concat();
        let file = cinema.part("alone.mp4");
        std::fs::write(&file, alone).unwrap();
        let first = crate::cinema::ffprobe(
            &file,
            &["-read_intervals", "%+#1", "-show_entries", "frame=pict_type,pkt_size"],
        );
        assert!(first.contains('I'), "{first}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_film_gives_the_same_bytes_again() {
    let bed = bed().await;
    let film = counted("counted.mp4");
    let one = ladder(&bed, &film, "packages/once").await;
    let two = ladder(&bed, &film, "packages/again").await;
    for track in ["v180", "v90"] {
        assert_eq!(one.indexes[track], two.indexes[track]);
        let bytes = |cinema: &Cinema| std::fs::read(cinema.track(track)).unwrap();
        assert!(bytes(&one) == bytes(&two), "{track}");
    }
    bed.end().await;
}
