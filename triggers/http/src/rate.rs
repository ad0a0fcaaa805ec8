//! Rate limits: per class and client, one count for all shards. A token bucket kept as one number,
//! the time at which the bucket will be full again (GCRA). Refuses to know HTTP; the header names
//! are those of draft-ietf-httpapi-ratelimit-headers.

use crate::generations::Generations;
use http::HeaderValue;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// `quota` requests per `window`, all of which may come at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateClass {
    /// The word behind `rate = "…"` in a component's fragment.
    pub name: String,
    pub quota: u32,
    pub window: Duration,
}

impl RateClass {
    pub fn new(name: &str, quota: u32, window: Duration) -> Self {
        Self { name: name.into(), quota, window }
    }
}

/// The classes that components may name.
#[derive(Debug, Clone)]
pub struct RateConfig {
    /// Must contain `default`: it stands in for names that nobody defined.
    pub classes: Vec<RateClass>,
    /// Refused credentials of one address; guessing them costs us signatures and queries.
    pub refused_tokens: RateClass,
    /// What one address sends as anybody but nobody, all its accounts and keys together.
    pub addresses: RateClass,
    /// Clients remembered at once, over all classes: about 40 bytes each.
    pub clients_max: usize,
}

impl Default for RateConfig {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            classes: vec![
                RateClass::new(DEFAULT_CLASS, 1200, minute),
                RateClass::new("auth", 20, minute),
                RateClass::new("write", 300, minute),
                RateClass::new("search", 120, minute),
            ],
            refused_tokens: RateClass::new("refused-tokens", 120, minute),
            // Ten times what one account may: many people may share an address.
            addresses: RateClass::new("address", 12_000, minute),
            clients_max: 1 << 18,
        }
    }
}

/// Whose bucket a request is taken from.
#[derive(Debug, Hash)]
pub(crate) enum Client<'a> {
    Address(IpAddr),
    /// A person's keys have a bucket each: a program that runs wild does not lock its owner out.
    Key(Uuid),
    Subject(Uuid, &'a str),
}

impl Client<'_> {
    /// The same on all hosts, and different from all others.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Address(ip) => format!("address {ip}"),
            Self::Key(id) => format!("key {id}"),
            Self::Subject(tenant, subject) => format!("subject {tenant} {subject}"),
        }
    }
}

/// The class of components that name one nobody defined.
pub(crate) const DEFAULT_CLASS: &str = "default";

/// Independent parts, so that shards seldom wait for each other.
const PARTS: usize = 64;

/// Every bucket of this host.
pub(crate) struct RateLimiter {
    began: Instant,
    classes: Vec<Bucket>,
    parts: Vec<Mutex<Generations<u64, u64>>>,
    hash: RandomState,
}

/// A class, ready to count: times are nanoseconds.
struct Bucket {
    name: String,
    quota: u32,
    per_request: u64,
    window: u64,
    policy: HeaderValue,
}

/// Index of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClassIndex(usize);

/// What one request found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) class: ClassIndex,
    pub(crate) allowed: bool,
    pub(crate) remaining: u32,
    /// Seconds until the bucket is full again.
    pub(crate) full_in: u32,
    /// Seconds until one request fits.
    pub(crate) retry_in: u32,
}

/// A configuration that cannot count.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    #[error("the rate class {0:?} needs a quota and a window")]
    Empty(String),
    #[error("the rate class {0:?} is not a word of visible ASCII without quotes")]
    Name(String),
    #[error("the rate class \"default\" is missing")]
    NoDefault,
}

