//! The operators' pages in Chromium, from the token to the journal. The person at it is
//! `clients/dashboard.mjs`. `NEXUS_PICTURES` names a folder for pictures.

use crate::tools::{self, claim_success};
use nexus_harness::prelude::*;
use nexus_storage::jobs::{Jobs, Submission};
use nexus_storage::queue::{ClaimRequest, EnqueueRequest, Kind, Outcome, Queue, Settings};
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
