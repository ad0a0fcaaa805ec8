//! What players are told, and what they tell of how it went.

use super::stage::{PATIENCE, asset_of, becomes, creator, film, told, upload};
use nexus_harness::prelude::*;

const API: &str = "/api/player-api/v1";
const SESSIONS: &str = "/api/streaming/v1/sessions";

const SERVICES: [&str; 10] = [
    "asset-pipeline",
    "kms",
    "manifest-builder",
    "media-metadata",
    "player-api",
    "streaming",
    "thumbnailer",
    "transcoder",
    "uploader",
    "users",
];

async fn play(by: &Client, asset: &str) -> Value {
    let mut session = Value::Null;
    eventually("the film can be played", PATIENCE, async || {
        let answer = by.post(SESSIONS, json!({ "asset": asset })).await;
        if answer.status == 201 {
            session = answer.json();
        }
        answer.status == 201
    })
    .await;
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_player_tells_counts_once_and_for_its_own_playback_alone() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    let owner = creator(&nexus).await;
    let upload = upload(&owner, "film.mp4", film(2, "320x180")).await;
    let asset = becomes(&owner, &asset_of(&owner, &upload).await, "ready").await;
    let asset = asset["id"].as_str().unwrap().to_owned();
    let session = play(&owner, &asset).await;
    let batch = json!({
        "id": uuid::Uuid::now_v7(), "playback": session["id"], "device": "web-desktop",
        "events": [
            { "kind": "start" },
            { "kind": "first_frame", "ms": 700 },
            { "kind": "stall", "ms": 250, "position_ms": 900 },
            { "kind": "sample", "played_ms": 1500, "kbps": 400, "frames": 37, "dropped": 1,
              "cmcd": { "br": 400, "bl": 8000, "bs": false, "mtp": 9000, "sf": "h", "st": "v" } },
        ],
    });
    let beacons = format!("{API}/beacons");
    owner.post(&beacons, &batch).await.no_content();
    owner.post(&beacons, &batch).await.no_content();
    // Somebody else tells of a playback that is not theirs, and nobody tells nothing.
    let stranger = nexus.member_with(["nothing:at-all"]).await;
    let mut foreign = batch.clone();
    foreign["id"] = json!(uuid::Uuid::now_v7());
    stranger.post(&beacons, &foreign).await.no_content();
    nexus.anonymous().post(&beacons, &batch).await.problem(401, "unauthenticated");
    let mut empty = batch.clone();
    empty["events"] = json!([]);
    owner.post(&beacons, &empty).await.problem(422, "beacon-events");
    nexus.advance(minutes(1)).await;
    let sums = format!("{API}/assets/{asset}/qoe");
    let mut hours = Value::Null;
    eventually("the sums are there", PATIENCE, async || {
        hours = owner.get(&sums).await.ok().json();
        !hours["items"].as_array().unwrap().is_empty()
    })
    .await;
    nexus.advance(minutes(1)).await;
    let hour = &hours["items"][0];
    for (name, sum) in [
        ("plays", 1),
        ("first_frames", 1),
        ("startup_ms", 700),
        ("within_500_ms", 0),
        ("within_1000_ms", 1),
        ("stalls", 1),
        ("kilobits", 600),
        ("frames_dropped", 1),
        ("throughput_kbps", 9000),
    ] {
        assert_eq!(hour[name], sum, "{name} of {hours:#}");
    }
    let beacons = told(&nexus, "insight.qoe.beacon.v1").await;
    assert_eq!(beacons.iter().map(|it| it["plays"].as_i64().unwrap()).sum::<i64>(), 1);
    // How it plays is its owner's to know.
    let others: Value = stranger.get(&sums).await.ok().json();
    assert_eq!(others["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_is_told_what_its_device_is_asked_to_play() {
    let nexus = Nexus::setup().services(&["kms", "player-api", "users"]).start().await;
    let anybody = nexus.anonymous();
    let asset = uuid::Uuid::now_v7();
    let url = format!("{API}/config?asset={asset}&device=tv");
    let before: Value = anybody.get(&url).await.ok().json();
    assert_eq!((&before["engine"], &before["device"]["name"]), (&json!("hls"), &json!("tv")));
    assert_eq!(before["quality"]["height_max"], 2160);
    anybody.get(&format!("{API}/config")).await.problem(400, "nothing-asked");
    let limits = json!({ "engine": "dash", "height_max": 1080, "buffer_seconds": 20 });
    let device = format!("{API}/devices/tv");
    let member = nexus.member_with(["nothing:at-all"]).await;
    member.put(&device, &limits).await.problem(403, "forbidden");
    let administrator = nexus.member_with(["player-api:manage"]).await;
    administrator.put(&device, &limits).await.no_content();
    let after: Value = anybody.get(&url).await.ok().json();
    assert_eq!((&after["engine"], &after["quality"]["height_max"]), (&json!("dash"), &json!(1080)));
    administrator.delete(&device).await.no_content();
    let again: Value = anybody.get(&url).await.ok().json();
    assert_eq!(again["engine"], "hls");
    // What it is loaded from is kept for ever, and names the engines.
    let player = again["sdk"]["player"].as_str().unwrap();
    let module = anybody.get(player).await.ok();
    assert!(module.header("cache-control").unwrap().contains("immutable"), "{module:?}");
    assert!(module.text().contains(again["sdk"]["hls"].as_str().unwrap()));
    let plain = anybody.get(&format!("{API}/sdk/nexus-player.js")).await.ok();
    assert!(!plain.header("cache-control").unwrap().contains("immutable"), "{plain:?}");
    anybody.get(&format!("{API}/sdk/nexus-player.0000000000000000.js")).await.status(404);
}
