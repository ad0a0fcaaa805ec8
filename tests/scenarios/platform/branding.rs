//! A tenant wears the platform's brand until it sets its own.

use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_brand_is_worn_by_json_style_sheet_and_logo_alike() {
    let nexus = Nexus::start().await;
    let anyone = nexus.anonymous();
    let mut brand: Value = anyone.get("/api/core-os/v1/branding").await.ok().json();
    assert_eq!(brand["primary_color"], "#2563eb");
    brand["name"] = json!("Studio Nine");
    brand["primary_color"] = json!("#7c1d6f");
    nexus.operator().put("/api/core-os/v1/branding", &brand).await.ok();
    let css = anyone.get("/api/core-os/v1/branding/tokens.css").await.ok();
    assert!(css.text().contains("--brand-primary: #7c1d6f;"), "{css:?}");
    assert_eq!(css.header("content-type"), Some("text/css; charset=utf-8"));
    let logo = anyone.get("/api/core-os/v1/branding/logo.svg").await.ok();
    assert_eq!(logo.header("content-type"), Some("image/svg+xml"));
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_that_text_cannot_be_read_on_and_logos_that_act_are_refused() {
    let nexus = Nexus::start().await;
    let brand: Value = nexus.anonymous().get("/api/core-os/v1/branding").await.ok().json();
    let mut pale = brand.clone();
    pale["primary_color"] = json!("#ffee88");
    let refused = nexus.operator().put("/api/core-os/v1/branding", pale).await;
    refused.problem(422, "low-contrast");
    let mut acting = brand;
    acting["logo_svg"] = json!("<svg><script>alert(1)</script></svg>");
    let refused = nexus.operator().put("/api/core-os/v1/branding", acting).await;
    refused.problem(422, "logo-unsafe");
}
