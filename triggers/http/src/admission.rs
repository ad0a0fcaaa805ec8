//! Whether a request may reach its component: who sends it, and how many that sender has sent.
//! Refuses to know what the component then allows.

use crate::backend::Backend;
use crate::principal::{self, Credential, Identity, Proofs, Verifier};
use crate::problems;
use crate::rate::Taken;
use crate::refusal::Refusal;
use crate::shard::Shard;
use crate::table::Entry;
use http::HeaderMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Whose bucket a request is taken from.
#[derive(Hash)]
enum Client<'a> {
    Address(IpAddr),
    Subject(Uuid, &'a str),
}

impl<B: Backend> Shard<B> {
    /// The sender, from the credentials in `headers`; `ip` is the client's key.
    pub(crate) fn identify(
        &self,
        headers: &HeaderMap,
        host: &str,
        ip: IpAddr,
    ) -> Result<Identity, Refusal> {
        let plane = &self.plane;
        let token = match principal::credential(headers)? {
            Credential::None => return Ok(plane.tenants.anonymous(host).clone()),
            Credential::ApiKey => return Err(problems::API_KEYS_UNSUPPORTED.into()),
            Credential::Bearer(token) => token,
        };
        let Some(verifier) = &plane.verifier else {
            let detail = "this host has no keys to verify tokens with";
            return Err(problems::INVALID_TOKEN.detail(detail).into());
        };
        let (now, digest) = (unix_now(), principal::digest(token));
        let known = self.proofs().recall(&digest, verifier.epoch(), now);
        let identity = match known {
            Some(identity) => identity,
            None => self.prove(verifier.as_ref(), token, digest, now, ip)?,
        };
        Ok(principal::check_tenant(&plane.tenants, host, identity)?)
    }

    /// Verifies a token that is new here; whoever guesses tokens runs out of guesses.
    fn prove(
        &self,
        verifier: &dyn Verifier,
        token: &str,
        digest: [u8; 32],
        now: i64,
        ip: IpAddr,
    ) -> Result<Identity, Refusal> {
        let rate = &self.plane.rate;
        let (class, client) = (rate.refused_tokens(), Client::Address(ip));
        let guesses = rate.look(class, &client, Instant::now());
        if !guesses.allowed {
            return Err(self.limited(&guesses));
        }
        match verifier.verify(token, now) {
            Ok(proven) => Ok(self.proofs().remember(digest, proven)),
            Err(unproven) => {
                rate.take(class, &client, Instant::now());
                Err(problems::INVALID_TOKEN.detail(unproven.to_string()).into())
            }
        }
    }

    fn proofs(&self) -> MutexGuard<'_, Proofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the request in its component's class; None if the component has none. A count that
    /// is not `allowed` must be refused with [`Shard::limited`].
    pub(crate) fn count(&self, entry: &Entry, identity: &Identity, ip: IpAddr) -> Option<Taken> {
        let client = match identity.is_anonymous() {
            true => Client::Address(ip),
            false => Client::Subject(identity.principal.tenant, &identity.principal.subject),
        };
        Some(self.plane.rate.take(entry.rate?, client, Instant::now()))
    }

    pub(crate) fn limited(&self, taken: &Taken) -> Refusal {
        self.metrics.rate_limited.fetch_add(1, Relaxed);
        problems::RATE_LIMITED.retry_after(taken.retry_in).into()
    }
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs() as i64
}
