//! Programs that read the merged API document.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_finds_the_merged_document_valid_and_complete() {
    let nexus = Nexus::start().await;
    let merged: Value = nexus.anonymous().get("/openapi.json").await.ok().json();
    assert_eq!(merged.get("x-nexus-missing"), None, "every component has answered");
    let mut python = tools::python();
    python.arg(tools::scripts().join("openapi.py")).env("NEXUS_URL", nexus.url());
    let output = tokio::task::spawn_blocking(move || python.output()).await.unwrap();
    claim_success(&output.unwrap(), "openapi-spec-validator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_finds_the_operators_document_valid() {
    let nexus = Nexus::setup().services(&["core-os"]).start().await;
    let document = nexus.admin().get("/api/v1/openapi.json").await.ok();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("operators.json");
    std::fs::write(&file, &document.body).unwrap();
    let mut python = tools::python();
    python.arg(tools::scripts().join("described_file.py")).arg(&file);
    let output = tokio::task::spawn_blocking(move || python.output()).await.unwrap();
    claim_success(&output.unwrap(), "openapi-spec-validator");
}
