//! What this host knows of the platform's identity: published keys, revocations, tenants, and of
//! credentials and subjects those that were asked for. It is read from the database when first
//! needed and followed by its notices, so that a change made on any host is in force on this one
//! within a second, and a request that finds everything here waits for nothing.
//!
//! Knows when what it knows is too old to be believed. Refuses to know requests and answers.

mod directory;
mod follow;
mod held;
mod resolve;
mod revocations;
mod tenants;
mod versions;

pub use follow::Follower;
pub(crate) use held::Held;
pub(crate) use resolve::{Proof, Refused};
pub(crate) use tenants::Brands;

use crate::key_set::KeySet;
use crate::principal::{Proven, Unproven};
use arc_swap::ArcSwap;
use directory::Directory;
use nexus_storage::identity::{Identity as Storage, RevocationKind};
use revocations::Revocations;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};
use uuid::Uuid;
use versions::{AsOf, Place, Versions};

/// How long what is known is believed while the database is away. Long enough for a restart or a
/// failover, short enough that nobody keeps what was taken from them by pulling a plug.
const BELIEVED_FOR: Duration = Duration::from_secs(300);

/// A key that nobody knows makes the host look whether it was just published, but at most so often,
/// whoever asks.
const LOOK_AGAIN_EVERY: Duration = Duration::from_millis(250);

/// How long a request waits for that look.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(1);

/// Seconds since 1970, as those see it who make credentials.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The platform's identity, as one host knows it. Cheap to clone; all clones are the same.
///
/// Nothing is known until a [`Follower`] has looked: credentials are answered with 503 until then.
#[derive(Clone)]
pub struct Identities(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    issuer: String,
    default_tenant: Uuid,
    clock: Clock,
    versions: Versions,
    keys: ArcSwap<KeySet>,
    revocations: Revocations,
    brands: ArcSwap<Brands>,
    directory: Directory,
    /// Uses of credentials that are to be written back.
    touched: Mutex<HashMap<Uuid, i64>>,
    began: Instant,
    /// Milliseconds after `began` of the last look that succeeded, plus one; 0 before the first.
    looked: AtomicU64,
    /// Looks begun, and the last one that ended well.
    begun: AtomicU64,
    ended: watch::Sender<u64>,
    wanted: Notify,
    /// When a look was last wanted at once, and which.
    asked: Mutex<Option<(Instant, u64)>>,
}

impl Identities {
    /// Tokens must name `issuer`, those without a tenant belong to `default_tenant`; times of
    /// credentials are compared with `clock`.
    pub fn new(issuer: &str, default_tenant: Uuid, clock: Clock) -> Self {
        let keys = KeySet::of_published(&[], issuer, default_tenant);
        Self(Arc::new(Inner {
            issuer: issuer.to_owned(),
            default_tenant,
            clock,
            versions: Versions::new(),
            keys: ArcSwap::from_pointee(keys),
            revocations: Revocations::new(),
            brands: ArcSwap::from_pointee(Brands::default()),
            directory: Directory::new(),
            touched: Mutex::default(),
            began: Instant::now(),
            looked: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
            wanted: Notify::new(),
            asked: Mutex::default(),
        }))
    }

    /// The machine's own clock.
    pub fn machine_clock() -> Clock {
        Arc::new(machine_now)
    }

    /// Whoever keeps this up to date from `storage`; there is one.
    pub fn follower(&self, storage: Storage) -> Follower {
        Follower::new(self.0.clone(), storage)
    }
}

/// Seconds since 1970.
pub(crate) fn machine_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Inner {
    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Whether a playback was ended before its tokens expire.
    pub(crate) fn has_ended(&self, tenant: Uuid, playback: Uuid) -> bool {
        self.revocations.holds(tenant, RevocationKind::Token, &playback.to_string())
    }

    pub(crate) fn brands(&self) -> arc_swap::Guard<Arc<Brands>> {
        self.brands.load()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    /// Whether what is known is new enough to be acted upon.
    pub(crate) fn is_believed(&self) -> bool {
        let looked = self.looked.load(SeqCst);
        let bound = BELIEVED_FOR.as_millis() as u64;
        looked > 0 && self.milliseconds().saturating_sub(looked) <= bound
    }

    fn stands(&self, as_of: AsOf, places: &[Place]) -> bool {
        self.is_believed() && self.versions.stands(as_of, places)
    }

    fn subject_place(&self, tenant: Uuid, subject: &str) -> Place {
        self.versions.place((tenant, subject))
    }

    fn credential_place(&self, id: Uuid) -> Place {
        self.versions.place(id)
    }

    /// Verifies a token by the published keys; looks once more for a key that is not known yet.
    pub(crate) async fn verify(&self, token: &str) -> Result<Proven, Unproven> {
        let verdict = self.keys.load().verify(token, self.now());
        if !matches!(verdict, Err(Unproven::UnknownKey)) || !self.look_again().await {
            return verdict;
        }
        self.keys.load().verify(token, self.now())
    }

    /// Waits for a look that was asked for by this call, or a moment ago by another; false when
    /// that one is over, or does not succeed in time.
    async fn look_again(&self) -> bool {
        let mut ended = self.ended.subscribe();
        let wanted = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            match *asked {
                Some((at, number)) if at.elapsed() < LOOK_AGAIN_EVERY => {
                    if *ended.borrow() >= number {
                        return false;
                    }
                    number
                }
                _ => {
                    let number = self.begun.load(SeqCst) + 1;
                    *asked = Some((Instant::now(), number));
                    self.wanted.notify_one();
                    number
                }
            }
        };
        let looked = ended.wait_for(|ended| *ended >= wanted);
        tokio::time::timeout(LOOK_WAIT_MAX, looked).await.is_ok_and(|looked| looked.is_ok())
    }

    /// Notes the use of a credential.
    pub(crate) fn touch(&self, held: &Held) {
        let now = self.now();
        if held.touch(now) {
            let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
            let at = touched.entry(held.row.id).or_insert(now);
            *at = now.max(*at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_believed_for_five_minutes_without_a_look() {
        let clock = Identities::machine_clock();
        let mut identities = Identities::new("https://nexus.example", Uuid::nil(), clock);
        let inner = Arc::get_mut(&mut identities.0).unwrap();
        inner.began = Instant::now().checked_sub(Duration::from_secs(3600)).unwrap();
        assert!(!inner.is_believed(), "nobody has looked yet");
        for (ago, believed) in [(0, true), (299, true), (301, false), (3599, false)] {
            let looked = inner.milliseconds() - ago * 1000;
            inner.looked.store(looked, SeqCst);
            assert_eq!(inner.is_believed(), believed, "{ago} s ago");
        }
    }
}
