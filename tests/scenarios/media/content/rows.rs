//! Rows of pages: what a new installation shows, and what editors make of it.

use super::ground::{BROWSE, TITLES, creator, desk, film, id_of, playable, rows, step, subject};
use nexus_harness::prelude::*;

const CMS: &str = "/api/content-cms/v1";

async fn published(by: &Client, asset: &str, name: &str, genre: &str) -> String {
    let draft = json!({ "name": name, "asset": asset, "genres": [genre] });
    let url = by.post(TITLES, draft).await.created().url;
    step(by, &url, "publish", json!({})).await;
    id_of(&url)
}

fn row(id: &str, names: &[&str]) -> (String, Vec<String>) {
    (id.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_what_is_new_until_somebody_arranges_it() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let viewer = nexus.anonymous();
    assert!(rows(&viewer, BROWSE).await.is_empty());
    let one = published(&by, &asset, "One", "drama").await;
    let two = published(&by, &asset, "Two", "comedy").await;
    let three = published(&by, &asset, "Three", "drama").await;
    let unseen = id_of(&film(&by, "Unseen", &asset).await);
    let usual = [
        row("newest", &["Three", "Two", "One"]),
        row("genre:drama", &["Three", "One"]),
        row("genre:comedy", &["Two"]),
    ];
    assert_eq!(rows(&viewer, BROWSE).await, usual);
    let genres: Value = viewer.get(&format!("{BROWSE}/genres")).await.ok().json();
    assert_eq!(genres["items"][0], json!({ "genre": "drama", "titles": 2 }));
    // An editor's row, in the editor's order; what is not published is left out of it.
    let editor = nexus.member_with(["content-cms:curate"]).await;
    let draft = json!({ "name": "Best of", "localisations": { "de": { "name": "Das Beste" } } });
    by.post(&format!("{CMS}/collections"), &draft).await.problem(403, "forbidden");
    let best = editor.post(&format!("{CMS}/collections"), &draft).await.created();
    let fill = format!("{}/entries", best.url);
    let nobody = uuid::Uuid::now_v7();
    let wrong = json!({ "titles": [one, nobody] });
    editor.put(&fill, wrong).await.problem(422, "title-unknown");
    let twice = json!({ "titles": [one, one] });
    editor.put(&fill, twice).await.problem(422, "entries-max");
    editor.put(&fill, json!({ "titles": [two, unseen, one] })).await.no_content();
    let id = id_of(&best.url);
    let with = [row("newest", &["Three", "Two", "One"]), row(&id, &["Two", "One"])];
    assert_eq!(rows(&viewer, BROWSE).await, with);
    let german: Value = viewer.get(&format!("{BROWSE}?language=de")).await.ok().json();
    assert_eq!(german["rows"][1]["name"], "Das Beste");
    editor.put(&fill, json!({ "titles": [one, three, two] })).await.no_content();
    // And a page of their own.
    let page = json!({ "rows": [{ "kind": "genre", "genre": "comedy" },
        { "kind": "collection", "collection": id }, { "kind": "genre", "genre": "none" }] });
    editor.put(&format!("{CMS}/pages/home"), &page).await.no_content();
    let arranged = [row("genre:comedy", &["Two"]), row(&id, &["One", "Three", "Two"])];
    assert_eq!(rows(&viewer, BROWSE).await, arranged);
    viewer.get(&format!("{BROWSE}?page=kids")).await.problem(404, "not-found");
    editor.put(&format!("{CMS}/pages/Kids"), &page).await.problem(422, "page-name");
    editor.delete(&format!("{CMS}/pages/home")).await.no_content();
    editor.delete(&best.url).await.no_content();
    assert_eq!(rows(&viewer, BROWSE).await, usual);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_is_changed_by_its_version() {
    let nexus = desk().await;
    let editor = nexus.member_with(["content-cms:curate"]).await;
    let made =
        editor.post(&format!("{CMS}/collections"), json!({ "name": "Rows" })).await.created();
    let patch = async |version: &str| {
        let asked = editor.request("PATCH".parse().unwrap(), &made.url);
        asked.header("if-match", version).json(json!({ "name": "More" })).send().await
    };
    patch("\"1\"").await.no_content();
    patch("\"1\"").await.problem(412, "precondition-failed");
    let shown = editor.get(&made.url).await.ok();
    assert_eq!(shown.header("etag"), Some("\"2\""));
    assert_eq!(shown.json::<Value>()["name"], "More");
    let blank = json!({ "name": " " });
    editor.post(&format!("{CMS}/collections"), blank).await.problem(422, "collection-form");
}
