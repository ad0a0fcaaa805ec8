//! An installation with a title that a browser can watch, and the person who does
//! (`clients/player.mjs`): for the player's tests, and for `cargo xtask bench media`.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

/// Everybody on a machine of two processors works at the same time.
pub const PATIENCE: Duration = minutes(6);
const SERVICES: [&str; 20] = [
    "asset-pipeline",
    "content-cms",
    "core-os",
    "drm",
    "email",
    "frontend-app",
    "kms",
    "manifest-builder",
    "media-metadata",
    "nexus-stream",
    "player-api",
    "profiles",
    "session-mgr",
    "streaming",
    "thumbnailer",
    "token-mgr",
    "transcoder",
    "uploader",
    "user-auth",
    "users",
];
const EMAIL: &str = "ada@client.example";
const PASSWORD: &str = "a sentence that nobody else has written";
pub const TITLES: &str = "/api/content-cms/v1/titles";

/// A host whose pages a browser can sign in to: passkeys and cookies want a name.
pub async fn installation() -> (Nexus, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = format!("http://localhost:{port}");
    let public = origin.parse().unwrap();
    let nexus = Nexus::setup()
        .services(&SERVICES)
        .settings(move |settings| {
            settings.listen = vec![format!("127.0.0.1:{port}").parse().unwrap()];
            settings.public_url = Some(public);
        })
        .start()
        .await;
    let token = nexus.setup_token().await;
    let draft =
        json!({ "token": token, "email": EMAIL, "display_name": "Ada", "password": PASSWORD });
    let made = nexus.anonymous().post("/api/user-auth/v1/setup", draft).await;
    assert!(made.status.is_success(), "{made:?}");
    (nexus, origin)
}

pub async fn creator(nexus: &Nexus) -> Client {
    nexus.member_with(["uploader:create", "uploader:view", "content-cms:create"]).await
}

/// A picture that moves, with a tone.
pub fn film(seconds: u32, size: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("film.mp4");
    let mut ffmpeg = Command::new("ffmpeg");
    let picture = format!("testsrc2=size={size}:rate=25:duration={seconds}");
    let tone = format!("sine=frequency=440:sample_rate=48000:duration={seconds}");
    ffmpeg.args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", &picture]);
    ffmpeg.args(["-f", "lavfi", "-i", &tone, "-c:v", "libx264", "-preset", "ultrafast"]);
    ffmpeg.args(["-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-y"]);
    claim_success(&ffmpeg.arg(&file).output().unwrap(), "ffmpeg");
    std::fs::read(file).unwrap()
}

/// Uploads a film and waits until it is ready; gives the asset's id.
pub async fn ready(by: &Client, bytes: Vec<u8>) -> String {
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

/// Makes a title and shows it to everybody, once `content-cms` knows that it can be played.
pub async fn published(by: &Client, url: &str, draft: Value) -> String {
    let mut id = String::new();
    eventually("the title is made", PATIENCE, async || {
        let made = by.post(url, &draft).await;
        if made.status == 201 {
            id = made.json::<Value>()["id"].as_str().unwrap().to_owned();
        }
        made.status == 201
    })
    .await;
    eventually("the title is published", PATIENCE, async || {
        let url = format!("{TITLES}/{id}/publish");
        by.post(&url, json!({})).await.status.is_success()
    })
    .await;
    id
}

/// Runs the person at the browser to the end; gives what was measured.
pub async fn watch(mut person: Command) -> Value {
    person.env("NEXUS_EMAIL", EMAIL).env("NEXUS_PASSWORD", PASSWORD);
    let output = tokio::task::spawn_blocking(move || person.output()).await.unwrap().unwrap();
    claim_success(&output, "player.mjs");
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

pub fn person(origin: &str, title: &str, series: &str) -> Command {
    let mut person = tools::node("player.mjs");
    let pictures = std::env::var("NEXUS_PICTURES").unwrap_or_default();
    person.arg(tools::browser()).env("NEXUS_URL", origin).env("NEXUS_PICTURES", pictures);
    person.env("TITLE", title).env("SERIES", series);
    person
}
