//! To whom something is shown: made for an age, in a language, found by words.

use super::ground::{
    BROWSE, TITLES, creator, desk, film, names, playable, rows, shown, step, subject,
};
use nexus_harness::prelude::*;

const FOUND: &str = "/api/content-cms/v1/browse/titles";

async fn made_for(by: &Client, asset: &str, name: &str, maturity: &str) {
    let draft = json!({ "name": name, "asset": asset, "maturity": maturity });
    let url = by.post(TITLES, draft).await.created().url;
    step(by, &url, "publish", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_shown_what_is_made_for_its_age() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    for (name, maturity) in [("For all", "all"), ("For twelve", "12"), ("For grown-ups", "18")] {
        made_for(&by, &asset, name, maturity).await;
    }
    let viewer = nexus.member_with(["nothing:at-all"]).await;
    assert_eq!(names(&viewer, FOUND).await, ["For grown-ups", "For twelve", "For all"]);
    // Nobody in particular is not known to be grown up.
    let anybody = nexus.anonymous();
    assert_eq!(names(&anybody, FOUND).await, ["For twelve", "For all"]);
    let household = "/api/profiles/v1/me/subprofiles";
    let profile = async |draft: Value| {
        let made = viewer.post(household, draft).await.created();
        made.json["id"].as_str().unwrap().to_owned()
    };
    let kid = profile(json!({ "name": "Mia", "kid": true })).await;
    let small = profile(json!({ "name": "Ben", "kid": true, "maturity_max": 0 })).await;
    let seen = async |profile: &str| names(&viewer, &format!("{FOUND}?profile={profile}")).await;
    assert_eq!(seen(&kid).await, ["For twelve", "For all"]);
    assert_eq!(seen(&small).await, ["For all"]);
    let page = rows(&viewer, &format!("{BROWSE}?profile={small}")).await;
    assert_eq!(page, [("newest".to_owned(), vec!["For all".to_owned()])]);
    let direct = format!("{FOUND}/for-grown-ups?profile={kid}");
    viewer.get(&direct).await.problem(404, "not-found");
    // A profile is its owner's.
    let theirs = format!("{FOUND}?profile={kid}");
    let other = nexus.member_with(["nothing:at-all"]).await;
    other.get(&theirs).await.problem(404, "profile-unknown");
    anybody.get(&theirs).await.problem(401, "unauthenticated");
    // What visitors see, the tenant decides.
    let administrator = nexus.member_with(["content-cms:manage"]).await;
    let settings = json!({ "visitor_maturity": "all" });
    administrator.put("/api/content-cms/v1/settings", settings).await.no_content();
    assert_eq!(names(&anybody, FOUND).await, ["For all"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_finds_by_words_and_reads_in_their_own_language() {
    let nexus = desk().await;
    let by = creator(&nexus).await;
    let asset = playable(&nexus, &subject(&by).await).await;
    let sea = json!({ "name": "The Sea", "asset": asset, "genres": ["drama"],
        "credits": [{ "role": "director", "person": "Ada Łuk" }],
        "localisations": { "de": { "name": "Die See", "synopsis": "Wasser." } } });
    let url = by.post(TITLES, sea).await.created().url;
    step(&by, &url, "publish", json!({})).await;
    shown(&by, "100% Salt_water", &asset).await;
    film(&by, "The Sea, unseen", &asset).await;
    let viewer = nexus.anonymous();
    for (question, found) in [
        ("q=sea", vec!["The Sea"]),
        ("q=SEE", vec!["The Sea"]),
        ("q=ada%20sea", vec!["The Sea"]),
        ("q=100%25", vec!["100% Salt_water"]),
        ("q=_", vec!["100% Salt_water"]),
        ("q=nothing", vec![]),
        ("genre=Drama", vec!["The Sea"]),
        ("q=sea&language=de-AT", vec!["Die See"]),
        ("kind=series", vec![]),
    ] {
        assert_eq!(names(&viewer, &format!("{FOUND}?{question}")).await, found, "{question}");
    }
    let whole: Value = viewer.get(&format!("{FOUND}/the-sea?language=de")).await.ok().json();
    assert_eq!((&whole["name"], &whole["synopsis"]), (&json!("Die See"), &json!("Wasser.")));
    assert_eq!(whole["credits"][0]["person"], "Ada Łuk");
    // Page by page, each once.
    let first = viewer.get(&format!("{FOUND}?limit=1")).await.ok();
    let next = first.json::<Value>()["next"].as_str().unwrap().to_owned();
    assert_eq!(names(&viewer, &format!("{FOUND}?limit=1&cursor={next}")).await, ["The Sea"]);
}
