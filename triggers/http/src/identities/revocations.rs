//! Tokens that are worth nothing although their signature holds, all of them in memory: a request
//! asks without waiting, and only after something was revoked. Refuses to know where they are kept.

use crate::principal::Proven;
use arc_swap::ArcSwap;
use nexus_storage::identity::{Revocation, RevocationKind};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use uuid::Uuid;

/// Independent parts: a new revocation copies one of them, not all.
const PARTS: usize = 256;

type Key = (Uuid, RevocationKind, Arc<str>);

#[derive(Debug, Clone, Copy)]
struct Revoked {
    issued_before: Option<i64>,
    expires_at: i64,
}

type Part = HashMap<Key, Revoked>;

/// Everything that is revoked, as this host knows it.
pub(crate) struct Revocations {
    parts: Vec<ArcSwap<Part>>,
    hash: RandomState,
    /// Counts what was heard.
    heard: AtomicU64,
}

/// What may be revoked of one token, and how far it was looked at.
pub(crate) struct Revocable {
    keys: Vec<Key>,
    issued_at: Option<i64>,
    looked: AtomicU64,
}

impl Revocable {
    pub(crate) fn of(proven: &Proven) -> Self {
        let (principal, terms) = (&proven.principal, &proven.terms);
        let key = |kind, key: &str| (principal.tenant, kind, Arc::from(key));
        let jti = terms.jti.as_deref().map(|jti| key(RevocationKind::Token, jti));
        let sid = principal.session.as_deref().map(|sid| key(RevocationKind::Session, sid));
        let sub = key(RevocationKind::Subject, &principal.subject);
        Self {
            keys: jti.into_iter().chain(sid).chain([sub]).collect(),
            issued_at: terms.issued_at,
            looked: AtomicU64::new(u64::MAX),
        }
    }
}

impl Revocations {
    pub(crate) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| ArcSwap::default()).collect(),
            hash: RandomState::new(),
            heard: AtomicU64::new(0),
        }
    }

    fn part(&self, key: &Key) -> usize {
        self.hash.hash_one(key) as usize % PARTS
    }

    /// Replaces all there is.
    pub(crate) fn replace(&self, all: Vec<Revocation>) {
        let mut parts: Vec<Part> = (0..PARTS).map(|_| Part::new()).collect();
        for revocation in all {
            let (key, revoked) = entry(revocation);
            parts[self.part(&key)].insert(key, revoked);
        }
        for (old, new) in self.parts.iter().zip(parts) {
            old.store(Arc::new(new));
        }
        self.heard.fetch_add(1, SeqCst);
    }

    /// Adds some; what has expired at `now` is forgotten on the way. One caller at a time.
    pub(crate) fn add(&self, some: Vec<Revocation>, now: i64) {
        let mut by_part: HashMap<usize, Vec<(Key, Revoked)>> = HashMap::new();
        for revocation in some {
            let (key, revoked) = entry(revocation);
            by_part.entry(self.part(&key)).or_default().push((key, revoked));
        }
        for (index, new) in by_part {
            let mut part = Part::clone(&self.parts[index].load());
            part.retain(|_, revoked| now < revoked.expires_at);
            part.extend(new);
            self.parts[index].store(Arc::new(part));
        }
        self.heard.fetch_add(1, SeqCst);
    }

    /// Whether nobody has revoked the token. Looks again only after something was heard.
    pub(crate) fn let_pass(&self, token: &Revocable) -> bool {
        let heard = self.heard.load(SeqCst);
        if token.looked.load(SeqCst) == heard {
            return true;
        }
        let passes = !token.keys.iter().any(|key| self.concerns(key, token.issued_at));
        if passes {
            token.looked.store(heard, SeqCst);
        }
        passes
    }

    /// Whether `key` itself is revoked, whatever it was issued.
    pub(crate) fn holds(&self, tenant: Uuid, kind: RevocationKind, key: &str) -> bool {
        // Nearly always there is nothing at all.
        self.heard.load(SeqCst) > 0 && self.concerns(&(tenant, kind, key.into()), None)
    }

    fn concerns(&self, key: &Key, issued_at: Option<i64>) -> bool {
        let part = self.parts[self.part(key)].load();
        part.get(key).is_some_and(|revoked| match (revoked.issued_before, issued_at) {
            // A token of the very second of its revocation is revoked: whole seconds cannot tell.
            (Some(before), Some(issued)) => issued < before,
            _ => true,
        })
    }
}

fn entry(revocation: Revocation) -> (Key, Revoked) {
    let Revocation { tenant, kind, key, issued_before, expires_at } = revocation;
    ((tenant, kind, key.into()), Revoked { issued_before, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::Terms;
    use nexus_runtime::Principal;

    const TENANT: Uuid = Uuid::from_u128(1);

    fn revoked(kind: RevocationKind, key: &str, issued_before: Option<i64>) -> Revocation {
        Revocation { tenant: TENANT, kind, key: key.into(), issued_before, expires_at: 1000 }
    }

    fn token(jti: &str, sid: &str, subject: &str, issued_at: i64) -> Revocable {
        let mut principal = Principal::anonymous(TENANT);
        principal.subject = subject.into();
        principal.session = Some(sid.into());
        let (jti, issued_at) = (Some(jti.into()), Some(issued_at));
        let terms = Terms { jti, issued_at, ..Terms::default() };
        Revocable::of(&Proven { principal, expires: 0, terms })
    }

    #[test]
    fn a_token_falls_with_its_id_its_session_or_an_old_subject() {
        use RevocationKind::{Session, Subject, Token};
        let all = Revocations::new();
        let passing = token("j", "s", "u", 500);
        assert!(all.let_pass(&passing));
        for (kind, key, before, passes) in [
            (Token, "j", None, false),
            (Token, "s", None, true),
            (Session, "s", None, false),
            (Session, "j", None, true),
            (Subject, "u", Some(501), false),
            (Subject, "u", Some(500), true),
            (Subject, "v", Some(501), true),
        ] {
            all.replace(vec![revoked(kind, key, before)]);
            assert_eq!(all.let_pass(&passing), passes, "{kind:?} {key} {before:?}");
        }
        let mut elsewhere = revoked(Token, "j", None);
        elsewhere.tenant = Uuid::from_u128(2);
        all.replace(vec![elsewhere]);
        assert!(all.let_pass(&passing), "another tenant's");
    }

    #[test]
    fn what_is_added_counts_for_tokens_that_passed_before_and_what_has_expired_is_forgotten() {
        let all = Revocations::new();
        let tokens: Vec<_> = (0..500).map(|n| token(&format!("j{n}"), "s", "u", 1)).collect();
        for (n, token) in tokens.iter().enumerate() {
            assert!(all.let_pass(token));
            all.add(vec![revoked(RevocationKind::Token, &format!("j{n}"), None)], 10);
            assert!(!all.let_pass(token));
        }
        assert!(tokens.iter().all(|token| !all.let_pass(token)));
        for n in 0..5000 {
            all.add(vec![revoked(RevocationKind::Token, &format!("x{n}"), None)], 2000);
        }
        let held: usize = all.parts.iter().map(|part| part.load().len()).sum();
        assert!(held <= PARTS, "{held}: only the newest of each part, which is expired as well");
    }
}
