//! Tenants of the platform: known by their host names, and let in or not.

use crate::clients::ask;
use crate::following::soon;
use crate::platform::{Issuer, Platform, claims};
use http::Request;
use serde_json::json;
use uuid::Uuid;

fn at(host: &str) -> http::request::Builder {
    Request::get("/echo/x").header("host", host)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_known_by_its_host_names_and_may_be_suspended() {
    let platform = Platform::new().await;
    let brand = Uuid::now_v7();
    let host = platform.host().await;
    let put = async |status: &str| {
        let sql = "identity_tenant_put($1, 'brand', 'Brand', '{brand.example}', $2)";
        platform.call("users", sql, &[&brand, &status]).await;
    };
    put("active").await;
    let tenant = async |name: &str| {
        let answer = ask(host.address(), at(name)).await;
        match answer.status.as_u16() {
            200 => answer.json()["principal"]["tenant"].as_str().unwrap().to_owned(),
            status => status.to_string(),
        }
    };
    soon("the brand is known", async || tenant("Brand.example:8080").await == brand.to_string())
        .await;
    assert_eq!(tenant("nexus.example").await, crate::platform::TENANT.to_string());

    let issuer = Issuer::new("k-1");
    platform.publish(&issuer).await;
    platform.subject("u-1", &[]).await;
    let bearer = format!("Bearer {}", issuer.sign(&claims("u-1", &json!({}))));
    let elsewhere = at("brand.example").header("authorization", &bearer);
    ask(host.address(), elsewhere).await.is_problem(401, "invalid-token");

    put("suspended").await;
    soon("the brand is suspended", async || tenant("brand.example").await == "403").await;
    ask(host.address(), at("brand.example")).await.is_problem(403, "tenant-suspended");
    assert_eq!(ask(host.address(), at("nexus.example")).await.status, 200);
    host.stop().await;
    platform.end().await;
}
