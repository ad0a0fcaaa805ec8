//! What all hosts know together, in Redis, where there is one: how much a client has asked for (the
//! same arithmetic as `rate`, in one round trip), and which proofs were used. Redis decides nothing
//! that it does not decide quickly: a host decides alone rather than make its clients wait.

use crate::dpop::ProofName;
use crate::rate::{Client, RateLimiter, Taken};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nexus_redis_link::{Link, Repeat, Reply};
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Redis on the same network answers in a tenth of this.
const ANSWER_MAX: Duration = Duration::from_millis(5);

/// After it did not, the host decides alone for so long: nobody waits in vain twice a second.
const PAUSE: Duration = Duration::from_secs(1);

/// Times are microseconds by the server's clock, which is one for all hosts. The key holds when the
/// bucket will be full again, and goes by itself at that time.
const SCRIPT: &str = "\
    local t = redis.call('TIME') \
    local now = t[1] * 1000000 + t[2] \
    local each, window = tonumber(ARGV[1]), tonumber(ARGV[2]) \
    local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) \
    if full + each - now > window then return {0, full - now} end \
    full = full + each \
    redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', \
        math.ceil((full - now) / 1000)) \
    return {1, full - now}";

/// The memory of all hosts.
pub(crate) struct Shared {
    link: Link,
    began: Instant,
    /// Milliseconds after `began` until which the host decides alone.
    alone_until: AtomicU64,
}

impl Shared {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, began: Instant::now(), alone_until: AtomicU64::new(0) }
    }

    /// Counts one request that this host would allow; its own count stands, and `alone` is raised,
    /// when Redis does not answer at once.
    pub(crate) async fn take(
        &self,
        limiter: &RateLimiter,
        own: Taken,
        client: &Client<'_>,
        alone: &AtomicU64,
    ) -> Taken {
        if let Some((allowed, debt)) = self.count(limiter, own, client).await {
            return limiter.judged(own.class, allowed, debt);
        }
        alone.fetch_add(1, Relaxed);
        own
    }

    /// False when another host has taken the proof in the last `seconds`. This host has not, so it
    /// is the first one when Redis does not answer at once.
    pub(crate) async fn is_first(&self, proof: &ProofName, seconds: i64) -> bool {
        let key = format!("nexus:proof:{}", URL_SAFE_NO_PAD.encode(proof));
        let seconds = seconds.to_string();
        let answer = self.ask(&["SET", &key, "", "NX", "EX", &seconds]).await;
        !matches!(answer, Some(Reply::Nil))
    }

    fn milliseconds(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Whether all hosts together allow it, and the time after which the bucket is full.
    async fn count(
        &self,
        limiter: &RateLimiter,
        own: Taken,
        client: &Client<'_>,
    ) -> Option<(bool, Duration)> {
        let (name, each, window) = limiter.terms(own.class);
        let key = format!("nexus:rate:{name}:{}", shadow(client));
        let (each, window) = (each.as_micros().to_string(), window.as_micros().to_string());
        let command = ["EVAL", SCRIPT, "1", &key, &each, &window];
        let Some(Reply::List(parts)) = self.ask(&command).await else { return None };
        let [Reply::Int(allowed), Reply::Int(debt)] = parts[..] else { return None };
        let debt = Duration::from_micros(u64::try_from(debt).unwrap_or_default());
        Some((allowed == 1, debt))
    }

    /// What Redis says at once; None when it does not, and for a while after that.
    async fn ask(&self, command: &[&str]) -> Option<Reply> {
        if self.milliseconds() < self.alone_until.load(Relaxed) {
            return None;
        }
        let answer = self.link.send(command, Repeat::Unsafe);
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(reply)) => return Some(reply),
            Ok(Err(error)) => tracing::debug!(%error, "this host decides alone"),
            Err(_late) => {}
        }
        self.alone_until.store(self.milliseconds() + PAUSE.as_millis() as u64, Relaxed);
        None
    }
}

/// A client's name that says nothing about it.
fn shadow(client: &Client<'_>) -> String {
    let digest = Sha256::digest(client.name());
    URL_SAFE_NO_PAD.encode(&digest[..16])
}
