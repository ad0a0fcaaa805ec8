//! The first administrator comes in by the link that the host prints.

use super::login_people::{Browser, PASSWORD, suite};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_the_host_makes_one_administrator_and_no_second() {
    let nexus = suite().await;
    let token = nexus.setup_token().await;
    let browser = Browser::at(&nexus, "198.51.100.7");
    let valid = async |token: &str| {
        let path = format!("/api/user-auth/v1/setup?token={token}");
        browser.get(&path).await.ok().json::<Value>()["valid"].clone()
    };
    assert_eq!(valid(&token).await, json!(true));
    assert_eq!(valid("guess").await, json!(false));
    let draft = |token: &str, email: &str| {
        json!({
            "token": token, "email": email, "display_name": "Ada", "password": PASSWORD,
        })
    };
    browser.post("/setup", draft("guess", "eve@example.org")).await.problem(410, "link-invalid");
    let answer = browser.post("/setup", draft(&token, "ada@example.org")).await.ok();
    let ada = browser.enters(&answer);
    let may = async || ada.get("/api/users/v1/users").await.status == 200;
    eventually("she may do what administrators may", seconds(10), may).await;
    assert_eq!(valid(&token).await, json!(false));
    let second = browser.post("/setup", draft(&token, "eve@example.org")).await;
    second.problem(410, "link-invalid");
    ada.login("ada@example.org", PASSWORD).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_hold_the_link_at_once_make_one_administrator() {
    let nexus = suite().await;
    let token = nexus.setup_token().await;
    let come = async |address: &str, email: &str| {
        let draft = json!({ "token": token, "email": email, "password": PASSWORD });
        Browser::at(&nexus, address).post("/setup", draft).await.status.as_u16()
    };
    let (one, two) =
        tokio::join!(come("192.0.2.1", "ada@example.org"), come("192.0.2.2", "eve@example.org"));
    let mut both = [one, two];
    both.sort_unstable();
    assert_eq!(both[0], 200, "{both:?}");
    assert_ne!(both[1], 200, "{both:?}");
}
