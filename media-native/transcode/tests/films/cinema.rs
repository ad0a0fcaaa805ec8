//! What a job of these tests looks like, and its tracks as files that can be played.

use nexus_harness::prelude::*;
use nexus_media_corpus::Bed;
use nexus_media_protocol::Crew;
use nexus_media_transcode::{Index, Made, Output, Transcode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where films are kept from one run to the next.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

pub async fn bed() -> Bed {
    Bed::begin(Crew::default().with(Transcode::with(&["libx264"]))).await
}

/// One small size and the source's first track of sound.
pub fn job(source: &Value, prefix: &str) -> Value {
    json!({
        "source": source, "prefix": Bed::object(prefix), "lane": "ladder",
        "video": [{ "track": "v180", "height": 180, "codec": "h264", "crf": 30,
            "maxrate_bps": 800_000, "preset": "ultrafast" }],
        "audio": [{ "source_index": 0, "track": "a0", "bitrate_bps": 64_000, "channels": 2,
            "language": "und" }],
    })
}

/// A job's tracks: what their indexes say, and each as one file.
pub struct Cinema {
    pub output: Output,
    pub indexes: BTreeMap<String, Index>,
    folder: PathBuf,
}

impl Cinema {
    /// Has everything that a job's output names, and holds it against the indexes.
    pub async fn open(bed: &Bed, output: Value) -> Self {
        let output: Output = serde_json::from_value(output).unwrap();
        let keys = output.tracks.iter().map(|made| made.index.key.clone()).collect();
        let collected = bed.collect(keys).await;
        let names = |made: &Made| -> Vec<String> {
            let track = made.index.key.trim_end_matches("/index.json");
            let segments = (0..made.segments).map(|number| format!("{track}/{number}.m4s"));
            [format!("{track}/init.mp4")].into_iter().chain(segments).collect()
        };
        bed.collect(output.tracks.iter().flat_map(names).collect()).await;
        let mut indexes = BTreeMap::new();
        for made in &output.tracks {
            let json = std::fs::read(collected.join(&made.index.key)).unwrap();
            let index: Index = serde_json::from_slice(&json).unwrap();
            assert_eq!(index.segments.len(), made.segments);
            let read = |name: &String| std::fs::read(collected.join(name)).unwrap();
            let parts: Vec<_> = names(made).iter().map(read).collect();
            let told = index.segments.iter().map(|it| it.bytes);
            let told = [index.init.bytes].into_iter().chain(told);
            let sizes = parts.iter().map(|part| part.len() as u64);
            assert!(sizes.eq(told), "{}: sizes", made.track);
            let track = made.index.key.trim_end_matches("/index.json");
            std::fs::write(collected.join(format!("{track}.mp4")), parts.concat()).unwrap();
            indexes.insert(made.track.clone(), index);
        }
        let first = output.tracks[0].index.key.clone();
        let prefix = first.rsplitn(3, '/').nth(2).unwrap().to_owned();
        Self { output, indexes, folder: collected.join(prefix) }
    }

    pub fn track(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.mp4"))
    }

    /// A file of the track's own.
    pub fn part(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Times of the pictures in order of presentation, in seconds, and whether each is a keyframe.
    pub fn pictures(&self, name: &str) -> Vec<(f64, bool)> {
        let arguments = ["-show_entries", "frame=key_frame,best_effort_timestamp_time"];
        let told = ffprobe(&self.track(name), &arguments);
        let line = |line: &str| {
            let mut words = line.split(',');
            let key = words.next()? == "1";
            Some((words.next()?.parse().ok()?, key))
        };
        told.lines().filter_map(line).collect()
    }

    /// The mean luma of every picture.
    pub fn greys(&self, name: &str) -> Vec<u8> {
        let filter = "scale=2:2:flags=area,format=yuv420p,extractplanes=y";
        let pictures = ["-fps_mode", "passthrough", "-vf", filter, "-f", "rawvideo", "-"];
        decode(&self.track(name), &pictures).into_iter().step_by(4).collect()
    }

    /// Samples of the sound, one channel at 48 kHz; the first is at the track's beginning.
    pub fn samples(&self, name: &str) -> Vec<i16> {
        let bytes = decode(&self.track(name), &["-ac", "1", "-ar", "48000", "-f", "s16le", "-"]);
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    /// Whether a decoder that nobody here wrote has nothing to complain of.
    pub fn complaints(&self, name: &str) -> String {
        let played = Command::new("ffmpeg")
            .args(["-v", "warning", "-xerror", "-nostdin", "-i"])
            .arg(self.track(name))
            .args(["-f", "null", "-"])
            .output()
            .unwrap();
        String::from_utf8_lossy(&played.stderr).into_owned()
    }
}

pub fn ffprobe(file: &Path, arguments: &[&str]) -> String {
    let told = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(arguments)
        .arg(file)
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout).unwrap()
}

fn decode(file: &Path, to: &[&str]) -> Vec<u8> {
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(file)
        .args(to)
        .output()
        .unwrap();
    assert!(decoded.status.success(), "{}", String::from_utf8_lossy(&decoded.stderr));
    decoded.stdout
}

/// A film that is made once: ffmpeg's arguments, separated by spaces.
pub fn made(name: &str, arguments: &str) -> PathBuf {
    let film = folder().join(name);
    if film.exists() {
        return film;
    }
    let own = folder().join(format!("{}-{name}", std::process::id()));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(&own)
        .output()
        .expect("ffmpeg is there: see cargo xtask doctor");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::rename(own, &film).unwrap();
    film
}
