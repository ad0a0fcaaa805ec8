//! A second factor: an app's codes, recovery codes, and flows that belong to one browser.

use super::login_people::{Browser, PASSWORD, account, suite, token_of};
use hmac::{Hmac, Mac};
use nexus_harness::prelude::*;
use sha1::Sha1;

/// The code of an app (RFC 6238) for a step.
fn code(secret: &str, step: u64) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut key, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in secret.chars() {
        bits = bits << 5 | LETTERS.find(letter).unwrap() as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            key.push((bits >> count) as u8);
        }
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).unwrap();
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let at = usize::from(tag[19] & 0xf);
    let word = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// The step of the host's clock, which a test may have moved.
fn step(nexus: &Nexus) -> u64 {
    let now = nexus.runtime().clock().now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 30
}

/// An app that was turned on.
struct App {
    secret: String,
    /// The code that did it.
    spent: String,
    recovery: Vec<String>,
}

/// Turns an app on.
async fn enrol(nexus: &Nexus, browser: &Browser) -> App {
    let offer: Value = browser.post("/mfa/totp", json!({})).await.ok().json();
    let secret = offer["secret"].as_str().unwrap().to_owned();
    assert!(offer["uri"].as_str().unwrap().starts_with("otpauth://totp/Nexus%20COS:"), "{offer}");
    assert!(offer["qr_svg"].as_str().unwrap().starts_with("<svg"));
    browser
        .post("/mfa/totp/confirm", json!({ "code": "000000" }))
        .await
        .problem(401, "wrong-credentials");
    let spent = code(&secret, step(nexus));
    let given = json!({ "code": &spent });
    let codes: Value = browser.post("/mfa/totp/confirm", given).await.ok().json();
    let codes = codes["recovery_codes"].as_array().unwrap();
    let recovery = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    App { secret, spent, recovery }
}

/// Logs in up to the second question.
async fn asked(browser: &Browser) -> Value {
    let question: Value = browser.login("ada@example.org", PASSWORD).await.ok().json();
    assert_eq!(question["state"], "second-factor", "{question}");
    question
}

