//! What is refused before anything is decoded.

use super::*;
use nexus_media_probe::Color;

fn stream(kind: StreamKind) -> Stream {
    let video = kind == StreamKind::Video;
    Stream {
        index: 0,
        kind,
        codec: Some(if video { "h264" } else { "aac" }.into()),
        profile: None,
        level: None,
        start_ms: Some(0),
        duration_ms: None,
        bits_per_second: None,
        frames: None,
        width: video.then_some(1920),
        height: video.then_some(1080),
        pixel_aspect: None,
        rotation_degrees: Some(0),
        interlaced: Some(false),
        frames_per_second: None,
        nominal_rate: None,
        constant_rate: None,
        pixel_format: None,
        color: Some(Color::default()),
        sample_rate: Some(48_000),
        channels: Some(2),
        channel_layout: None,
        language: None,
        is_default: true,
        tags: Default::default(),
    }
}

fn judged(container: &str, duration_ms: u64, streams: Vec<Stream>) -> Result<Source, String> {
    let seen = Output {
        container: container.into(),
        size_bytes: 1,
        sha256: String::new(),
        duration_ms: Some(duration_ms),
        bits_per_second: None,
        streams,
        chapters: 0,
        tags: Default::default(),
    };
    Source::judge(seen, PathBuf::new()).map_err(|failure| failure.to_string())
}

#[test]
fn what_nobody_should_decode_is_refused_with_a_code() {
    let code = |found: Result<Source, String>| {
        let reason = found.expect_err("it is refused");
        reason.split(':').next().unwrap_or_default().to_owned()
    };
    let film = stream(StreamKind::Video);
    let huge = Stream { width: Some(16_000), height: Some(16_000), ..film.clone() };
    let unknown = Stream { codec: None, ..film.clone() };
    assert_eq!(code(judged("mov", 1, vec![huge])), "too-large");
    assert_eq!(code(judged("mov", 1, vec![unknown])), "unsupported-codec");
    assert_eq!(code(judged("mov", 13 * 3_600_000, vec![film.clone()])), "too-long");
    assert_eq!(code(judged("png_pipe", 1, vec![film.clone()])), "no-media-streams");
    assert_eq!(code(judged("mov", 1, vec![stream(StreamKind::Subtitle)])), "no-media-streams");
    assert_eq!(code(judged("mov", 1, vec![film; 41])), "too-many-streams");
}

#[test]
fn what_begins_late_is_counted_from_the_films_beginning() {
    let film = Stream { start_ms: Some(1_400), ..stream(StreamKind::Video) };
    let sound = Stream { start_ms: Some(2_150), ..stream(StreamKind::Audio) };
    let source = judged("mpegts", 1_000, vec![film, sound]).unwrap();
    assert_eq!(source.picture.map(|picture| picture.late_ms), Some(0));
    assert_eq!(source.sounds[0].late_ms, 750);
}
