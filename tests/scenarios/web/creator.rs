//! The studio, page by page: from a film that was uploaded to a title that viewers find, and what
//! somebody sees when it fails, is not theirs, or is not allowed.

use super::visitor::{Visitor, hidden, sent_to};
use crate::media::stage::{asset_of, becomes, count, creator, film, upload};
use nexus_harness::prelude::*;

/// What the studio's pages ask, and what a film passes through.
pub const SERVICES: [&str; 10] = [
    "asset-pipeline",
    "content-cms",
    "core-os",
    "creator-dashboard",
    "kms",
    "media-metadata",
    "thumbnailer",
    "transcoder",
    "uploader",
    "users",
];

/// What the role `creator` may do.
const CREATOR: [&str; 3] = ["uploader:create", "uploader:view", "content-cms:create"];

pub async fn studio() -> Nexus {
    Nexus::setup().services(&SERVICES).start().await
}

async fn at_the_studio(nexus: &Nexus) -> (Client, Visitor) {
    let client = nexus.member_with(CREATOR).await;
    let visitor = Visitor::with(client.clone());
    (client, visitor)
}

fn page_of(asset: &Value) -> String {
    format!("/creator/videos/{}", asset["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_becomes_a_title_that_viewers_find() {
    let nexus = studio().await;
    let (client, visitor) = at_the_studio(&nexus).await;
    let welcome = visitor.get("/creator").await.ok().text();
    assert!(welcome.contains("Bring your first film"), "{welcome}");
    let drop = visitor.get("/creator/upload").await.ok();
    let policy = drop.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("connect-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(drop.text().contains("data-endpoint=\"/files\""));
    let upload = upload(&client, "The sea.mp4", film(3, "320x180")).await;
    let asset = becomes(&client, &asset_of(&client, &upload).await, "ready").await;
    let page = visitor.get(&page_of(&asset)).await.ok().text();
    for words in ["The sea", "Ready", "/watch/preview?asset=", "Every size", "Make a title"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let listed = visitor.get("/creator/videos?state=ready").await.ok().text();
    assert!(listed.contains("The sea"), "{listed}");
    // Its picture is at an address that leads to where it is.
    let poster = format!("/creator/posters/{}", asset["id"].as_str().unwrap());
    let led = visitor.get(&poster).await.status(302);
    let picture = visitor.get(led.header("location").unwrap()).await;
    assert!(picture.status == 200 || picture.status == 202, "{picture:?}");
    // A title of it, with words, in one form.
    let made = visitor.post(&format!("{}/title", page_of(&asset)), &[]).await;
    let path = sent_to(&made).split('?').next().unwrap().to_owned();
    let form = visitor.get(&path).await.ok().text();
    let version = hidden(&form, "version");
    let fields = title_fields(&asset, &version);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let saved = visitor.post(&path, &fields).await;
    let saved = visitor.follow(saved).await.ok().text();
    assert!(saved.contains("It is saved."), "{saved}");
    for words in ["A &lt;b&gt;boat&lt;/b&gt;", "director: Agnès Varda", "intro 0:00 0:01"] {
        assert!(saved.contains(words), "{words}: {saved}");
    }
    // The form of before is too late; what was typed is kept.
    let late = visitor.post(&path, &fields).await.status(422).text();
    assert!(late.contains("Somebody has changed this title"), "{late}");
    let published = visitor.post(&format!("{path}/steps/publish"), &[]).await;
    let published = visitor.follow(published).await.ok().text();
    assert!(published.contains("Your audience can watch it now."), "{published}");
    let browse = "/api/content-cms/v1/browse?page=home";
    let home: Value = nexus.member_with(["nothing:at-all"]).await.get(browse).await.ok().json();
    assert!(home.to_string().contains("The sea by night"), "{home:#}");
    // And taken down again.
    let down = visitor.post(&format!("{path}/steps/unpublish"), &[]).await;
    let down = visitor.follow(down).await.ok().text();
    assert!(down.contains("Only you see it."), "{down}");
    let gone = visitor.post(&format!("{path}/delete"), &[]).await;
    assert_eq!(sent_to(&gone), "/creator/titles?notice=title-deleted");
    visitor.get(&path).await.status(404);
}

/// A title's form, filled in.
fn title_fields(asset: &Value, version: &str) -> Vec<(&'static str, String)> {
    let asset = asset["id"].as_str().unwrap();
    let fields = [
        ("version", version),
        ("name", "The sea by night"),
        ("tagline", "A <b>boat</b>"),
        ("synopsis", "Nobody is awake."),
        ("asset", asset),
        ("maturity", "7"),
        ("year", "2026"),
        ("language", "en"),
        ("slug", "the-sea-by-night"),
        ("genres", "drama"),
        ("genres", "documentary"),
        ("more_genres", "sailing"),
        ("tags", "sea, night"),
        ("credits", "director: Agnès Varda"),
        ("cues", "intro 0:00 0:01"),
        ("right_places", "everywhere"),
        ("right_from", "2020-01-01T00:00"),
        ("right_until", ""),
        ("words_language", "de"),
        ("words_name", "Die See bei Nacht"),
        ("words_synopsis", ""),
    ];
    fields.map(|(name, value)| (name, value.to_owned())).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_failed_says_why_in_words_and_can_be_tried_again() {
    let nexus = studio().await;
    let (client, visitor) = at_the_studio(&nexus).await;
    // The head of a film, and nothing of it.
    let mut broken = film(2, "320x180");
    broken.truncate(600);
    let upload = upload(&client, "broken.mp4", broken).await;
    let asset = becomes(&client, &asset_of(&client, &upload).await, "failed").await;
    let path = page_of(&asset);
    let page = visitor.get(&path).await.ok().text();
    assert!(page.contains("Try again") && page.contains("What was said"), "{page}");
    assert!(!page.contains("/watch/preview"), "{page}");
    let again = visitor.post(&format!("{path}/retry"), &[]).await;
    assert_eq!(sent_to(&again), format!("{path}?notice=again"));
    becomes(&client, &asset, "failed").await;
    // A name that is none comes back with the form.
    let refused = visitor.post(&format!("{path}/rename"), &[("title", "  ")]).await;
    assert!(refused.status(422).text().contains("1 to 200 characters"));
    let gone = visitor.post(&format!("{path}/delete"), &[]).await;
    assert_eq!(sent_to(&gone), "/creator/videos?notice=film-deleted");
    visitor.get(&path).await.status(404);
    let listed = visitor.get("/creator/videos").await.ok().text();
    assert!(!listed.contains("broken"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_changes_the_work_of_somebody_else() {
    let nexus = studio().await;
    let owner = creator(&nexus).await;
    let upload = upload(&owner, "secret.mp4", film(2, "320x180")).await;
    let asset = asset_of(&owner, &upload).await;
    let (_, stranger) = at_the_studio(&nexus).await;
    let path = page_of(&asset);
    stranger.get(&path).await.status(404);
    for order in ["rename", "retry", "process", "stop", "delete", "title", "poster"] {
        let fields = [("title", "mine"), ("poster", "0")];
        let answer = stranger.post(&format!("{path}/{order}"), &fields).await;
        assert_eq!(answer.status, 404, "{order}: {answer:?}");
    }
    let listed = stranger.get("/creator/videos").await.ok().text();
    assert!(!listed.contains("secret"), "{listed}");
    // A form of another site does nothing, although a browser would bring the session along.
    let own = Visitor::with(owner);
    let forged = own.post_from("cross-site", &format!("{path}/delete"), &[]).await;
    assert_eq!(forged.status, 403, "{forged:?}");
    own.get(&path).await.ok();
    let kept = "select count(*) from asset_pipeline.asset where state <> 'deleted'";
    assert_eq!(count(&nexus, kept).await, 1);
    becomes(own.client(), &asset, "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_creator_is_told_and_whoever_is_nobody_signs_in_first() {
    let nexus = studio().await;
    let nobody = Visitor::of(&nexus);
    for path in ["/creator", "/creator/upload", "/creator/videos", "/creator/titles/new"] {
        let answer = nobody.get(path).await;
        assert!(sent_to(&answer).starts_with("/account/sign-in?return_to=%2Fcreator"), "{path}");
    }
    let member = Visitor::with(nexus.member_with(["nothing:at-all"]).await);
    let page = member.get("/creator").await.ok().text();
    assert!(page.contains("An administrator can give you the role"), "{page}");
    assert!(!page.contains("href=\"/creator/rows\""), "{page}");
    let upload = member.get("/creator/upload").await.ok().text();
    assert!(!upload.contains("data-drop"), "{upload}");
    member.get("/creator/rows").await.status(403);
    member.get("/creator/nothing").await.status(404);
    let file = "/creator/assets/tus.js";
    member.get(file).await.status(404);
}
