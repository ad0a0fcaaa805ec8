//! Whether a request may reach its component: who sends it, and how many that sender has sent.
//! Refuses to know what the component then allows.

use crate::backend::Backend;
use crate::cors::Origin;
use crate::credentials::{self, Scheme, Shown};
use crate::csrf;
use crate::dpop;
use crate::fields::Fields;
use crate::identities::{Held, Proof, Refused, machine_now};
use crate::plane::Plane;
use crate::principal::{Identity, Unproven, digest};
use crate::problems;
use crate::proofs::{self, Key, Proofs};
use crate::rate::{Client, Taken};
use crate::refusal::Refusal;
use crate::shard::Shard;
use crate::table::Entry;
use http::uri::Authority;
use http::{HeaderName, Method};
use nexus_runtime::PrincipalKind;
use nexus_storage::identity::CredentialKind;
use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;
use uuid::Uuid;

/// With a session's cookie: for which of one's organisations.
const ORGANISATION: HeaderName = HeaderName::from_static("nexus-organisation");

/// What a request says about its sender.
pub(crate) struct Asked<'a> {
    pub(crate) headers: Fields<'a>,
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) host: &'a Authority,
    pub(crate) secure: bool,
    pub(crate) origin: &'a Origin,
    pub(crate) client: IpAddr,
    /// `client`, as limits count it.
    pub(crate) ip: IpAddr,
}

/// A sender who may pass.
pub(crate) struct Sender {
    pub(crate) identity: Identity,
    /// What the sender showed, unless it is nobody.
    proof: Option<Arc<Proof>>,
    /// The browser has a session that is none, and should forget it.
    pub(crate) stale_cookie: bool,
}

impl Sender {
    fn proven(proof: Arc<Proof>) -> Self {
        Self { identity: proof.identity.clone(), proof: Some(proof), stale_cookie: false }
    }
}

impl<B: Backend> Shard<B> {
    /// The sender of a request, from the credentials in it. Waits only for credentials that are new
    /// to this host.
    pub(crate) async fn identify(&self, asked: &Asked<'_>) -> Result<Sender, Refusal> {
        let plane = &self.plane;
        let named = plane.named(asked.host);
        let shown = credentials::shown(asked.headers, asked.path, asked.secure)?;
        let sender = match shown {
            Shown::Nothing => nobody(plane, named, false),
            Shown::Token(token, scheme) => self.by_token(asked, token, scheme).await?,
            Shown::ApiKey(key) => self.by_key(asked, key).await?,
            Shown::Session(secret) => self.by_session(asked, secret, named).await?,
        };
        let principal = &sender.identity.principal;
        if named.is_some_and(|tenant| tenant != principal.tenant) {
            let detail = "the credential belongs to another tenant";
            return Err(problems::INVALID_TOKEN.detail(detail).into());
        }
        // Operators are not the tenant's, and somebody must be able to let it go on.
        let suspended = plane.identities.0.brands().is_suspended(principal.tenant);
        if suspended && principal.kind != PrincipalKind::Operator {
            return Err(problems::TENANT_SUSPENDED.into());
        }
        Ok(sender)
    }

    async fn by_token(
        &self,
        asked: &Asked<'_>,
        token: &str,
        scheme: Scheme,
    ) -> Result<Sender, Refusal> {
        let digest = digest(token);
        let proof = match self.recall(&digest) {
            Some(proof) => proof,
            None => self.prove_token(asked, token, digest).await?,
        };
        match (&proof.thumbprint, scheme) {
            (None, Scheme::Bearer) => {}
            (Some(_), Scheme::Bearer) => {
                let detail = "the token is bound to a key: send it as DPoP, with a proof";
                return Err(problems::INVALID_DPOP_PROOF.detail(detail).into());
            }
            (None, Scheme::Dpop) => {
                return Err(problems::INVALID_TOKEN.detail("the token is bound to no key").into());
            }
            (Some(thumbprint), Scheme::Dpop) => {
                let scheme = if asked.secure { "https" } else { "http" };
                let Asked { headers, method, host, path, .. } = *asked;
                let request = dpop::Request { headers, method, scheme, host, path };
                let seen = &self.plane.dpop_proofs;
                let checked = dpop::check(&request, token, thumbprint, machine_now(), seen);
                let checked = match (checked, &self.plane.shared) {
                    (Ok(name), Some(shared)) if !shared.is_first(&name, dpop::REMEMBERED).await => {
                        Err(dpop::USED)
                    }
                    (checked, _) => checked,
                };
                checked.map_err(|why| {
                    self.refused(asked);
                    problems::INVALID_DPOP_PROOF.detail(why)
                })?;
            }
        }
        if let Some(chosen) = asked.headers.get(&ORGANISATION)
            && proof.identity.principal.organisation.as_deref().map(str::as_bytes)
                != Some(chosen.as_bytes())
        {
            return Err(problems::NOT_A_MEMBER.into());
        }
        Ok(Sender::proven(proof))
    }

