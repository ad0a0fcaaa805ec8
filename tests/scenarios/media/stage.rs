//! What the stories of processing begin with: a host with the services that do it, files that
//! ffmpeg has made, and creators who upload them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_harness::prelude::*;
use std::process::Command;
use std::time::Duration;

pub const ASSETS: &str = "/api/asset-pipeline/v1/assets";
/// Everybody on a machine of two processors works at the same time.
pub const PATIENCE: Duration = minutes(3);

const SERVICES: [&str; 7] =
    ["uploader", "users", "asset-pipeline", "media-metadata", "transcoder", "thumbnailer", "kms"];

pub async fn studio() -> Nexus {
    Nexus::setup().services(&SERVICES).start().await
}

/// Somebody who may upload, and sees their own only.
pub async fn creator(nexus: &Nexus) -> Client {
    nexus.member_with(["uploader:create", "uploader:view"]).await
}

/// A picture that moves, with a tone: `seconds` of `size`, as an MP4 that plays from its start.
pub fn film(seconds: u32, size: &str) -> Vec<u8> {
    let picture = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    made(&[
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        &tone,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "50",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-ac",
        "2",
        "-metadata",
        "title=A test",
        "-metadata",
        "location=+48.1+011.5/",
        "-movflags",
        "+faststart",
        "-f",
        "mp4",
    ])
}

/// A tone alone.
pub fn tone(seconds: u32) -> Vec<u8> {
    let tone = format!("sine=frequency=440:sample_rate=44100:duration={seconds}");
    made(&["-f", "lavfi", "-i", &tone, "-c:a", "flac", "-f", "flac"])
}

/// What ffmpeg makes of the arguments.
pub fn made(arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .arg(&file)
        .output()
        .expect("ffmpeg is there");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(file).unwrap()
}

/// Uploads a file in one go, to be an asset, and gives the upload's id.
pub async fn upload(by: &Client, name: &str, bytes: Vec<u8>) -> String {
    let purpose = STANDARD.encode("asset");
    let told = format!("filename {},purpose {purpose}", STANDARD.encode(name));
    let made = by
        .request("POST".parse().unwrap(), "/files")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", &bytes.len().to_string())
        .header("upload-metadata", &told)
        .header("content-type", "application/offset+octet-stream")
        .body(bytes)
        .send()
        .await
        .status(201);
    let location = made.headers["location"].to_str().unwrap().to_owned();
    location.rsplit('/').next().unwrap().to_owned()
}

/// The asset that an upload has become.
pub async fn asset_of(by: &Client, upload: &str) -> Value {
    let mut found = Value::Null;
    eventually("the upload is an asset", PATIENCE, async || {
        let all: Value = by.get(ASSETS).await.ok().json();
        let items = all["items"].as_array().unwrap();
        found =
            items.iter().find(|asset| asset["upload_id"] == upload).cloned().unwrap_or_default();
        !found.is_null()
    })
    .await;
    found
}

pub fn url_of(asset: &Value) -> String {
    format!("{ASSETS}/{}", asset["id"].as_str().unwrap())
}

/// The asset once it is in a state; fails at once when it ends in another.
pub async fn becomes(by: &Client, asset: &Value, state: &str) -> Value {
    let url = url_of(asset);
    let mut now = Value::Null;
    eventually(&format!("the asset is {state}"), PATIENCE, async || {
        now = by.get(&url).await.ok().json();
        let is_over = now["state"] != "processing";
        assert!(!is_over || now["state"] == state, "not {state}: {now:#}");
        is_over
    })
    .await;
    now
}

/// The steps of an asset's run by name and lane, with their states.
pub async fn steps(by: &Client, asset: &Value) -> Vec<String> {
    let run = asset["run_id"].as_str().unwrap();
    let run: Value = by.get(&format!("/api/asset-pipeline/v1/runs/{run}")).await.ok().json();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let steps = run["steps"].as_array().unwrap().iter();
    steps
        .map(|step| {
            let lane = word(&step["lane"]);
            let lane = if lane.is_empty() { lane } else { format!(" {lane}") };
            format!("{}{lane}: {}", word(&step["name"]), word(&step["state"]))
        })
        .collect()
}

pub async fn count(nexus: &Nexus, sql: &str) -> i64 {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    session.query(sql, &[]).await.unwrap()[0].get(0)
}

/// What was told under a topic, oldest first.
pub async fn told(nexus: &Nexus, topic: &str) -> Vec<Value> {
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let sql =
        format!("select payload from platform.event where topic = '{topic}' order by position");
    session.query(&sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
