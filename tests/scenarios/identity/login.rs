//! Signing in with a password: what it opens, what it does not, and how fast it may be guessed.

use super::login_people::{API, Browser, PASSWORD, account, count, suite};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_anew_with_every_login_and_step_up_and_ends_with_the_logout() {
    let nexus = suite().await;
    let first = account(&nexus, "ada@example.org").await;
    // Whoever has planted a cookie does not have the one that the login gives (session fixation).
    let again = first.login("ada@example.org", PASSWORD).await.ok();
    let second = first.enters(&again);
    assert_ne!(first.cookie, second.cookie);
    let raised = second.post("/step-up", json!({ "password": PASSWORD })).await.ok();
    let third = second.enters(&raised);
    assert_ne!(second.cookie, third.cookie);
    assert!(third.is_in().await);
    let gone = async || !second.is_in().await;
    eventually("the secret of before is worth nothing", seconds(10), gone).await;
    let out = third.post("/logout", json!({})).await.no_content();
    let cleared = out.header("set-cookie").unwrap();
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    eventually("signed out", seconds(10), async || !third.is_in().await).await;
    // What somebody chose to keep is kept, and only then.
    let remember = json!({ "email": "ada@example.org", "password": PASSWORD, "remember": true });
    let kept = first.client.post(&format!("{API}/login"), remember).await.ok();
    assert!(kept.header("set-cookie").unwrap().contains("Max-Age="), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_one_password_slows_down_and_locks_nobody_out_at_home() {
    let nexus = suite().await;
    // Her home is where she registered.
    let ada = account(&nexus, "ada@example.org").await;
    let thief = Browser::at(&nexus, "203.0.113.9");
    let mut answers = Vec::new();
    for n in 0..12 {
        answers.push(thief.login("ada@example.org", &format!("a wrong guess, {n}")).await);
    }
    let turned = answers.iter().find(|answer| answer.status == 429);
    let turned = turned.expect("twelve guesses in a row are too many");
    let wait: u64 = turned.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
    // Even the right words have to wait there now, and nothing tells that they are right.
    let right = thief.login("ada@example.org", PASSWORD).await;
    right.problem(429, "too-many-tries");
    // At home nobody waits.
    let home = ada.login("ada@example.org", PASSWORD).await.ok();
    assert!(ada.enters(&home).is_in().await);
    nexus.advance(minutes(20)).await;
    let later = thief.login("ada@example.org", PASSWORD).await;
    later.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_places_guessing_one_password_keep_a_new_place_waiting_for_a_minute_at_most() {
    let nexus = suite().await;
    account(&nexus, "ada@example.org").await;
    let mut waits = Vec::new();
    for n in 0..30 {
        let place = Browser::at(&nexus, &format!("203.0.113.{n}"));
        let answer = place.login("ada@example.org", "a wrong guess").await;
        if answer.status == 429 {
            waits.push(answer.header("retry-after").unwrap().parse::<u64>().unwrap());
            nexus.advance(seconds(61)).await;
        }
    }
    assert!(!waits.is_empty() && waits.iter().all(|wait| *wait <= 60), "{waits:?}");
    let elsewhere = Browser::at(&nexus, "192.0.2.1");
    nexus.advance(seconds(61)).await;
    elsewhere.login("ada@example.org", PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn trying_one_password_on_everybody_slows_down() {
    let nexus = suite().await;
    let spray = Browser::at(&nexus, "203.0.113.9");
    let mut first = None;
    for n in 0..40 {
        let answer = spray.login(&format!("user{n}@example.org"), "Summer2026!").await;
        if answer.status == 429 && first.is_none() {
            first = Some(n);
        }
    }
    let first = first.expect("forty accounts from one place are too many");
    assert!((25..=32).contains(&first), "{first}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_guesses_at_once_are_counted_as_they_begin() {
    let nexus = suite().await;
    account(&nexus, "ada@example.org").await;
    let thief = Browser::at(&nexus, "203.0.113.9");
    let guesses: Vec<_> = (0..40)
        .map(|n| {
            let thief = thief.clone();
            tokio::spawn(async move {
                thief.login("ada@example.org", &format!("a wrong guess, {n}")).await.status.as_u16()
            })
        })
        .collect();
    let mut compared = 0;
    for guess in guesses {
        let status = guess.await.unwrap();
        assert!([401, 429, 503].contains(&status), "{status}");
        compared += u32::from(status == 401);
    }
    // Five are free; a second later there is one more.
    assert!((1..=9).contains(&compared), "{compared} of 40 were compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_device_is_told_to_the_owner_and_all_tries_are_listed() {
    let nexus = suite().await;
    let ada = account(&nexus, "ada@example.org").await;
    let home = ada.login("ada@example.org", PASSWORD).await.ok();
    ada.enters(&home);
    let away = Browser::at(&nexus, "203.0.113.9").called("Mozilla/5.0 (iPhone) Safari/604.1");
    away.login("ada@example.org", "not the password").await.problem(401, "wrong-credentials");
    away.login("ada@example.org", PASSWORD).await.ok();
    let mail = nexus.mail("ada@example.org").await;
    assert!(mail.text.contains("203.0.113.9"), "{}", mail.text);
    let list: Value = ada.get(&format!("{API}/activity")).await.ok().json();
    let items = list["items"].as_array().unwrap();
    let outcomes: Vec<_> = items.iter().map(|item| item["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["signed-in", "wrong-credentials", "signed-in", "signed-in"]);
    assert_eq!(items[0]["address"], "203.0.113.9");
    assert_eq!(items[0]["device"], "Safari on iPhone");
    // The one mail is the only one: home was known.
    assert_eq!(count(&nexus, "select count(*) from user_auth.mail_order").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_strangers_have_no_business_with_credentials() {
    let nexus = suite().await;
    account(&nexus, "ada@example.org").await;
    // A token without a session, whatever it permits.
    let program = nexus.operator();
    for (method, path, body) in [
        ("POST", "/password", json!({ "password": "some other long words" })),
        ("POST", "/mfa/totp", json!({})),
        ("POST", "/mfa/totp/confirm", json!({ "code": "123456" })),
        ("DELETE", "/mfa/totp", json!({})),
        ("POST", "/mfa/recovery-codes", json!({})),
        ("POST", "/passkeys/register/begin", json!({})),
        ("POST", "/step-up/passkey", json!({})),
        ("POST", "/step-up", json!({ "password": PASSWORD })),
        ("POST", "/logout", json!({})),
    ] {
        let path = format!("{API}{path}");
        let method: http::Method = method.parse().unwrap();
        let nobody = nexus.anonymous();
        nobody
            .request(method.clone(), &path)
            .json(&body)
            .send()
            .await
            .problem(401, "unauthenticated");
        let refused = program.request(method, &path).json(&body).send().await;
        refused.problem(403, "needs-session");
    }
}
