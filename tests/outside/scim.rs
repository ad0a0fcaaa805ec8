//! Directories that provision people and groups.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn scim2_tester_finds_nothing_wrong() {
    let nexus = Nexus::start().await;
    let mut python = tools::python();
    python.arg(tools::scripts().join("scim.py"));
    python.env("NEXUS_URL", nexus.url()).env("NEXUS_TOKEN", nexus.operator_token());
    let output = tokio::task::spawn_blocking(move || python.output()).await.unwrap();
    claim_success(&output.unwrap(), "scim2-tester");
}
