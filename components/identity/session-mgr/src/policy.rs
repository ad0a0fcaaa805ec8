//! How long sessions last and how many one person has: the tenant's decision, within bounds.

use crate::{Manage, store};
use nexus_sdk::prelude::*;
use std::ops::RangeInclusive;

nexus_sdk::refusals! {
    SessionIdle = 422, "idle time is a minute to 90 days, and no longer than the lifetime";
    SessionLifetime = 422, "a lifetime is 5 minutes to 365 days";
    SessionCount = 422, "a person has 1 to 100 sessions at a time"
}

const MINUTE: i32 = 60;
const HOUR: i32 = 60 * MINUTE;
const DAY: i32 = 24 * HOUR;

/// Below a minute hosts would not notice in time: they write down when a session was last seen
/// once a minute.
const IDLE_SECONDS: RangeInclusive<i32> = MINUTE..=90 * DAY;
const LIFETIME_SECONDS: RangeInclusive<i32> = 5 * MINUTE..=365 * DAY;
/// Ending all of a person's sessions is one transaction, so there is a most.
const SESSIONS_MAX: RangeInclusive<i32> = 1..=100;

pub fn router() -> Router {
    Router::new().route("/policy", get(show).put(replace))
}

/// What a tenant has decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A session that ends with its browser is over when it was unused for so long.
    pub idle_seconds: i32,
    /// And at the latest so long after sign-in.
    pub lifetime_seconds: i32,
    /// The same of sessions that stay (`remember me`).
    pub persistent_idle_seconds: i32,
    pub persistent_lifetime_seconds: i32,
    /// One more ends the oldest.
    pub sessions_max: i32,
    /// A session is worth nothing from another address. Safe, and a nuisance for phones, whose
    /// address changes with the network.
    pub bound_to_address: bool,
}

/// OWASP's recommendation for ordinary applications, and a month for those who ask to stay.
impl Default for Policy {
    fn default() -> Self {
        Self {
            idle_seconds: 30 * MINUTE,
            lifetime_seconds: 12 * HOUR,
            persistent_idle_seconds: 30 * DAY,
            persistent_lifetime_seconds: 90 * DAY,
            sessions_max: 25,
            bound_to_address: false,
        }
    }
}

impl Policy {
    fn check(&self) -> Result<(), Refusal> {
        for (field, idle, lifetime) in [
            ("", self.idle_seconds, self.lifetime_seconds),
            ("persistent_", self.persistent_idle_seconds, self.persistent_lifetime_seconds),
        ] {
            if !LIFETIME_SECONDS.contains(&lifetime) {
                return Err(SessionLifetime.at(format!("{field}lifetime_seconds")));
            }
            if !IDLE_SECONDS.contains(&idle) || idle > lifetime {
                return Err(SessionIdle.at(format!("{field}idle_seconds")));
            }
        }
        match SESSIONS_MAX.contains(&self.sessions_max) {
            true => Ok(()),
            false => Err(SessionCount.at("sessions_max")),
        }
    }

    /// Seconds without use, and seconds at all, after which a session is over.
    pub fn bounds(&self, persistent: bool) -> (i32, i32) {
        match persistent {
            true => (self.persistent_idle_seconds, self.persistent_lifetime_seconds),
            false => (self.idle_seconds, self.lifetime_seconds),
        }
    }
}

/// The policy and how often it was changed.
pub async fn current(by: &Ctx) -> Result<(Policy, i64)> {
    let kept = store::policy(by.db()).await?;
    Ok(kept.map(|kept| (kept.policy.0, kept.version)).unwrap_or_default())
}

async fn show(by: Allowed<Manage>) -> Result<Tagged<Json<Policy>>> {
    let (policy, version) = current(&by).await?;
    Ok(Tagged(Etag::of_version(version), Json(policy)))
}

/// Holds for sessions that begin from now on.
async fn replace(
    by: Allowed<Manage>,
    seen: IfMatch,
    Json(policy): Json<Policy>,
) -> Result<Tagged<Json<Policy>>> {
    policy.check()?;
    let seen = seen.version()?;
    let put = store::put_policy(&policy, seen, &by.principal().subject, by.now());
    by.commit(put.or_refuse(standard::PreconditionFailed)).await?;
    Ok(Tagged(Etag::of_version(seen + 1), Json(policy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_the_bounds() {
        assert_eq!(Policy::default().check(), Ok(()));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let with = |change: fn(&mut Policy)| {
            let mut policy = Policy::default();
            change(&mut policy);
            policy.check().map_err(|refusal| refusal.name)
        };
        assert_eq!(with(|p| p.idle_seconds = 59), Err("SessionIdle"));
        assert_eq!(with(|p| p.idle_seconds = p.lifetime_seconds + 1), Err("SessionIdle"));
        assert_eq!(with(|p| p.lifetime_seconds = 299), Err("SessionLifetime"));
        assert_eq!(with(|p| p.persistent_lifetime_seconds = 366 * DAY), Err("SessionLifetime"));
        assert_eq!(with(|p| p.sessions_max = 0), Err("SessionCount"));
        assert_eq!(with(|p| p.sessions_max = 101), Err("SessionCount"));
    }
}
