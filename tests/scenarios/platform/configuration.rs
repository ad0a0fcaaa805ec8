//! Remote configuration: a service reads its own values over the global ones.

use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_services_own_value_wins_over_the_global_one() {
    let nexus = Nexus::start().await;
    let editor = nexus.operator();
    editor
        .put("/api/core-os/v1/config/global/page.size", json!({ "value": 20 }))
        .await
        .no_content();
    editor
        .put("/api/core-os/v1/config/global/theme", json!({ "value": "dark" }))
        .await
        .no_content();
    editor
        .put("/api/core-os/v1/config/search/page.size", json!({ "value": 50 }))
        .await
        .no_content();
    let config: Value = editor.get("/api/core-os/v1/config/search").await.ok().json();
    assert_eq!(config["values"], json!({ "page.size": 50, "theme": "dark" }));
    editor.delete("/api/core-os/v1/config/search/page.size").await.no_content();
    let config: Value = editor.get("/api/core-os/v1/config/search").await.ok().json();
    assert_eq!(config["values"]["page.size"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_no_service_is_refused() {
    let nexus = Nexus::start().await;
    let path = "/api/core-os/v1/config/no-such-service/key";
    let refused = nexus.operator().put(path, json!({ "value": 1 })).await;
    refused.problem(422, "unknown-scope");
}
