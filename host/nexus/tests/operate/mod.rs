//! Operating queues, schedules and jobs of a running host: over HTTP, by command, by metrics. The
//! host is the real one in this process; `billing` is a service that no component answers for, so
//! that what lies in its queues stays where the test has put it.

mod api;
mod cli;
mod configured;
mod doctor;
mod figures;
mod observe;
mod rollouts;
mod surface;

use nexus_harness::prelude::*;
use nexus_storage::Database;
use nexus_storage::jobs::{Jobs, Submission};
use nexus_storage::queue::{ClaimRequest, EnqueueRequest, Kind, Outcome, Queue, QueueId, Settings};
use nexus_storage::schedules::{ScheduleSpec, Schedules};
use uuid::Uuid;

const SERVICE: &str = "billing";
/// A name that has to be encoded in a path.
const QUEUE: &str = "late fees/eu";
const TOPIC: &str = "billing.fee.charged.v1";

struct Bed {
    nexus: Nexus,
    queue: Queue,
    id: QueueId,
}

impl Bed {
    async fn begin() -> Self {
        let nexus = Nexus::with_components(&[probe("hello")]).await;
        let queue = Queue::new(nexus.host().database().unwrap().clone());
        let settings = Settings { attempts_max: 2, ..Settings::default() };
        let id = queue.ensure(SERVICE, QUEUE, Kind::Service, "on_fee", &settings).await.unwrap();
        Self { nexus, queue, id }
    }

    fn database(&self) -> &Database {
        self.queue.database()
    }

    async fn put(&self, amount: i64) -> Uuid {
        let payload = json!({ "amount_minor": amount });
        let request = EnqueueRequest::new(self.id, TOPIC, SERVICE, payload);
        self.queue.enqueue(&request).await.unwrap()
    }

    /// Claims one message and ends it.
    async fn end(&self, outcome: Outcome) {
        let claim = self.queue.named(SERVICE, QUEUE).await.unwrap().unwrap().claim(1);
        let request = ClaimRequest { queues: vec![claim], worker: "w-1".into(), lease: None };
        let leased = self.queue.claim(&request).await.unwrap();
        let lease = leased.first().expect("a message is ready").lease;
        let ended = self.queue.finish(&[(lease, outcome)]).await.unwrap();
        assert!(!ended[0].is_stale());
    }

    /// A message that died of `reason`.
    async fn bury(&self, reason: &str) -> Uuid {
        let id = self.put(1).await;
        self.end(Outcome::Reject { reason: reason.into() }).await;
        id
    }

    /// A schedule of the service; the host has computed when it is due.
    async fn schedule(&self) -> Uuid {
        let schedules = Schedules::new(self.database().clone());
        let mut spec = ScheduleSpec::new("close_books", "15 3 * * *");
        spec.zone = "Europe/Berlin".into();
        schedules.sync(SERVICE, &[spec]).await.unwrap();
        let found = async || schedules.named(SERVICE, "close_books").await.unwrap().unwrap();
        let computed = async || found().await.next_fire_at.is_some();
        eventually("the next fire is known", seconds(30), computed).await;
        found().await.id
    }

    async fn job(&self, kind: &str) -> Uuid {
        let jobs = Jobs::new(self.database().clone());
        self.database().admit(&[SERVICE]).await.unwrap();
        let (args, options) = (json!({ "object": "a.mp4" }), json!({}));
        let job = Submission {
            kind,
            id: Uuid::now_v7(),
            tenant: None,
            args: &args,
            trace: None,
            options: &options,
        };
        jobs.submit(SERVICE, &job).await.unwrap()
    }
}
