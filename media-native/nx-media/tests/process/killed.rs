//! A worker that is killed again and again in the middle of a film: what comes of it is what comes
//! of one that lives, and no more is done twice than a chunk for each death.

use nexus_harness::prelude::*;
use nexus_media_corpus::Bed;
use nexus_media_protocol::Crew;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of four seconds each, and one look behind the end.
const CHUNKS: usize = 6;
/// With `NEXUS_LONG`, twenty.
const KILLS: usize = 5;

/// Twenty-four seconds, made once.
fn film() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let film = folder.join("for-the-killed.mp4");
    if film.exists() {
        return film;
    }
    let own = folder.join(format!("{}-for-the-killed.mp4", std::process::id()));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "24"])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"])
        .arg(&own)
        .output()
        .expect("ffmpeg is there: see cargo xtask doctor");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::rename(own, &film).unwrap();
    film
}

fn job(source: &Value, prefix: &str) -> Value {
    let rung = |height: u32| {
        json!({ "track": format!("v{height}"), "height": height, "maxrate_bps": 1_500_000,
            "preset": "veryfast" })
    };
    json!({
        "source": source, "prefix": Bed::object(prefix), "lane": "ladder", "chunk_seconds": 4,
        "video": [rung(360), rung(180)],
        "audio": [{ "source_index": 0, "track": "a0", "bitrate_bps": 64_000 }],
    })
}

/// The program, with an `ffmpeg` that writes down each call before it is one.
fn worker(bed: &Bed, calls: &Path) -> Child {
    let bin = bed.folder.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let ffmpeg = bin.join("ffmpeg");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {}\nPATH=/usr/local/bin:/usr/bin:/bin\nexec ffmpeg \"$@\"\n",
        calls.display()
    );
    std::fs::write(&ffmpeg, script).unwrap();
    std::fs::set_permissions(&ffmpeg, std::fs::Permissions::from_mode(0o755)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_nx-media"))
        .args(["run", "--drain-seconds", "1", "--kinds", "transcode", "--scratch"])
        .arg(bed.folder.path().join("workers"))
        .env("NEXUS_HOST", format!("http://{}", bed.nexus.host().admin_address()))
        .env("NEXUS_WORKER_TOKEN", bed.nexus.host().worker_token())
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many chunks were begun.
fn begun(calls: &Path) -> usize {
    let calls = std::fs::read_to_string(calls).unwrap_or_default();
    calls.lines().filter(|call| call.contains("-filter_complex")).count()
}

async fn sql(bed: &Bed, sql: &str) -> String {
    let host = bed.nexus.host().database().unwrap().host().await.unwrap();
    let rows = host.query(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.first().and_then(|row| row.get::<_, Option<String>>(0)).unwrap_or_default()
}

/// What would happen in a minute: leases that nobody keeps are over, waiting is over.
async fn lapse(bed: &Bed) {
    // The host may find them before this does.
    bed.nexus.expects_log("leases have lapsed");
    let aged = "with aged as (update platform.queue_lease set expires_at = now() - interval '1 s') \
                select null::text";
    sql(bed, aged).await;
    sql(bed, "select count(*)::text from platform.queue_expire(100)").await;
    let due = "with due as (update platform.queue_deferred set due_at = now() - interval '1 s') \
               select null::text";
    sql(bed, due).await;
    sql(bed, "select platform.queue_promote(100)::text").await;
}

/// Every object of a job's tracks, by its name below the prefix.
async fn objects(bed: &Bed, prefix: &str, output: &Value) -> BTreeMap<String, Vec<u8>> {
    let mut names = Vec::new();
    for made in output["tracks"].as_array().unwrap() {
        let track = made["track"].as_str().unwrap();
        names.push(format!("{track}/index.json"));
        names.push(format!("{track}/init.mp4"));
        let segments = made["segments"].as_u64().unwrap();
        names.extend((0..segments).map(|number| format!("{track}/{number}.m4s")));
    }
    let keys = names.iter().map(|name| format!("{prefix}/{name}")).collect();
    let folder = bed.collect(keys).await.join(prefix);
    let read = |name: String| {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        (name, bytes)
    };
    names.into_iter().map(read).collect()
}

fn end(mut worker: Child) {
    kill_process(Pid::from_child(&worker), Signal::TERM).unwrap();
    worker.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_whose_workers_are_killed_is_the_film_of_one_that_lives() {
    let bed = Bed::begin(Crew::default()).await;
    let source = bed.stash(&film()).await;
    let options = json!({ "attempts_max": 40 });
    let log = |name: &str| bed.folder.path().join(name);

    let calm = bed.submit("transcode", &job(&source, "packages/calm"), &options).await;
    let living = worker(&bed, &log("calm"));
    let expected = bed.outcome(&calm).await.unwrap();
    end(living);
    assert_eq!(begun(&log("calm")), CHUNKS + 1);

    let kills = if std::env::var_os("NEXUS_LONG").is_some() { 20 } else { KILLS };
    let id = bed.submit("transcode", &job(&source, "packages/killed"), &options).await;
    let mut killed = 0;
    for _ in 0..kills {
        let before = begun(&log("killed"));
        let mut dying = worker(&bed, &log("killed"));
        // Somewhere in its first chunk, or its second.
        let moment = Duration::from_millis(rand::random_range(0..1200));
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen: Option<Instant> = None;
        while seen.is_none_or(|seen| seen.elapsed() < moment) {
            if seen.is_none() && begun(&log("killed")) > before {
                seen = Some(Instant::now());
            }
            let state =
                format!("select platform.job_state(j) from platform.job j where id = '{id}'");
            if sql(&bed, &state).await == "succeeded" {
                break;
            }
            assert!(Instant::now() < deadline, "the worker begins nothing");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        dying.kill().unwrap();
        dying.wait().unwrap();
        killed += 1;
        lapse(&bed).await;
    }
    let living = worker(&bed, &log("killed"));
    let output = bed.outcome(&id).await.unwrap();
    end(living);
    let chunks = begun(&log("killed"));
    assert!(chunks <= CHUNKS + 1 + killed, "{chunks} chunks were begun with {killed} deaths");
    assert!(chunks > CHUNKS + 1, "somebody died in the middle");
    let (calm, after) = (
        objects(&bed, "packages/calm", &expected).await,
        objects(&bed, "packages/killed", &output).await,
    );
    assert!(calm.keys().eq(after.keys()), "the same objects");
    let other: Vec<_> = calm.iter().filter(|(name, bytes)| after[*name] != **bytes).collect();
    assert!(other.is_empty(), "{:?}", other.iter().map(|it| it.0).collect::<Vec<_>>());
    bed.end().await;
}
