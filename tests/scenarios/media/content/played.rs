//! A title from an upload to a viewer's screen, and back.

use super::ground::{BROWSE, TITLES, becomes, step, title};
use crate::media::stage::{PATIENCE, asset_of, film, upload};
use nexus_harness::prelude::*;

const SESSIONS: &str = "/api/streaming/v1/sessions";

const SERVICES: [&str; 10] = [
    "asset-pipeline",
    "content-cms",
    "kms",
    "manifest-builder",
    "media-metadata",
    "streaming",
    "thumbnailer",
    "transcoder",
    "uploader",
    "users",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_plays_what_is_published_and_no_longer_than_that() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    let may = ["uploader:create", "uploader:view", "content-cms:create"];
    let by = nexus.member_with(may).await;
    let upload = upload(&by, "the-sea.mp4", film(4, "320x180")).await;
    let asset = asset_of(&by, &upload).await;
    let draft = json!({ "name": "The Sea", "asset": asset["id"] });
    let mut made = None;
    eventually("content-cms has heard of the asset", PATIENCE, async || {
        let answer = by.post(TITLES, &draft).await;
        let there = answer.status == 201;
        made = there.then(|| answer.created());
        there
    })
    .await;
    let url = made.unwrap().url;
    step(&by, &url, "publish", json!({ "when_ready": true })).await;
    becomes(&by, &url, "published").await;
    // A viewer finds it, with a picture that needs no token, and plays it.
    let viewer = nexus.member_with(["nothing:at-all"]).await;
    let mut card = Value::Null;
    eventually("it has its pictures", PATIENCE, async || {
        let page: Value = viewer.get(BROWSE).await.ok().json();
        card = page["rows"][0]["titles"][0].clone();
        !card["artwork"]["poster"].is_null()
    })
    .await;
    assert_eq!((&card["name"], &card["asset"]), (&json!("The Sea"), &asset["id"]));
    let poster = card["artwork"]["poster"].as_str().unwrap();
    eventually("the poster is there", PATIENCE, async || {
        let picture = nexus.anonymous().get(poster).await;
        picture.status == 200 && picture.header("content-type") == Some("image/jpeg")
    })
    .await;
    let wish = json!({ "asset": asset["id"] });
    let mut session = Value::Null;
    eventually("it can be played", PATIENCE, async || {
        let answer = viewer.post(SESSIONS, &wish).await;
        let plays = answer.status == 201;
        if plays {
            session = answer.json();
        }
        plays
    })
    .await;
    nexus.anonymous().get(session["hls"].as_str().unwrap()).await.ok();
    // Taken back, it stops.
    step(&by, &url, "unpublish", json!({})).await;
    let beat = json!({ "position_ms": 100, "state": "playing" });
    let heartbeat = format!("{SESSIONS}/{}/heartbeat", session["id"].as_str().unwrap());
    eventually("the playback is over", PATIENCE, async || {
        viewer.post(&heartbeat, &beat).await.status == 409
    })
    .await;
    viewer.post(SESSIONS, &wish).await.problem(404, "not-found");
    // Its asset goes, and the title has nothing to play any more.
    step(&by, &url, "publish", json!({})).await;
    by.delete(&crate::media::stage::url_of(&asset)).await.no_content();
    let now = becomes(&by, &url, "unpublished").await;
    assert!(now["asset"].is_null(), "{now:#}");
    assert_eq!(title(&by, &url).await["playable"], false);
}
