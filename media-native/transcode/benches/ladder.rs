//! What a ladder costs, in CPU seconds for each second of film: as a job of a real host, with all
//! that fetches, cuts and stores, and as one plain call of ffmpeg that makes the same sizes. They
//! take turns, so that a busy moment of the machine concerns both.
//!
//! Prints one JSON object a line: `{"metric": …, "value": …}`, by rounds. Run by
//! `cargo xtask bench media`.

use nexus_media_corpus::Bed;
use nexus_media_protocol::{Crew, Program};
use nexus_media_transcode::{Output, Transcode};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Long enough for several segments, short enough for a coffee.
const SECONDS: f64 = 16.0;
const HEIGHTS: [(u32, u64); 3] = [(720, 3_000_000), (480, 1_400_000), (240, 500_000)];

fn main() {
    let mut words = std::env::args().skip_while(|word| word != "--rounds").skip(1);
    let rounds: u32 = words.next().and_then(|word| word.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    runtime.block_on(async {
        let film = film();
        let bed = Bed::begin(Crew::default().with(Transcode::with(&["libx264"]))).await;
        let source = bed.stash(&film).await;
        for round in 0..rounds {
            let plain = plain(&film).await / SECONDS;
            let own = own();
            let wanted = job(&source, &format!("packages/{round}"));
            let output = bed.ended("transcode", &wanted).await.expect("it is transcoded");
            let output: Output = serde_json::from_value(output).expect("an output");
            // This process is the host as well: all that it does meanwhile counts.
            let spent = output.cpu_seconds + (crate::own() - own).as_secs_f64();
            let ladder = spent / SECONDS;
            for (metric, value) in [
                ("ladder_cpu_per_second", ladder),
                ("ladder_children_per_second", output.cpu_seconds / SECONDS),
                ("plain_cpu_per_second", plain),
                ("ladder_over_plain", ladder / plain),
            ] {
                println!("{}", json!({ "metric": metric, "value": value }));
            }
        }
        bed.end().await;
    });
}

/// A film with much in it; ffmpeg draws it once.
fn film() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let film = folder.join("bench-ladder.mp4");
    if film.exists() {
        return film;
    }
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "mandelbrot=size=1280x720:rate=25"])
        .args(["-f", "lavfi", "-i", "anoisesrc=r=48000:c=pink:a=0.2:seed=1"])
        .args(["-t", &SECONDS.to_string(), "-c:v", "libx264", "-preset", "ultrafast"])
        .args(["-crf", "18", "-g", "100", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"])
        .arg(&film)
        .status();
    assert!(made.is_ok_and(|made| made.success()), "ffmpeg is there: see cargo xtask doctor");
    film
}

fn job(source: &Value, prefix: &str) -> Value {
    let rungs: Vec<_> = HEIGHTS
        .iter()
        .map(|(height, rate)| {
            json!({ "track": format!("v{height}"), "height": height, "maxrate_bps": rate })
        })
        .collect();
    json!({
        "source": source, "prefix": Bed::object(prefix), "lane": "ladder", "video": rungs,
        "audio": [{ "source_index": 0, "track": "a0", "bitrate_bps": 128_000 }],
    })
}

/// CPU seconds of one call that decodes once and encodes every size and the sound.
async fn plain(film: &Path) -> f64 {
    let folder = tempfile::tempdir().expect("there is room");
    let mut graph = format!("[0:v]split={}", HEIGHTS.len());
    (0..HEIGHTS.len()).for_each(|number| graph.push_str(&format!("[s{number}]")));
    for (number, (height, _)) in HEIGHTS.iter().enumerate() {
        graph.push_str(&format!(";[s{number}]scale=-2:{height}:flags=bicubic[v{number}]"));
    }
    let mut call: Vec<String> = ["-v", "error", "-nostdin", "-i"].map(str::to_owned).to_vec();
    call.extend([film.display().to_string(), "-filter_complex".into(), graph]);
    for (number, (height, rate)) in HEIGHTS.iter().enumerate() {
        let (rate, buffer) = (rate.to_string(), (2 * rate).to_string());
        let output = format!(
            "-map [v{number}] -c:v libx264 -preset veryfast -crf 23 -maxrate {rate} -bufsize \
             {buffer} -threads 4 -g 50 -keyint_min 50 -sc_threshold 0 -movflags \
             +empty_moov+default_base_moof+frag_keyframe v{height}.mp4"
        );
        call.extend(output.split_whitespace().map(str::to_owned));
    }
    call.extend("-map 0:a -c:a aac -b:a 128k -ac 2 a0.mp4".split(' ').map(str::to_owned));
    let mut program = Program::new("ffmpeg").args(call);
    program.file_bytes_max = 1 << 30;
    program.cpu_max = Duration::from_secs(600);
    program.memory_bytes_max = 7 << 30;
    program.wall_max = Duration::from_secs(600);
    program.stall_max = Duration::from_secs(600);
    let ended = program.try_out(folder.path()).await.expect("ffmpeg runs");
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.cpu.as_secs_f64()
}

/// CPU time of this process, without its children's.
fn own() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    // A hundred a second, wherever this runs.
    Duration::from_millis(ticks * 10)
}
