//! Series: seasons, episodes, and what hangs together.

use super::ground::{
    BROWSE, TITLES, creator, desk, id_of, names, playable, rows, step, subject, title,
};
use crate::media::stage::{PATIENCE, told};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn episodes_have_their_places_and_are_seen_with_their_series() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let owner = subject(&by).await;
    let show = by.post(TITLES, json!({ "kind": "series", "name": "Tides" })).await.created().url;
    let episodes = format!("{show}/episodes");
    let mut made = Vec::new();
    for (season, name) in [(1, "Ebb"), (1, "Flood"), (2, "Return")] {
        let asset = playable(&nexus, &owner).await;
        let draft = json!({ "name": name, "season": season, "asset": asset });
        made.push(by.post(&episodes, draft).await.created().json);
    }
    assert_eq!((&made[1]["season"], &made[1]["number"]), (&json!(1), &json!(2)));
    assert_eq!((&made[2]["season"], &made[2]["number"]), (&json!(2), &json!(1)));
    let same = json!({ "name": "Again", "season": 2, "number": 1 });
    by.post(&episodes, same).await.problem(409, "episode-taken");
    let lost = json!({ "kind": "episode", "name": "Lost" });
    by.post(TITLES, lost).await.problem(422, "episode-place");
    by.put(&format!("{show}/seasons/2"), json!({ "name": "The second" })).await.no_content();
    let seasons: Value = by.get(&format!("{show}/seasons")).await.ok().json();
    assert_eq!(seasons["items"][0]["episodes"], 2, "{seasons:#}");
    assert_eq!(seasons["items"][1]["name"], "The second");
    by.delete(&format!("{show}/seasons/1")).await.problem(409, "still-in-use");
    by.delete(&show).await.problem(409, "still-in-use");
    // Episodes that are published wait for their series.
    let url = |at: usize| format!("{TITLES}/{}", made[at]["id"].as_str().unwrap());
    for at in 0..3 {
        let published = step(&by, &url(at), "publish", json!({})).await;
        assert_eq!((&published["state"], &published["live"]), (&json!("published"), &json!(false)));
    }
    let viewer = nexus.anonymous();
    let whole = format!("{BROWSE}/titles/tides");
    viewer.get(&whole).await.problem(404, "not-found");
    step(&by, &show, "publish", json!({})).await;
    eventually("its episodes are seen", PATIENCE, async || {
        told(&nexus, "media.content.published.v1").await.len() == 3
    })
    .await;
    let seen: Value = viewer.get(&whole).await.ok().json();
    let seasons = seen["seasons"].as_array().unwrap();
    assert_eq!((seasons.len(), &seasons[1]["name"]), (2, &json!("The second")), "{seen:#}");
    assert_eq!(seasons[0]["episodes"][1]["name"], "Flood");
    // Only the series stands in rows; an episode names it, and what comes after.
    assert_eq!(rows(&viewer, BROWSE).await, [("newest".to_owned(), vec!["Tides".to_owned()])]);
    let flood: Value = viewer.get(&format!("{BROWSE}/titles/{}", id_of(&url(1)))).await.ok().json();
    assert_eq!(flood["series_card"]["name"], "Tides");
    assert_eq!(flood["next"]["name"], "Return");
    let only = format!("{BROWSE}/titles?kind=episode&q=FLOOD");
    assert_eq!(names(&viewer, &only).await, ["Flood"]);
    // Whoever knows what was played finds what shows it.
    let asset = made[1]["asset"].as_str().unwrap();
    let shows = format!("{BROWSE}/titles?assets={asset},{}", uuid::Uuid::now_v7());
    assert_eq!(names(&viewer, &shows).await, ["Flood"]);
    viewer.get(&format!("{BROWSE}/titles?assets=x")).await.problem(400, "invalid-query");
    // The series goes, and takes them along; each stays what it was.
    step(&by, &show, "unpublish", json!({})).await;
    eventually("its episodes are not played any more", PATIENCE, async || {
        told(&nexus, "media.content.unpublished.v1").await.len() == 3
    })
    .await;
    let now = title(&by, &url(0)).await;
    assert_eq!((&now["state"], &now["live"]), (&json!("published"), &json!(false)));
    assert!(names(&viewer, &only).await.is_empty());
}
