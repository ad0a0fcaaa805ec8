//! Programs that were written for Vault's transit engine.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;

#[tokio::test(flavor = "multi_thread")]
async fn hvac_seals_signs_and_rotates() {
    let nexus = Nexus::start().await;
    let mut python = tools::python();
    python.arg(tools::scripts().join("vault_transit.py"));
    python.env("NEXUS_URL", nexus.url()).env("NEXUS_TOKEN", nexus.operator_token());
    let output = tokio::task::spawn_blocking(move || python.output()).await.unwrap();
    claim_success(&output.unwrap(), "hvac");
}
