//! The sizes that a tenant's films get.

use super::stage::{asset_of, becomes, creator, film, studio, told, upload};
use nexus_harness::prelude::*;

const PROFILES: &str = "/api/transcoder/v1/profiles";

fn two_sizes(is_default: bool) -> Value {
    let rung = |side, maxrate_bps| json!({ "side": side, "maxrate_bps": maxrate_bps });
    let ladder = json!({
        "crf": 30, "preset": "ultrafast", "rungs": [rung(120, 200_000), rung(180, 400_000)],
    });
    json!({ "name": "tiny", "ladder": ladder, "is_default": is_default })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_profile_decides_which_sizes_are_made() {
    let nexus = studio().await;
    let by = nexus.member_with(["transcoder:manage", "transcoder:view"]).await;
    let built_in: Value = by.get("/api/transcoder/v1/built-in-profiles").await.ok().json();
    assert_eq!(built_in["items"][0]["name"], "standard");
    let mut wrong = two_sizes(false);
    wrong["ladder"]["rungs"][0]["side"] = json!(181);
    by.post(PROFILES, wrong).await.problem(422, "rung-side");
    let mut taken = two_sizes(false);
    taken["name"] = json!("standard");
    by.post(PROFILES, taken).await.problem(409, "profile-name-taken");
    let made: Value = by.post(PROFILES, two_sizes(true)).await.status(201).json();
    by.post(PROFILES, two_sizes(true)).await.problem(409, "profile-name-taken");
    let creator = creator(&nexus).await;
    let upload = upload(&creator, "tiny.mp4", film(2, "320x180")).await;
    becomes(&creator, &asset_of(&creator, &upload).await, "ready").await;
    let ready = told(&nexus, "media.asset.ready.v1").await;
    assert_eq!(ready[0]["tracks"], json!(["a0", "v120", "v180"]));
    let jobs: Value = by.get("/api/transcoder/v1/jobs").await.ok().json();
    assert_eq!(jobs["items"][0]["profile"], "tiny");
    creator.get("/api/transcoder/v1/jobs").await.problem(403, "forbidden");
    let url = format!("{PROFILES}/{}", made["id"].as_str().unwrap());
    by.delete(&url).await.no_content();
    by.get(&url).await.problem(404, "not-found");
}
