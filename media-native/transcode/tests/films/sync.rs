//! Sound and pictures together: a flash and a beep at the same moment stay at the same moment.

use crate::cinema::{Cinema, bed, job, made};
use nexus_harness::prelude::*;

/// What people do not notice, in seconds.
const OFFSET_MAX: f64 = 0.020;
/// When it flashes and beeps.
const MOMENT: f64 = 2.0;

/// A film that is white and loud from one moment on, for a fifth of a second.
fn film(name: &str, sound_from: &str, encoding: &str) -> std::path::PathBuf {
    let flash = "drawbox=color=white:t=fill:enable='between(t\\,2\\,2.2)'";
    let beep =
        "if(between(t+FROM\\,2\\,2.2)\\,0.5*sin(2*PI*1000*t)\\,0)".replace("FROM", sound_from);
    let arguments = format!(
        "-f lavfi -i color=black:size=320x180:rate=25,{flash} -itsoffset {sound_from} -f lavfi -i \
         aevalsrc={beep}:s=48000:d=4 -t 4 {encoding}"
    );
    made(name, &arguments)
}

/// When it flashes and when it beeps, in seconds of the presentation.
fn moments(cinema: &Cinema) -> (f64, f64) {
    let greys = cinema.greys("v180");
    let flash = greys.iter().position(|grey| *grey > 128).expect("it flashes");
    let flash = cinema.pictures("v180")[flash].0;
    let samples = cinema.samples("a0");
    let beep = samples.iter().position(|sample| sample.unsigned_abs() > 2_000).expect("it beeps");
    let index = &cinema.indexes["a0"];
    let begins = index.segments[0].start as f64 / f64::from(index.timescale);
    (flash, begins + beep as f64 / 48_000.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beep_stays_with_its_flash() {
    let bed = bed().await;
    let usual = "-c:v libx264 -preset ultrafast -bf 2 -g 50 -pix_fmt yuv420p -c:a aac -ac 2";
    let films = [
        ("encoded", "ladder", film("sync.mp4", "0", usual)),
        ("late", "ladder", film("sync-late.mp4", "1", usual)),
        ("transport", "ladder", film("sync.ts", "0", usual)),
        ("matroska", "ladder", film("sync.mkv", "0", usual)),
        ("copied", "remux", film("sync.mp4", "0", usual)),
        ("copied-transport", "remux", film("sync.ts", "0", usual)),
    ];
    for (name, lane, film) in films {
        let source = bed.stash(&film).await;
        let mut wanted = job(&source, &format!("packages/{name}"));
        wanted["lane"] = json!(lane);
        let output = bed.ended("transcode", &wanted).await;
        let cinema = Cinema::open(&bed, output.unwrap_or_else(|e| panic!("{name}: {e}"))).await;
        let (flash, beep) = moments(&cinema);
        assert!((flash - MOMENT).abs() < 0.041, "{name}: it flashes at {flash}");
        assert!((beep - flash).abs() <= OFFSET_MAX, "{name}: flash {flash}, beep {beep}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_sound_end_within_a_frame_of_those_of_the_picture() {
    let bed = bed().await;
    let film = made(
        "long-sound.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=30000/1001 -f lavfi -i \
         sine=frequency=440:sample_rate=48000 -t 21 -c:v libx264 -preset ultrafast -pix_fmt \
         yuv420p -c:a aac",
    );
    let source = bed.stash(&film).await;
    let output = bed.ended("transcode", &job(&source, "packages/long")).await.unwrap();
    let cinema = Cinema::open(&bed, output).await;
    let ends = |name: &str| -> Vec<f64> {
        let index = &cinema.indexes[name];
        let end = |it: &nexus_media_transcode::Segment| {
            (it.start + it.duration) as f64 / f64::from(index.timescale)
        };
        index.segments.iter().map(end).collect()
    };
    let (pictures, sounds) = (ends("v180"), ends("a0"));
    assert_eq!(pictures.len(), 6);
    assert_eq!(sounds.len(), 6);
    for (picture, sound) in pictures.iter().zip(&sounds).take(5) {
        assert!((picture - sound).abs() < 0.0214, "{picture} {sound}");
    }
    bed.end().await;
}
