//! Somebody registers: an account comes into being with the proof of its address, and no answer
//! tells who has one already.

use super::login_people::{API, Browser, PASSWORD, account, count, suite, token_of};
use nexus_harness::prelude::*;

fn draft(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "display_name": "Ada", "locale": "en" })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_becomes_an_account_with_the_link_that_was_mailed() {
    let nexus = suite().await;
    let browser = Browser::at(&nexus, "198.51.100.7");
    browser.post("/register", draft("Ada@Example.org")).await.status(202);
    // Nobody is there yet: the right password is told so, any other is not.
    browser.login("ada@example.org", PASSWORD).await.problem(403, "address-not-verified");
    browser.login("ada@example.org", "not the password").await.problem(401, "wrong-credentials");
    assert_eq!(
        count(&nexus, "select count(*) from users.account where email is not null").await,
        0
    );
    let mail = nexus.mail("ada@example.org").await;
    let token = token_of(mail.link());
    let answer = browser.post("/verify", json!({ "token": token })).await.ok();
    let ada = browser.enters(&answer);
    assert!(ada.is_in().await);
    let body: Value = answer.json();
    assert_eq!(body["user"]["email"], "ada@example.org");
    assert_eq!(body["user"]["display_name"], "Ada");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("nexus-session=nxs_"), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert!(!cookie.contains("Max-Age"), "{cookie}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // Once.
    browser.post("/verify", json!({ "token": token })).await.problem(410, "link-invalid");
    let again = browser.login("ada@example.org", PASSWORD).await.ok();
    assert!(browser.enters(&again).is_in().await);
    // What is kept holds neither the password nor the secret of the link.
    let kept = "select count(*) from platform.event where payload::text like '%nxl_%'
                or payload::text like '%sentence that nobody%'";
    assert_eq!(count(&nexus, kept).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_tells_whether_an_address_has_an_account() {
    let nexus = suite().await;
    account(&nexus, "ada@example.org").await;
    let browser = Browser::at(&nexus, "203.0.113.9");
    let told = async |path: &str, body: fn(&str) -> Value| {
        let mut answers = Vec::new();
        for email in ["ada@example.org", "nobody@example.org"] {
            let answer = browser.post(path, body(email)).await;
            let mut headers: Vec<_> = answer
                .headers
                .iter()
                .filter(|(name, _)| {
                    !["x-request-id", "date", "ratelimit", "traceparent"].contains(&name.as_str())
                })
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect();
            headers.sort();
            // The id of the request is the only thing in a problem that differs.
            let id = answer.header("x-request-id").unwrap_or_default().to_owned();
            let text = answer.text().replace(&id, "<id>");
            answers.push((answer.status, headers, text));
        }
        let second = answers.pop().unwrap();
        assert_eq!(answers[0], second, "{path}");
    };
    told("/register", |email| json!({ "email": email, "password": PASSWORD })).await;
    told("/verify/resend", |email| json!({ "email": email })).await;
    told("/recover", |email| json!({ "email": email })).await;
    told("/magic-link", |email| json!({ "email": email })).await;
    told("/login", |email| json!({ "email": email, "password": "some other words" })).await;
    // The owner is told, by mail and with a way in; the stranger's password opens nothing.
    let mail = nexus.mail("ada@example.org").await;
    assert!(mail.link().contains("/account/"), "{mail:?}");
    browser
        .login("ada@example.org", "a stranger's very own words")
        .await
        .problem(401, "wrong-credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_costs_the_same_work_whoever_is_meant() {
    let nexus = suite().await;
    account(&nexus, "ada@example.org").await;
    let session = nexus.host().database().unwrap().host().await.unwrap();
    // Rows that a failed login leaves behind, by table: the same for both.
    let footprint = async || {
        let counts = "select (select count(*) from user_auth.attempt)::bigint * 1000000
                    + (select count(*) from platform.event
                       where topic = 'identity.login.failed.v1')::bigint * 1000
                    + (select count(*) from user_auth.throttle)::bigint";
        session.query(counts, &[]).await.unwrap()[0].get::<_, i64>(0)
    };
    let mut costs = Vec::new();
    for (email, address) in
        [("ada@example.org", "203.0.113.1"), ("nobody@example.org", "203.0.113.2")]
    {
        let before = footprint().await;
        let browser = Browser::at(&nexus, address);
        browser.login(email, "some other words").await.problem(401, "wrong-credentials");
        let settled = async || footprint().await - before >= 1_001_003;
        eventually("the failure is told", seconds(20), settled).await;
        costs.push(footprint().await - before);
    }
    assert_eq!(costs, [1_001_003, 1_001_003], "attempts, events and counts");
    // Time, by turns so that a busy machine is busy for both, and with a wide bound: a hash is most
    // of it, and both pay it.
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..9 {
        for (who, email) in ["ada@example.org", "nobody@example.org"].into_iter().enumerate() {
            let browser = Browser::at(&nexus, &format!("192.0.2.{n}"));
            let begun = std::time::Instant::now();
            browser.login(email, "some other words").await.problem(401, "wrong-credentials");
            times[who].push(begun.elapsed().as_secs_f64());
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let [known, unknown] = times.map(median);
    let ratio = known / unknown;
    assert!((0.2..5.0).contains(&ratio), "{known} s and {unknown} s");
    drop(session);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_prepare_an_account_for_somebody_elses_address() {
    let nexus = suite().await;
    let thief = Browser::at(&nexus, "203.0.113.9");
    let trap = json!({ "email": "ada@example.org", "password": "the words of the thief" });
    thief.post("/register", trap).await.status(202);
    let first = token_of(nexus.mail("ada@example.org").await.link());
    let ada = Browser::at(&nexus, "198.51.100.7");
    ada.post("/register", draft("ada@example.org")).await.status(202);
    let second = token_of(nexus.mail("ada@example.org").await.link());
    let answer = ada.post("/verify", json!({ "token": second })).await.ok();
    assert!(ada.enters(&answer).is_in().await);
    // The link of the thief's registration is worth nothing any more, nor are its words.
    thief.post("/verify", json!({ "token": first })).await.problem(410, "link-invalid");
    thief
        .login("ada@example.org", "the words of the thief")
        .await
        .problem(401, "wrong-credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_registration_is_pointed_at() {
    let nexus = suite().await;
    let browser = Browser::at(&nexus, "198.51.100.7");
    for (change, name, pointer) in [
        (json!({ "email": "no address" }), "email-address", "#/email"),
        (json!({ "password": "short" }), "password-length", "#/password"),
        (json!({ "password": "password1" }), "password-common", "#/password"),
        (json!({ "password": "ada@example.org" }), "password-is-address", "#/password"),
        (json!({ "display_name": "a".repeat(121) }), "display-name", "#/display_name"),
        (json!({ "locale": "<script>" }), "locale", "#/locale"),
    ] {
        let mut wrong = draft("ada@example.org");
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let problem = browser.post("/register", wrong).await.problem(422, name);
        assert_eq!(problem.errors[0]["pointer"], pointer, "{problem:?}");
    }
    browser.post("/verify", json!({ "token": "nxl_guess" })).await.problem(410, "link-invalid");
    assert_eq!(count(&nexus, "select count(*) from user_auth.registration").await, 0);
    let anonymous = nexus.anonymous();
    anonymous.get(&format!("{API}/activity")).await.problem(401, "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_not_flooded_by_whoever_types_its_address() {
    let nexus = suite().await;
    for n in 0..8 {
        let browser = Browser::at(&nexus, &format!("203.0.113.{n}"));
        browser.post("/register", draft("ada@example.org")).await.status(202);
    }
    let open = "select count(*) from user_auth.mail_order";
    eventually("all orders are dealt with", seconds(60), async || count(&nexus, open).await == 0)
        .await;
    let links = count(&nexus, "select count(*) from user_auth.link").await;
    assert!((1..=7).contains(&links), "{links} mails");
    // From one place it is not even taken so often.
    let busy = Browser::at(&nexus, "192.0.2.1");
    let mut turned_away = None;
    for n in 0..15 {
        let answer = busy.post("/recover", json!({ "email": format!("x{n}@example.org") })).await;
        if answer.status == 429 {
            turned_away = Some(answer);
        }
    }
    let answer = turned_away.expect("fifteen in a row are too many");
    let wait: i64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
    answer.problem(429, "too-many-tries");
}
