//! Two hosts on one database: what one service commits is in force on both within a second.

use crate::clients::{ask, get, send};
use crate::followed::Following;
use crate::platform::{ISSUER, Issuer, Platform, TENANT};
use http::Request;
use serde_json::json;
use std::time::{Duration, Instant};
use trigger_http::LocalKeys;

/// What is promised is a second. A machine that is building something else is given four.
const PROMISED: Duration = Duration::from_secs(4);

/// Asks until it is so, as long as is promised.
pub async fn soon(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PROMISED, "not within what is promised: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Two {
    platform: Platform,
    hosts: [Following; 2],
    issuer: Issuer,
}

impl Two {
    async fn begin() -> Self {
        let platform = Platform::new().await;
        let issuer = Issuer::new("k-1");
        platform.publish(&issuer).await;
        platform.subject("u-1", &["catalog:view"]).await;
        let hosts = [platform.host().await, platform.host().await];
        Self { platform, hosts, issuer }
    }

    /// What both hosts answer to whoever shows this: 401, or the permissions.
    async fn both(&self, show: impl Fn() -> http::request::Builder) -> [String; 2] {
        let mut said = [String::new(), String::new()];
        for (host, said) in self.hosts.iter().zip(&mut said) {
            let answer = ask(host.address(), show()).await;
            *said = match answer.status.as_u16() {
                200 => answer.json()["principal"]["permissions"].to_string(),
                status => status.to_string(),
            };
        }
        said
    }

    async fn says(&self, word: &str, show: impl Fn() -> http::request::Builder) {
        soon(word, async || self.both(&show).await == [word, word]).await;
    }

    async fn end(self) {
        for host in self.hosts {
            host.stop().await;
        }
        self.platform.end().await;
    }
}

fn bearer(token: &str) -> http::request::Builder {
    get("/echo/x").header("authorization", format!("Bearer {token}"))
}

