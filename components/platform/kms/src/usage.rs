//! How often keys are used: by whom, for what, in which hour, and how many messages a version has
//! encrypted.
//!
//! A service keeps nothing between requests, so it can reserve no block of numbers and count them
//! off in memory. Instead it counts by chance (R. Morris, Counting large numbers of events in small
//! registers, CACM 21, 1978): while a count is small every use is written; above, one use in `s` is
//! written and stands for `s`. Every count is right on average, exact while small, and then off by
//! a known part of itself: 4.4 % for uses (exact to 256), 1.1 % for messages (exact to 4096).

use crate::keyring::Keyring;
use crate::policy::Operation;
use crate::{random, store};
use nexus_sdk::prelude::*;

const USES_EXACT: i64 = 256;
const MESSAGES_EXACT: i64 = 4096;

/// A count never stands for more than this, so that it is written now and then whatever it is.
const STEP_MAX: i64 = 1 << 20;

/// A version's nonces are random and 96 bits long, which is good for 2^32 messages (NIST SP 800-38D
/// section 8.3). An eighth is left, eleven times what the count may be off by.
pub const MESSAGES_MAX: i64 = (1 << 32) - (1 << 29);

/// A key that has encrypted so many gets a new version by itself.
pub const MESSAGES_ROTATE: i64 = 1 << 31;

/// What one request adds; the store writes it.
pub struct Counted {
    pub tenant: Uuid,
    pub key: Uuid,
    pub version: i32,
    pub messages: i64,
    pub hour: Time,
    pub operation: Operation,
    pub actor: String,
    pub uses: i64,
}

/// Counts what was done with a key, before the answer leaves. Not part of the request's own
/// transaction, so that an answer with a secret is never kept for its idempotency key.
pub async fn count(by: &Ctx, ring: &Keyring, operation: Operation, uses: usize) -> Result<()> {
    count_messages(by, ring, operation, uses, 0, 0).await
}

/// As `count`, where a version has also encrypted.
pub async fn count_messages(
    by: &Ctx,
    ring: &Keyring,
    operation: Operation,
    uses: usize,
    version: i32,
    messages: usize,
) -> Result<()> {
    let had = ring.messages(version);
    let counted = Counted {
        tenant: ring.place.tenant,
        key: ring.id.into(),
        version,
        messages: drawn(messages, step(had, MESSAGES_EXACT)),
        hour: hour_of(by.now()),
        operation,
        actor: ring.actor.clone(),
        uses: drawn(uses, step(ring.uses, USES_EXACT)),
    };
    if counted.uses > 0 || counted.messages > 0 {
        by.aside().commit(store::usage::count(&counted)).await?;
    }
    Ok(())
}

/// The beginning of an instant's hour.
pub fn hour_of(now: Time) -> Time {
    now - seconds((now.timestamp().rem_euclid(3600)) as i32)
        - nexus_sdk::chrono::TimeDelta::nanoseconds(i64::from(now.timestamp_subsec_nanos()))
}

/// How many uses one written use stands for, once `counted` have been.
fn step(counted: i64, exact: i64) -> i64 {
    let part = (counted / exact).clamp(1, STEP_MAX);
    1 << part.ilog2()
}

/// What `n` uses add: each of them `step`, with a chance of one in `step`.
fn drawn(n: usize, step: i64) -> i64 {
    if step == 1 {
        return n as i64;
    }
    let drawn = (0..n).filter(|_| u64::from_be_bytes(random::array()) & (step as u64 - 1) == 0);
    drawn.count() as i64 * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_count_is_exact_and_a_large_one_is_written_seldom() {
        for (counted, exact, expected) in [
            (0, 256, 1),
            (511, 256, 1),
            (512, 256, 2),
            (100_000, 256, 256),
            (1 << 32, 4096, 1 << 20),
            (i64::MAX, 4096, 1 << 20),
        ] {
            assert_eq!(step(counted, exact), expected, "{counted}");
        }
        assert_eq!(drawn(7, 1), 7);
    }

    /// The bounds are six standard deviations: this fails by chance once in a hundred million runs.
    #[test]
    fn a_count_by_chance_is_right_on_average() {
        let mut counted = 0;
        let n = 200_000;
        for _ in 0..n {
            counted += drawn(1, step(counted, MESSAGES_EXACT));
        }
        let off = (counted - n).abs() as f64 / n as f64;
        assert!(off < 6.0 * 0.011, "{counted} of {n}");
    }

    #[test]
    fn the_cap_leaves_what_the_count_may_be_off_by() {
        let spread = MESSAGES_MAX as f64 / (2.0 * MESSAGES_EXACT as f64).sqrt();
        assert!(MESSAGES_MAX as f64 + 10.0 * spread < (1u64 << 32) as f64);
    }

    #[test]
    fn an_hour_begins_on_the_hour() {
        let hour = hour_of("2026-03-01T09:08:07.123456Z".parse().unwrap());
        assert_eq!(hour.to_rfc3339(), "2026-03-01T09:00:00+00:00");
    }
}
