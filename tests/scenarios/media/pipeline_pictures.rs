//! The pictures of a film: posters, a storyboard, and addresses of other sizes.

use super::stage::{asset_of, becomes, creator, film, studio, upload};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_film_has_posters_and_a_storyboard_and_its_poster_in_any_size_that_was_signed() {
    let nexus = studio().await;
    let by = creator(&nexus).await;
    let upload = upload(&by, "pictures.mp4", film(9, "320x180")).await;
    let ready = becomes(&by, &asset_of(&by, &upload).await, "ready").await;
    let id = ready["id"].as_str().unwrap();
    let url = format!("/api/thumbnailer/v1/items/{id}");
    let item: Value = by.get(&url).await.ok().json();
    let posters = item["posters"].as_array().unwrap();
    assert!((1..=4).contains(&posters.len()), "{item:#}");
    let scores: Vec<f64> = posters.iter().map(|it| it["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|one, other| one >= other), "{scores:?}");
    let package = ready["package_id"].as_str().unwrap();
    let path = format!("/media/{package}/images/poster-");
    assert!(item["poster_path"].as_str().unwrap().starts_with(&path), "{item:#}");
    let storyboard = by.get(&format!("{url}/storyboard")).await.ok();
    assert_eq!(storyboard.headers["content-type"], "text/vtt; charset=utf-8");
    let text = storyboard.text();
    assert!(text.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n/media/"), "{text}");
    assert_eq!(text.matches("#xywh=").count(), 5, "{text}");
    // Another poster can stand for it, but none that is not there.
    by.put(&format!("{url}/poster"), json!({ "poster": 7 })).await.problem(422, "poster-unknown");
    let last = posters.len() - 1;
    by.put(&format!("{url}/poster"), json!({ "poster": last })).await.no_content();
    let size = json!({ "width": 96, "height": 96, "fit": "cover" });
    let link: Value = by.post(&format!("{url}/links"), size).await.ok().json();
    let link = link["url"].as_str().unwrap();
    let (_, link) = link.split_once("/api/").unwrap();
    let link = format!("/api/{link}");
    let anybody = nexus.anonymous();
    let mut picture = Vec::new();
    eventually("the picture is made", minutes(1), async || {
        let answer = anybody.get(&link).await;
        picture = answer.body.to_vec();
        answer.status == 200
    })
    .await;
    assert!(picture.starts_with(&[0xFF, 0xD8, 0xFF]), "no JPEG");
    let larger = link.replace("w=96", "w=2000");
    anybody.get(&larger).await.problem(403, "signature-wrong");
    let stranger = creator(&nexus).await;
    stranger.get(&url).await.problem(404, "not-found");
}
