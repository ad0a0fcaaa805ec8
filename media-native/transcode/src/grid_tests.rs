//! Boundaries that every size has in common.

use super::*;
use nexus_media_protocol::wire::Object;

fn args(fps_max: &[Option<u32>]) -> Args {
    let object = Object { bucket: "media".into(), key: "x".into() };
    let rung = |fps_max: &Option<u32>| Rung {
        track: "v".into(),
        height: 240,
        codec: "h264".into(),
        crf: 23,
        maxrate_bps: 100_000,
        bufsize: None,
        fps_max: *fps_max,
        preset: None,
    };
    Args {
        source: object.clone(),
        prefix: object,
        lane: crate::args::Lane::Ladder,
        video: fps_max.iter().map(rung).collect(),
        audio: Vec::new(),
        segment_seconds: 4,
        gop_seconds: 2,
        chunk_seconds: 60,
        encoders: Vec::new(),
    }
}

fn grid(numerator: u32, denominator: u32, fps_max: &[Option<u32>]) -> Grid {
    Grid::new(Rate { numerator, denominator }, &args(fps_max))
}

#[test]
fn a_frame_is_a_whole_number_of_ticks_at_every_rate() {
    let table = [
        (30_000, 1001, 90_000, 3003),
        (25, 1, 90_000, 3600),
        (24_000, 1001, 24_000, 1001),
        (7, 1, 7_000, 1_000),
        (2997, 125, 2_997_000, 125_000),
    ];
    for (numerator, denominator, timescale, frame) in table {
        let grid = grid(numerator, denominator, &[None]);
        assert_eq!((grid.timescale, grid.frame), (timescale, frame), "{numerator}/{denominator}");
    }
}

#[test]
fn groups_segments_and_chunks_are_whole_frames_for_every_size() {
    let film = grid(30_000, 1001, &[None]);
    assert_eq!((film.gop_frames, film.segment_frames, film.chunk_frames), (60, 120, 1800));
    assert_eq!(film.time(1800), Duration::from_millis(60_060));
    // Every second frame at most: groups are even.
    let fast = grid(50, 1, &[None, Some(30)]);
    assert_eq!(fast.gop_frames, 100);
    let odd = grid(15, 2, &[None, Some(4)]);
    assert_eq!(odd.gop_frames % 2, 0);
    let rate = Rate { numerator: 60_000, denominator: 1001 };
    let divided = |most| divider(rate, &args(&[Some(most)]).video[0]);
    assert_eq!((divided(60), divided(30), divided(24)), (1, 2, 3));
}

#[test]
fn segments_of_sound_end_where_those_of_the_picture_do() {
    let span = grid(30_000, 1001, &[None]).segment();
    assert_eq!(span.end_of(1, 90_000), 360_360);
    assert_eq!(span.end_of(900, 48_000), 172_972_800);
}
