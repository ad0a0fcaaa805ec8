//! Forms: whose they may be, and where they may lead.

use super::visitor::{PASSWORD, Visitor, sent_to, suite};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_site_does_nothing_not_even_before_there_is_a_session() {
    let nexus = suite().await;
    let owner = Visitor::of(&nexus);
    owner.registers(&nexus, "ada@example.org").await;
    let fields = [("email", "ada@example.org"), ("password", PASSWORD)];
    // Signing a visitor in to an account that is not theirs would be an attack, too.
    let victim = Visitor::of(&nexus);
    for site in ["cross-site", "same-site"] {
        let refused = victim.post_from(site, "/account/sign-in", &fields).await.status(403);
        assert!(refused.text().contains("came from somewhere else"), "{refused:?}");
        assert!(!victim.has_session());
        let refused = owner.post_from(site, "/account/sign-out", &[]).await.status(403);
        assert!(owner.has_session(), "{refused:?}");
    }
    // Without Fetch Metadata the origin speaks; without both nobody does.
    let bare = nexus.anonymous();
    let send = async |origin: Option<&str>| {
        let request = bare.request(http::Method::POST, "/account/sign-in");
        let request = request
            .body(super::visitor::encoded(&fields))
            .header("content-type", "application/x-www-form-urlencoded");
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        request.send().await
    };
    send(None).await.status(403);
    send(Some("https://evil.example")).await.status(403);
    send(Some("null")).await.status(403);
    let own = send(Some(&nexus.url())).await.status(303);
    assert!(own.header("set-cookie").unwrap().contains("HttpOnly"), "{own:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_to_own_pages_only() {
    let nexus = suite().await;
    Visitor::of(&nexus).registers(&nexus, "ada@example.org").await;
    for (wish, leads_to) in [
        ("/account/keys", "/account/keys"),
        ("/watch/1?t=30", "/watch/1?t=30"),
        ("https://evil.example/", "/account"),
        ("//evil.example/account", "/account"),
        ("/\\evil.example", "/account"),
        ("/\t/evil.example", "/account"),
        ("javascript:alert(1)", "/account"),
        ("/account/sign-out", "/account"),
    ] {
        let visitor = Visitor::of(&nexus);
        let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("return_to", wish)];
        let entered = visitor.post("/account/sign-in", &fields).await;
        assert_eq!(sent_to(&entered), leads_to, "{wish:?}");
        // Also for those who are in already.
        let query = super::visitor::encoded(&[("return_to", wish)]);
        let again = visitor.get(&format!("/account/sign-in?{query}")).await;
        assert_eq!(sent_to(&again), leads_to, "{wish:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_one_of_ours_whatever_the_address_says() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    let page = visitor.get("/account/sign-in?notice=signed-out").await.ok().text();
    assert!(page.contains("You are signed out."), "{page}");
    for word in ["%3Cscript%3Ealert(1)%3C/script%3E", "Call+us+at+555"] {
        let page = visitor.get(&format!("/account/sign-in?notice={word}")).await.ok().text();
        assert!(!page.contains("alert(1)") && !page.contains("555"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_keeps_the_address_and_says_no_more_than_the_service() {
    let nexus = suite().await;
    Visitor::of(&nexus).registers(&nexus, "ada@example.org").await;
    let visitor = Visitor::of(&nexus);
    let mut told = Vec::new();
    for email in ["ada@example.org", "bob@example.org"] {
        let fields = [("email", email), ("password", "not the right words")];
        let page = visitor.post("/account/sign-in", &fields).await.status(422).text();
        assert!(page.contains(&format!("value=\"{email}\"")), "{page}");
        assert!(!page.contains("not the right words"), "{page}");
        assert!(page.contains("role=\"alert\" tabindex=\"-1\" autofocus"), "{page}");
        told.push(page.replace(email, ""));
    }
    assert_eq!(told[0], told[1], "whether there is an account is not told");
    assert!(!visitor.has_session());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_field_does_not_take_is_said_beside_it() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    let fields = [("email", "ada@example.org"), ("password", "short")];
    let page = visitor.post("/account/register", &fields).await.status(422).text();
    assert!(page.contains("href=\"#password\""), "{page}");
    assert!(page.contains("id=\"password-complaint\""), "{page}");
    assert!(page.contains("aria-invalid=\"true\""), "{page}");
    // Nothing that is no form is read.
    let client = nexus.anonymous();
    let json = client.request(http::Method::POST, "/account/register");
    let json = json.json(json!({ "email": "x" })).header("sec-fetch-site", "same-origin");
    json.send().await.status(400);
}
