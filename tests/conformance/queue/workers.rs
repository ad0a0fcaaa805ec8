//! The door of native workers: they claim and finish by `/worker/v1`. They put nothing in (jobs are
//! submitted by services, here by the storage's own call) and see no other jobs than their own
//! (what an operator sees is in `ground`). A job's queue has no bound over all workers.

use super::ground::Ground;
use super::{Door, End, Put, Rules, Taken};
use nexus_harness::prelude::*;
use nexus_storage::jobs::{Jobs, Submission};
use uuid::Uuid;

/// All jobs are in queues of this name's.
const SERVICE: &str = "media-native";
const KIND: &str = "errand";

/// Whose jobs they are; a guest that does nothing for this.
const CUSTOMER: &str = "hello";

pub(crate) struct Workers {
    ground: Ground,
    worker: Client,
    jobs: Jobs,
    rules: Rules,
}

impl Door for Workers {
    async fn open(rules: Rules) -> Self {
        let nexus = Nexus::setup().components(&[probe(CUSTOMER)]).start().await;
        let host = nexus.host();
        let worker = Client::new(&format!("http://{}", host.admin_address()));
        let worker = worker.bearer(host.worker_token());
        let jobs = Jobs::new(host.database().expect("there is a database").clone());
        let ground = Ground::new(nexus, SERVICE, KIND);
        // As the first job of a kind makes it.
        ground.value(&format!("select platform.job_queue_ensure('{KIND}', '{{}}')::text")).await;
        Self { ground, worker, jobs, rules }
    }

    fn ground(&self) -> &Ground {
        &self.ground
    }

    async fn put(&self, put: Put) -> Uuid {
        let mut options = json!({ "attempts_max": self.rules.attempts_max });
        options["priority"] = put.priority.into();
        if let Some(delay) = put.delay {
            options["delay_ms"] = delay.as_millis().try_into().map(u64::into).expect("a number");
        }
        if let Some(group) = put.group {
            options["group"] = group.into();
        }
        if let Some(key) = put.dedup_key {
            options["dedup_key"] = key.into();
        }
        let (id, args) = (Uuid::now_v7(), json!({}));
        let job = Submission {
            kind: KIND,
            id,
            tenant: None,
            args: &args,
            trace: None,
            options: &options,
        };
        self.jobs.submit(CUSTOMER, &job).await.expect("submit it");
        id
    }

    async fn try_take(&self) -> Option<Taken> {
        let wish = json!({ "worker": "w-1", "kinds": [KIND], "most": 1, "wait_ms": 0 });
        let reply: Value = self.worker.post("/worker/v1/claim", wish).await.ok().json();
        let job = reply["jobs"].as_array().expect("a list").first()?;
        let text = |name: &str| job[name].as_str().expect("a text");
        Some(Taken {
            id: text("id").parse().expect("an id"),
            attempt: job["attempt"].as_u64().and_then(|n| u32::try_from(n).ok()).expect("a number"),
            lease: text("lease").to_owned(),
        })
    }

    async fn finish(&self, taken: &Taken, end: End) -> bool {
        let mut told = match end {
            End::Ack => json!({ "outcome": "ack", "output": {} }),
            End::Retry { after, reason } => {
                let after = u64::try_from(after.as_millis()).expect("a number");
                json!({ "outcome": "retry", "after_ms": after, "reason": reason })
            }
            End::Release => json!({ "outcome": "release" }),
            End::Reject { reason } => json!({ "outcome": "reject", "reason": reason }),
        };
        told["lease"] = taken.lease.as_str().into();
        let answer = self.worker.post(&format!("/worker/v1/jobs/{}/finish", taken.id), told).await;
        match answer.status.as_u16() {
            204 => true,
            _ => {
                answer.problem(409, "lease-lost");
                false
            }
        }
    }

    async fn end(self) {
        drop(self.jobs);
        self.ground.nexus.stop().await.expect("the host stops");
    }
}