    /// Verifies a token that is new here; whoever guesses tokens runs out of guesses.
    async fn prove_token(
        &self,
        asked: &Asked<'_>,
        token: &str,
        digest: [u8; 32],
    ) -> Result<Arc<Proof>, Refusal> {
        self.may_guess(asked)?;
        let plane = &self.plane;
        let verifier = plane.verifier.as_ref();
        let own = verifier.map_or(Err(Unproven::UnknownKey), |it| it.verify(token, machine_now()));
        let (verdict, is_own) = match own {
            Err(Unproven::UnknownKey) if plane.follows => {
                (plane.identities.0.verify(token).await, false)
            }
            own => (own, true),
        };
        let refused = |problem: nexus_runtime::Problem| {
            self.refused(asked);
            Err(problem.into())
        };
        let proven = match verdict {
            Ok(proven) => proven,
            Err(unproven) => {
                let keyless = !plane.follows && verifier.is_none();
                let detail = match keyless {
                    true => "this host has no keys to verify tokens with".to_owned(),
                    false => unproven.to_string(),
                };
                return refused(problems::INVALID_TOKEN.detail(detail));
            }
        };
        let proof = match plane.follows {
            true => plane.identities.0.of_token(proven, is_own).await,
            false => Ok(plane.identities.0.of_own_token(proven)),
        };
        match proof {
            Ok(proof) => Ok(self.remember(digest, proof)),
            Err(Refused::Away) => Err(problems::IDENTITY_AWAY.retry_after(RETRY_AFTER).into()),
            Err(why) => refused(problems::INVALID_TOKEN.detail(words(why))),
        }
    }

    async fn by_key(&self, asked: &Asked<'_>, key: &str) -> Result<Sender, Refusal> {
        if !self.plane.follows {
            return Err(problems::API_KEYS_UNSUPPORTED.into());
        }
        let found = self.by_secret(asked, key, CredentialKind::ApiKey).await?;
        let proof = found.map_err(|why| problems::INVALID_API_KEY.detail(words(why)))?;
        let allowed = |held: &Arc<Held>| held.may_come_from(asked.client);
        if !proof.held.as_ref().is_some_and(allowed) {
            self.refused(asked);
            let detail = "the key may not be used from this address";
            return Err(problems::INVALID_API_KEY.detail(detail).into());
        }
        Ok(Sender::proven(proof))
    }

    /// `named` is the tenant that the request's host names.
    async fn by_session(
        &self,
        asked: &Asked<'_>,
        secret: Option<&str>,
        named: Option<Uuid>,
    ) -> Result<Sender, Refusal> {
        let safe = csrf::is_safe(asked.method);
        let found = match secret.filter(|_| self.plane.follows) {
            Some(secret) => self.by_secret(asked, secret, CredentialKind::Session).await?,
            None => Err(Refused::Unknown),
        };
        match (found, secret) {
            (Ok(proof), Some(secret)) => {
                if !safe && !csrf::is_own(asked.headers, asked.origin, &digest(secret)) {
                    return Err(problems::CROSS_SITE.into());
                }
                Ok(Sender::proven(proof))
            }
            // Whoever only looks is shown the way in, rather than a 401 for ever.
            _ if safe => Ok(nobody(&self.plane, named, true)),
            _ => Err(problems::INVALID_SESSION.into()),
        }
    }

