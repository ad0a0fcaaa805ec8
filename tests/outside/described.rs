//! Programs that are made from our OpenAPI document and believe it. schemathesis asks every
//! operation for what the document allows, and for what it does not, and holds each answer against
//! it: no server error, no status, type, header or body that is not described.

use crate::tools::{self, claim_success};
use nexus::dev_tokens::Claims;
use nexus_harness::prelude::*;
use nexus_runtime::{DEFAULT_TENANT, PrincipalKind};
use std::fs;
use std::time::Duration;

/// Each has rate limits of their own: as many as a whole run needs.
const ADMINISTRATORS: usize = 24;

/// The same cases in every run.
const SEED: &str = "4";

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

/// Tokens of people who have an account and may do everything.
async fn administrators(nexus: &Nexus) -> Vec<String> {
    let operator = nexus.operator();
    let mut tokens = Vec::new();
    for number in 0..ADMINISTRATORS {
        let draft = json!({ "email": format!("a{number}@client.example"), "display_name": "Ada" });
        let made = operator.post("/api/users/v1/users", draft).await.created();
        tokens.push(nexus.token(&Claims {
            subject: made.json["id"].as_str().unwrap().to_owned(),
            kind: PrincipalKind::User,
            permissions: vec!["*".into()],
            tenant: DEFAULT_TENANT,
            lifetime: Duration::from_secs(3600),
        }));
    }
    tokens
}

/// By default every schema is covered, in a minute and a half of two cores. `NEXUS_LONG=1` also
/// makes cases at random, and follows what answers lead to.
fn extent() -> [&'static str; 4] {
    match std::env::var("NEXUS_LONG").is_ok_and(|long| long == "1") {
        true => ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "60"],
        false => ["--phases", "examples,coverage,fuzzing", "--max-examples", "2"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_sees_nothing_that_the_document_does_not_say() {
    let nexus = Nexus::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let report = folder.path().join("report.json");
    let mut client = tools::python_program("schemathesis");
    client
        .current_dir(folder.path())
        .env("SCHEMATHESIS_HOOKS", tools::scripts().join("described.py"))
        .env("NEXUS_TOKENS", administrators(&nexus).await.join(" "))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg("--config-file")
        .arg(tools::scripts().join("described.toml"))
        .args(["run", &format!("{}/openapi.json", nexus.url()), "--checks", CHECKS])
        // One worker: two threads that parse Python at once end in "AST constructor recursion depth
        // mismatch" before CPython 3.11.5 (python/cpython#106905).
        .args(["--seed", SEED, "--generation-database", "none", "--workers", "1"])
        .args(["--continue-on-failure", "--request-timeout", "60", "--no-color"])
        .args(["--warnings", "off", "--report", "json", "--report-json-path"])
        .arg(&report)
        .args(extent());
    let output = tokio::task::spawn_blocking(move || client.output()).await.unwrap().unwrap();
    claim_success(&output, "schemathesis");
    let report: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let (tested, cases) = (&report["operations"]["tested"], &report["test_cases"]["generated"]);
    // A document that describes nothing is checked for nothing.
    assert!(tested.as_u64() >= Some(350) && cases.as_u64() >= Some(5_000), "{report:#}");
    println!("{tested} operations, {cases} cases");
}
