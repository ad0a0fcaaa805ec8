//! How fast somebody may try: which keys a try counts under and what it costs.
//!
//! Three keys stand against three attacks. *Pair* (account and network): guessing one password.
//! *Account* (from where its owner has never been): guessing it from many places. *Network* (over
//! all accounts): trying one password on everybody. An account that does not exist is throttled as
//! one that does, since keys are made from what was typed. Where a request does not say where it
//! comes from, nothing is counted by place: one attacker would keep everybody waiting.

use crate::caller::Caller;
use crate::store;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use sha2::{Digest, Sha256};

nexus_sdk::refusals! {
    TooManyTries = 429, "too many tries; wait as long as retry-after says, in seconds"
}

/// Tries without waiting, and the longest wait in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    pub free: i32,
    pub longest: i32,
}

/// People mistype four times; a quarter of an hour makes 96 guesses a day.
const PAIR: Pace = Pace { free: 5, longest: 900 };
/// What an attacker with many addresses can do to an owner at a new place: a minute.
const ACCOUNT: Pace = Pace { free: 20, longest: 60 };
/// An office behind one address mistypes more often than a person.
const NETWORK: Pace = Pace { free: 30, longest: 600 };
/// What costs a mail, for one network.
const ASKING: Pace = Pace { free: 10, longest: 600 };
/// What costs a row, for one network.
const BEGINNING: Pace = Pace { free: 60, longest: 60 };
/// Mails to one mailbox that strangers ask for.
const MAILBOX: Pace = Pace { free: 5, longest: 3600 };

/// The keys of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tries {
    keys: Vec<String>,
    paces: Vec<Pace>,
    network: String,
}

impl Tries {
    /// To prove to be somebody. `account` is the address that was typed, or the id of a user.
    pub fn to_enter(account: &str, caller: &Caller, familiar: bool) -> Tries {
        let place = caller.network();
        let network = key("network", &place);
        if caller.address.is_none() {
            return Tries { keys: vec![key("account", account)], paces: vec![ACCOUNT], network };
        }
        let mut keys = vec![key("pair", &format!("{account} {place}")), network.clone()];
        let mut paces = vec![PAIR, NETWORK];
        if !familiar {
            keys.push(key("account", account));
            paces.push(ACCOUNT);
        }
        Tries { keys, paces, network }
    }

    /// To have something mailed.
    pub fn to_ask(caller: &Caller) -> Tries {
        Tries::of_place("asking", caller, ASKING)
    }

    /// To have a question prepared that anybody may ask for.
    pub fn to_begin(caller: &Caller) -> Tries {
        Tries::of_place("beginning", caller, BEGINNING)
    }

    fn of_place(kind: &str, caller: &Caller, pace: Pace) -> Tries {
        let network = key(kind, &caller.network());
        let (keys, paces) = match caller.address {
            Some(_) => (vec![network.clone()], vec![pace]),
            None => (Vec::new(), Vec::new()),
        };
        Tries { keys, paces, network }
    }

    /// To get a mail that a stranger asked for.
    pub fn to_mail(email: &str) -> Tries {
        let network = key("mailbox", email);
        Tries { keys: vec![network.clone()], paces: vec![MAILBOX], network }
    }

    /// The account's own keys are free again, the shared one forgets this try only.
    pub fn forget(&self) -> [Write; 2] {
        let own: Vec<String> =
            self.keys.iter().filter(|key| **key != self.network).cloned().collect();
        [store::throttle::forget(&own), store::throttle::uncount(&self.network)]
    }

    /// Counts this try, whatever becomes of it.
    ///
    /// # Errors
    /// [`Turned::Away`] while one of the keys has to wait; then nothing is counted.
    pub async fn enter(&self, by: &Ctx) -> Result<(), Turned> {
        if self.keys.is_empty() {
            return Ok(());
        }
        let free: Vec<i32> = self.paces.iter().map(|pace| pace.free).collect();
        let longest: Vec<i32> = self.paces.iter().map(|pace| pace.longest).collect();
        let enter = store::throttle::enter(&self.keys, free, longest, by.now());
        match by.aside().commit(enter.or_refuse(TooManyTries)).await {
            Ok(NoContent) => Ok(()),
            Err(error) if error.is(&TooManyTries) => {
                let seconds = store::throttle::wait(by.db(), &self.keys, by.now()).await?;
                Err(Turned::Away { seconds })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A name for a key that says nothing about whom it is for.
fn key(kind: &str, of: &str) -> String {
    let digest = Sha256::digest(format!("{kind} {of}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// An error, or the answer that says how long to wait.
#[derive(Debug)]
pub enum Turned {
    Away { seconds: i64 },
    Wrong(Error),
}

impl From<Error> for Turned {
    fn from(error: Error) -> Turned {
        Turned::Wrong(error)
    }
}

impl From<Refusal> for Turned {
    fn from(refusal: Refusal) -> Turned {
        Turned::Wrong(refusal.into())
    }
}

impl From<Failure> for Turned {
    fn from(failure: Failure) -> Turned {
        Turned::Wrong(failure.into())
    }
}

impl IntoResponse for Turned {
    fn into_response(self) -> Response {
        match self {
            Turned::Wrong(error) => error.into_response(),
            Turned::Away { seconds } => {
                let mut response = Error::from(TooManyTries).into_response();
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Caller {
        Caller { address: address.parse().ok(), agent: None }
    }

    #[test]
    fn a_familiar_place_is_not_kept_waiting_for_what_strangers_do() {
        let home = Tries::to_enter("ada@example.org", &at("192.0.2.1"), true);
        let away = Tries::to_enter("ada@example.org", &at("203.0.113.9"), false);
        assert!(home.keys.iter().all(|key| !away.keys.contains(key)));
        assert_eq!((home.paces.len(), away.paces.len()), (2, 3));
        let other = Tries::to_enter("ada@example.org", &at("198.51.100.1"), false);
        let shared = away.keys.iter().filter(|key| other.keys.contains(key)).count();
        assert_eq!(shared, 1, "the account's own");
    }

    #[test]
    fn one_network_over_many_accounts_shares_a_key_and_success_keeps_it() {
        let one = Tries::to_enter("a@example.org", &at("192.0.2.1"), false);
        let two = Tries::to_enter("b@example.org", &at("192.0.2.1"), false);
        let shared: Vec<_> = one.keys.iter().filter(|key| two.keys.contains(key)).collect();
        assert_eq!(shared, [&one.network]);
        let [forget, uncount] = one.forget();
        assert!(!forget.params().join(" ").contains(&one.network));
        assert!(uncount.params().join(" ").contains(&one.network));
    }

    #[test]
    fn a_place_that_is_not_known_is_not_counted_by_and_never_familiar() {
        let nowhere = Caller::default();
        let tries = Tries::to_enter("ada@example.org", &nowhere, true);
        assert_eq!(tries.keys, [key("account", "ada@example.org")]);
        assert!(Tries::to_ask(&nowhere).keys.is_empty());
        assert!(Tries::to_begin(&nowhere).keys.is_empty());
    }

    #[test]
    fn a_key_does_not_say_whose_it_is() {
        let tries = Tries::to_enter("ada@example.org", &at("192.0.2.1"), false);
        for key in &tries.keys {
            assert!(key.len() == 32 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
        }
    }
}
