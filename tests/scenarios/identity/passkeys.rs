//! Passkeys against an authenticator in software with real keys.

use super::login_people::{API, Browser, PASSWORD, account, suite};
use nexus_harness::prelude::*;

#[allow(dead_code)]
#[path = "../../../components/identity/user-auth/src/webauthn/software.rs"]
mod software;

use software::{Authenticator, PRESENT, VERIFIED};

/// A device of somebody at this installation.
fn device(nexus: &Nexus, seed: u8) -> Authenticator {
    let origin = nexus.host().public_url().to_owned();
    let host = origin.split_once("://").unwrap().1.split(':').next().unwrap().to_owned();
    Authenticator::new([seed; 32], &origin, &host)
}

async fn register(browser: &Browser, device: &mut Authenticator, name: &str) -> Answer {
    let asked: Value = browser.post("/passkeys/register/begin", json!({})).await.ok().json();
    let credential = device.create(&asked["public_key"]);
    let finish = json!({
        "ceremony": asked["ceremony"], "credential": credential, "name": name,
    });
    browser.post("/passkeys/register/finish", finish).await
}

/// Signs in with the passkey alone.
async fn sign_in(browser: &Browser, device: &mut Authenticator) -> Answer {
    let asked: Value = browser.post("/passkeys/login/begin", json!({})).await.ok().json();
    assert_eq!(asked["public_key"]["allowCredentials"], json!([]));
    let finish = json!({
        "ceremony": asked["ceremony"], "credential": device.get(&asked["public_key"]),
    });
    browser.post("/passkeys/login/finish", finish).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_in_without_a_name_or_a_password() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let mut key = device(&nexus, 7);
    let made = register(&ada, &mut key, "Blue key").await.status(201);
    let made: Value = made.json();
    assert_eq!(made["recovery_codes"].as_array().unwrap().len(), 10, "{made}");
    nexus.mail("ada@example.org").await;
    let browser = Browser::at(&nexus, "198.51.100.7");
    let entered = sign_in(&browser, &mut key).await.ok();
    let ada = browser.enters(&entered);
    let session: Value = ada.get("/api/session-mgr/v1/sessions/current").await.ok().json();
    assert_eq!(session["acr"], "urn:nexus:acr:passkey", "{session}");
    // The same device is not registered twice, and says so to the browser beforehand.
    let asked: Value = ada.post("/passkeys/register/begin", json!({})).await.ok().json();
    assert_eq!(asked["public_key"]["excludeCredentials"].as_array().unwrap().len(), 1);
    register(&ada, &mut key, "Again").await.problem(409, "passkey-known");
    let list: Value = ada.get(&format!("{API}/passkeys")).await.ok().json();
    assert_eq!(list["items"][0]["name"], "Blue key");
    assert!(!list["items"][0]["used_at"].is_null());
    let path = format!("/passkeys/{}", list["items"][0]["id"].as_str().unwrap());
    let rename = ada.client.request(http::Method::PATCH, &format!("{API}{path}"));
    let cookie = ada.cookie.clone().unwrap();
    let rename = rename.header("cookie", &cookie).header("x-csrf-token", &ada.csrf);
    rename.json(json!({ "name": "Green key" })).send().await.no_content();
    ada.delete(&path).await.no_content();
    sign_in(&browser, &mut key).await.problem(401, "wrong-credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_password_a_passkey_is_the_second_factor() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let mut key = device(&nexus, 7);
    register(&ada, &mut key, "Blue key").await.status(201);
    let question: Value = ada.login("ada@example.org", PASSWORD).await.ok().json();
    assert_eq!(question["methods"], json!(["passkey", "recovery-code"]), "{question}");
    let path = format!("/flows/{}/passkey", question["flow"].as_str().unwrap());
    let secret = &question["flow_secret"];
    let asked: Value = ada.post(&path, json!({ "flow_secret": secret })).await.ok().json();
    assert_eq!(asked["public_key"]["allowCredentials"].as_array().unwrap().len(), 1);
    // Beside a password, presence is enough.
    key.flags = PRESENT;
    let finish = json!({
        "flow_secret": secret, "ceremony": asked["ceremony"],
        "credential": key.get(&asked["public_key"]),
    });
    let mut stolen = finish.clone();
    stolen["flow_secret"] = json!("nxf_guess");
    ada.post(&path, stolen).await.problem(410, "flow-over");
    let entered = ada.post(&path, finish.clone()).await.ok();
    let ada = ada.enters(&entered);
    ada.post(&path, finish).await.problem(410, "flow-over");
    let session: Value = ada.get("/api/session-mgr/v1/sessions/current").await.ok().json();
    assert_eq!(session["acr"], "urn:nexus:acr:2fa", "{session}");
    // Alone it must verify its user.
    let browser = Browser::at(&nexus, "198.51.100.7");
    sign_in(&browser, &mut key).await.problem(401, "wrong-credentials");
    key.flags = PRESENT | VERIFIED;
    sign_in(&browser, &mut key).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_once_for_its_own_question_from_our_own_pages() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let mut key = device(&nexus, 7);
    register(&ada, &mut key, "Blue key").await.status(201);
    let browser = Browser::at(&nexus, "198.51.100.7");
    let begin =
        async || browser.post("/passkeys/login/begin", json!({})).await.ok().json::<Value>();
    let finish = async |ceremony: &Value, credential: &Value| {
        let body = json!({ "ceremony": ceremony, "credential": credential });
        browser.post("/passkeys/login/finish", body).await
    };
    let (one, two) = (begin().await, begin().await);
    let credential = key.get(&one["public_key"]);
    finish(&two["ceremony"], &credential).await.problem(401, "wrong-credentials");
    // A wrong answer spends its question, too.
    let right = key.get(&two["public_key"]);
    finish(&two["ceremony"], &right).await.problem(410, "ceremony-over");
    finish(&one["ceremony"], &credential).await.ok();
    finish(&one["ceremony"], &credential).await.problem(410, "ceremony-over");
    let late = begin().await;
    nexus.advance(minutes(6)).await;
    let credential = key.get(&late["public_key"]);
    finish(&late["ceremony"], &credential).await.problem(410, "ceremony-over");
    // From a page that only looks like ours.
    let mut elsewhere = device(&nexus, 7);
    elsewhere.origin = "https://nexus.example.evil".into();
    elsewhere.user_handle = key.user_handle.clone();
    sign_in(&browser, &mut elsewhere).await.problem(401, "wrong-credentials");
    // Whose key it is cannot be claimed by the device.
    let mut liar = device(&nexus, 7);
    liar.sign_count = 50;
    liar.user_handle = Some("AAAAAAAAAAAAAAAAAAAAAA".into());
    sign_in(&browser, &mut liar).await.problem(401, "wrong-credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_went_back_is_shown_to_the_owner() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let mut key = device(&nexus, 7);
    register(&ada, &mut key, "Blue key").await.status(201);
    let browser = Browser::at(&nexus, "198.51.100.7");
    key.sign_count = 40;
    sign_in(&browser, &mut key).await.ok();
    let suspect = async || {
        let list: Value = ada.get(&format!("{API}/passkeys")).await.ok().json();
        !list["items"][0]["suspect_at"].is_null()
    };
    assert!(!suspect().await);
    key.sign_count = 3;
    sign_in(&browser, &mut key).await.ok();
    assert!(suspect().await);
}
