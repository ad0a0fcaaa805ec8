//! `nexus doctor` beside a host that runs: what is deployed, frozen and held up is what it says.

use super::cli::{Said, run};
use super::{Bed, QUEUE, SERVICE};
use http::Method;
use nexus_artifact::{Artifact, Parts};
use nexus_harness::prelude::*;
use std::collections::BTreeMap;

/// The probe `hello` again, as another revision.
fn archive() -> Vec<u8> {
    let fragment = "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"hello\"\n\
                    [component.hello]\nsource = \"hello.wasm\"\nenvironment = { N = \"2\" }\n";
    let parts = Parts {
        component: "hello",
        version: Some("2.0.0"),
        created: None,
        wasm: std::fs::read(probe("hello")).unwrap().into(),
        fragment: Some(fragment),
        migrations: Vec::new(),
    };
    Artifact::build(parts).unwrap().archive()
}

async fn doctor(bed: &Bed, arguments: &[&str]) -> Said {
    let host = bed.nexus.host();
    let (address, home) = (host.admin_address().to_string(), tempfile::tempdir().unwrap());
    let manifest = home.path().join("spin.toml");
    let text = "spin_manifest_version = 2\n[application]\nname = \"t\"\nversion = \"0\"\n";
    std::fs::write(&manifest, text).unwrap();
    let environment = [
        ("NEXUS_ADMIN_LISTEN", &*address),
        ("NEXUS_ADMIN_TOKEN", host.admin_token()),
        ("NEXUS_HOME", home.path().to_str().unwrap()),
        ("NEXUS_MANIFEST", manifest.to_str().unwrap()),
    ];
    run(&environment, &[&["doctor"], arguments].concat()).await
}

/// What it found of the host that runs, by check.
async fn found(bed: &Bed) -> BTreeMap<String, (String, String)> {
    let said = doctor(bed, &["--only", "running", "--json"]).await;
    let told = said.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = told["checks"].as_array().unwrap().iter();
    checks.map(|row| (text(&row["check"]), (text(&row["outcome"]), text(&row["found"])))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_deployed_frozen_and_dead_on_a_host_that_runs() {
    let bed = Bed::begin().await;
    let admin = bed.nexus.admin();
    let before = found(&bed).await;
    for check in ["answers", "ready", "components", "converged", "rollouts", "freezes"] {
        assert_eq!(before[check].0, "ok", "{check}: {:?}", before[check]);
    }
    for check in ["audit chain", "metrics", "queues", "schedules", "jobs", "open files"] {
        assert_eq!(before[check].0, "ok", "{check}: {:?}", before[check]);
    }
    assert_eq!(before["rollouts"].1, "none under way");
    assert_eq!((&*before["converged"].1, &*before["freezes"].1), ("1 hosts", "none in force"));

    let request = admin.request(Method::POST, "/api/v1/artifacts");
    let request = request.header("content-type", "application/vnd.oci.image.layout.v1.tar");
    let stored: Value = request.body(archive()).send().await.ok().json();
    let steps = json!({ "steps": [1_000, 10_000], "step_seconds": 600 });
    let order = json!({ "artifact": stored["digest"], "strategy": steps, "note": "a test" });
    let answer = admin.post("/api/v1/components/hello/deploy", order).await.status(202);
    let answer: Value = answer.json();
    let id = answer["rollout"]["id"].as_str().unwrap().to_owned();
    eventually("it steps", seconds(60), async || {
        let now: Value = admin.get(&format!("/api/v1/rollouts/{id}")).await.ok().json();
        now["state"] == "stepping"
    })
    .await;
    admin.post("/api/v1/freezes", json!({ "reason": "a premiere" })).await.ok();
    bed.bury("card expired").await;

    let after = found(&bed).await;
    assert_eq!(after["rollouts"].1, "under way: hello to revision 2 (stepping)");
    assert_eq!(after["freezes"].1, "in force: everything: a premiere");
    assert_eq!(after["dead letters"].0, "warn");
    assert!(after["dead letters"].1.contains(&format!("{SERVICE}/{QUEUE}: 1")));
    assert_eq!(after["converged"].1, "1 hosts");
    let path = format!("/api/v1/rollouts/{id}/abort");
    admin.post(&path, json!({ "reason": "the test is over" })).await;

    let said = doctor(&bed, &["--all"]).await;
    let line = |word: &str| said.out.lines().any(|line| line.contains(word));
    assert!(line("work: dead letters") && line("host: freezes"), "{}", said.out);
    assert!(said.out.lines().count() > 50, "{}", said.out);
    // This machine may lack something besides; a dead letter is odd, not wrong.
    let code = if said.out.lines().any(|line| line.starts_with("FAIL")) { 1 } else { 2 };
    assert_eq!(said.code, code, "{}", said.out);
}
