//! What creators do with their titles, and who may not.

use super::ground::{
    TITLES, becomes, creator, desk, film, id_of, playable, shown, step, subject, tell, title,
    uploaded,
};
use crate::media::stage::{PATIENCE, count, told};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_title_is_kept_as_it_was_told_and_changed_by_its_version() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let draft = json!({ "name": " The Sea ", "year": 2020, "maturity": "12",
        "genres": ["Drama", "drama"], "credits": [{ "role": "director", "person": "A. B." }],
        "localisations": { "de": { "name": "Die See" } } });
    let made = by.post(TITLES, &draft).await.created();
    let first = title(&by, &made.url).await;
    assert_eq!((&first["name"], &first["slug"]), (&json!("The Sea"), &json!("the-sea")));
    assert_eq!((&first["state"], &first["live"]), (&json!("draft"), &json!(false)));
    assert_eq!(first["genres"], json!(["drama"]));
    // Another title of this name has another address.
    let second = by.post(TITLES, &draft).await.created();
    assert_eq!(second.json["slug"], "the-sea-2");
    let same = json!({ "name": "Third", "slug": "the-sea" });
    by.post(TITLES, &same).await.problem(409, "slug-taken");
    // A change names the version that it means, and touches nothing else.
    let change = json!({ "tagline": "wet", "year": null });
    by.patch(&made.url, &change).await.problem(428, "precondition-required");
    let patch = async |version: &str, change: &Value| {
        let asked = by.request("PATCH".parse().unwrap(), &made.url);
        asked.header("if-match", version).json(change).send().await
    };
    let changed: Value = patch("\"1\"", &change).await.ok().json();
    assert_eq!((&changed["tagline"], &changed["year"]), (&json!("wet"), &Value::Null));
    assert_eq!((&changed["maturity"], &changed["version"]), (&json!("12"), &json!(2)));
    patch("\"1\"", &change).await.problem(412, "precondition-failed");
    patch("\"2\"", &json!({ "slug": "the-sea-2" })).await.problem(409, "slug-taken");
    patch("\"2\"", &json!({ "state": "published" })).await.problem(422, "invalid-body");
    patch("\"2\"", &json!({ "name": "" })).await.problem(422, "name-length");
    let history: Value = by.get(&format!("{}/history", made.url)).await.ok().json();
    assert_eq!(history["items"].as_array().unwrap().len(), 2, "{history:#}");
    assert_eq!(history["items"][0]["fields"], json!(["tagline", "year"]));
    assert_eq!(history["items"][1]["action"], "create");
    assert_eq!(told(&nexus, "media.content.created.v1").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_change_one_version_one_is_heard() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let url = by.post(TITLES, json!({ "name": "Contested" })).await.created().url;
    let patch = |year: i32| {
        let (by, url) = (by.clone(), url.clone());
        async move {
            let asked = by.request("PATCH".parse().unwrap(), &url).header("if-match", "\"1\"");
            asked.json(json!({ "year": year })).send().await.status.as_u16()
        }
    };
    let all: Vec<_> = (2001..2009).map(|year| tokio::spawn(patch(year))).collect();
    let mut heard = 0;
    for one in all {
        match one.await.unwrap() {
            200 => heard += 1,
            409 | 412 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!((heard, &title(&by, &url).await["version"]), (1, &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_of_others_are_not_there() {
    let nexus = desk().await;
    let (by, other) = (creator(&nexus).await, creator(&nexus).await);
    let (owner, stranger) = (subject(&by).await, subject(&other).await);
    let asset = playable(&nexus, &owner).await;
    let url = film(&by, "Mine", &asset).await;
    other.get(&url).await.problem(404, "not-found");
    other.delete(&url).await.problem(404, "not-found");
    other.post(&format!("{url}/publish"), json!({})).await.problem(404, "not-found");
    other.get(&format!("{url}/history")).await.problem(404, "not-found");
    // Nor is what they would show.
    let theirs = json!({ "name": "Stolen", "asset": asset });
    other.post(TITLES, &theirs).await.problem(422, "asset-unknown");
    let reader = nexus.member_with(["content-cms:view"]).await;
    reader.get(&url).await.ok();
    reader.post(&format!("{url}/publish"), json!({})).await.problem(403, "forbidden");
    reader.post(TITLES, json!({ "name": "x" })).await.problem(403, "forbidden");
    // Administrators change everybody's.
    let administrator = nexus.member_with(["content-cms:manage"]).await;
    step(&administrator, &url, "publish", json!({})).await;
    assert_ne!(owner, stranger);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_review_is_asked_for_somebody_else_says_yes() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let url = film(&by, "Judged", &asset).await;
    let administrator = nexus.member_with(["content-cms:manage"]).await;
    let settings = "/api/content-cms/v1/settings";
    administrator.put(settings, json!({ "review_required": true })).await.no_content();
    assert_eq!(by.get(settings).await.ok().json::<Value>()["review_required"], true);
    by.post(&format!("{url}/publish"), json!({})).await.problem(409, "review-required");
    step(&by, &url, "submit", json!({ "note": "please" })).await;
    by.post(&format!("{url}/approve"), json!({})).await.problem(403, "forbidden");
    let reviewer = nexus.member_with(["content-cms:review"]).await;
    let back = format!("{url}/send-back");
    reviewer.post(&back, json!({})).await.problem(422, "note-missing");
    let sent = step(&reviewer, &url, "send-back", json!({ "note": "too dark" })).await;
    assert_eq!(sent["state"], "draft");
    step(&by, &url, "submit", json!({})).await;
    let approved = step(&reviewer, &url, "approve", json!({})).await;
    assert_eq!((&approved["state"], &approved["live"]), (&json!("published"), &json!(true)));
    // What was approved stays what it was.
    let version = format!("\"{}\"", approved["version"]);
    let change = by.request("PATCH".parse().unwrap(), &url).header("if-match", &version);
    change.json(json!({ "name": "Other" })).send().await.problem(409, "review-required");
    let history: Value = by.get(&format!("{url}/history")).await.ok().json();
    let actions: Vec<&str> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["create", "submit", "send_back", "submit", "approve"]);
    assert_eq!(history["items"][2]["note"], "too dark");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_not_deleted_and_what_is_archived_comes_back_as_a_draft() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let url = shown(&by, "Kept", &asset).await;
    by.delete(&url).await.problem(409, "still-in-use");
    by.post(&format!("{url}/publish"), json!({})).await.problem(409, "wrong-state");
    step(&by, &url, "archive", json!({})).await;
    assert_eq!(told(&nexus, "media.content.unpublished.v1").await.len(), 1);
    assert_eq!(step(&by, &url, "restore", json!({})).await["state"], "draft");
    by.delete(&url).await.no_content();
    by.get(&url).await.problem(404, "not-found");
    assert_eq!(count(&nexus, "select count(*) from content_cms.history").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_is_played_while_one_title_shows_it_and_each_word_is_later_than_the_last() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let all: Vec<_> = (0..4)
        .map(|n| {
            let (by, asset) = (by.clone(), asset.clone());
            tokio::spawn(async move { shown(&by, &format!("Cut {n}"), &asset).await })
        })
        .collect();
    let mut urls = Vec::new();
    for one in all {
        urls.push(one.await.unwrap());
    }
    // All of them at once: only the last one that goes takes the asset along.
    let gone: Vec<_> = urls
        .into_iter()
        .map(|url| {
            let by = by.clone();
            tokio::spawn(async move { step(&by, &url, "unpublish", json!({})).await })
        })
        .collect();
    for one in gone {
        assert_eq!(one.await.unwrap()["live"], false);
    }
    let unpublished = told(&nexus, "media.content.unpublished.v1").await;
    assert_eq!(unpublished.len(), 1, "{unpublished:#?}");
    let published = told(&nexus, "media.content.published.v1").await;
    let last = published.iter().map(|it| it["at"].as_str().unwrap()).max();
    assert!(unpublished[0]["at"].as_str() > last, "{unpublished:?} {published:?}");
    assert_eq!(told(&nexus, "media.title.unlisted.v1").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belonged_to_somebody_who_is_erased_is_gone_and_their_name_with_it() {
    let nexus = desk().await;
    let (by, reviewer) = (creator(&nexus).await, creator(&nexus).await);
    let owner = subject(&by).await;
    let asset = playable(&nexus, &owner).await;
    shown(&by, "Seen", &asset).await;
    film(&by, "Unseen", &uploaded(&nexus, &owner).await).await;
    let kept = reviewer.post(TITLES, json!({ "kind": "series", "name": "Kept" })).await.created();
    let payload = json!({ "id": owner });
    tell(&nexus, "identity.user.erased.v1", "users", &owner, &payload).await;
    let left = "select count(*) from content_cms.title";
    eventually("theirs are gone", PATIENCE, async || count(&nexus, left).await == 1).await;
    eventually("nothing names them", PATIENCE, async || {
        let named =
            format!("select count(*) from content_cms.history where by_subject = '{owner}'");
        count(&nexus, &named).await == 0
    })
    .await;
    assert_eq!(told(&nexus, "media.content.unpublished.v1").await.len(), 1);
    reviewer.get(&kept.url).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_is_deleted_takes_its_titles_back() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let owner = subject(&by).await;
    let asset = playable(&nexus, &owner).await;
    let (seen, draft) = (shown(&by, "Seen", &asset).await, film(&by, "Draft", &asset).await);
    super::ground::deleted(&nexus, &owner, &asset).await;
    let now = becomes(&by, &seen, "unpublished").await;
    assert_eq!((&now["asset"], &now["live"]), (&Value::Null, &json!(false)));
    eventually("the draft has lost it, too", PATIENCE, async || {
        title(&by, &draft).await["asset"].is_null()
    })
    .await;
    by.post(&format!("{draft}/publish"), json!({})).await.problem(409, "no-asset");
    let told = told(&nexus, "media.content.unpublished.v1").await;
    assert_eq!((told.len(), &told[0]["title"]), (1, &json!(id_of(&seen))));
}
