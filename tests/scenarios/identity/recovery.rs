//! A forgotten password, and signing in by mail alone.

use super::login_people::{Browser, PASSWORD, account, suite, token_of};
use nexus_harness::prelude::*;

const NEW: &str = "words that came to mind after the old ones";

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_sets_a_new_password_and_ends_what_the_old_one_began() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let phone = Browser::at(&nexus, "198.51.100.7");
    let phone = phone.enters(&phone.login("ada@example.org", PASSWORD).await.ok());
    let browser = Browser::at(&nexus, "198.51.100.7");
    browser.post("/recover", json!({ "email": "ada@example.org" })).await.status(202);
    let mail = nexus.mail("ada@example.org").await;
    let token = token_of(mail.link());
    let weak = json!({ "token": token, "password": "password1" });
    browser.post("/recover/finish", weak).await.problem(422, "password-common");
    let new = json!({ "token": token, "password": NEW });
    let answer = browser.post("/recover/finish", new.clone()).await.ok();
    let fresh = browser.enters(&answer);
    let over = async || !ada.is_in().await && !phone.is_in().await;
    eventually("the sessions of before are over", seconds(10), over).await;
    assert!(fresh.is_in().await);
    browser.post("/recover/finish", new).await.problem(410, "link-invalid");
    browser.login("ada@example.org", PASSWORD).await.problem(401, "wrong-credentials");
    browser.login("ada@example.org", NEW).await.ok();
    let mail = nexus.mail("ada@example.org").await;
    assert!(mail.subject.to_lowercase().contains("password"), "{}", mail.subject);
    assert!(fresh.is_in().await, "the event of the change does not end what came after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_needs_a_recent_proof_or_the_old_one_and_keeps_this_session_alone() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let phone = Browser::at(&nexus, "198.51.100.7");
    let phone = phone.enters(&phone.login("ada@example.org", PASSWORD).await.ok());
    nexus.advance(minutes(15)).await;
    let change = json!({ "password": NEW });
    ada.post("/password", change).await.problem(403, "step-up-required");
    let wrong = json!({ "password": NEW, "current_password": "not it at all" });
    ada.post("/password", wrong).await.problem(401, "wrong-credentials");
    let right = json!({ "password": NEW, "current_password": PASSWORD });
    ada.post("/password", right).await.no_content();
    eventually("the other is over", seconds(10), async || !phone.is_in().await).await;
    assert!(ada.is_in().await);
    nexus.mail("ada@example.org").await;
    ada.login("ada@example.org", NEW).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_mail_signs_in_once_and_for_a_quarter_of_an_hour() {
    let nexus = suite().await;
    account(&nexus, "ada@example.org").await;
    let browser = Browser::at(&nexus, "198.51.100.7");
    let ask = json!({ "email": "ada@example.org", "remember": true });
    browser.post("/magic-link", ask.clone()).await.status(202);
    let token = token_of(nexus.mail("ada@example.org").await.link());
    // A link for one purpose opens no other door.
    let misused = json!({ "token": token, "password": NEW });
    browser.post("/recover/finish", misused).await.problem(410, "link-invalid");
    let answer = browser.post("/magic-link/finish", json!({ "token": token })).await.ok();
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age="));
    assert!(browser.enters(&answer).is_in().await);
    let again = browser.post("/magic-link/finish", json!({ "token": token })).await;
    again.problem(410, "link-invalid");
    browser.post("/magic-link", ask).await.status(202);
    let token = token_of(nexus.mail("ada@example.org").await.link());
    nexus.advance(minutes(16)).await;
    let late = browser.post("/magic-link/finish", json!({ "token": token })).await;
    late.problem(410, "link-invalid");
    // Two at once: one is let in.
    let ask = json!({ "email": "ada@example.org" });
    browser.post("/magic-link", ask).await.status(202);
    let token = token_of(nexus.mail("ada@example.org").await.link());
    let race = async || {
        let answer = browser.post("/magic-link/finish", json!({ "token": token })).await;
        answer.status.as_u16()
    };
    let (one, two) = tokio::join!(race(), race());
    let mut both = [one, two];
    both.sort_unstable();
    assert_eq!(both, [200, 410]);
}
