//! Browsers with a session's cookie: who they are for the component, and what becomes of a session
//! that has ended.

use crate::clients::{Answer, ask, get, send};
use crate::platform::{Platform, TENANT};
use http::Request;
use http::request::Builder;
use serde_json::json;
use std::time::Duration;
use trigger_http::{HttpConfig, RateClass};
use uuid::Uuid;

fn with_cookie(request: Builder, secret: &str) -> Builder {
    request.header("cookie", format!("theme=dark; nexus-session={secret}"))
}

fn look(secret: &str) -> Builder {
    with_cookie(get("/echo/x"), secret)
}

/// From a page of our own.
fn act(secret: &str) -> Builder {
    let request = Request::post("/echo/x").header("host", "nexus.example");
    with_cookie(request, secret).header("sec-fetch-site", "same-origin")
}

fn behind_a_proxy(config: &mut HttpConfig) {
    config.peers.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

#[track_caller]
fn is_nobody(answer: &Answer) {
    assert_eq!(answer.json()["principal"]["kind"], "anonymous");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_its_user_with_all_that_its_user_may() {
    let platform = Platform::new().await;
    platform.subject("u-1", &["catalog:view", "orders:*"]).await;
    let (id, secret) = platform.session("u-1").await;
    let host = platform.host().await;
    let seen = ask(host.address(), look(&secret)).await.json();
    let principal = &seen["principal"];
    assert_eq!((&principal["subject"], &principal["kind"]), (&json!("u-1"), &json!("user")));
    assert_eq!(principal["tenant"], json!(TENANT));
    assert_eq!(principal["permissions"], json!(["catalog:view", "orders:*"]));
    assert_eq!(principal["session"], json!(id));
    assert_eq!(principal["auth_time"], 1_700_000_000);
    assert_eq!(principal["acr"], "urn:nexus:acr:1fa");
    assert_eq!(seen["headers"]["cookie"], "theme=dark", "the component never sees the secret");
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_none_is_nobody_who_looks_and_401_who_acts() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (id, ended) = platform.session("u-1").await;
    platform.end_session(id).await;
    let host = platform.host().await;
    for secret in ["nxs_unknown", &ended, "made-up", "nxs_'or 1=1"] {
        let answer = ask(host.address(), look(secret)).await;
        is_nobody(&answer);
        let forget = "nexus-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax";
        assert_eq!(answer.field("set-cookie"), forget);
        assert_eq!(answer.field("cache-control"), "no-store");
        let answer = send(host.address(), act(secret), "").await;
        answer.is_problem(401, "invalid-session");
        assert_eq!(answer.field("www-authenticate"), "Bearer");
    }
    let answer = ask(host.address(), get("/echo/x")).await;
    assert_eq!(answer.field("set-cookie"), "", "nobody has nothing to forget");
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_session_is_in_the_cookie_that_only_we_can_set() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, secret) = platform.session("u-1").await;
    let host = platform.host_with(behind_a_proxy).await;
    let secure = |name: &str, secret: &str| {
        get("/echo/x")
            .header("x-forwarded-proto", "https")
            .header("cookie", format!("{name}={secret}"))
    };
    let seen = ask(host.address(), secure("__Host-nexus-session", &secret)).await.json();
    assert_eq!(seen["principal"]["subject"], "u-1");
    is_nobody(&ask(host.address(), secure("nexus-session", &secret)).await);
    let stale = ask(host.address(), secure("__Host-nexus-session", "nxs_none")).await;
    assert!(stale.field("set-cookie").starts_with("__Host-nexus-session=; Path=/; Max-Age=0; Sec"));
    host.stop().await;
    platform.end().await;
}

/// Fixation: whoever plants a cookie beside the real one gains nothing, and a secret that was
/// changed at sign-in is worth nothing afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_planted_or_outdated_secret_is_no_session() {
    let platform = Platform::new().await;
    for subject in ["victim", "attacker"] {
        platform.subject(subject, &[]).await;
    }
    let (id, secret) = platform.session("victim").await;
    let (_, planted) = platform.session("attacker").await;
    let host = platform.host().await;
    let both =
        get("/echo/x").header("cookie", format!("nexus-session={planted}; nexus-session={secret}"));
    is_nobody(&ask(host.address(), both).await);
    let seen = ask(host.address(), look(&secret)).await.json();
    assert_eq!(seen["principal"]["subject"], "victim");
    platform.put_session(id, "nxs_renewed", "victim", 1800).await;
    let seen =
        async |secret: &str| ask(host.address(), look(secret)).await.json()["principal"].clone();
    crate::following::soon("the old secret is no session", async || {
        seen(&secret).await["kind"] == "anonymous"
    })
    .await;
    assert_eq!(seen("nxs_renewed").await["subject"], "victim");
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_before_a_cookie_and_a_client_cannot_say_who_it_is() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, secret) = platform.session("u-1").await;
    let host = platform.host().await;
    let both = look(&secret).header("authorization", "Bearer a.b.c");
    ask(host.address(), both).await.is_problem(401, "invalid-token");
    let mut spoofed = look(&secret);
    for (name, value) in [
        ("nexus-principal", "eyJzdWJqZWN0Ijoicm9vdCJ9"),
        ("nexus-caller", "users"),
        ("nexus-client-addr", "192.0.2.1:1"),
        ("Nexus_Principal", "root"),
        ("spin-client-addr", "192.0.2.1:1"),
    ] {
        spoofed = spoofed.header(name, value);
    }
    let seen = ask(host.address(), spoofed).await.json();
    assert_eq!(seen["principal"]["subject"], "u-1");
    for name in ["nexus-principal", "nexus-caller", "nexus-client-addr", "nexus-organisation"] {
        assert!(seen["headers"].get(name).is_none(), "{name}");
    }
    assert_ne!(seen["headers"]["spin-client-addr"], "192.0.2.1:1");
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_acts_for_an_organisation_of_its_user_and_for_no_other() {
    let platform = Platform::new().await;
    platform.subject("u-1", &["catalog:view"]).await;
    platform.member("u-1", "o-1", Some(&["catalog:edit", "catalog:view"])).await;
    let (_, secret) = platform.session("u-1").await;
    let host = platform.host().await;
    let asked = |organisation: &str| look(&secret).header("nexus-organisation", organisation);
    let principal = ask(host.address(), asked("o-1")).await.json()["principal"].clone();
    assert_eq!(principal["organisation"], "o-1");
    assert_eq!(principal["permissions"], json!(["catalog:view", "catalog:edit"]));
    ask(host.address(), asked("o-2")).await.is_problem(403, "not-a-member");
    let alone = ask(host.address(), look(&secret)).await.json()["principal"].clone();
    assert_eq!(alone["permissions"], json!(["catalog:view"]));
    platform.member("u-1", "o-1", None).await;
    crate::following::soon("membership is over", async || {
        ask(host.address(), asked("o-1")).await.status == 403
    })
    .await;
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_session_ends_and_a_use_is_written_back() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (old, unused) = platform.session("u-1").await;
    let (id, secret) = (Uuid::now_v7(), "nxs_busy");
    platform.put_session(id, secret, "u-1", 40).await;
    for (id, ago) in [(old, "31 min"), (id, "20 s")] {
        let sql = format!("update platform.credential set seen_at = now() - interval '{ago}' ");
        platform.run(&format!("{sql} where id = '{id}'")).await;
    }
    let host = platform.host().await;
    is_nobody(&ask(host.address(), look(&unused)).await);
    let seen = ask(host.address(), look(secret)).await.json();
    assert_eq!(seen["principal"]["subject"], "u-1");
    let sql = format!(
        "select seen_at > now() - interval '10 s' from platform.credential where id = '{id}'"
    );
    crate::following::soon("the use is written", async || platform.one::<bool>(&sql).await).await;
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_begins_a_session_is_not_contradicted() {
    let platform = Platform::new().await;
    let host = platform.host().await;
    let request = with_cookie(get("/echo/sets-session"), "nxs_stale");
    let answer = ask(host.address(), request).await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["nexus-session=nxs_new; Path=/; HttpOnly; SameSite=Lax"]);
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_known_go_on_and_the_unknown_come_back_later() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, known) = platform.session("u-1").await;
    let (_, unknown) = platform.session("u-1").await;
    let host = platform.host_with(|config| {
        let hour = Duration::from_secs(3600);
        config.rate.refused_tokens = RateClass::new("refused-tokens", 3, hour);
    });
    let host = host.await;
    for _ in 0..4 {
        assert_eq!(ask(host.address(), look(&known)).await.json()["principal"]["subject"], "u-1");
    }
    platform.go_away().await;
    for _ in 0..6 {
        let answer = ask(host.address(), look(&unknown)).await;
        answer.is_problem(503, "identity-away");
        assert_eq!(answer.field("retry-after"), "2");
        assert_eq!(ask(host.address(), look(&known)).await.json()["principal"]["subject"], "u-1");
        assert_eq!(send(host.address(), act(&known), "").await.status, 200);
    }
    is_nobody(&ask(host.address(), get("/echo/x")).await);
    platform.come_back().await;
    crate::following::soon("the unknown is known", async || {
        ask(host.address(), look(&unknown)).await.status == 200
    })
    .await;
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessed_secrets_count_against_their_address_and_are_looked_up_once() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, secret) = platform.session("u-1").await;
    let host = platform.host_with(|config| {
        let hour = Duration::from_secs(3600);
        config.rate.refused_tokens = RateClass::new("refused-tokens", 3, hour);
    });
    let host = host.await;
    // Both shards shall know the good one.
    for _ in 0..10 {
        assert_eq!(ask(host.address(), look(&secret)).await.status, 200);
    }
    for _ in 0..10 {
        is_nobody(&ask(host.address(), look("nxs_same")).await);
    }
    for n in 0..2 {
        is_nobody(&ask(host.address(), look(&format!("nxs_{n}"))).await);
    }
    ask(host.address(), look("nxs_more")).await.is_problem(429, "rate-limited");
    let key = get("/echo/x").header("x-api-key", "nx_test_1_2");
    ask(host.address(), key).await.is_problem(429, "rate-limited");
    assert_eq!(ask(host.address(), look(&secret)).await.json()["principal"]["subject"], "u-1");
    is_nobody(&ask(host.address(), get("/echo/x")).await);
    host.stop().await;
    platform.end().await;
}