fn act(secret: &str) -> http::request::Builder {
    Request::post("/echo/x")
        .header("host", "nexus.example")
        .header("sec-fetch-site", "same-origin")
        .header("cookie", format!("nexus-session={secret}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_session_or_subject_is_worth_nothing_on_any_host() {
    let two = Two::begin().await;
    for (kind, key) in [("token", "token-1"), ("session", "session-1"), ("subject", "u-1")] {
        let (jti, sid) = (format!("{kind}-1"), format!("{kind}-1"));
        let token = two.issuer.token("u-1", &json!({ "jti": jti, "sid": sid }));
        let spared = two.issuer.token("u-1", &json!({ "jti": "other", "sid": "other" }));
        two.says("[\"catalog:view\"]", || bearer(&token)).await;
        two.platform.revoke(kind, key).await;
        two.says("401", || bearer(&token)).await;
        let others = if kind == "subject" { "401" } else { "[\"catalog:view\"]" };
        two.says(others, || bearer(&spared)).await;
    }
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_ends_on_both_hosts() {
    let two = Two::begin().await;
    let (id, secret) = two.platform.session("u-1").await;
    for host in &two.hosts {
        assert_eq!(send(host.address(), act(&secret), "").await.status, 200);
    }
    two.platform.end_session(id).await;
    two.says("401", || act(&secret)).await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_given_or_taken_is_in_force_for_tokens_and_sessions_alike() {
    let two = Two::begin().await;
    let token = two.issuer.token("u-1", &json!({}));
    let (_, secret) = two.platform.session("u-1").await;
    for permissions in [&["catalog:view"][..], &["catalog:view", "orders:*"], &[], &["*"]] {
        two.platform.subject("u-1", permissions).await;
        let word = json!(permissions).to_string();
        two.says(&word, || bearer(&token)).await;
        two.says(&word, || act(&secret)).await;
    }
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_or_erased_is_nobody_and_who_is_back_is_somebody() {
    let two = Two::begin().await;
    let token = two.issuer.token("u-1", &json!({}));
    let unknown = two.issuer.token("u-2", &json!({}));
    let (_, secret) = two.platform.session("u-1").await;
    for (status, word) in
        [("active", "[\"a:b\"]"), ("suspended", "401"), ("active", "[\"a:b\"]"), ("erased", "401")]
    {
        two.platform.standing("u-1", status, &["a:b"]).await;
        two.says(word, || bearer(&token)).await;
        two.says(word, || act(&secret)).await;
    }
    two.says("401", || bearer(&unknown)).await;
    two.platform.subject("u-2", &[]).await;
    two.says("[]", || bearer(&unknown)).await;
    two.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_believed_at_once_and_a_withdrawn_one_no_longer() {
    let two = Two::begin().await;
    let next = Issuer::new("k-2");
    let (old, new) = (two.issuer.token("u-1", &json!({})), next.token("u-1", &json!({})));
    two.says("[\"catalog:view\"]", || bearer(&old)).await;
    two.says("401", || bearer(&new)).await;
    two.platform.publish(&next).await;
    two.says("[\"catalog:view\"]", || bearer(&new)).await;
    two.says("[\"catalog:view\"]", || bearer(&old)).await;
    let expired = "identity_key_put($1, 'ES256', '{}', now() - interval '1 s')";
    two.platform.call("token-mgr", expired, &[&next.kid]).await;
    two.says("401", || bearer(&new)).await;
    two.platform.withdraw(&two.issuer).await;
    two.says("401", || bearer(&old)).await;
    two.end().await;
}

/// Nobody waits for the next look: a token of a key that was published a moment ago makes the host
/// look at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_of_a_key_is_not_refused() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let host = platform.host().await;
    for n in 0..5 {
        let issuer = Issuer::new(&format!("k-{n}"));
        platform.publish(&issuer).await;
        let token = issuer.token("u-1", &json!({}));
        assert_eq!(ask(host.address(), bearer(&token)).await.status, 200, "{n}");
        // So often, and no oftener, a host looks for one who asks.
        tokio::time::sleep(Duration::from_millis(260)).await;
    }
    host.stop().await;
    platform.end().await;
}

/// A flood of key ids that nobody has published is no flood of queries.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_cost_no_queries() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let host = platform.host_with(|config| config.rate.refused_tokens.quota = 100_000).await;
    let scans = "select coalesce(seq_scan, 0) + coalesce(idx_scan, 0) \
                 from pg_stat_user_tables where relname = 'signing_key'";
    let read = async || {
        platform.run("select pg_stat_clear_snapshot()").await;
        platform.one::<i64>(scans).await
    };
    let before = read().await;
    for n in 0..300 {
        let flood = Issuer::new(&format!("../../etc/{n}'; drop table platform.signing_key; --"));
        let token = flood.token("u-1", &json!({}));
        ask(host.address(), bearer(&token)).await.is_problem(401, "invalid-token");
    }
    assert!(read().await - before < 5, "keys are read when they change");
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_hosts_own_key_needs_no_subject_when_it_carries_its_permissions() {
    let platform = Platform::new().await;
    platform.subject("u-1", &["catalog:view"]).await;
    let own = Issuer::new("dev");
    let jwks = json!({ "keys": [own.jwk] }).to_string();
    let host = platform.host_with(|config| {
        let keys = LocalKeys::from_jwks(&jwks, ISSUER, TENANT).unwrap();
        config.verifier = Some(std::sync::Arc::new(keys));
    });
    let host = host.await;
    let permissions = async |subject: &str, more: serde_json::Value| {
        let answer = ask(host.address(), bearer(&own.token(subject, &more))).await;
        match answer.status.as_u16() {
            200 => answer.json()["principal"]["permissions"].to_string(),
            status => status.to_string(),
        }
    };
    assert_eq!(permissions("ghost", json!({ "permissions": ["*"] })).await, "[\"*\"]");
    assert_eq!(permissions("ghost", json!({})).await, "401");
    assert_eq!(permissions("u-1", json!({})).await, "[\"catalog:view\"]");
    let carried = own.token("ghost", &json!({ "permissions": ["*"], "jti": "j-9" }));
    assert_eq!(ask(host.address(), bearer(&carried)).await.status, 200);
    platform.revoke("token", "j-9").await;
    soon("revoked", async || ask(host.address(), bearer(&carried)).await.status == 401).await;
    platform.go_away().await;
    assert_eq!(permissions("ghost", json!({ "permissions": ["*"] })).await, "[\"*\"]");
    platform.come_back().await;
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_come_together_are_found_by_few_queries() {
    let platform = Platform::new().await;
    let mut secrets = Vec::new();
    for n in 0..20 {
        let subject = format!("u-{n}");
        platform.subject(&subject, &[]).await;
        secrets.push((subject.clone(), platform.session(&subject).await.1));
    }
    let host = platform.host().await;
    let asked = secrets.iter().cycle().take(200).map(|(subject, secret)| {
        let request = get("/echo/x").header("cookie", format!("nexus-session={secret}"));
        let address = host.address();
        async move { (subject, ask(address, request).await) }
    });
    for (subject, answer) in futures::future::join_all(asked).await {
        assert_eq!(answer.json()["principal"]["subject"], json!(subject));
    }
    host.stop().await;
    platform.end().await;
}
