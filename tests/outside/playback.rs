//! Playlists of an upload that was processed, read strictly by hls-parser.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use std::process::Command;
use std::time::Duration;

/// Everybody on a machine of two processors works at the same time.
pub const PATIENCE: Duration = minutes(5);
const SERVICES: [&str; 9] = [
    "asset-pipeline",
    "kms",
    "manifest-builder",
    "media-metadata",
    "streaming",
    "thumbnailer",
    "transcoder",
    "uploader",
    "users",
];

/// Nine seconds of moving picture with a tone.
fn film() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i"]);
    ffmpeg.args(["testsrc2=size=1280x720:rate=30000/1001:duration=9", "-f", "lavfi", "-i"]);
    ffmpeg.args(["sine=frequency=440:sample_rate=48000:duration=9", "-c:v", "libx264"]);
    ffmpeg.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-y"]);
    claim_success(&ffmpeg.arg(&file).output().unwrap(), "ffmpeg");
    std::fs::read(file).unwrap()
}

/// Uploads the film and waits until it is ready; gives the asset's id.
pub async fn ready(by: &Client) -> String {
    let bytes = film();
    by.request(http::Method::POST, "/files")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", &bytes.len().to_string())
        // `film.mp4`, for `asset`.
        .header("upload-metadata", "filename ZmlsbS5tcDQ=,purpose YXNzZXQ=")
        .header("content-type", "application/offset+octet-stream")
        .body(bytes)
        .send()
        .await
        .status(201);
    let mut asset = Value::Null;
    eventually("the film is ready", PATIENCE, async || {
        let all: Value = by.get("/api/asset-pipeline/v1/assets").await.ok().json();
        asset = all["items"][0].clone();
        assert_ne!(asset["state"], "failed", "{asset:#}");
        asset["state"] == "ready"
    })
    .await;
    asset["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_parser_reads_every_playlist_of_a_film() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    let owner = nexus.member_with(["uploader:create", "uploader:view"]).await;
    let asset = ready(&owner).await;
    let mut session = Value::Null;
    eventually("the film can be played", PATIENCE, async || {
        let answer = owner.post("/api/streaming/v1/sessions", json!({ "asset": asset })).await;
        let admitted = answer.status == 201;
        if admitted {
            session = answer.json();
        }
        admitted
    })
    .await;
    let mut client = tools::node("hls.mjs");
    client.env("NEXUS_URL", nexus.url()).env("HLS_MASTER", session["hls"].as_str().unwrap());
    let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
    claim_success(&output, "hls-parser");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |name: &str| found[name].as_array().unwrap().clone();
    assert!(list("variants").len() >= 3 && list("pictures").len() >= 3, "{found:#}");
    let seconds: Vec<f64> = list("variants")
        .iter()
        .chain(&list("pictures"))
        .map(|it| it["seconds"].as_f64().unwrap())
        .chain(list("sound").iter().map(|it| it.as_f64().unwrap()))
        .collect();
    assert!(seconds.iter().all(|length| (length - 9.0).abs() < 0.1), "{found:#}");
    assert!(list("variants").iter().all(|it| it["height"].as_u64() <= Some(720)), "{found:#}");
}
