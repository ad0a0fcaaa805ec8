//! Subtitles: sent in as people have them, shown by players.

use super::stage::{PATIENCE, asset_of, becomes, count, creator, film, told, upload, url_of};
use nexus_harness::prelude::*;
use std::io::Write as _;
use std::process::Command;

const SESSIONS: &str = "/api/streaming/v1/sessions";

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

const SRT: &str = "1\r\n00:00:00,500 --> 00:00:01,500\r\n<i>Grüße</i>\r\n\r\n\
                   2\r\n00:00:02,000 --> 00:00:03,000\r\nzwei\r\n";

async fn send(by: &Client, url: &str, method: &str, bytes: Vec<u8>) -> Answer {
    by.request(method.parse().unwrap(), url)
        .header("content-type", "application/x-subrip")
        .body(bytes)
        .send()
        .await
}

/// As Latin-1 has it.
fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// The address in the tag of a playlist that begins so.
fn named(playlist: &str, tag: &str) -> Option<String> {
    let line = playlist.lines().find(|line| line.starts_with(tag))?;
    Some(line.split("URI=\"").nth(1)?.split('"').next()?.to_owned())
}

const TAG: &str = "#EXT-X-MEDIA:TYPE=SUBTITLES";

/// The words that a player is given for a playback, and their address.
async fn words(anybody: &Client, session: &Value) -> Option<(String, String)> {
    let master = anybody.get(session["hls"].as_str().unwrap()).await.ok().text();
    let playlist = anybody.get(&named(&master, TAG)?).await.ok().text();
    let address = playlist.lines().find(|line| line.starts_with("/media/"))?.to_owned();
    let text = anybody.get(&address).await.ok();
    assert_eq!(text.header("content-type"), Some("text/vtt; charset=utf-8"));
    Some((address, text.text()))
}

