//! The door of operators: everything that the admin API has words for is in `ground`. It cannot put
//! messages in, nor take them out and end them: for those steps the storage stands in, as it does
//! under every door.

use super::ground::Ground;
use super::{Door, End, Put, Rules, Taken};
use nexus_harness::prelude::*;
use nexus_storage::queue::{
    ClaimRequest, EnqueueRequest, Kind, Outcome, Queue, Registered, Settings,
};
use std::time::Duration;
use uuid::Uuid;

/// No component of the host is called so: it does not claim for it.
const SERVICE: &str = "nobody";
const NAME: &str = "work";

pub(crate) struct Operators {
    ground: Ground,
    queue: Queue,
    registered: Registered,
}

impl Door for Operators {
    async fn open(rules: Rules) -> Self {
        let nexus = Nexus::setup().components(&[probe("hello")]).start().await;
        let queue = Queue::new(nexus.host().database().expect("there is a database").clone());
        let settings = Settings {
            attempts_max: rules.attempts_max,
            concurrency_max: Some(rules.at_once),
            grouped: rules.grouped,
            backoff_first: Duration::ZERO,
            ..Settings::default()
        };
        queue.ensure(SERVICE, NAME, Kind::Service, "on_work", &settings).await.expect("make it");
        let registered = queue.named(SERVICE, NAME).await.expect("read it").expect("it is there");
        Self { ground: Ground::new(nexus, SERVICE, NAME), queue, registered }
    }

    fn ground(&self) -> &Ground {
        &self.ground
    }

    async fn put(&self, put: Put) -> Uuid {
        let topic = "test.thing.happened.v1";
        let request = EnqueueRequest {
            delay: put.delay,
            priority: put.priority,
            group: put.group.map(str::to_owned),
            dedup_key: put.dedup_key.map(str::to_owned),
            ..EnqueueRequest::new(self.registered.id, topic, SERVICE, json!({}))
        };
        self.queue.enqueue(&request).await.expect("put it in");
        request.id
    }

    async fn try_take(&self) -> Option<Taken> {
        let queues = vec![self.registered.claim(1)];
        let request = ClaimRequest { queues, worker: "w".into(), lease: None };
        let leased = self.queue.claim(&request).await.expect("claim").pop()?;
        let (id, lease) = (leased.message.id, leased.lease.to_string());
        Some(Taken { id, attempt: leased.attempt, lease })
    }

    async fn finish(&self, taken: &Taken, end: End) -> bool {
        let outcome = match end {
            End::Ack => Outcome::Ack,
            End::Retry { after, reason } => {
                Outcome::Retry { after: Some(after), reason: reason.into() }
            }
            End::Release => Outcome::Release { after: None },
            End::Reject { reason } => Outcome::Reject { reason: reason.into() },
        };
        let lease = taken.lease.parse().expect("a lease");
        !self.queue.finish(&[(lease, outcome)]).await.expect("end it")[0].is_stale()
    }

    async fn end(self) {
        drop(self.queue);
        self.ground.nexus.stop().await.expect("the host stops");
    }
}
