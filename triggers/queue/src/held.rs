//! The leases this host holds: kept alive by their number until their end is written. Refuses to
//! know what they are for.

use nexus_storage::queue::{Lease, Leased, Queue};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Looked at so often when nothing is held.
const IDLE: Duration = Duration::from_secs(20);

/// All leases of this host. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Shared>);

#[derive(Default)]
struct Shared {
    leases: Mutex<HashMap<Lease, Renewal>>,
    /// A lease has come that may want renewal before the others.
    changed: Notify,
}

#[derive(Clone, Copy)]
struct Renewal {
    /// What an extension asks for: as much as the claim was given.
    lease: Duration,
    due: Instant,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Renewal>> {
        self.0.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// `since` is from before the claim: the lease began later than that.
    pub(crate) fn add(&self, leased: &Leased, since: Instant) {
        let lease = leased.lease_time();
        let renewal = Renewal { lease, due: since + lease / 3 };
        self.lock().insert(leased.lease, renewal);
        self.0.changed.notify_one();
    }

    pub(crate) fn remove(&self, lease: &Lease) {
        self.lock().remove(lease);
    }

    pub(crate) fn contains(&self, lease: &Lease) -> bool {
        self.lock().contains_key(lease)
    }

    fn next_due(&self) -> Instant {
        let next = self.lock().values().map(|renewal| renewal.due).min();
        next.unwrap_or_else(|| Instant::now() + IDLE)
    }

    /// What is due at `now`, or soon after it: one statement serves more of them.
    fn due(&self, now: Instant) -> HashMap<Duration, Vec<Lease>> {
        let mut due: HashMap<Duration, Vec<Lease>> = HashMap::new();
        for (lease, renewal) in self.lock().iter_mut() {
            if renewal.due <= now + renewal.lease / 10 {
                renewal.due = now + renewal.lease / 3;
                due.entry(renewal.lease).or_default().push(*lease);
            }
        }
        due
    }

    /// Renews leases until it is dropped. A lease that was lost is let go of: its work goes on, and
    /// what it says in the end is stale.
    pub(crate) async fn renew(self, queue: Queue) {
        loop {
            let next = tokio::time::Instant::from_std(self.next_due());
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.0.changed.notified() => continue,
            }
            for (by, leases) in self.due(Instant::now()) {
                match queue.extend(&leases, by).await {
                    Ok(held) => {
                        for (lease, _) in leases.iter().zip(held).filter(|(_, held)| !held) {
                            tracing::warn!(%lease, "a lease was lost while its work goes on");
                            self.remove(lease);
                        }
                    }
                    // Twice more before it lapses; the database may be back by then.
                    Err(error) => tracing::warn!(%error, "leases could not be extended"),
                }
            }
        }
    }
}