/// Beginnings of the words, in seconds, as ffprobe reads the file.
fn beginnings(vtt: &str) -> Vec<f64> {
    let mut file = tempfile::NamedTempFile::with_suffix(".vtt").unwrap();
    file.write_all(vtt.as_bytes()).unwrap();
    let asked = ["-v", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0"];
    let told = Command::new("ffprobe").args(asked).arg(file.path()).output().unwrap();
    assert!(told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    told.split_whitespace().map(|at| at.trim_end_matches(',').parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn subtitles_are_cleaned_and_shown_and_stay_when_an_asset_is_processed_anew() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "talk.mp4", film(4, "320x180")).await;
    let asset = asset_of(&by, &upload).await;
    let subtitles = format!("{}/subtitles", url_of(&asset));
    let german = format!("{subtitles}/de");
    // Sent while it is being processed, in another encoding.
    let first: Value = send(&by, &german, "POST", latin(SRT)).await.status(201).json();
    assert_eq!((&first["cues"], &first["last_ms"]), (&json!(2), &json!(3000)));
    assert_eq!((&first["source_format"], &first["encoding"]), (&json!("srt"), &json!("latin-1")));
    let clean = "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\n<i>Grüße</i>\n\n\
                 00:00:02.000 --> 00:00:03.000\nzwei\n";
    let kept = by.get(&german).await.ok();
    assert_eq!(kept.header("content-type"), Some("text/vtt; charset=utf-8"));
    assert_eq!(kept.text(), clean);
    becomes(&by, &asset, "ready").await;
    let wish = json!({ "asset": asset["id"] });
    let mut session = Value::Null;
    eventually("it can be played", PATIENCE, async || {
        let answer = by.post(SESSIONS, &wish).await;
        let plays = answer.status == 201;
        if plays {
            session = answer.json();
        }
        plays
    })
    .await;
    let anybody = nexus.anonymous();
    let mut shown = None;
    eventually("players are told of them", PATIENCE, async || {
        shown = words(&anybody, &session).await;
        shown.is_some()
    })
    .await;
    let (address, text) = shown.unwrap();
    assert_eq!(text, clean);
    assert_eq!(beginnings(&text), [0.5, 2.0]);
    let master = anybody.get(session["hls"].as_str().unwrap()).await.ok().text();
    assert!(master.contains("NAME=\"Deutsch\",LANGUAGE=\"de\""), "{master}");
    assert!(master.contains(",SUBTITLES=\"text\""), "{master}");
    let dash = anybody.get(session["dash"].as_str().unwrap()).await.ok().text();
    let file = address.split('?').next().unwrap();
    assert!(dash.contains(file) && dash.contains("lang=\"de\""), "{dash}");
    anybody.get(file).await.problem(403, "playback-denied");
    // Another text has another address, so that no cache shows the old one.
    let second = SRT.replace("zwei", "drei").into_bytes();
    send(&by, &german, "PUT", second).await.status(201);
    nexus.advance(minutes(2)).await;
    let (other, text) = words(&anybody, &session).await.unwrap();
    assert_ne!(address, other);
    assert!(text.contains("drei") && !text.contains("zwei"), "{text}");
    // A run anew makes another package; they are there, too.
    by.post(&format!("{}/process", url_of(&asset)), json!({})).await.status(202);
    let again = becomes(&by, &asset, "ready").await;
    eventually("they lie in the new package", PATIENCE, async || {
        let package = again["package_id"].as_str().unwrap();
        let placed = format!(
            "select count(*) from asset_pipeline.placed_text where package_id = '{package}'"
        );
        count(&nexus, &placed).await == 1
    })
    .await;
    let mut session = Value::Null;
    eventually("the new package is played", PATIENCE, async || {
        session = by.post(SESSIONS, &wish).await.status(201).json();
        session["package_id"] == again["package_id"]
    })
    .await;
    eventually("with its words", PATIENCE, async || {
        words(&anybody, &session).await.is_some_and(|(_, text)| text.contains("drei"))
    })
    .await;
    by.delete(&german).await.no_content();
    by.delete(&german).await.problem(404, "not-found");
    nexus.advance(minutes(2)).await;
    assert_eq!(words(&anybody, &session).await, None);
    assert!(told(&nexus, "media.asset.texts_changed.v1").await.len() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_subtitles_is_said_by_line_and_others_send_none() {
    let nexus = Nexus::setup().services(&["uploader", "users", "asset-pipeline"]).start().await;
    let (by, other) = (creator(&nexus).await, creator(&nexus).await);
    let upload = upload(&by, "talk.mp4", film(1, "64x64")).await;
    let asset = asset_of(&by, &upload).await;
    let subtitles = format!("{}/subtitles", url_of(&asset));
    let english = format!("{subtitles}/en");
    let broken = "1\n00:00:01,000 --> 00:00:02,000\nfine\n\n2\n00:00:09,000 --> 00:00:04,000\nno\n";
    let refused = send(&by, &english, "POST", broken.into()).await.problem(422, "subtitle-broken");
    assert!(refused.detail.contains("line 6: it ends before it begins"), "{refused:?}");
    assert_eq!(refused.errors[0]["pointer"], "#/line/6");
    let picture = b"\x89PNG\r\n\x1a\n\x00\x00".to_vec();
    send(&by, &english, "POST", picture).await.problem(422, "subtitle-broken");
    let large = vec![b'a'; (1 << 20) + 1];
    send(&by, &english, "POST", large).await.problem(413, "subtitle-too-large");
    let nowhere = format!("{subtitles}/german_");
    send(&by, &nowhere, "POST", SRT.into()).await.problem(422, "subtitle-language");
    send(&other, &english, "POST", SRT.into()).await.problem(404, "not-found");
    // One way of writing a language, whichever it was asked by.
    let named = format!("{subtitles}?language=EN-us");
    let made = send(&by, &named, "POST", SRT.into()).await.created();
    assert_eq!(made.url, format!("{subtitles}/en-US"));
    by.get(&made.url).await.ok();
    other.get(&made.url).await.problem(404, "not-found");
    other.delete(&made.url).await.problem(404, "not-found");
    let all: Value = by.get(&subtitles).await.ok().json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all:#}");
    // They go with their asset.
    by.delete(&url_of(&asset)).await.no_content();
    assert_eq!(count(&nexus, "select count(*) from asset_pipeline.subtitle").await, 0);
}