impl Bucket {
    fn new(class: &RateClass) -> Result<Self, RateError> {
        let window = u64::try_from(class.window.as_nanos()).unwrap_or(u64::MAX / 4);
        if class.quota == 0 || window < u64::from(class.quota) {
            return Err(RateError::Empty(class.name.clone()));
        }
        let word = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
        if class.name.is_empty() || !class.name.bytes().all(word) {
            return Err(RateError::Name(class.name.clone()));
        }
        let (name, quota) = (class.name.clone(), class.quota);
        let seconds = class.window.as_secs().max(1);
        let policy = HeaderValue::from_str(&format!("\"{name}\";q={quota};w={seconds}"))
            .map_err(|_| RateError::Name(name.clone()))?;
        Ok(Self { name, quota, per_request: window / u64::from(quota), window, policy })
    }

    /// `debt` is the time after which the bucket is full again.
    fn taken(&self, class: ClassIndex, allowed: bool, debt: u64) -> Taken {
        let free = (self.window.saturating_sub(debt) / self.per_request) as u32;
        Taken {
            class,
            allowed,
            remaining: free.min(self.quota),
            full_in: seconds(debt),
            retry_in: seconds((debt + self.per_request).saturating_sub(self.window)).max(1),
        }
    }
}

impl RateLimiter {
    pub(crate) fn new(config: &RateConfig) -> Result<Self, RateError> {
        let all = config.classes.iter().chain([&config.refused_tokens, &config.addresses]);
        let classes = all.map(Bucket::new).collect::<Result<Vec<_>, _>>()?;
        if !config.classes.iter().any(|class| class.name == DEFAULT_CLASS) {
            return Err(RateError::NoDefault);
        }
        // Two generations per part.
        let half = config.clients_max / PARTS / 2;
        let parts = (0..PARTS).map(|_| Mutex::new(Generations::new(half))).collect();
        Ok(Self { began: Instant::now(), classes, parts, hash: RandomState::new() })
    }

    pub(crate) fn class(&self, name: &str) -> Option<ClassIndex> {
        self.classes.iter().position(|class| class.name == name).map(ClassIndex)
    }

    /// The class that counts refused credentials.
    pub(crate) fn refused(&self) -> ClassIndex {
        ClassIndex(self.classes.len() - 2)
    }

    /// The class that counts what an address sends under all its names.
    pub(crate) fn addresses(&self) -> ClassIndex {
        ClassIndex(self.classes.len() - 1)
    }

    /// Counts one request of `client`.
    pub(crate) fn take(&self, class: ClassIndex, client: impl Hash, now: Instant) -> Taken {
        self.count(class, client, now, true)
    }

    /// As [`RateLimiter::take`], without counting.
    pub(crate) fn look(&self, class: ClassIndex, client: impl Hash, now: Instant) -> Taken {
        self.count(class, client, now, false)
    }

    fn count(&self, class: ClassIndex, client: impl Hash, now: Instant, take: bool) -> Taken {
        let bucket = &self.classes[class.0];
        let key = self.hash.hash_one((class.0, client));
        let now = now.saturating_duration_since(self.began).as_nanos() as u64;
        let part = &self.parts[key as usize % PARTS];
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = part.get_mut(&key).map_or(now, |full_at| (*full_at).max(now));
        let next = full_at + bucket.per_request;
        let allowed = next - now <= bucket.window;
        let full_at = if allowed && take { next } else { full_at };
        if take {
            part.insert(key, full_at);
        }
        drop(part);
        bucket.taken(class, allowed, full_at - now)
    }

    /// A class as another counter needs it: its name, the time that each request takes from it, and
    /// its window.
    pub(crate) fn terms(&self, class: ClassIndex) -> (&str, Duration, Duration) {
        let bucket = &self.classes[class.0];
        let time = Duration::from_nanos;
        (&bucket.name, time(bucket.per_request), time(bucket.window))
    }

    /// What another counter has found: its bucket is full again after `debt`.
    pub(crate) fn judged(&self, class: ClassIndex, allowed: bool, debt: Duration) -> Taken {
        let debt = u64::try_from(debt.as_nanos()).unwrap_or(u64::MAX / 4);
        self.classes[class.0].taken(class, allowed, debt)
    }

