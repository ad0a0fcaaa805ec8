//! Protecting: packages that nobody can play without a licence, who is given one, and keys that are
//! replaced. ffmpeg, which knows nothing of us, decrypts.

use super::playback::{addresses, bytes, named, play, ready, track};
use super::stage::{PATIENCE, asset_of, becomes, count, creator, film, told, upload, url_of};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nexus_harness::prelude::*;
use std::fs::File;
use std::process::Command;

const SESSIONS: &str = "/api/streaming/v1/sessions";
const DEFAULT: &str = "/api/drm/v1/default";

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

async fn vault() -> Nexus {
    Nexus::setup().services(&SERVICES).start().await
}

fn policy(asset: &Value) -> String {
    format!("/api/drm/v1/policies/{}", asset["id"].as_str().unwrap())
}

/// A playback on a device, once it is of a protected package, but of none of `but`.
async fn admitted(by: &Client, asset: &Value, device: &str, but: &[&Value]) -> Value {
    let mut session = Value::Null;
    eventually("the film can be played protected", PATIENCE, async || {
        let answer = by.post(SESSIONS, json!({ "asset": asset["id"], "device": device })).await;
        match answer.status.as_u16() {
            201 => session = answer.json(),
            // The asset is not known there yet.
            404 => return false,
            _ => drop(answer.problem(409, "protection-pending")),
        }
        let is_other = |session: &Value| but.iter().all(|it| package_of(it) != package_of(session));
        !session.is_null() && !session["protection"].is_null() && is_other(&session)
    })
    .await;
    session
}

/// The package that addresses of a session name.
fn package_of(session: &Value) -> String {
    session["hls"].as_str().unwrap().split('/').nth(2).unwrap().to_owned()
}

fn licence_of(session: &Value) -> String {
    session["protection"]["licence"].as_str().unwrap().to_owned()
}

/// The id of the key that opens what a playlist names.
fn key_id(playlist: &str) -> String {
    let line = playlist.lines().find(|line| line.starts_with("#EXT-X-KEY:"));
    let line = line.unwrap_or_else(|| panic!("no key in {playlist}"));
    line.split("KEYID=0x").nth(1).unwrap()[..32].to_owned()
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a key system sends.
fn request(key_ids: &[&str]) -> Value {
    let kids = key_ids.iter().map(|id| URL_SAFE_NO_PAD.encode(unhex(id))).collect::<Vec<_>>();
    json!({ "kids": kids, "type": "temporary" })
}

/// The key of an id, as 32 hexadecimal digits.
async fn key(by: &Client, licence: &str, key_id: &str) -> String {
    let answer = by.post(licence, request(&[key_id])).await.ok();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let set: Value = answer.json();
    assert_eq!((&set["type"], &set["keys"][0]["kty"]), (&json!("temporary"), &json!("oct")));
    assert_eq!(set["keys"][0]["kid"], URL_SAFE_NO_PAD.encode(unhex(key_id)));
    hex(&URL_SAFE_NO_PAD.decode(set["keys"][0]["k"].as_str().unwrap()).unwrap())
}

/// A digest of each frame that a decoder makes of a track.
fn frames(file: &[u8], key: Option<&str>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("track.mp4");
    std::fs::write(&path, file).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-nostdin"]);
    if let Some(key) = key {
        ffmpeg.args(["-decryption_key", key]);
    }
    // As a stream: of a file that it can seek in, ffmpeg 5.1 reads all fragments' heads first, and
    // takes what the last one tells of its samples for all of them.
    ffmpeg.args(["-i", "pipe:0", "-f", "framemd5", "-"]).stdin(File::open(&path).unwrap());
    let text = String::from_utf8(ffmpeg.output().unwrap().stdout).unwrap();
    let digest = |line: &str| line.rsplit(", ").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.starts_with('#')).map(digest).collect()
}

/// Every track that a session offers: its name, its playlist and its bytes.
async fn tracks(by: &Client, session: &Value) -> Vec<(String, String, Vec<u8>)> {
    let master = by.get(session["hls"].as_str().unwrap()).await.ok().text();
    let mut playlists = addresses(&master);
    playlists.push(named(&master, "#EXT-X-MEDIA:TYPE=AUDIO"));
    let mut all = Vec::new();
    for address in playlists {
        let name = address.split('/').nth(3).unwrap().split('.').next().unwrap().to_owned();
        let playlist = by.get(&address).await.ok().text();
        let bytes = track(by, &playlist).await;
        all.push((name, playlist, bytes));
    }
    all.sort();
    all
}

