//! The operators' pages in Chromium, from the token to the journal, and from a file to a canary
//! that serves or goes back. The persons at it are `clients/dashboard.mjs` and
//! `clients/dashboard_rollout.mjs`. `NEXUS_PICTURES` names a folder for pictures.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use nexus_harness::probe;
use nexus_storage::jobs::{Jobs, Submission};
use nexus_storage::queue::{ClaimRequest, EnqueueRequest, Kind, Outcome, Queue, Settings};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

/// With schedules, subscriptions and calls between them.
const SERVICES: [&str; 8] =
    ["core-os", "email", "gateway", "kms", "scheduler", "session-mgr", "user-auth", "users"];
/// A service that no component answers for: what lies in its queue stays there.
const SERVICE: &str = "billing";
const QUEUE: &str = "late_fees";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_walks_through_the_dashboard_and_works_with_it() {
    let nexus = Nexus::setup().services(&SERVICES).start().await;
    bury(&nexus, 2).await;
    let job = job(&nexus).await;
    let admin = nexus.host().admin_address();
    for path in ["/api/core-os/v1/services", "/api/core-os/v1/status", "/nowhere"] {
        nexus.anonymous().get(path).await;
    }
    let mut node = tools::node("dashboard.mjs");
    node.arg(tools::browser())
        .env("NEXUS_ADMIN", format!("http://localhost:{}", admin.port()))
        .env("NEXUS_URL", nexus.url())
        .env("NEXUS_TOKEN", nexus.host().admin_token())
        .env("QUEUE", format!("{SERVICE}/{QUEUE}"))
        .env("JOB", job.to_string())
        .env("NEXUS_PICTURES", std::env::var("NEXUS_PICTURES").unwrap_or_default());
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap();
    claim_success(&output.unwrap(), "the operator at the dashboard");
}

/// Messages that failed for good.
async fn bury(nexus: &Nexus, messages: usize) {
    let queue = Queue::new(nexus.host().database().unwrap().clone());
    let settings = Settings { attempts_max: 2, ..Settings::default() };
    let id = queue.ensure(SERVICE, QUEUE, Kind::Service, "on_fee", &settings).await.unwrap();
    for amount in 0..messages {
        let payload = json!({ "amount_minor": amount });
        let request = EnqueueRequest::new(id, "billing.fee.charged.v1", SERVICE, payload);
        queue.enqueue(&request).await.unwrap();
        let claim = queue.named(SERVICE, QUEUE).await.unwrap().unwrap().claim(1);
        let request = ClaimRequest { queues: vec![claim], worker: "w-1".into(), lease: None };
        let lease = queue.claim(&request).await.unwrap()[0].lease;
        let reason = "the ledger is closed".into();
        queue.finish(&[(lease, Outcome::Reject { reason })]).await.unwrap();
    }
}

async fn job(nexus: &Nexus) -> Uuid {
    let database = nexus.host().database().unwrap().clone();
    database.admit(&[SERVICE]).await.unwrap();
    let (args, options) = (json!({ "object": "a.mp4" }), json!({}));
    let id = Uuid::now_v7();
    let job =
        Submission { kind: "print", id, tenant: None, args: &args, trace: None, options: &options };
    Jobs::new(database).submit(SERVICE, &job).await.unwrap()
}

/// Two components of the same bytes, one with a name as long as people give them.
fn lamps() -> String {
    let mut toml = String::from(
        "spin_manifest_version = 2\n[application]\nname = \"test\"\nversion = \"0.0.0\"\n",
    );
    let source = probe("hello");
    for name in ["lamp", "the-lamp-at-the-far-end-of-the-corridor-on-the-second-floor"] {
        toml += &format!(
            "[[trigger.http]]\nroute = \"/api/{name}/...\"\ncomponent = \"{name}\"\n\
             [component.{name}]\nsource = \"{}\"\nvariables = {{ colour = \"warm\" }}\n",
            source.display()
        );
    }
    toml
}

/// The first probe once more, with a custom section (core specification, 5.5.3) that makes it
/// another artifact.
fn changed(folder: &Path) -> PathBuf {
    let mut wasm = std::fs::read(probe("hello")).unwrap();
    wasm.extend([0, 3, 1, b'n', 2]);
    let file = folder.join("brighter.wasm");
    std::fs::write(&file, wasm).unwrap();
    file
}

/// Callers of a path at which one of the probes traps; each call may meet another revision.
fn load(nexus: &Nexus, over: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for caller in 0..4 {
        let (over, client) = (over.clone(), nexus.anonymous());
        callers.spawn(async move {
            let mut calls = 0;
            while !over.load(Relaxed) {
                let key = format!("{caller}-{calls}");
                let call = client.request(http::Method::GET, "/api/lamp/trap");
                call.header("nexus-affinity", &key).send().await;
                calls += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    callers
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sends_a_component_watches_its_canary_and_sees_a_bad_one_go_back() {
    let nexus = Nexus::setup().manifest(lamps()).start().await;
    // What the bad one does is what is looked at.
    nexus.expects_log("lamp");
    let folder = tempfile::tempdir().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let callers = load(&nexus, &over);
    let mut node = tools::node("dashboard_rollout.mjs");
    node.arg(tools::browser())
        .env("NEXUS_ADMIN", format!("http://localhost:{}", nexus.host().admin_address().port()))
        .env("NEXUS_TOKEN", nexus.host().admin_token())
        .env("GOOD", changed(folder.path()))
        .env("BAD", probe("hostile"))
        .env("UNGRANTED", probe("spin"))
        .env("NEXUS_PICTURES", std::env::var("NEXUS_PICTURES").unwrap_or_default());
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap();
    over.store(true, Relaxed);
    callers.join_all().await;
    claim_success(&output.unwrap(), "the operator at a rollout");
    let journal: Value = nexus.admin().get("/api/v1/audit?limit=100").await.ok().json();
    let journal = journal.to_string();
    for reason in ["looks slow to me", "the night before the premiere", "it is good"] {
        assert!(journal.contains(reason), "{reason:?} in {journal}");
    }
}
