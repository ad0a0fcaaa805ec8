//! What time does with titles: dates, windows of rights, assets that come to be playable.

use super::ground::{
    becomes, creator, desk, film, names, playable, processed, shown, step, subject, title, uploaded,
};
use crate::media::stage::{PATIENCE, told};
use nexus_harness::prelude::*;

const FOUND: &str = "/api/content-cms/v1/browse/titles";

/// The host's clock, so many seconds from now.
fn in_seconds(seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = i64::try_from(now.as_secs()).unwrap() + seconds;
    let (days, rest) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The day so many days after 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_played_yet_is_published_by_itself_once_it_can() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let owner = subject(&by).await;
    let asset = uploaded(&nexus, &owner).await;
    let url = film(&by, "Soon", &asset).await;
    by.post(&format!("{url}/publish"), json!({})).await.problem(409, "not-playable");
    let waits = step(&by, &url, "publish", json!({ "when_ready": true })).await;
    assert_eq!((&waits["state"], &waits["publish_at"]), (&json!("scheduled"), &Value::Null));
    assert!(names(&nexus.anonymous(), FOUND).await.is_empty());
    processed(&nexus, &owner, &asset).await;
    let now = becomes(&by, &url, "published").await;
    assert_eq!((&now["live"], &now["duration_ms"]), (&json!(true), &json!(9000)));
    assert_eq!(names(&nexus.anonymous(), FOUND).await, ["Soon"]);
    let told = told(&nexus, "media.content.published.v1").await;
    assert_eq!((told.len(), &told[0]["asset"]), (1, &json!(asset)));
    let history: Value = by.get(&format!("{url}/history")).await.ok().json();
    assert_eq!(history["items"][0]["by"], "content-cms", "{history:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_publishes_and_another_one_takes_back() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let url = film(&by, "Premiere", &asset).await;
    let past = json!({ "publish_at": "2020-01-01T00:00:00Z" });
    by.post(&format!("{url}/schedule"), past).await.problem(422, "publish-at-past");
    let (begin, end) = (in_seconds(7_200), in_seconds(14_400));
    let dates = json!({ "publish_at": begin, "unpublish_at": end });
    assert_eq!(step(&by, &url, "schedule", dates).await["state"], "scheduled");
    nexus.advance(hours(1)).await;
    assert_eq!(title(&by, &url).await["state"], "scheduled");
    nexus.advance(hours(1) + minutes(2)).await;
    let now = becomes(&by, &url, "published").await;
    assert_eq!(now["publish_at"], Value::Null);
    nexus.advance(hours(2) + minutes(2)).await;
    becomes(&by, &url, "unpublished").await;
    assert!(names(&nexus.anonymous(), FOUND).await.is_empty());
    assert_eq!(told(&nexus, "media.content.unpublished.v1").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_title_is_shown_within_its_rights_and_its_asset_stops_when_the_last_window_closes() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let url = film(&by, "Licensed", &asset).await;
    let rights = json!({ "rights": [
        { "territories": ["DE", "AT"], "until": in_seconds(7_200) },
        { "territories": ["*"], "from": in_seconds(3_600), "until": in_seconds(5_400) },
    ] });
    let patch = by.request("PATCH".parse().unwrap(), &url).header("if-match", "\"1\"");
    patch.json(rights).send().await.ok();
    step(&by, &url, "publish", json!({})).await;
    let administrator = nexus.member_with(["content-cms:manage"]).await;
    let settings = json!({ "territory_header": "x-country" });
    let path = "/api/content-cms/v1/settings";
    administrator.put(path, settings).await.no_content();
    let from = |country: &str| nexus.anonymous().header("x-country", country);
    assert_eq!(names(&from("DE"), FOUND).await, ["Licensed"]);
    assert!(names(&from("US"), FOUND).await.is_empty());
    assert!(names(&nexus.anonymous(), FOUND).await.is_empty());
    nexus.anonymous().get(&format!("{FOUND}/licensed")).await.problem(404, "not-found");
    nexus.advance(minutes(65)).await;
    assert_eq!(names(&from("US"), FOUND).await, ["Licensed"]);
    nexus.advance(minutes(60)).await;
    assert!(names(&from("DE"), FOUND).await.is_empty());
    eventually("the asset is played no more", PATIENCE, async || {
        told(&nexus, "media.content.unpublished.v1").await.len() == 1
    })
    .await;
    // It is still published: other rights show it again at once.
    let now = title(&by, &url).await;
    assert_eq!((&now["state"], &now["live"]), (&json!("published"), &json!(false)));
    let version = format!("\"{}\"", now["version"]);
    let patch = by.request("PATCH".parse().unwrap(), &url).header("if-match", &version);
    patch.json(json!({ "rights": [] })).send().await.ok();
    assert_eq!(names(&from("US"), FOUND).await, ["Licensed"]);
    assert_eq!(told(&nexus, "media.content.published.v1").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_asset_takes_the_place_of_what_was_played() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let owner = subject(&by).await;
    let (first, second) = (playable(&nexus, &owner).await, playable(&nexus, &owner).await);
    let waiting = uploaded(&nexus, &owner).await;
    let url = shown(&by, "Director's cut", &first).await;
    let put = async |asset: &str| {
        let version = format!("\"{}\"", title(&by, &url).await["version"]);
        let patch = by.request("PATCH".parse().unwrap(), &url).header("if-match", &version);
        patch.json(json!({ "asset": asset })).send().await
    };
    put(&waiting).await.problem(409, "not-playable");
    put(&second).await.ok();
    let of = |all: Vec<Value>| -> Vec<String> {
        all.iter().map(|it| it["asset"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of(told(&nexus, "media.content.published.v1").await), [first.clone(), second]);
    assert_eq!(of(told(&nexus, "media.content.unpublished.v1").await), [first]);
}