    /// The proof of a key or cookie, or why it is none; the outer error ends the request.
    async fn by_secret(
        &self,
        asked: &Asked<'_>,
        secret: &str,
        kind: CredentialKind,
    ) -> Result<Result<Arc<Proof>, Refused>, Refusal> {
        let identities = &self.plane.identities.0;
        let digest = digest(secret);
        let chosen = asked.headers.get(&ORGANISATION);
        let chosen = chosen.map(|chosen| chosen.to_str().unwrap_or_default());
        let key = proofs::key(&digest, chosen);
        let proof = match self.recall(&key) {
            Some(proof) => proof,
            None if identities.is_known_stranger(&digest) => return Ok(Err(Refused::Unknown)),
            None => {
                self.may_guess(asked)?;
                match identities.of_credential(&digest, kind, chosen).await {
                    Ok(proof) => self.remember(key, proof),
                    Err(Refused::Away) => {
                        return Err(problems::IDENTITY_AWAY.retry_after(RETRY_AFTER).into());
                    }
                    Err(Refused::Choice) => return Err(problems::NOT_A_MEMBER.into()),
                    Err(why) => {
                        self.refused(asked);
                        return Ok(Err(why));
                    }
                }
            }
        };
        match &proof.held {
            Some(held) if held.row.kind == kind => identities.touch(held),
            // The prefixes of both kinds differ, so that nobody is here by mistake.
            _ => return Ok(Err(Refused::Unknown)),
        }
        Ok(Ok(proof))
    }

    /// A proof of this shard that still holds.
    fn recall(&self, key: &Key) -> Option<Arc<Proof>> {
        let epoch = self.plane.verifier.as_ref().map_or(0, |verifier| verifier.epoch());
        let proof = self.proofs().recall(key, epoch)?;
        self.plane.identities.0.still_proves(&proof).then_some(proof)
    }

    fn remember(&self, key: Key, proof: Proof) -> Arc<Proof> {
        let proof = Arc::new(proof);
        self.proofs().remember(key, proof.clone());
        proof
    }

    /// An error once this client has shown too much that was nothing.
    fn may_guess(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        let rate = &self.plane.rate;
        let guesses = rate.look(rate.refused(), Client::Address(asked.ip), Instant::now());
        if guesses.allowed { Ok(()) } else { Err(self.limited(&guesses)) }
    }

    fn refused(&self, asked: &Asked<'_>) {
        let rate = &self.plane.rate;
        rate.take(rate.refused(), Client::Address(asked.ip), Instant::now());
    }

    fn proofs(&self) -> MutexGuard<'_, Proofs> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the request in its component's class; None if the component has none. A count that
    /// is not `allowed` must be refused with [`Shard::limited`]. However many accounts one address
    /// has, what it sends with them has a limit too: this host's own.
    pub(crate) async fn count(&self, entry: &Entry, sender: &Sender, ip: IpAddr) -> Option<Taken> {
        let class = entry.rate?;
        let principal = &sender.identity.principal;
        if !sender.identity.is_anonymous() {
            let rate = &self.plane.rate;
            let all = rate.take(rate.addresses(), Client::Address(ip), Instant::now());
            if !all.allowed {
                return Some(all);
            }
        }
        let held = sender.proof.as_ref().and_then(|proof| proof.held.as_ref());
        let client = match held {
            _ if sender.identity.is_anonymous() => Client::Address(ip),
            Some(held) if principal.kind == PrincipalKind::ApiKey => Client::Key(held.row.id),
            _ => Client::Subject(principal.tenant, &principal.subject),
        };
        let taken = self.plane.rate.take(class, &client, Instant::now());
        match &self.plane.shared {
            // What one host alone refuses, all together do.
            Some(shared) if taken.allowed => {
                let metrics = &self.metrics;
                Some(shared.take(&self.plane.rate, taken, &client, &metrics.rate_alone).await)
            }
            _ => Some(taken),
        }
    }

    pub(crate) fn limited(&self, taken: &Taken) -> Refusal {
        self.metrics.rate_limited.fetch_add(1, Relaxed);
        problems::RATE_LIMITED.retry_after(taken.retry_in).into()
    }
}

/// Seconds after which a client may ask again who it is.
const RETRY_AFTER: u32 = 2;

fn nobody(plane: &Plane, named: Option<Uuid>, stale_cookie: bool) -> Sender {
    let identity = plane.anonymous(named);
    Sender { identity, proof: None, stale_cookie }
}

fn words(why: Refused) -> &'static str {
    match why {
        Refused::Revoked => "it was revoked",
        Refused::Subject => "whoever it stands for may not sign in",
        Refused::Membership => "it acts for an organisation that its holder has left",
        Refused::Unknown | Refused::Choice | Refused::Away => "it is unknown, or has expired",
    }
}
