//! One round with the database: subscriptions brought up to date, queues read again, messages
//! claimed. Runs beside the dispatcher, which goes on handing out what it has.

use crate::backend::{Backend, Consumer};
use crate::subscriptions::{deliverable, synchronise};
use nexus_runtime::ComponentId;
use nexus_storage::Error;
use nexus_storage::queue::{Claim, ClaimRequest, Leased, Queue, Registered};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to do in a round.
pub(crate) struct Round<B> {
    pub(crate) backend: B,
    pub(crate) queue: Queue,
    pub(crate) host: Arc<str>,
    pub(crate) lease: Option<Duration>,
    /// The generation whose subscriptions are in force.
    pub(crate) generation: Option<u64>,
    /// Whether to read the queues again.
    pub(crate) refresh: bool,
    pub(crate) claims: Vec<Claim>,
}

/// What came of it.
pub(crate) struct Found {
    pub(crate) generation: Option<u64>,
    /// All queues, if they were read.
    pub(crate) queues: Option<Vec<(Registered, ComponentId)>>,
    pub(crate) asked: Vec<Claim>,
    pub(crate) leased: Vec<Leased>,
    /// From before the claim.
    pub(crate) since: Instant,
    pub(crate) error: Option<Error>,
}

impl<B: Backend> Round<B> {
    pub(crate) async fn run(self) -> Found {
        let mut found = Found {
            generation: self.generation,
            queues: None,
            asked: Vec::new(),
            leased: Vec::new(),
            since: Instant::now(),
            error: None,
        };
        found.error = self.steps(&mut found).await.err();
        found
    }

    async fn steps(self, found: &mut Found) -> Result<(), Error> {
        let generation = self.backend.generation();
        let moved_on = found.generation != Some(generation);
        if moved_on || self.refresh {
            let consumers: Vec<Consumer> = self.backend.consumers();
            if moved_on {
                synchronise(&self.queue, &consumers).await?;
                found.generation = Some(generation);
            }
            found.queues = Some(deliverable(&self.queue, &consumers).await?);
        }
        found.asked = self.claims;
        if found.asked.is_empty() {
            return Ok(());
        }
        found.since = Instant::now();
        let queues = found.asked.clone();
        let request = ClaimRequest { queues, worker: self.host, lease: self.lease };
        found.leased = self.queue.claim(&request).await?;
        Ok(())
    }
}
