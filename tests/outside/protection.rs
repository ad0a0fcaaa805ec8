//! A protected film in the hands of Shaka Packager, which knows nothing of us: it opens our tracks
//! with their keys, and protects the clear ones to the same bytes.

use crate::playback::{PATIENCE, ready};
use crate::tools::{self, claim_success};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_harness::prelude::*;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const SERVICES: [&str; 10] = [
    "asset-pipeline",
    "drm",
    "kms",
    "manifest-builder",
    "media-metadata",
    "streaming",
    "thumbnailer",
    "transcoder",
    "uploader",
    "users",
];

/// A track as it was fetched.
struct Track {
    file: PathBuf,
    playlist: String,
    /// `video` or `audio`.
    kind: &'static str,
}

async fn session(by: &Client, asset: &str, is_protected: bool) -> Value {
    let mut session = Value::Null;
    eventually("the film can be played", PATIENCE, async || {
        let wish = json!({ "asset": asset, "device": "a test" });
        let answer = by.post("/api/streaming/v1/sessions", wish).await;
        session = if answer.status == 201 { answer.json() } else { Value::Null };
        !session.is_null() && session["protection"].is_null() != is_protected
    })
    .await;
    session
}

/// The first variant and the sound of a session, in files of a folder.
async fn tracks(by: &Client, session: &Value, folder: &Path) -> Vec<Track> {
    let master = by.get(session["hls"].as_str().unwrap()).await.ok().text();
    let first = master.lines().find(|line| line.starts_with('/')).unwrap().to_owned();
    let sound = master.split("TYPE=AUDIO").nth(1).and_then(|it| it.split("URI=\"").nth(1));
    let sound = sound.unwrap().split('"').next().unwrap().to_owned();
    let mut tracks = Vec::new();
    for (kind, address) in [("video", first), ("audio", sound)] {
        let playlist = by.get(&address).await.ok().text();
        let map = playlist.lines().find(|line| line.starts_with("#EXT-X-MAP")).unwrap();
        let head = map.split('"').nth(1).unwrap();
        let mut bytes = by.get(head).await.ok().body.to_vec();
        for segment in playlist.lines().filter(|line| line.starts_with('/')) {
            bytes.extend_from_slice(&by.get(segment).await.ok().body);
        }
        let file = folder.join(format!("{kind}.mp4"));
        std::fs::write(&file, bytes).unwrap();
        tracks.push(Track { file, playlist, kind });
    }
    tracks
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id and the key that open a track, and its vector, which its head says.
async fn secrets(by: &Client, session: &Value, track: &Track) -> (String, String, String) {
    let id = track.playlist.split("KEYID=0x").nth(1).unwrap()[..32].to_owned();
    let byte = |at: usize| u8::from_str_radix(&id[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..32).step_by(2).map(byte).collect();
    let asked = json!({ "kids": [URL_SAFE_NO_PAD.encode(bytes)], "type": "temporary" });
    let licence = session["protection"]["licence"].as_str().unwrap();
    let set: Value = by.post(licence, asked).await.ok().json();
    let key = URL_SAFE_NO_PAD.decode(set["keys"][0]["k"].as_str().unwrap()).unwrap();
    let head = std::fs::read(&track.file).unwrap();
    // After the letters: version and flags, four bytes of settings, the id, the vector's length.
    let tenc = head.windows(4).position(|it| it == b"tenc").unwrap() + 4;
    let vector = &head[tenc + 25..tenc + 41];
    (id, hex(&key), hex(vector))
}

fn package(stream: &str, more: &[&str]) {
    let output = tools::node("packager.mjs").arg(stream).args(more).output().unwrap();
    claim_success(&output, "Shaka Packager");
}

/// A digest of each sample as it lies in a file, encrypted or not.
fn samples(file: &Path) -> Vec<String> {
    // As a stream: in a file that it can seek in, ffmpeg 5.1 looks for what fragments tell of their
    // encryption in the wrong one of them.
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-i", "pipe:0"]).stdin(File::open(file).unwrap());
    let output = ffmpeg.args(["-c", "copy", "-f", "framemd5", "-"]).output().unwrap();
    claim_success(&output, "ffmpeg");
    let text = String::from_utf8(output.stdout).unwrap();
    let digest = |line: &str| line.split(',').nth(5).unwrap_or_default().trim().to_owned();
    text.lines().filter(|line| !line.starts_with('#')).map(digest).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn shaka_packager_opens_what_is_protected_here_and_protects_the_same_to_the_same_bytes() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    let owner = nexus.member_with(["uploader:create", "uploader:view"]).await;
    let asset = ready(&owner).await;
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir_all(&place).unwrap();
        place
    };
    let anybody = nexus.anonymous();
    let clear = session(&owner, &asset, false).await;
    let clear = tracks(&anybody, &clear, &place("clear")).await;
    let policy = format!("/api/drm/v1/policies/{asset}");
    eventually("the film can be protected", PATIENCE, async || {
        owner.put(&policy, json!({ "protection": "cbcs" })).await.status.is_success()
    })
    .await;
    let session = session(&owner, &asset, true).await;
    let protected = tracks(&anybody, &session, &place("protected")).await;
    for (track, plain) in protected.iter().zip(&clear) {
        let (id, key, vector) = secrets(&anybody, &session, track).await;
        let keys = format!("label=:key_id={id}:key={key}");
        let kind = track.kind;
        let stream = |from: &Track, to: &Path| {
            format!("in={},stream={kind},output={}", from.file.display(), to.display())
        };
        let opened = place("opened").join(format!("{kind}.mp4"));
        let open = ["--enable_raw_key_decryption", "--keys", &keys];
        package(&stream(track, &opened), &open);
        let expected = samples(&plain.file);
        assert!(expected.len() >= 200, "{} samples of {kind}", expected.len());
        assert!(samples(&opened) == expected, "{kind}, opened");
        let theirs = place("theirs").join(format!("{kind}.mp4"));
        let protect = ["--enable_raw_key_encryption", "--protection_scheme", "cbcs"];
        let how = ["--keys", &keys, "--iv", &vector, "--clear_lead", "0"];
        package(&stream(plain, &theirs), &[&protect[..], &how].concat());
        let ours = samples(&track.file);
        assert!(samples(&theirs) == ours, "{kind}, protected");
        assert!(ours != expected, "{kind} is encrypted");
    }
    // Playlists that name keys are read as strictly as all others.
    let mut client = tools::node("hls.mjs");
    client.env("NEXUS_URL", nexus.url()).env("HLS_MASTER", session["hls"].as_str().unwrap());
    let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
    claim_success(&output, "hls-parser");
}
