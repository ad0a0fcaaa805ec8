//! Somebody is known by a name of their own, shows of themselves what they like to whom they like,
//! and is forgotten when they go.

use super::sessions_ground::{number, suite, tell};
use nexus_harness::prelude::*;
use nexus_runtime::{DEFAULT_TENANT, PrincipalKind};
use uuid::Uuid;

const PROFILES: &str = "/api/profiles/v1";

/// Somebody with an account who has just proven who they are, and the account's id.
fn person(nexus: &Nexus) -> (Client, String) {
    let subject = Uuid::now_v7().to_string();
    let claims = nexus::dev_tokens::Claims {
        subject: subject.clone(),
        kind: PrincipalKind::User,
        permissions: Vec::new(),
        tenant: DEFAULT_TENANT,
        // Some stories last for months.
        lifetime: days(365),
    };
    (nexus.anonymous().bearer(&nexus.token(&claims)), subject)
}

fn me(rest: &str) -> String {
    format!("{PROFILES}/me{rest}")
}

fn named(handle: &str) -> String {
    format!("{PROFILES}/profiles/@{handle}")
}

async fn take(client: &Client, handle: &str) {
    client.put(&me("/handle"), json!({ "handle": handle })).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_is_one_persons_whatever_its_case_and_whatever_it_looks_like() {
    let nexus = suite(&["profiles"]).await;
    let ((ada, _), (eve, _)) = (person(&nexus), person(&nexus));
    take(&ada, "Ada_Love").await;
    let shown: Value = nexus.anonymous().get(&named("ADA_LOVE")).await.ok().json();
    assert_eq!(shown["handle"], "Ada_Love");
    for taken in ["ada_love", "ADA_LOVE", "ada_l0ve", "adalove"] {
        let wish = json!({ "handle": taken });
        eve.put(&me("/handle"), wish).await.problem(409, "handle-taken");
        let free: Value = eve.get(&format!("{PROFILES}/handles/{taken}")).await.ok().json();
        assert_eq!(free["available"], false, "{taken}");
    }
    let wrong = [("ab", "handle-form"), ("адa", "handle-form"), ("Adm1n", "handle-reserved")];
    for (wrong, problem) in wrong {
        eve.put(&me("/handle"), json!({ "handle": wrong })).await.problem(422, problem);
    }
    take(&ada, "ADA_love").await;
    let shown: Value = nexus.anonymous().get(&named("ada_love")).await.ok().json();
    assert_eq!(shown["handle"], "ADA_love", "another spelling is no other name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_handle_leads_to_the_new_one_for_ninety_days_and_is_free_then() {
    let nexus = suite(&["profiles"]).await;
    let ((ada, _), (eve, _)) = (person(&nexus), person(&nexus));
    take(&ada, "first_name").await;
    let wish = json!({ "handle": "second_name" });
    ada.put(&me("/handle"), &wish).await.problem(409, "handle-too-soon");
    nexus.advance(days(31)).await;
    take(&ada, "second_name").await;
    let led = nexus.anonymous().get(&named("First_Name")).await.status(308);
    assert_eq!(led.header("location"), Some(named("second_name").as_str()));
    let wish = json!({ "handle": "first_name" });
    eve.put(&me("/handle"), &wish).await.problem(409, "handle-taken");
    nexus.advance(days(91)).await;
    nexus.anonymous().get(&named("first_name")).await.problem(404, "not-found");
    take(&eve, "first_name").await;
    nexus.anonymous().get(&named("first_name")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_is_shown_to_the_people_it_is_for() {
    let nexus = suite(&["profiles"]).await;
    let ((ada, ada_id), (bob, bob_id)) = (person(&nexus), person(&nexus));
    take(&ada, "ada_love").await;
    let change = json!({
        "display_name": "Ada", "bio": "Numbers.", "locale": "en-GB", "time_zone": "Europe/London",
        "links": [{ "label": "Site", "url": "https://example.com/ada" }],
        "visibility": { "bio": "organisation", "locale": "followers" },
    });
    let own: Value = ada.patch(&me(""), change).await.ok().json();
    assert_eq!((&own["locale"], &own["followers_known"]), (&json!("en-GB"), &json!(false)));
    let seen =
        async |client: &Client| -> Value { client.get(&named("ada_love")).await.ok().json() };
    let stranger = seen(&nexus.anonymous()).await;
    assert_eq!(stranger["display_name"], "Ada");
    assert_eq!(stranger["links"][0]["url"], "https://example.com/ada");
    for hidden in ["bio", "locale", "time_zone"] {
        assert_eq!(stranger.get(hidden), None, "{hidden} for anybody");
    }
    let organisation = Uuid::now_v7().to_string();
    for user in [&ada_id, &bob_id] {
        let added = json!({ "organisation": organisation, "user": user });
        tell(&nexus, "profiles", "identity.org.member_added.v1", added).await;
    }
    let colleague = seen(&bob).await;
    assert_eq!(colleague["bio"], "Numbers.");
    assert_eq!(colleague.get("locale"), None, "nobody follows anybody yet");
    let left = json!({ "organisation": organisation, "user": bob_id });
    tell(&nexus, "profiles", "identity.org.member_removed.v1", left).await;
    assert_eq!(seen(&bob).await.get("bio"), None);
    let own = seen(&ada).await;
    assert_eq!((&own["bio"], &own["time_zone"]), (&json!("Numbers."), &json!("Europe/London")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_names_its_version_and_what_it_may_not_be_is_pointed_at() {
    let nexus = suite(&["profiles"]).await;
    let (ada, _) = person(&nexus);
    let first = ada.patch(&me(""), json!({ "display_name": "Ada" })).await.ok();
    let etag = first.header("etag").unwrap().to_owned();
    ada.patch(&me(""), json!({ "bio": "Numbers." })).await.ok();
    let late = ada.request(http::Method::PATCH, &me("")).header("if-match", &etag);
    late.json(json!({ "bio": "Late." })).send().await.problem(412, "precondition-failed");
    ada.patch(&me(""), json!({ "display_name": null })).await.ok();
    let own: Value = ada.get(&me("")).await.ok().json();
    assert_eq!((&own["display_name"], &own["bio"]), (&Value::Null, &json!("Numbers.")));
    for (change, problem) in [
        (json!({ "links": [{ "url": "http://example.com" }] }), "link-form"),
        (json!({ "links": [{ "url": "javascript:alert(1)" }] }), "link-form"),
        (json!({ "time_zone": "Europe/Atlantis" }), "time-zone-form"),
        (json!({ "verified": true }), "invalid-body"),
        (json!({ "visibility": { "bio": "martians" } }), "invalid-body"),
    ] {
        ada.patch(&me(""), change).await.problem(422, problem);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preferences_follow_their_schema_and_their_version() {
    let nexus = suite(&["profiles"]).await;
    let (ada, _) = person(&nexus);
    let path = me("/preferences");
    let empty = ada.get(&path).await.ok();
    assert_eq!(empty.json::<Value>(), json!({}));
    ada.put(&path, json!({ "theme": "dark" })).await.problem(428, "precondition-required");
    let dark = json!({ "theme": "dark", "playback": { "captions": true } });
    ada.patch(&path, dark).await.ok();
    let changed = ada.patch(&path, json!({ "playback": { "autoplay": false } })).await.ok();
    assert_eq!(
        changed.json::<Value>(),
        json!({ "theme": "dark", "playback": { "captions": true, "autoplay": false } })
    );
    let etag = changed.header("etag").unwrap().to_owned();
    let put = |etag: &str| {
        let put = ada.request(http::Method::PUT, &path).header("if-match", etag);
        put.json(json!({ "theme": "light" }))
    };
    put(&etag).send().await.ok();
    put(&etag).send().await.problem(412, "precondition-failed");
    ada.patch(&path, json!({ "theme": "pink" })).await.problem(422, "invalid-body");
    let large = json!({ "apps": { "player": "x".repeat(17_000) } });
    ada.patch(&path, large).await.problem(422, "preferences-size");
    let schema: Value = ada.get(&format!("{PROFILES}/preferences/schema")).await.ok().json();
    assert!(schema["properties"]["theme"].is_object(), "{schema}");
}

/// The smallest picture there is.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_what_its_bytes_say_and_its_address_never_shows_another() {
    let nexus = suite(&["profiles"]).await;
    let (ada, _) = person(&nexus);
    let put = async |bytes: &[u8], kind: &str| {
        let put = ada.request(http::Method::PUT, &me("/avatar")).header("content-type", kind);
        put.body(bytes.to_vec()).send().await
    };
    let first: Value = put(PNG, "text/html").await.ok().json();
    let first = first["avatar"].as_str().unwrap().to_owned();
    let shown = nexus.anonymous().get(&first).await.ok();
    assert_eq!(shown.header("content-type"), Some("image/png"), "whatever the client called it");
    assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    assert!(shown.header("cache-control").unwrap().contains("immutable"));
    assert!(shown.header("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(&shown.body[..], PNG);
    put(b"<svg onload='alert(1)'/>", "image/png").await.problem(415, "picture-form");
    let large = [PNG, &vec![0; 5 * 1024 * 1024][..]].concat();
    put(&large, "image/png").await.problem(413, "picture-size");
    let second: Value = put(&[PNG, &b"more"[..]].concat(), "image/png").await.ok().json();
    assert_ne!(second["avatar"], json!(first));
    nexus.anonymous().get(&first).await.problem(404, "not-found");
    ada.delete(&me("/avatar")).await.no_content();
    nexus.anonymous().get(second["avatar"].as_str().unwrap()).await.problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_has_five_people_and_a_pin_that_cannot_be_guessed() {
    let nexus = suite(&["profiles"]).await;
    let ((ada, _), (eve, _)) = (person(&nexus), person(&nexus));
    let path = me("/subprofiles");
    let mia = json!({ "name": "Mia", "kid": true, "picture": "fox" });
    let made = ada.post(&path, mia).await.created();
    assert_eq!(made.json["maturity_max"], 12);
    ada.post(&path, json!({ "name": "MIA" })).await.problem(409, "subprofile-name-taken");
    for name in ["Ada", "Bo", "Cy", "Di"] {
        ada.post(&path, json!({ "name": name })).await.created();
    }
    ada.post(&path, json!({ "name": "Six" })).await.problem(409, "subprofiles-max");
    let page: Value = ada.get(&format!("{path}?limit=3")).await.ok().json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    assert!(page["next"].is_string(), "the list goes on");
    let grown = json!({ "maturity_max": 18 });
    ada.patch(&made.url, grown).await.problem(422, "maturity");
    eve.get(&made.url).await.problem(404, "not-found");
    eve.delete(&made.url).await.problem(404, "not-found");
    let (pin, unlock) = (format!("{}/pin", made.url), format!("{}/unlock", made.url));
    ada.put(&pin, json!({ "pin": "12" })).await.problem(422, "pin-form");
    ada.put(&pin, json!({ "pin": "2468" })).await.no_content();
    ada.post(&unlock, json!({ "pin": "2468" })).await.no_content();
    for _ in 0..5 {
        ada.post(&unlock, json!({ "pin": "0000" })).await.problem(403, "pin-wrong");
    }
    let waiting = ada.post(&unlock, json!({ "pin": "2468" })).await;
    assert!(waiting.header("retry-after").is_some(), "{waiting:?}");
    waiting.problem(429, "pin-wait");
    nexus.advance(minutes(1)).await;
    ada.post(&unlock, json!({ "pin": "2468" })).await.no_content();
    let kept = "select count(*) from profiles.subprofile where pin_hash like '$argon2id$%'";
    assert_eq!(number(&nexus, kept).await, 1, "a PIN is kept as a slow hash");
    nexus.advance(minutes(30)).await;
    ada.delete(&pin).await.problem(403, "step-up-required");
    ada.delete(&made.url).await.problem(403, "step-up-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_badge_is_given_by_whoever_may_and_shown_to_everybody() {
    let nexus = suite(&["profiles"]).await;
    let (ada, id) = person(&nexus);
    take(&ada, "ada_love").await;
    let badge = format!("{PROFILES}/profiles/{id}/verification");
    ada.put(&badge, json!({})).await.problem(403, "forbidden");
    nexus.anonymous().put(&badge, json!({})).await.problem(401, "unauthenticated");
    let moderator = nexus.member_with(["profiles:moderate", "profiles:view"]).await;
    moderator.put(&badge, json!({})).await.no_content();
    let shown: Value = nexus.anonymous().get(&named("ada_love")).await.ok().json();
    assert_eq!(shown["verified"], true);
    let list = format!("{PROFILES}/profiles?verified=true&q=ADA");
    let found: Value = moderator.get(&list).await.ok().json();
    assert_eq!(found["items"][0]["handle"], "ada_love");
    let stranger = nexus.stranger_with(Uuid::now_v7(), ["profiles:*"]).await;
    let elsewhere: Value = stranger.get(&format!("{PROFILES}/profiles")).await.ok().json();
    assert_eq!(elsewhere["items"], json!([]), "another tenant sees none of them");
    stranger.put(&badge, json!({})).await.problem(404, "not-found");
    stranger.get(&named("ada_love")).await.problem(404, "not-found");
    moderator.delete(&badge).await.no_content();
    ada.patch(&me(""), json!({ "bio": "Something rude." })).await.ok();
    moderator.delete(&format!("{PROFILES}/profiles/{id}/content")).await.no_content();
    let own: Value = ada.get(&me("")).await.ok().json();
    assert_eq!((&own["bio"], &own["verified"]), (&Value::Null, &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_comes_with_the_account_hides_with_it_and_is_forgotten_with_it() {
    let nexus = suite(&["profiles"]).await;
    let (ada, id) = person(&nexus);
    let created = json!({ "id": id, "display_name": "Ada", "locale": "en" });
    tell(&nexus, "profiles", "identity.user.created.v1", created).await;
    let own: Value = ada.get(&me("")).await.ok().json();
    assert_eq!((&own["display_name"], &own["locale"]), (&json!("Ada"), &json!("en")));
    take(&ada, "ada_love").await;
    ada.post(&me("/subprofiles"), json!({ "name": "Mia" })).await.created();
    let anyone = nexus.anonymous();
    let suspended = json!({ "id": id, "reason": null });
    tell(&nexus, "profiles", "identity.user.suspended.v1", suspended).await;
    anyone.get(&named("ada_love")).await.problem(404, "not-found");
    tell(&nexus, "profiles", "identity.user.reinstated.v1", json!({ "id": id })).await;
    anyone.get(&named("ada_love")).await.ok();
    tell(&nexus, "profiles", "identity.user.erased.v1", json!({ "id": id })).await;
    anyone.get(&named("ada_love")).await.problem(404, "not-found");
    let left = "select count(*) from profiles.profile where display_name is not null
        or handle is not null";
    assert_eq!(number(&nexus, left).await, 0, "nothing is left of the person");
    assert_eq!(number(&nexus, "select count(*) from profiles.subprofile").await, 0);
    let created = json!({ "id": id, "display_name": "Ada", "locale": null });
    tell(&nexus, "profiles", "identity.user.created.v1", created).await;
    assert_eq!(number(&nexus, left).await, 0, "a late fact does not bring anybody back");
    let (eve, _) = person(&nexus);
    let wish = json!({ "handle": "ada_love" });
    eve.put(&me("/handle"), &wish).await.problem(409, "handle-taken");
    nexus.advance(days(91)).await;
    take(&eve, "ada_love").await;
}
