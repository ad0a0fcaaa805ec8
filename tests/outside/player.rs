//! The player in Chromium, over hls.js and shaka-player as they were published: from signing in to
//! the last second of a title, and the pages on the way. The person at it is `clients/player.mjs`.
//!
//! `NEXUS_PICTURES` names a folder for pictures.

use crate::cinema::{
    PATIENCE, TITLES, creator, film, installation, person, published, ready, watch,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_harness::prelude::*;

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
