//! Browsers of other origins, and clients that ask too often.

use crate::clients::{ask, get};
use crate::host::Host;
use crate::platform::{Issuer, Platform};
use http::Request;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use trigger_http::{HttpConfig, RateClass};

fn preflight(origin: &str) -> http::request::Builder {
    Request::options("/echo/x")
        .header("host", "nexus.example")
        .header("origin", origin)
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "x-csrf-token, content-type")
}

fn with_app(config: &mut HttpConfig) {
    config.cors.origins = HashSet::from(["https://app.example".to_owned()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_is_answered_here_for_those_who_may() {
    let host = Host::with(with_app);
    let answer = ask(host.address(), preflight("https://app.example")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.field("access-control-allow-origin"), "https://app.example");
    assert_eq!(answer.field("access-control-allow-credentials"), "true");
    assert!(answer.field("access-control-allow-methods").contains("PUT"));
    assert_eq!(answer.field("access-control-allow-headers"), "x-csrf-token, content-type");
    assert_eq!(answer.field("access-control-max-age"), "7200");
    let refused = ask(host.address(), preflight("https://evil.example")).await;
    refused.is_problem(403, "origin-not-allowed");
    assert_eq!(refused.field("access-control-allow-origin"), "");
    assert!(
        !host.snapshot().components.contains_key("echo") || {
            host.snapshot().components["echo"].requests() == 0
        }
    );
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_be_read_by_allowed_pages_only() {
    let host = Host::with(with_app);
    let from = |origin: &str| get("/echo/x").header("origin", origin);
    let allowed = ask(host.address(), from("https://app.example")).await;
    assert_eq!(allowed.field("access-control-allow-origin"), "https://app.example");
    assert!(allowed.field("access-control-expose-headers").contains("x-request-id"));
    assert_eq!(allowed.field("vary"), "origin");
    let foreign = ask(host.address(), from("https://evil.example")).await;
    assert_eq!(foreign.status, 200, "reading is the browser's to deny");
    assert_eq!(foreign.field("access-control-allow-origin"), "");
    assert_eq!(foreign.field("vary"), "origin");
    let missing = ask(host.address(), get("/nowhere").header("origin", "https://app.example"));
    let missing = missing.await;
    missing.is_problem(404, "no-route");
    assert_eq!(missing.field("access-control-allow-origin"), "https://app.example");
    host.stop().await;

    let strict = Host::start();
    let own = preflight("http://nexus.example");
    assert_eq!(ask(strict.address(), own).await.status, 204, "our own pages need no permission");
    let answer = ask(strict.address(), from("https://app.example")).await;
    assert_eq!((answer.field("access-control-allow-origin"), answer.field("vary")), ("", ""));
    strict.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_counts_over_all_shards_and_says_what_is_left() {
    let host = Host::with(|config| {
        config.rate.classes.push(RateClass::new("tight", 10, Duration::from_secs(3600)));
    });
    let mut allowed = 0;
    let mut last = None;
    // Every request comes on its own connection, so both shards serve some.
    for n in 0..15 {
        let answer = ask(host.address(), get("/limited")).await;
        assert_eq!(answer.field("ratelimit-policy"), "\"tight\";q=10;w=3600");
        let left = 9_i32.saturating_sub(n).max(0);
        assert!(answer.field("ratelimit").starts_with(&format!("\"tight\";r={left};t=")));
        allowed += i32::from(answer.status == 200);
        last = Some(answer);
    }
    assert_eq!(allowed, 10);
    let last = last.unwrap();
    last.is_problem(429, "rate-limited");
    assert_eq!(last.field("retry-after"), "360");
    assert_eq!(host.snapshot().rate_limited, 5);
    let free = ask(host.address(), get("/echo/x")).await;
    assert_eq!((free.status.as_u16(), free.field("ratelimit")), (200, ""), "no class, no limit");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_accounts_of_one_address_are_limited_together_and_nobody_is_not_among_them() {
    let platform = Platform::new().await;
    let issuer = Issuer::new("k-1");
    platform.publish(&issuer).await;
    let (identities, follower) = platform.identities().await;
    let host = Host::with(|config| {
        config.identities = Some(identities);
        config.rate.addresses = RateClass::new("address", 5, Duration::from_secs(3600));
    });
    let by = |subject: String| {
        let token = issuer.token(&subject, &json!({ "permissions": ["orders:view"] }));
        get("/limited").header("authorization", format!("Bearer {token}"))
    };
    for n in 0..6 {
        platform.subject(&format!("u-{n}"), &[]).await;
    }
    for n in 0..5 {
        let answer = ask(host.address(), by(format!("u-{n}"))).await;
        assert_eq!(answer.status, 200, "each has a limit of its own: {answer:?}");
    }
    let sixth = ask(host.address(), by("u-5".into())).await;
    sixth.is_problem(429, "rate-limited");
    assert_eq!(sixth.field("ratelimit-policy"), "\"address\";q=5;w=3600");
    assert_eq!(ask(host.address(), get("/limited")).await.status, 200);
    host.stop().await;
    follower.abort();
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_nobody_defined_is_not_unlimited() {
    let host = Host::with(|config| config.rate.classes[0].quota = 2);
    for status in [200, 200, 429] {
        assert_eq!(ask(host.address(), get("/limited")).await.status, status);
    }
    host.stop().await;
}