async fn is_refused(by: &Client, address: &str) {
    eventually("the segment is refused", seconds(30), async || by.get(address).await.status == 403)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_film_is_itself_again_with_its_keys_and_nothing_without_them() {
    let nexus = vault().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, 9, "1280x720").await;
    let anybody = nexus.anonymous();
    let clear = play(&owner, &asset).await;
    assert_eq!(clear["protection"], Value::Null);
    let before = tracks(&anybody, &clear).await;
    let segment = addresses(&before.last().unwrap().1)[0].clone();
    anybody.get(&segment).await.ok();
    // Nobody else decides about it.
    let stranger = nexus.member_with(["nothing:at-all"]).await;
    let wish = json!({ "protection": "cbcs" });
    stranger.put(&policy(&asset), &wish).await.problem(404, "not-found");
    owner.put(&policy(&asset), &wish).await.no_content();
    // Whoever plays the clear package stops, and nobody gets it any more.
    is_refused(&anybody, &segment).await;
    let session = admitted(&owner, &asset, "tv", &[]).await;
    assert_ne!(package_of(&session), package_of(&clear));
    assert_eq!(session["protection"]["scheme"], "cbcs");
    assert_eq!(session["protection"]["key_system"], "org.w3.clearkey");
    let licence = licence_of(&session);
    let after = tracks(&anybody, &session).await;
    let names = |all: &[(String, String, Vec<u8>)]| -> Vec<String> {
        all.iter().map(|(name, ..)| name.clone()).collect()
    };
    assert_eq!(names(&after), names(&before));
    assert!(after.len() >= 4, "{:?}", names(&after));
    let mut keys = Vec::new();
    for ((name, playlist, bytes), (_, _, plain)) in after.iter().zip(&before) {
        let expected = frames(plain, None);
        assert!(expected.len() >= 200, "{} frames of {name}", expected.len());
        let key = key(&anybody, &licence, &key_id(playlist)).await;
        assert_eq!(frames(bytes, Some(&key)), expected, "{name} with its key");
        let wrong = frames(bytes, Some(&"00".repeat(16)));
        assert!(wrong.iter().all(|frame| !expected.contains(frame)), "{name} with a wrong key");
        let none = frames(bytes, None);
        assert!(none.iter().all(|frame| !expected.contains(frame)), "{name} without a key");
        keys.push(key);
    }
    // Sound has another key than pictures; the keys are in no event.
    assert!(keys.iter().any(|key| *key != keys[0]));
    for key in &keys {
        let bytes = unhex(key);
        for text in [key.clone(), STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            let sql =
                format!("select count(*) from platform.event where payload::text like '%{text}%'");
            assert_eq!(count(&nexus, &sql).await, 0);
        }
    }
    // A keyframe by itself is a picture, where the playlist of keyframes says it is.
    let master = anybody.get(session["hls"].as_str().unwrap()).await.ok().text();
    let stills = anybody.get(&named(&master, "#EXT-X-I-FRAME-STREAM-INF")).await.ok().text();
    let range = stills.lines().filter_map(|line| line.strip_prefix("#EXT-X-BYTERANGE:")).nth(1);
    let (length, offset) = range.unwrap().split_once('@').unwrap();
    let (length, offset): (usize, usize) = (length.parse().unwrap(), offset.parse().unwrap());
    let mut still = bytes(&anybody, &named(&stills, "#EXT-X-MAP")).await;
    let whole = bytes(&anybody, &addresses(&stills)[1]).await;
    assert_eq!(&whole[offset + 4..offset + 8], b"moof");
    still.extend(&whole[offset..offset + length]);
    let opened = key(&anybody, &licence, &key_id(&stills)).await;
    assert!(!frames(&still, Some(&opened)).is_empty());
    // DASH names the same keys, and where they are given.
    let manifest = anybody.get(session["dash"].as_str().unwrap()).await.ok().text();
    assert!(manifest.contains("value=\"cbcs\"") && manifest.contains(&licence), "{manifest}");
    // Pictures of the way through came along.
    let board = anybody.get(session["sprite"].as_str().unwrap()).await.ok().text();
    let picture = board.lines().find(|line| line.starts_with("/media/")).unwrap();
    bytes(&anybody, picture.split('#').next().unwrap()).await;
    bytes(&anybody, session["poster"].as_str().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_for_a_playback_that_runs_and_for_what_it_covers() {
    let nexus = vault().await;
    let owner = creator(&nexus).await;
    // More segments than are encrypted at once.
    let asset = ready(&owner, 110, "320x180").await;
    // What is decided for all also holds for what is there: within a minute.
    let manager = nexus.member_with(["drm:manage"]).await;
    manager.put(DEFAULT, json!({ "protection": "cbcs" })).await.no_content();
    nexus.advance(minutes(1)).await;
    let session = admitted(&owner, &asset, "tv", &[]).await;
    let (licence, anybody) = (licence_of(&session), nexus.anonymous());
    let shown = format!("/api/drm/v1/packages/{}", package_of(&session));
    let shown: Value = owner.get(&shown).await.ok().json();
    let id = |class: &str| -> String {
        let keys = shown["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["class"] == class).unwrap();
        key["key_id"].as_str().unwrap().to_owned()
    };
    for (name, playlist, bytes) in tracks(&anybody, &session).await {
        assert!(addresses(&playlist).len() > 24, "{playlist}");
        let key = key(&anybody, &licence, &key_id(&playlist)).await;
        let number = frames(&bytes, Some(&key)).len();
        assert!(number >= 110 * 25, "{number} frames of {name}");
    }
    let issued = told(&nexus, "media.licence.issued.v1").await.len();
    // All that the playback covers in one request; what it does not cover is left out.
    let (audio, sd, hd) = (id("audio"), id("sd"), id("hd"));
    let set: Value = anybody.post(&licence, request(&[&audio, &sd, &hd])).await.ok().json();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2, "{set:#}");
    anybody.post(&licence, request(&[&hd])).await.problem(403, "licence-refused");
    let foreign = "11".repeat(16);
    anybody.post(&licence, request(&[&foreign])).await.problem(403, "licence-refused");
    // A key system sends no content type.
    let raw = anybody.request("POST".parse().unwrap(), &licence);
    raw.body(request(&[&sd]).to_string()).send().await.ok();
    let kept = json!({ "kids": request(&[&sd])["kids"], "type": "persistent-license" });
    anybody.post(&licence, kept).await.problem(422, "licence-request");
    anybody.post(&licence, json!({ "kids": [] })).await.problem(422, "licence-request");
    let (path, token) = licence.split_once("?t=").unwrap();
    let other = if token.ends_with('A') { 'E' } else { 'A' };
    let altered = format!("{path}?t={}{other}", &token[..token.len() - 1]);
    anybody.post(&altered, request(&[&sd])).await.problem(403, "playback-denied");
    anybody.post(path, request(&[&sd])).await.problem(403, "playback-denied");
    // The playback is over, though its token is not.
    owner.delete(&format!("{SESSIONS}/{}", session["id"].as_str().unwrap())).await.no_content();
    anybody.post(&licence, request(&[&sd])).await.problem(403, "licence-refused");
    let denied = told(&nexus, "media.licence.denied.v1").await;
    let reasons: Vec<&str> = denied.iter().map(|it| it["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["not-covered", "not-covered", "ended"]);
    assert_eq!(told(&nexus, "media.licence.issued.v1").await.len(), issued + 2);
    // Whoever may manage takes the keys along, and that is told; nobody else does.
    let cpix = format!("/api/drm/v1/packages/{}/cpix", package_of(&session));
    owner.get(&cpix).await.problem(403, "forbidden");
    let document = manager.get(&cpix).await.ok();
    assert_eq!(document.header("cache-control"), Some("no-store"));
    let again = admitted(&owner, &asset, "tv", &[]).await;
    let plain = STANDARD.encode(unhex(&key(&anybody, &licence_of(&again), &sd).await));
    assert!(document.text().contains(&format!(">{plain}<")));
    assert_eq!(told(&nexus, "media.keys.exported.v1").await.len(), 1);
    // A token ends by itself, and with it the licences.
    let licence = licence_of(&again);
    nexus.advance(minutes(5) + seconds(1)).await;
    anybody.post(&licence, request(&[&sd])).await.problem(403, "playback-denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_default_protects_what_comes_and_keys_can_be_replaced() {
    let nexus = vault().await;
    let owner = creator(&nexus).await;
    let manager = nexus.member_with(["drm:manage", "streaming:manage"]).await;
    owner.put(DEFAULT, json!({ "protection": "cbcs" })).await.problem(403, "forbidden");
    manager.put(DEFAULT, json!({ "protection": "cbcs" })).await.no_content();
    let upload = upload(&owner, "film.mp4", film(2, "320x180")).await;
    let asset = becomes(&owner, &asset_of(&owner, &upload).await, "ready").await;
    let subject = asset["owner_id"].as_str().unwrap();
    let plan = format!("/api/streaming/v1/entitlements/{subject}");
    manager.put(&plan, json!({ "plan": "enterprise" })).await.no_content();
    let (anybody, mut state) = (nexus.anonymous(), Value::Null);
    eventually("the package is complete", PATIENCE, async || {
        let shown = owner.get(&policy(&asset)).await;
        state = if shown.status == 200 { shown.json() } else { Value::Null };
        state["state"] == "complete"
    })
    .await;
    assert_eq!((&state["own"], &state["protection"]), (&json!(false), &json!("cbcs")));
    let first = admitted(&owner, &asset, "sofa", &[]).await;
    let id = key_id(&tracks(&anybody, &first).await.last().unwrap().1);
    let old = key(&anybody, &licence_of(&first), &id).await;
    // Other keys, while who plays goes on.
    let rotate = |session: &Value| format!("/api/drm/v1/packages/{}/rotate", package_of(session));
    owner.post(&rotate(&first), json!({})).await.no_content();
    let second = admitted(&owner, &asset, "tv", &[&first]).await;
    let others = tracks(&anybody, &second).await;
    let other = key_id(&others.last().unwrap().1);
    assert_ne!(other, id);
    assert_ne!(key(&anybody, &licence_of(&second), &other).await, old);
    assert_eq!(key(&anybody, &licence_of(&first), &id).await, old);
    owner.post(&rotate(&first), json!({})).await.problem(409, "not-newest");
    // Keys that have become known: who plays with them stops at once.
    let segment = addresses(&others.last().unwrap().1)[0].clone();
    owner.post(&rotate(&second), json!({ "at_once": true })).await.no_content();
    is_refused(&anybody, &segment).await;
    let refused = anybody.post(&licence_of(&second), request(&[&other])).await;
    refused.problem(403, "licence-refused");
    admitted(&owner, &asset, "tv", &[&first, &second]).await;
    // Not protected any more.
    owner.put(&policy(&asset), json!({ "protection": "none" })).await.no_content();
    eventually("a new player gets the clear package", PATIENCE, async || {
        let wish = json!({ "asset": asset["id"], "device": "tv" });
        let session: Value = owner.post(SESSIONS, wish).await.status(201).json();
        session["protection"].is_null()
    })
    .await;
    // Back to what holds for all; then it is deleted, and what there is of it goes with its keys.
    owner.delete(&policy(&asset)).await.no_content();
    admitted(&owner, &asset, "tv", &[]).await;
    owner.delete(&url_of(&asset)).await.no_content();
    eventually("nobody decides about it any more", PATIENCE, async || {
        owner.get(&policy(&asset)).await.status == 404
    })
    .await;
    eventually("packages and keys are collected", PATIENCE, async || {
        nexus.advance(minutes(16)).await;
        count(&nexus, "select count(*) from drm.package").await == 0
            && count(&nexus, "select count(*) from drm.key").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_replaced_when_they_are_as_old_as_the_policy_allows() {
    let nexus = vault().await;
    let owner = creator(&nexus).await;
    let asset = ready(&owner, 2, "320x180").await;
    let wish = |days: i32| json!({ "protection": "cbcs", "rotate_days": days });
    owner.put(&policy(&asset), wish(0)).await.problem(422, "rotate-range");
    owner.put(&policy(&asset), wish(1)).await.no_content();
    let complete = async |but: &Value| {
        let mut package = Value::Null;
        eventually("a package is complete", PATIENCE, async || {
            let shown: Value = owner.get(&policy(&asset)).await.ok().json();
            package = shown["package_id"].clone();
            shown["state"] == "complete" && package != *but
        })
        .await;
        package
    };
    let first = complete(&Value::Null).await;
    nexus.advance(hours(23)).await;
    let packages = format!("/api/drm/v1/packages?asset={}", asset["id"].as_str().unwrap());
    let all: Value = owner.get(&packages).await.ok().json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all:#}");
    nexus.advance(hours(3)).await;
    let second = complete(&first).await;
    // The first one is there for a day, for those who play it.
    let all: Value = owner.get(&packages).await.ok().json();
    let ids: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(ids, [&second, &first]);
    let sql = format!("select count(*) from drm.package where id = '{}'", first.as_str().unwrap());
    nexus.advance(hours(24)).await;
    eventually("the first package is collected", PATIENCE, async || {
        nexus.advance(minutes(1)).await;
        count(&nexus, &sql).await == 0
    })
    .await;
}
