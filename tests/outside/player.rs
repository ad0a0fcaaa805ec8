//! The player in Chromium, over hls.js and shaka-player as they were published: from signing in to
//! the last second of a title, and the pages on the way. The person at it is `clients/player.mjs`.
//!
//! `NEXUS_PICTURES` names a folder for pictures. `MEASURE=<n>` makes the first of the tests measure
//! n starts of each kind instead, and print them; `SHAPED=1` over a line of 10 Mb/s and 80 ms.

use crate::tools::{self, claim_success};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_harness::prelude::*;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

/// Everybody on a machine of two processors works at the same time.
const PATIENCE: Duration = minutes(6);
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
const TITLES: &str = "/api/content-cms/v1/titles";

/// A host whose pages a browser can sign in to: passkeys and cookies want a name.
async fn installation() -> (Nexus, String) {
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

async fn creator(nexus: &Nexus) -> Client {
    nexus.member_with(["uploader:create", "uploader:view", "content-cms:create"]).await
}

/// A picture that moves, with a tone.
fn film(seconds: u32, size: &str) -> Vec<u8> {
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
async fn ready(by: &Client, bytes: Vec<u8>) -> String {
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

/// Gives it subtitles, and waits until players are told of them.
async fn speaks(by: &Client, asset: &str) {
    let text = "WEBVTT\n\n00:00.000 --> 00:19.000\nThe tide comes in.\n";
    by.request(http::Method::POST, &format!("/api/asset-pipeline/v1/assets/{asset}/subtitles/en"))
        .header("content-type", "text/vtt")
        .body(text)
        .send()
        .await
        .status(201);
    let wish = json!({ "asset": asset, "device": "a test" });
    let session: Value = by.post("/api/streaming/v1/sessions", wish).await.status(201).json();
    eventually("players are told of subtitles", PATIENCE, async || {
        by.get(session["hls"].as_str().unwrap()).await.ok().text().contains("TYPE=SUBTITLES")
    })
    .await;
}

/// Makes a title and shows it to everybody, once `content-cms` knows that it can be played.
async fn published(by: &Client, url: &str, draft: Value) -> String {
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
async fn watch(mut person: Command) -> Value {
    person.env("NEXUS_EMAIL", EMAIL).env("NEXUS_PASSWORD", PASSWORD);
    let output = tokio::task::spawn_blocking(move || person.output()).await.unwrap().unwrap();
    claim_success(&output, "player.mjs");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

fn person(origin: &str, title: &str, series: &str) -> Command {
    let mut person = tools::node("player.mjs");
    let pictures = std::env::var("NEXUS_PICTURES").unwrap_or_default();
    person.arg(tools::browser()).env("NEXUS_URL", origin).env("NEXUS_PICTURES", pictures);
    person.env("TITLE", title).env("SERIES", series);
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_browser_finds_a_title_sees_it_by_both_engines_and_goes_on_where_they_were()
{
    let (nexus, origin) = installation().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, film(20, "1280x720")).await;
    speaks(&owner, &asset).await;
    let intro = json!({ "kind": "intro", "start_ms": 0, "end_ms": 3000 });
    let sea = json!({
        "name": "The Sea", "asset": asset, "synopsis": "Water, as far as anybody sees.",
        "tagline": "It comes back.", "year": 2026, "maturity": "12", "genres": ["drama"],
        "credits": [{ "role": "director", "person": "A. B." }], "cues": [intro],
    });
    let sea = published(&owner, TITLES, sea).await;
    let shore = json!({
        "name": "The Shore", "kind": "series", "synopsis": "Two evenings at the sea.",
        "year": 2025, "maturity": "all", "genres": ["drama"],
    });
    let shore = published(&owner, TITLES, shore).await;
    let episodes = format!("{TITLES}/{shore}/episodes");
    for name in ["Low tide", "High tide"] {
        let draft = json!({ "name": name, "asset": asset, "synopsis": "An evening." });
        published(&owner, &episodes, draft).await;
    }
    let measured = watch(person(&origin, &sea, &shore)).await;
    if std::env::var("MEASURE").is_ok() {
        return;
    }
    let startup = measured["hls"]["startup_ms"].as_u64();
    assert!(startup > Some(0), "{measured:#}");
    // What the browser told of it is in the sums, once.
    let sums = format!("/api/player-api/v1/assets/{asset}/qoe");
    nexus.advance(minutes(1)).await;
    eventually("the owner sees how it played", PATIENCE, async || {
        let hours: Value = owner.get(&sums).await.ok().json();
        let hours = hours["items"].as_array().unwrap();
        let sum = |name: &str| hours.iter().map(|it| it[name].as_i64().unwrap()).sum::<i64>();
        sum("plays") >= 4 && sum("first_frames") >= 4 && sum("played_ms") > 3000
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_film_plays_under_its_own_key_and_shows_nothing_under_another() {
    let (nexus, origin) = installation().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, film(8, "640x360")).await;
    let draft = json!({ "name": "The Safe", "asset": asset });
    let title = published(&owner, TITLES, draft).await;
    let policy = format!("/api/drm/v1/policies/{asset}");
    eventually("the film is to be protected", PATIENCE, async || {
        owner.put(&policy, json!({ "protection": "cbcs" })).await.status.is_success()
    })
    .await;
    eventually("the film is protected", PATIENCE, async || {
        let now: Value = owner.get(&policy).await.ok().json();
        assert_ne!(now["state"], "failed", "{now:#}");
        now["state"] == "complete"
    })
    .await;
    let mut person = person(&origin, &title, &title);
    person.env("PROTECTED", "1");
    watch(person).await;
    only_the_token_of_a_playback_brings_a_licence(&nexus, &owner, &asset).await;
}

/// None, altered, of a playback that is over, expired: 403, for the licence as for the rest.
async fn only_the_token_of_a_playback_brings_a_licence(nexus: &Nexus, owner: &Client, asset: &str) {
    let wish = json!({ "asset": asset, "device": "a test" });
    let session: Value = owner.post("/api/streaming/v1/sessions", wish).await.status(201).json();
    let address = |name: &str| session[name].as_str().unwrap().to_owned();
    let licence = session["protection"]["licence"].as_str().unwrap();
    let (path, token) = licence.split_once("?t=").unwrap();
    let anybody = nexus.anonymous();
    let ask = json!({ "kids": [key_id(&anybody, &address("hls")).await], "type": "temporary" });
    let given: Value = anybody.post(licence, &ask).await.ok().json();
    assert_eq!(given["keys"].as_array().unwrap().len(), 1, "{given:#}");
    // A key of nobody's, with a good token.
    let foreign = json!({ "kids": ["AAAAAAAAAAAAAAAAAAAAAA"], "type": "temporary" });
    anybody.post(licence, &foreign).await.problem(403, "licence-refused");
    let last = token.chars().last().unwrap();
    let other = if last == 'A' { 'E' } else { 'A' };
    let altered = format!("{}{other}", &token[..token.len() - 1]);
    for token in ["", "x", &altered] {
        anybody.post(&format!("{path}?t={token}"), &ask).await.problem(403, "playback-denied");
    }
    let end = format!("/api/streaming/v1/sessions/{}", session["id"].as_str().unwrap());
    owner.delete(&end).await.no_content();
    eventually("a playback that is over brings no licence", PATIENCE, async || {
        anybody.post(licence, &ask).await.status == 403
    })
    .await;
    nexus.advance(minutes(6)).await;
    anybody.post(licence, &ask).await.problem(403, "playback-denied");
}

/// The key id of the first playlist that a master names, as a licence request has it.
async fn key_id(by: &Client, master: &str) -> String {
    let master = by.get(master).await.ok().text();
    let playlist = master.lines().find(|line| !line.starts_with('#')).unwrap();
    let playlist = by.get(playlist).await.ok().text();
    let key = playlist.lines().find(|line| line.starts_with("#EXT-X-KEY")).unwrap();
    let hex = key.split("KEYID=0x").nth(1).unwrap();
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..32).step_by(2).map(byte).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}