    /// `ratelimit-policy` and `ratelimit` of a response.
    pub(crate) fn headers(&self, taken: &Taken) -> (HeaderValue, HeaderValue) {
        let bucket = &self.classes[taken.class.0];
        let state = format!("\"{}\";r={};t={}", bucket.name, taken.remaining, taken.full_in);
        let state = HeaderValue::from_str(&state).expect("the policy's name is already a header");
        (bucket.policy.clone(), state)
    }
}

fn seconds(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn limiter(quota: u32) -> RateLimiter {
        let classes = vec![RateClass::new(DEFAULT_CLASS, quota, Duration::from_secs(60))];
        RateLimiter::new(&RateConfig { classes, clients_max: 1024, ..RateConfig::default() })
            .unwrap()
    }

    #[test]
    fn a_quota_may_come_at_once_and_then_drips() {
        let limiter = limiter(6);
        let class = limiter.class(DEFAULT_CLASS).unwrap();
        let now = Instant::now();
        for left in (0..6).rev() {
            let taken = limiter.take(class, "a", now);
            assert!(taken.allowed);
            assert_eq!(taken.remaining, left);
        }
        let refused = limiter.take(class, "a", now);
        assert!(!refused.allowed);
        assert_eq!((refused.retry_in, refused.full_in), (10, 60));
        assert!(!limiter.take(class, "a", now + Duration::from_secs(9)).allowed);
        assert!(limiter.take(class, "a", now + Duration::from_secs(10)).allowed);
        assert!(!limiter.take(class, "a", now + Duration::from_secs(10)).allowed);
        assert!(limiter.take(class, "b", now).allowed, "another client has its own bucket");
    }

    #[test]
    fn looking_takes_nothing() {
        let limiter = limiter(1);
        let class = limiter.class(DEFAULT_CLASS).unwrap();
        let now = Instant::now();
        assert!(limiter.look(class, 1, now).allowed);
        assert!(limiter.take(class, 1, now).allowed);
        assert!(!limiter.look(class, 1, now).allowed);
    }

    #[test]
    fn many_threads_together_get_one_quota() {
        let limiter = Arc::new(limiter(1000));
        let class = limiter.class(DEFAULT_CLASS).unwrap();
        let now = Instant::now();
        let count = |limiter: Arc<RateLimiter>| {
            move || (0..600).filter(|_| limiter.take(class, "a", now).allowed).count()
        };
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(count(limiter.clone()))).collect();
        let allowed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(allowed, 1000);
    }

    #[test]
    fn memory_is_bounded_however_many_clients_come() {
        let limiter = limiter(10);
        let class = limiter.class(DEFAULT_CLASS).unwrap();
        let now = Instant::now();
        for client in 0..100_000 {
            limiter.take(class, client, now);
        }
        let held: usize = limiter.parts.iter().map(|part| part.lock().unwrap().len()).sum();
        assert!(held <= 1024, "{held}");
    }

    #[test]
    fn headers_name_the_policy_and_what_is_left() {
        let limiter = limiter(6);
        let class = limiter.class(DEFAULT_CLASS).unwrap();
        let taken = limiter.take(class, "a", Instant::now());
        let (policy, state) = limiter.headers(&taken);
        assert_eq!(policy, "\"default\";q=6;w=60");
        assert_eq!(state, "\"default\";r=5;t=10");
    }

    #[test]
    fn classes_that_cannot_count_are_refused() {
        let one = |name: &str, quota, secs| {
            let class = RateClass::new(name, quota, Duration::from_secs(secs));
            RateLimiter::new(&RateConfig { classes: vec![class], ..RateConfig::default() })
        };
        assert!(matches!(one("default", 0, 1), Err(RateError::Empty(_))));
        assert!(matches!(one("default", 1, 0), Err(RateError::Empty(_))));
        assert!(matches!(one("a\"b", 1, 1), Err(RateError::Name(_))));
        assert!(matches!(one("other", 1, 1), Err(RateError::NoDefault)));
    }
}
