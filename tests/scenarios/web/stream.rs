//! Watching, page by page and without a script: what there is, who may see it, and where one must
//! say who one is.

use super::visitor::{Visitor, sent_to};
use crate::media::stage::{PATIENCE, count};
use nexus_harness::prelude::*;
use nexus_runtime::DEFAULT_TENANT;
use uuid::Uuid;

const TITLES: &str = "/api/content-cms/v1/titles";

const SERVICES: [&str; 14] = [
    "auth",
    "content-cms",
    "core-os",
    "email",
    "frontend-app",
    "kms",
    "nexus-stream",
    "player-api",
    "profiles",
    "session-mgr",
    "streaming",
    "token-mgr",
    "user-auth",
    "users",
];

/// What the pipeline tells of an asset of `owner` that can be played.
async fn playable(nexus: &Nexus, owner: &str) -> String {
    let asset = Uuid::now_v7().to_string();
    let session = nexus.host().database().unwrap().host().await.unwrap();
    let payload = json!({ "asset": asset, "owner": owner, "package": Uuid::now_v7(),
        "duration_ms": 90_000, "tracks": ["v720", "a0"] });
    let fact = format!(
        "do $$ begin perform platform.event_publish('media.asset.playable.v1', platform.new_id(),
           'asset-pipeline', '{asset}', '{DEFAULT_TENANT}', '{payload}'::jsonb, null, null,
           0::smallint, null); end $$"
    );
    session.batch(&fact).await.unwrap();
    for schema in ["content_cms", "streaming"] {
        let known = format!("select count(*) from {schema}.asset where id = '{asset}'");
        eventually("the asset is known", PATIENCE, async || count(nexus, &known).await == 1).await;
    }
    asset
}

/// A title that viewers see; gives its id.
async fn published(by: &Client, draft: Value) -> String {
    let made = by.post(TITLES, draft).await.created();
    by.post(&format!("{}/publish", made.url), json!({})).await.ok();
    made.json["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_looks_around_signs_in_to_watch_and_keeps_a_child_from_what_is_not_for_it() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    let creator = nexus.member_with(["content-cms:create"]).await;
    let visitor = Visitor::of(&nexus);
    let nothing = visitor.get("/tv").await.ok().text();
    assert!(nothing.contains("Nothing is on yet"), "{nothing}");
    let series = json!({ "kind": "series", "name": "The <Shore>", "maturity": "all" });
    let series = published(&creator, series).await;
    let shown: Value = creator.get(&format!("{TITLES}/{series}")).await.ok().json();
    let asset = playable(&nexus, shown["owner"].as_str().unwrap()).await;
    let sea = json!({ "name": "The Sea", "asset": asset, "maturity": "16", "genres": ["drama"] });
    let sea = published(&creator, sea).await;
    // Whoever is nobody looks around, and is asked who they are before anything plays.
    let home = visitor.get("/tv").await.ok().text();
    assert!(home.contains("The Sea") && home.contains("The &lt;Shore&gt;"), "{home}");
    assert!(!home.contains("The <Shore>"), "{home}");
    let about = visitor.get(&format!("/tv/title/{sea}")).await.ok().text();
    assert!(about.contains(&format!("/watch/{sea}")) && about.contains("1 min"), "{about}");
    let found = visitor.get("/tv/search?q=sea").await.ok().text();
    assert!(found.contains("The Sea") && !found.contains("Shore"), "{found}");
    let none = visitor.get("/tv/search?q=%3Cscript%3E").await.ok().text();
    assert!(none.contains("Nothing was found") && !none.contains("<script>"), "{none}");
    visitor.get("/tv/title/nothing").await.status(404);
    visitor.get("/tv/title/..%2Ftitles").await.status(404);
    let to = sent_to(&visitor.get(&format!("/watch/{sea}")).await);
    assert_eq!(to, format!("/account/sign-in?return_to=%2Fwatch%2F{sea}"));
    visitor.registers(&nexus, "ada@example.org").await;
    let player = visitor.get(&format!("/watch/{sea}")).await.ok();
    let policy = player.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("media-src 'self' blob:") && !policy.contains("unsafe"), "{policy}");
    let player = player.text();
    assert!(player.contains(&format!("nexus-player asset=\"{asset}\"")), "{player}");
    assert!(player.contains("Playing needs JavaScript"), "{player}");
    // A series without an episode has nothing to play.
    visitor.get(&format!("/watch/{series}")).await.status(404);
    let child = [("name", "Mia"), ("kid", "yes"), ("maturity_max", "18"), ("return_to", "/tv")];
    assert_eq!(sent_to(&visitor.post("/tv/profiles/new", &child).await), "/tv");
    let home = visitor.get("/tv").await.ok().text();
    assert!(home.contains("Mia") && home.contains("Shore"), "{home}");
    assert!(!home.contains("The Sea"), "{home}");
    visitor.get(&format!("/watch/{sea}")).await.status(404);
    let again = visitor.post("/tv/profiles/new", &child).await.status(422).text();
    assert!(again.contains("Somebody in this household has this name."), "{again}");
    // On another device nobody has said yet who is watching.
    let other = Visitor::of(&nexus);
    let fields = [("email", "ada@example.org"), ("password", super::visitor::PASSWORD)];
    other.post("/account/sign-in", &fields).await.status(303);
    assert_eq!(sent_to(&other.get("/tv").await), "/tv/profiles?return_to=%2Ftv");
    let asked = other.get("/tv/profiles?return_to=//evil.example").await.ok().text();
    assert!(asked.contains("Mia") && !asked.contains("evil"), "{asked}");
    let id = super::visitor::hidden(&asked, "id");
    let chosen = [("id", id.as_str()), ("return_to", "/tv/search")];
    assert_eq!(sent_to(&other.post("/tv/profiles", &chosen).await), "/tv/search");
    // A form of another site chooses nobody.
    let foreign = other.post_from("cross-site", "/tv/profiles", &chosen).await;
    assert_eq!(foreign.status, 403, "{foreign:?}");
}
