//! Programs with an API key.

use crate::clients::{ask, get, send};
use crate::following::soon;
use crate::platform::Platform;
use http::Request;
use serde_json::json;
use std::time::Duration;
use trigger_http::RateClass;

fn with_key(key: &str) -> http::request::Builder {
    get("/echo/x").header("x-api-key", key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_owner_cut_down_to_its_limit() {
    let platform = Platform::new().await;
    platform.subject("u-1", &["catalog:*"]).await;
    let limit: &[&str] = &["catalog:view", "orders:view"];
    let (_, key) = platform.api_key("u-1", None, Some(limit), None).await;
    let host = platform.host().await;
    let bearer = get("/echo/x").header("authorization", format!("Bearer {key}"));
    let vault = get("/v1/transit/x").header("x-vault-token", key.as_str());
    for request in [with_key(&key), bearer, vault] {
        let seen = ask(host.address(), request).await.json();
        assert_eq!(seen["principal"]["subject"], "u-1");
        assert_eq!(seen["principal"]["kind"], "api_key");
        assert_eq!(seen["principal"]["permissions"], json!(["catalog:view"]));
        for name in ["x-api-key", "authorization", "x-vault-token"] {
            assert!(seen["headers"].get(name).is_none(), "{name}");
        }
    }
    let vault = get("/echo/x").header("x-vault-token", key.as_str());
    let elsewhere = ask(host.address(), vault).await.json();
    assert_eq!(elsewhere["principal"]["kind"], "anonymous");
    assert!(elsewhere["headers"].get("x-vault-token").is_none());
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_needs_no_page_behind_it() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, key) = platform.api_key("u-1", None, None, None).await;
    let host = platform.host().await;
    let post = Request::post("/echo/x").header("host", "nexus.example");
    let post = post.header("x-api-key", key).header("sec-fetch-site", "cross-site");
    assert_eq!(send(host.address(), post, "").await.status, 200);
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_unknown_revoked_or_out_of_place_is_401() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (id, key) = platform.api_key("u-1", None, None, None).await;
    let (_, bound) = platform.api_key("u-1", None, None, Some(&["192.0.2.0/24"])).await;
    let (_, here) = platform.api_key("u-1", None, None, Some(&["127.0.0.0/8"])).await;
    let (_, orphan) = platform.api_key("nobody", None, None, None).await;
    let (_, session) = platform.session("u-1").await;
    let host = platform.host().await;
    for wrong in ["nx_test_1_2", "secret", &bound, &orphan, &session, &format!("{key}x")] {
        ask(host.address(), with_key(wrong)).await.is_problem(401, "invalid-api-key");
    }
    assert_eq!(ask(host.address(), with_key(&here)).await.status, 200);
    let as_cookie = get("/echo/x").header("cookie", format!("nexus-session={here}"));
    let seen = ask(host.address(), as_cookie).await.json();
    assert_eq!(seen["principal"]["kind"], "anonymous", "a key is no session");
    assert_eq!(ask(host.address(), with_key(&key)).await.status, 200);
    platform
        .call("token-mgr", "identity_credential_revoke($1, $2)", &[&crate::platform::TENANT, &id])
        .await;
    soon("the key is revoked", async || ask(host.address(), with_key(&key)).await.status == 401)
        .await;
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_an_organisation_ends_with_its_owners_membership() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    platform.member("u-1", "o-1", Some(&["orders:view"])).await;
    let (_, key) = platform.api_key("u-1", Some("o-1"), None, None).await;
    let host = platform.host().await;
    let principal = ask(host.address(), with_key(&key)).await.json()["principal"].clone();
    assert_eq!(principal["organisation"], "o-1");
    assert_eq!(principal["permissions"], json!(["orders:view"]));
    let other = with_key(&key).header("nexus-organisation", "o-2");
    ask(host.address(), other).await.is_problem(403, "not-a-member");
    platform.member("u-1", "o-1", None).await;
    soon("the membership is over", async || {
        ask(host.address(), with_key(&key)).await.status == 401
    })
    .await;
    host.stop().await;
    platform.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_has_a_bucket_of_its_own() {
    let platform = Platform::new().await;
    platform.subject("u-1", &[]).await;
    let (_, one) = platform.api_key("u-1", None, None, None).await;
    let (_, other) = platform.api_key("u-1", None, None, None).await;
    let host = platform.host_with(|config| {
        config.rate.classes.push(RateClass::new("tight", 2, Duration::from_secs(3600)));
    });
    let host = host.await;
    let limited = |key: &str| get("/limited").header("x-api-key", key);
    for status in [200, 200, 429] {
        assert_eq!(ask(host.address(), limited(&one)).await.status, status);
    }
    assert_eq!(ask(host.address(), limited(&other)).await.status, 200);
    host.stop().await;
    platform.end().await;
}
