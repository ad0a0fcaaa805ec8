//! Files that ffmpeg makes here, good and bad, probed as jobs of a real host.

use nexus_harness::prelude::*;
use nexus_media_probe::{Output, Probe, StreamKind};
use nexus_media_protocol::wire::Object;
use nexus_media_protocol::{Context, Crew, Failure, Job, Settings, Token, Worker};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Puts a file of this machine into the store, as only a test may.
struct Stash;

impl Worker for Stash {
    const KIND: &'static str = "stash";
    type Args = PathBuf;
    type Output = Object;

    fn work(&self, job: &Job<PathBuf>, cx: &Context) -> Result<Object, Failure> {
        let object = Object { bucket: "default".into(), key: format!("stash/{}", job.id) };
        cx.put(&job.args, &object, "application/octet-stream")?;
        Ok(object)
    }
}

struct Bed {
    nexus: Nexus,
    folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    working: tokio::task::JoinHandle<()>,
}

impl Bed {
    async fn begin() -> Self {
        let nexus = Nexus::setup().components(&[probe("hello")]).start().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            host: format!("http://{}", nexus.host().admin_address()),
            token: Token::new(nexus.host().worker_token()).unwrap(),
            name: "w".into(),
            scratch: folder.path().join("scratch"),
            kinds: None,
            offers: Default::default(),
            most: 2,
            drain: Duration::ZERO,
            idle_exit: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let working = tokio::spawn(async move {
            let crew = Crew::default().with(Stash).with(Probe::default());
            crew.run(settings, async { drop(stopped.await) }).await.unwrap();
        });
        Self { nexus, folder, stop, working }
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.working.await.unwrap();
        self.nexus.stop().await.unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of ffmpeg's own pictures and tones.
    fn made(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let file = self.file(name);
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y"])
            .args(arguments)
            .arg(&file)
            .output()
            .expect("ffmpeg is there: see cargo xtask doctor");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        file
    }

    /// How a job ended: its output, or why it has none.
    async fn ended(&self, kind: &str, args: Value) -> Result<Value, String> {
        let database = self.nexus.host().database().unwrap();
        let service = database.service("hello").await.unwrap();
        let sql = "select platform.job_submit($1, gen_random_uuid(), null, $2::text::jsonb, null, \
                   '{\"attempts_max\": 1}')::text";
        let rows = service.query(sql, &[&kind, &args.to_string()]).await.unwrap();
        let id: String = rows[0].get(0);
        let sql = "select state, output::text, error from platform.job_show($1::text::uuid)";
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let rows = service.query(sql, &[&id]).await.unwrap();
            let error: Option<String> = rows[0].get(2);
            match rows[0].get::<_, &str>(0) {
                "succeeded" => {
                    let output: String = rows[0].get(1);
                    return Ok(serde_json::from_str(&output).unwrap());
                }
                "failed" => return Err(error.unwrap_or_default()),
                state => assert!(Instant::now() < deadline, "{kind} stays {state}: {error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn probe(&self, file: &Path) -> Result<Output, String> {
        let object = self.ended("stash", json!(file)).await.expect("store the file");
        let found = self.ended("probe", json!({ "object": object })).await?;
        Ok(serde_json::from_value(found).unwrap())
    }
}

const PICTURES: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001"];
const TONE: [&str; 4] = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_seen_as_it_was_made() {
    let bed = Bed::begin().await;
    let mut arguments = [PICTURES, TONE].concat();
    arguments.extend(["-t", "2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]);
    arguments.extend(["-c:a", "aac", "-ac", "2", "-metadata", "title=A film"]);
    let film = bed.made("film.mp4", &arguments);
    let found = bed.probe(&film).await.unwrap();
    assert!(found.container.contains("mp4"), "{}", found.container);
    assert_eq!(found.size_bytes, film.metadata().unwrap().len());
    assert!((1900..2200).contains(&found.duration_ms.unwrap()), "{:?}", found.duration_ms);
    assert_eq!(found.tags["title"], "A film");
    let [video, audio] = &found.streams[..] else { panic!("two streams: {found:?}") };
    assert_eq!((video.kind, video.codec.as_deref()), (StreamKind::Video, Some("h264")));
    assert_eq!((video.width, video.height), (Some(320), Some(180)));
    let rate = video.frames_per_second.unwrap();
    assert_eq!((rate.numerator, rate.denominator), (30_000, 1001));
    assert_eq!(video.pixel_format.as_deref(), Some("yuv420p"));
    assert_eq!((video.rotation_degrees, video.interlaced), (Some(0), Some(false)));
    assert_eq!((audio.kind, audio.codec.as_deref()), (StreamKind::Audio, Some("aac")));
    assert_eq!((audio.sample_rate, audio.channels), (Some(48_000), Some(2)));
    assert!(audio.bits_per_second.is_some());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_is_seen_without_pictures() {
    let bed = Bed::begin().await;
    let song = bed.made("song.flac", &[&TONE[..], &["-t", "1", "-ac", "1"]].concat());
    let found = bed.probe(&song).await.unwrap();
    assert_eq!(found.streams.len(), 1);
    let audio = &found.streams[0];
    assert_eq!((audio.kind, audio.codec.as_deref()), (StreamKind::Audio, Some("flac")));
    assert_eq!((audio.channels, audio.width, audio.color.clone()), (Some(1), None, None));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_media_is_rejected_with_a_reason() {
    let bed = Bed::begin().await;
    let mut arguments = PICTURES.to_vec();
    arguments.extend(["-t", "1", "-c:v", "libx264", "-preset", "ultrafast"]);
    let film = bed.made("film.mp4", &arguments);
    let (half, empty, text) = (bed.file("half.mp4"), bed.file("empty.mp4"), bed.file("text.mp4"));
    // The index of an MP4 stands at its end.
    let bytes = std::fs::read(&film).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(&empty, "").unwrap();
    std::fs::write(&text, "This is no film.\n".repeat(100)).unwrap();
    for (file, words) in [(half, "cannot be read"), (empty, "empty"), (text, "cannot be read")] {
        let reason = bed.probe(&file).await.unwrap_err();
        assert!(reason.contains(words), "{}: {reason}", file.display());
        assert!(!reason.contains('/'), "no path of this machine: {reason}");
    }
    let missing = json!({ "object": { "bucket": "default", "key": "none" } });
    let reason = bed.ended("probe", missing).await.unwrap_err();
    assert!(reason.contains("no such object"), "{reason}");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_names_other_files_opens_none_of_them() {
    let bed = Bed::begin().await;
    let song = bed.made("song.wav", &[&TONE[..], &["-t", "1"]].concat());
    let song = song.display();
    let lists = [
        format!("ffconcat version 1.0\nfile '{song}'\n"),
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{song}\n#EXT-X-ENDLIST\n"),
        format!("#EXTM3U\n#EXTINF:1,\nfile:{song}\n#EXT-X-ENDLIST\n"),
    ];
    for (n, list) in lists.iter().enumerate() {
        let file = bed.file(&format!("list-{n}.mp4"));
        std::fs::write(&file, list).unwrap();
        let reason = bed.probe(&file).await.unwrap_err();
        assert!(reason.contains("cannot be read"), "{reason}");
    }
    bed.end().await;
}
