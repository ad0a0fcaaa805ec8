//! How long a creator waits: from the last byte of an upload until its transcoding has begun, until
//! it can be played and until it is ready; and how fast bytes come in. One host with its workers,
//! one film after the other: such as a player takes as they are (`copied`), and such as must be
//! encoded first (`encoded`).
//!
//! Prints one JSON object a line: `{"metric": …, "value": …}`, by rounds. Run by
//! `cargo xtask bench media`.

#[path = "../media/stage.rs"]
#[allow(dead_code)]
mod stage;

use nexus_harness::prelude::*;
use stage::{asset_of, becomes, film, made, upload};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Of each kind and round; the first ones are slow, since every guest and worker is.
const FILMS: usize = 10;
const SECONDS: u32 = 10;
/// What is sent for the speed alone: a film with much behind it that no player reads.
const LARGE: usize = 512 << 20;

/// A moment in the life of each film, in milliseconds after its upload.
#[derive(Default)]
struct Waits {
    begun: Vec<f64>,
    playable: Vec<f64>,
    ready: Vec<f64>,
}

fn main() {
    let rounds = std::env::args().skip_while(|arg| arg != "--rounds").nth(1);
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    runtime.block_on(async {
        let nexus = stage::studio().await;
        let creator = stage::creator(&nexus).await;
        let copied = film(SECONDS, "1280x720");
        let encoded = foreign();
        for _ in 0..rounds {
            for (name, bytes) in [("copied", &copied), ("encoded", &encoded)] {
                let waits = waits(&nexus, &creator, bytes).await;
                tell(&format!("{name}_begun"), waits.begun);
                tell(&format!("{name}_playable"), waits.playable);
                tell(&format!("{name}_ready"), waits.ready);
            }
            let speed = speed(&creator, &copied).await;
            say("upload_speed", speed);
        }
        nexus.stop().await.expect("the host ends");
    });
}

/// A film that no browser plays: MPEG-4 part 2.
fn foreign() -> Vec<u8> {
    let picture = format!("testsrc2=size=1280x720:rate=25:duration={SECONDS}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={SECONDS}");
    let sources = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    let codecs = ["-c:v", "mpeg4", "-q:v", "4", "-c:a", "aac", "-f", "mp4"];
    made(&[&sources[..], &codecs[..]].concat())
}

async fn waits(nexus: &Nexus, creator: &Client, bytes: &[u8]) -> Waits {
    let mut waits = Waits::default();
    for number in 0..FILMS {
        // No two alike: what is known already would be made once.
        let bytes = behind(bytes, 16, number as u8);
        let id = upload(creator, "bench.mp4", bytes).await;
        let sent = now();
        let asset = asset_of(creator, &id).await;
        becomes(creator, &asset, "ready").await;
        let [begun, playable, ready] = moments(nexus).await.map(|moment| moment - sent);
        waits.begun.push(begun);
        waits.playable.push(playable);
        waits.ready.push(ready);
    }
    waits
}

/// Of the newest asset: when its first transcoding began, when it could be played, when it was
/// ready; in milliseconds after 1970.
async fn moments(nexus: &Nexus) -> [f64; 3] {
    let session = nexus.host().database().expect("it has one").host().await.expect("log in");
    let sql = "with a as (select * from asset_pipeline.asset order by created_at desc limit 1)
               select extract(epoch from min(j.started_at))::float8 * 1000,
                 extract(epoch from min(a.playable_at))::float8 * 1000,
                 extract(epoch from min(a.ready_at))::float8 * 1000
               from a, platform.job j join platform.job_queue q using (queue_id)
               where q.kind = 'transcode' and j.created_at > a.created_at";
    let row = &session.query(sql, &[]).await.expect("it answers")[0];
    [row.get(0), row.get(1), row.get(2)]
}

/// MiB a second of one large upload.
async fn speed(creator: &Client, bytes: &[u8]) -> f64 {
    let salt = now() as u64 as u8;
    let bytes = behind(bytes, LARGE, salt);
    let mebibytes = bytes.len() as f64 / f64::from(1 << 20);
    let began = Instant::now();
    upload(creator, "large.mp4", bytes).await;
    mebibytes / began.elapsed().as_secs_f64()
}

/// A film with something behind it that players pass over.
fn behind(film: &[u8], length: usize, salt: u8) -> Vec<u8> {
    // `free` (ISO/IEC 14496-12 section 8.1.2).
    let size = u32::try_from(length + 8).expect("less than 4 GiB").to_be_bytes();
    let mut bytes = [film, &size, b"free"].concat();
    bytes.resize(bytes.len() + length, salt);
    bytes
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1000.0
}

fn tell(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    say(&format!("{name}_p50"), at(0.5));
    say(&format!("{name}_p95"), at(0.95));
}

fn say(metric: &str, value: f64) {
    println!("{}", json!({ "metric": metric, "value": value }));
}