async fn answer(browser: &Browser, question: &Value, method: &str, code: &str) -> Answer {
    let path = format!("/flows/{}/{method}", question["flow"].as_str().unwrap());
    let body = json!({ "flow_secret": question["flow_secret"], "code": code });
    browser.post(&path, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_app_a_password_is_not_enough_and_a_code_is_used_once() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let App { secret, spent, .. } = enrol(&nexus, &ada).await;
    nexus.mail("ada@example.org").await;
    let answered = ada.login("ada@example.org", PASSWORD).await.ok();
    assert!(answered.header("set-cookie").is_none(), "{answered:?}");
    // The code that turned the app on is spent.
    let question = asked(&ada).await;
    answer(&ada, &question, "totp", &spent).await.problem(401, "wrong-credentials");
    nexus.advance(seconds(60)).await;
    let fresh = code(&secret, step(&nexus));
    let entered = answer(&ada, &question, "totp", &fresh).await.ok();
    assert!(ada.enters(&entered).is_in().await);
    // Neither the flow nor the code works again, in any flow.
    answer(&ada, &question, "totp", &fresh).await.problem(410, "flow-over");
    let other = asked(&ada).await;
    answer(&ada, &other, "totp", &fresh).await.problem(401, "wrong-credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_is_worth_nothing_without_its_secret_and_after_five_tries() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let App { secret, .. } = enrol(&nexus, &ada).await;
    nexus.advance(seconds(60)).await;
    let question = asked(&ada).await;
    let thief = Browser::at(&nexus, "203.0.113.9");
    let mut stolen = question.clone();
    for guess in ["", "nxf_guess"] {
        stolen["flow_secret"] = json!(guess);
        let right = code(&secret, step(&nexus));
        answer(&thief, &stolen, "totp", &right).await.problem(410, "flow-over");
    }
    // That has used no try of the owner's up; five wrong codes do, wherever they come from.
    let mut told = Vec::new();
    for n in 0..6 {
        let place = Browser::at(&nexus, &format!("192.0.2.{n}"));
        told.push(answer(&place, &question, "totp", "000000").await.status.as_u16());
    }
    assert_eq!(told, [401, 401, 401, 401, 401, 410]);
    let question = asked(&ada).await;
    nexus.advance(minutes(11)).await;
    let late = code(&secret, step(&nexus));
    answer(&ada, &question, "totp", &late).await.problem(410, "flow-over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_stands_in_for_the_app_once() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let App { recovery: codes, .. } = enrol(&nexus, &ada).await;
    assert_eq!(codes.len(), 10);
    let question = asked(&ada).await;
    answer(&ada, &question, "recovery-code", "aaaa-aaaa-aaaa-aaaa")
        .await
        .problem(401, "wrong-credentials");
    let typed = codes[0].to_uppercase().replace('-', " ");
    let entered = answer(&ada, &question, "recovery-code", &typed).await.ok();
    let ada = ada.enters(&entered);
    let question = asked(&ada).await;
    answer(&ada, &question, "recovery-code", &codes[0]).await.problem(401, "wrong-credentials");
    let factors: Value = ada.get("/api/user-auth/v1/mfa").await.ok().json();
    assert_eq!(factors["recovery_codes_left"], 9);
    // New codes end the old ones.
    let renewed: Value = ada.post("/mfa/recovery-codes", json!({})).await.ok().json();
    answer(&ada, &question, "recovery-code", &codes[1]).await.problem(401, "wrong-credentials");
    let fresh = renewed["recovery_codes"][0].as_str().unwrap();
    answer(&ada, &question, "recovery-code", fresh).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_mailed_link_nor_a_new_password_goes_around_the_second_factor() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let App { secret, .. } = enrol(&nexus, &ada).await;
    nexus.mail("ada@example.org").await;
    // A browser without the session, which the new password ends.
    let ada = Browser::at(&nexus, "198.51.100.7");
    ada.post("/magic-link", json!({ "email": "ada@example.org" })).await.status(202);
    let token = token_of(nexus.mail("ada@example.org").await.link());
    let question: Value =
        ada.post("/magic-link/finish", json!({ "token": token })).await.ok().json();
    assert_eq!(question["state"], "second-factor");
    ada.post("/recover", json!({ "email": "ada@example.org" })).await.status(202);
    let token = token_of(nexus.mail("ada@example.org").await.link());
    let new = json!({ "token": token, "password": "words that came to mind later" });
    let question: Value = ada.post("/recover/finish", new).await.ok().json();
    assert_eq!(question["state"], "second-factor");
    nexus.advance(seconds(60)).await;
    let entered = answer(&ada, &question, "totp", &code(&secret, step(&nexus))).await.ok();
    assert!(ada.enters(&entered).is_in().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn turning_a_factor_on_or_off_needs_a_recent_proof_and_is_told_to_the_owner() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    nexus.advance(minutes(12)).await;
    ada.post("/mfa/totp", json!({})).await.problem(403, "step-up-required");
    let raised = ada.post("/step-up", json!({ "password": PASSWORD })).await.ok();
    let ada = ada.enters(&raised);
    let App { secret, .. } = enrol(&nexus, &ada).await;
    let told = nexus.mail("ada@example.org").await;
    assert!(!told.text.contains(&secret), "{}", told.text);
    ada.post("/mfa/totp", json!({})).await.problem(409, "totp-exists");
    nexus.advance(minutes(12)).await;
    ada.delete("/mfa/totp").await.problem(403, "step-up-required");
    // A code is a proof as well.
    let proof = json!({ "code": code(&secret, step(&nexus)) });
    let ada = ada.enters(&ada.post("/step-up", proof.clone()).await.ok());
    ada.post("/step-up", proof).await.problem(401, "wrong-credentials");
    ada.delete("/mfa/totp").await.no_content();
    nexus.mail("ada@example.org").await;
    let entered = ada.login("ada@example.org", PASSWORD).await.ok();
    ada.enters(&entered);
}
