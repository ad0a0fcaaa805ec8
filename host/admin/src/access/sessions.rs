//! Sessions of browsers on this host: made from a token, kept in memory, gone with the process. A
//! session knows who holds it, a token of its own against forged forms, and what the next page is
//! to say. Refuses to know what a holder may do.

use super::Holder;
use nexus_storage::audit::digest_of;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) const COOKIE: &str = "nexus-admin";
/// A working day.
pub(crate) const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Browsers of a few operators; the one that ends first makes room.
const SESSIONS_MAX: usize = 1_000;

/// What happened, for the page that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    pub(crate) good: bool,
    pub(crate) words: String,
}

/// A session as one request sees it.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) holder: Holder,
    pub(crate) csrf: String,
    key: [u8; 32],
}

struct Session {
    holder: Holder,
    csrf: String,
    ends: Instant,
    flash: Option<Flash>,
}

/// All of them, by the digest of what the cookie holds; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<[u8; 32], Session>>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one; returns what the cookie is to hold.
    pub(crate) fn begin(&self, holder: Holder) -> String {
        let (id, now) = (random(), Instant::now());
        let mut all = self.all();
        all.retain(|_, session| session.ends > now);
        if all.len() >= SESSIONS_MAX {
            let first = all.iter().min_by_key(|(_, session)| session.ends).map(|(key, _)| *key);
            first.and_then(|key| all.remove(&key));
        }
        let session = Session { holder, csrf: random(), ends: now + LIFETIME, flash: None };
        all.insert(digest_of(&id), session);
        id
    }

    pub(crate) fn find(&self, id: &str) -> Option<Seat> {
        let key = digest_of(id);
        let all = self.all();
        let session = all.get(&key).filter(|session| session.ends > Instant::now())?;
        Some(Seat { holder: session.holder, csrf: session.csrf.clone(), key })
    }

    pub(crate) fn end(&self, seat: &Seat) {
        self.all().remove(&seat.key);
    }

    /// Tells the next page of the session.
    pub(crate) fn tell(&self, seat: &Seat, flash: Flash) {
        if let Some(session) = self.all().get_mut(&seat.key) {
            session.flash = Some(flash);
        }
    }

    /// What the page is to say, once.
    pub(crate) fn told(&self, seat: &Seat) -> Option<Flash> {
        self.all().get_mut(&seat.key)?.flash.take()
    }
}

/// 256 bits nobody guesses.
fn random() -> String {
    let bits: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", bits[0], bits[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_own_cookie_until_it_ends() {
        let sessions = Sessions::default();
        let (first, second) = (sessions.begin(Holder::Root), sessions.begin(Holder::Root));
        let seat = sessions.find(&first).unwrap();
        assert_ne!(seat.csrf, sessions.find(&second).unwrap().csrf);
        assert!(sessions.find("guessed").is_none());
        sessions.tell(&seat, Flash { good: true, words: "done".into() });
        assert_eq!(sessions.told(&seat).map(|flash| flash.words), Some("done".into()));
        assert_eq!(sessions.told(&seat), None, "it is said once");
        sessions.end(&seat);
        assert!(sessions.find(&first).is_none() && sessions.find(&second).is_some());
    }

    #[test]
    fn there_is_a_bound_to_them() {
        let sessions = Sessions::default();
        for _ in 0..SESSIONS_MAX + 10 {
            sessions.begin(Holder::Root);
        }
        assert_eq!(sessions.all().len(), SESSIONS_MAX);
    }
}
