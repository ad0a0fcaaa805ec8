//! Series with their episodes, and the rows that viewers see: made and put in order by forms.

use super::creator::studio;
use super::visitor::{Visitor, sent_to};
use nexus_harness::prelude::*;

fn without_notice(answer: &Answer) -> String {
    sent_to(answer).split('?').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_gets_its_episodes_season_by_season() {
    let nexus = studio().await;
    let visitor = Visitor::with(nexus.member_with(["content-cms:create"]).await);
    let nameless = [("name", " "), ("kind", "series"), ("asset", "")];
    let refused = visitor.post("/creator/titles", &nameless).await.status(422).text();
    assert!(refused.contains("href=\"#name\""), "{refused}");
    let fields = [("name", "Tides"), ("kind", "series"), ("asset", "")];
    let made = visitor.post("/creator/titles", &fields).await;
    let path = without_notice(&made);
    for (name, season) in [("Ebb", "1"), ("Flood", "1"), ("Storm", "2")] {
        let fields = [("episode_name", name), ("episode_asset", ""), ("episode_season", season)];
        let added = visitor.post(&format!("{path}/episodes"), &fields).await;
        assert_eq!(without_notice(&added), path);
    }
    let page = visitor.get(&path).await.ok().text();
    for words in ["Season 1", "S1 E1, Ebb", "S1 E2, Flood", "Season 2", "S2 E1, Storm"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let listed = visitor.get("/creator/titles?q=Tides").await.ok().text();
    assert!(listed.contains("Tides") && listed.contains("Series"), "{listed}");
    // A step that leads nowhere from here is told beside the title.
    let refused = visitor.post(&format!("{path}/steps/unpublish"), &[]).await.status(422).text();
    assert!(refused.contains("role=\"alert\""), "{refused}");
    visitor.post(&format!("{path}/steps/fly"), &[]).await.status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_curator_puts_rows_and_their_titles_in_order() {
    let nexus = studio().await;
    let may = ["content-cms:create", "content-cms:curate", "content-cms:view"];
    let visitor = Visitor::with(nexus.member_with(may).await);
    let mut titles = Vec::new();
    for name in ["Ebb", "Flood"] {
        let fields = [("name", name), ("kind", "film"), ("asset", "")];
        let made = visitor.post("/creator/titles", &fields).await;
        titles.push(without_notice(&made).rsplit('/').next().unwrap().to_owned());
    }
    let row = without_notice(&visitor.post("/creator/rows", &[("name", "Tides")]).await);
    for title in &titles {
        let fields = [("do", "add title"), ("title", title)];
        visitor.post(&format!("{row}/entries"), &fields).await.status(303);
    }
    let order = async || {
        let page = visitor.get(&row).await.ok().text();
        let at = |name: &str| page.find(&format!("Move up: {name}")).unwrap();
        at("Ebb") < at("Flood")
    };
    assert!(order().await);
    visitor.post(&format!("{row}/entries"), &[("do", "down 0")]).await.status(303);
    assert!(!order().await);
    // On the first page, above the newest.
    let id = row.rsplit('/').next().unwrap();
    for change in ["add newest", &format!("add {id}"), "up 1"] {
        visitor.post("/creator/rows/order", &[("do", change)]).await.status(303);
    }
    let page = visitor.get("/creator/rows").await.ok().text();
    let at = |name: &str| page.find(&format!("Move up: {name}")).unwrap();
    assert!(at("Tides") < at("Newest"), "{page}");
    visitor.post(&format!("{row}/delete"), &[]).await.status(303);
    visitor.get(&row).await.status(404);
}
