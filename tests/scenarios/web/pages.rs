//! What every page says to the browser besides its words.

use super::visitor::{Visitor, sent_to, suite};
use nexus_harness::prelude::*;

/// Pages that anybody may see.
const OPEN: [&str; 8] = [
    "/",
    "/account/sign-in",
    "/account/register",
    "/account/recover",
    "/account/recover/finish?token=x",
    "/account/magic-link",
    "/account/verify?token=x",
    "/account/nothing/here",
];

/// Pages of somebody's own.
const OWN: [&str; 10] = [
    "/account",
    "/account/profile",
    "/account/security",
    "/account/sessions",
    "/account/programs",
    "/account/keys",
    "/account/organisations",
    "/account/organisations/01890a5d-ac96-774b-bcce-b302099a8057",
    "/account/consent?request=01890a5d-ac96-774b-bcce-b302099a8057",
    "/account/device?user_code=ABCD-EFGH",
];

fn claim_hardened(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    for part in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
    assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    let page = answer.text();
    for banned in ["<style", " style=\"", "<script>", " onclick=", "javascript:"] {
        assert!(!page.contains(banned), "{path}: {banned}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_run_nothing_of_others_and_is_kept_and_framed_by_nobody() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    for path in OPEN {
        let answer = visitor.get(path).await;
        claim_hardened(path, &answer);
        assert_eq!(answer.text().matches("<h1").count(), 1, "{path}");
    }
    // What a page links to is there, is kept for ever, and changes its name with its content.
    let page = visitor.get("/").await.ok().text();
    let style = page.split('"').find(|it| it.starts_with("/account/assets/style.")).unwrap();
    let style = visitor.get(style).await.ok();
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert!(style.header("cache-control").unwrap().contains("immutable"), "{style:?}");
    let font = style.text();
    let font = font.split('"').find(|it| it.ends_with(".woff2")).unwrap().to_owned();
    let font = visitor.get(&format!("/account/assets/{font}")).await.ok();
    assert_eq!(font.header("content-type"), Some("font/woff2"));
    visitor.get("/account/assets/style.css").await.status(404);
    visitor.get("/api/core-os/v1/branding/tokens.css").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_a_page_of_somebodys_own_and_comes_back_to_it_after_signing_in() {
    let nexus = suite().await;
    let visitor = Visitor::of(&nexus);
    for path in OWN {
        let to = sent_to(&visitor.get(path).await);
        assert!(to.starts_with("/account/sign-in"), "{path}: {to}");
        if path != "/account" {
            assert!(to.contains("return_to=%2Faccount%2F"), "{path}: {to}");
        }
    }
    // Somebody with an account, who may do nothing else, sees them all.
    visitor.registers(&nexus, "ada@example.org").await;
    for path in OWN {
        let answer = visitor.get(path).await;
        claim_hardened(path, &answer);
        let asks_others = ["/organisations/", "/consent", "/device"];
        let expected = if asks_others.iter().any(|part| path.contains(part)) {
            [404, 410, 422].contains(&answer.status.as_u16())
        } else {
            answer.status == 200
        };
        assert!(expected, "{path}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_finds_the_front_end() {
    let nexus = suite().await;
    nexus.anonymous().get("/api/frontend-app/health").await.ok();
}
