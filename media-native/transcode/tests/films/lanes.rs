//! Lanes and encoders: what is copied, what is refused, who takes over when one fails; loudness.

use crate::cinema::{Cinema, bed, folder, job, made};
use nexus_harness::prelude::*;
use nexus_media_corpus::{Bed, film};
use nexus_media_protocol::Crew;
use nexus_media_transcode::{Kind, Transcode};

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_fails_is_followed_by_the_next() {
    // Nobody has tried whether this machine has it; none of ours has.
    let bed = Bed::begin(Crew::default().with(Transcode::with(&["h264_nvenc", "libx264"]))).await;
    let source = bed.stash(&film("plain.mp4").make(folder()).unwrap()).await;
    let output = bed.ended("transcode", &job(&source, "packages/next")).await.unwrap();
    let cinema = Cinema::open(&bed, output).await;
    assert_eq!(cinema.output.encoder.as_deref(), Some("libx264"));
    assert_eq!(cinema.indexes["v180"].frames, 90);
    assert!(cinema.output.cpu_seconds > 0.0);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_players_know_is_copied_and_any_other_is_not() {
    let bed = bed().await;
    let copied = "-c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p -c:a aac -ac 2";
    let tones = "-f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i \
        sine=frequency=440:sample_rate=48000 -t 9";
    let source = bed.stash(&made("copied.mp4", &format!("{tones} {copied}"))).await;
    let remux = |source: &Value, prefix: &str| {
        let mut wanted = job(source, prefix);
        wanted["lane"] = json!("remux");
        wanted
    };
    let output = bed.ended("transcode", &remux(&source, "packages/copied")).await.unwrap();
    let cinema = Cinema::open(&bed, output).await;
    assert_eq!(cinema.output.encoder, None);
    let index = &cinema.indexes["v180"];
    assert_eq!((index.frames, index.segments.len()), (225, 3));
    assert_eq!(cinema.pictures("v180").len(), 225);
    assert!(cinema.complaints("v180").is_empty(), "{}", cinema.complaints("v180"));
    for name in ["one-group.mp4", "rotated.mp4", "interlaced.ts", "ten-bits.mkv", "vp9.webm"] {
        let source = bed.stash(&film(name).make(folder()).unwrap()).await;
        let wanted = remux(&source, &format!("packages/{name}"));
        let reason = bed.ended("transcode", &wanted).await.unwrap_err();
        assert!(reason.starts_with("not-remuxable: "), "{name}: {reason}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_upright_square_and_even() {
    let bed = bed().await;
    let table =
        [("rotated.mp4", (100, 180)), ("anamorphic.mp4", (256, 144)), ("odd.mkv", (320, 180))];
    for (name, size) in table {
        let source = bed.stash(&film(name).make(folder()).unwrap()).await;
        let wanted = job(&source, &format!("packages/{name}"));
        let output = bed.ended("transcode", &wanted).await.unwrap();
        let cinema = Cinema::open(&bed, output).await;
        let Kind::Video { width, height, .. } = cinema.indexes["v180"].kind else { panic!() };
        assert_eq!((width, height), size, "{name}");
        let told = crate::cinema::ffprobe(
            &cinema.track("v180"),
            &["-show_entries", "stream=width,height,sample_aspect_ratio,pix_fmt,color_space"],
        );
        let (width, height) = size;
        assert_eq!(told.trim(), format!("{width},{height},1:1,yuv420p,bt709"), "{name}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_and_loud_films_come_out_equally_loud() {
    let bed = bed().await;
    let made = |name: &str, level: &str| {
        let noise = format!("anoisesrc=r=48000:c=pink:a={level}:seed=7:d=8");
        made(name, &format!("-f lavfi -i {noise} -c:a flac"))
    };
    let films = [("quiet", made("quiet-1.flac", "0.1")), ("loud", made("loud.flac", "0.8"))];
    for (name, film) in films {
        let source = bed.stash(&film).await;
        let mut wanted = job(&source, &format!("packages/{name}"));
        wanted["audio"][0]["bitrate_bps"] = json!(128_000);
        let output = bed.ended("transcode", &wanted).await.unwrap();
        let cinema = Cinema::open(&bed, output).await;
        let Kind::Audio { loudness_lufs, .. } = cinema.indexes["a0"].kind else { panic!() };
        assert_eq!(loudness_lufs, Some(-16.0), "{name}");
        let heard = loudness(&cinema.track("a0"));
        assert!((heard + 16.0).abs() < 1.0, "{name}: {heard} LUFS");
    }
    bed.end().await;
}

/// As another run of ffmpeg hears it, in LUFS.
fn loudness(file: &std::path::Path) -> f64 {
    let heard = std::process::Command::new("ffmpeg")
        .args(["-v", "info", "-nostats", "-i"])
        .arg(file)
        .args(["-af", "ebur128=framelog=verbose", "-f", "null", "-"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&heard.stderr).into_owned();
    let summary = &told[told.rfind("Summary:").unwrap()..];
    let line = summary.lines().find(|line| line.trim_start().starts_with("I:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
