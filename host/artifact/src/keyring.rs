//! Whose signatures count here, and what happens to an artifact without one. Refuses to know how
//! the setting is given.

use crate::artifact::Artifact;
use crate::error::Error;
use crate::keys::{KeyId, PublicKey};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// What a host does with an artifact that nobody it knows has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It is not deployed.
    Required,
    /// It is deployed, and a line in the log says so.
    Warn,
    /// It is deployed.
    Off,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "warn" => Ok(Self::Warn),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} is none of required, warn, off")),
        }
    }
}

/// What the signatures of one artifact are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A key of the ring has signed it.
    Valid,
    /// Nobody has.
    Unsigned,
    /// Somebody has whose key is not in the ring.
    Untrusted,
    /// It says that a key of the ring has, and that is not true.
    Invalid,
}

/// The state, and the key that it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub state: State,
    pub key_id: Option<KeyId>,
}

/// The keys of a host, and its policy.
#[derive(Debug, Clone)]
pub struct KeyRing {
    policy: Policy,
    keys: BTreeMap<KeyId, PublicKey>,
}

impl KeyRing {
    pub fn new(policy: Policy, keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { policy, keys: keys.into_iter().map(|key| (key.id(), key)).collect() }
    }

    /// With the keys of a PEM file, or of a folder of them.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or used, and when signatures are required without any key:
    /// nothing could ever be deployed.
    pub fn read(policy: Policy, keys: Option<&Path>) -> Result<Self, Error> {
        let found = keys.map(PublicKey::read_all).transpose()?.unwrap_or_default();
        if policy == Policy::Required && found.is_empty() {
            let place = keys.map_or("of no file".into(), |path| path.display().to_string());
            let reason = "signatures are required, and there is no key to check them with".into();
            return Err(Error::Key { place, reason });
        }
        Ok(Self::new(policy, found))
    }

    pub fn policy(&self) -> Policy {
        self.policy
    }

    pub fn keys(&self) -> impl Iterator<Item = (&KeyId, &PublicKey)> {
        self.keys.iter()
    }

    /// What the artifact's signatures are worth: one good one is enough, and a false one is told
    /// before a strange one.
    pub fn judge(&self, artifact: &Artifact) -> Verdict {
        let mut verdict = Verdict { state: State::Unsigned, key_id: None };
        for signature in artifact.signatures() {
            let state = match self.keys.get(&signature.key_id) {
                Some(key) if signature.is_by(key, artifact.manifest()) => State::Valid,
                Some(_) => State::Invalid,
                None => State::Untrusted,
            };
            if rank(state) < rank(verdict.state) {
                verdict = Verdict { state, key_id: Some(signature.key_id.clone()) };
            }
        }
        verdict
    }

    /// Whether an artifact with this verdict may run here.
    ///
    /// # Errors
    ///
    /// [`Error::NotSigned`] where signatures are required and this one does not count.
    pub fn admit(&self, verdict: &Verdict) -> Result<(), Error> {
        if self.policy == Policy::Required && verdict.state != State::Valid {
            return Err(Error::NotSigned(verdict.words()));
        }
        Ok(())
    }

    /// What a log should say of an artifact that is let in all the same.
    pub fn warning(&self, verdict: &Verdict) -> Option<String> {
        let warns = self.policy == Policy::Warn && verdict.state != State::Valid;
        warns.then(|| format!("the artifact is {}", verdict.words()))
    }
}

/// The best first.
fn rank(state: State) -> u8 {
    match state {
        State::Valid => 0,
        State::Invalid => 1,
        State::Untrusted => 2,
        State::Unsigned => 3,
    }
}

impl Verdict {
    /// To stand after "the artifact is".
    pub fn words(&self) -> String {
        let key = self.key_id.as_ref().map(KeyId::as_str).unwrap_or_default();
        match self.state {
            State::Valid => format!("signed by {key}"),
            State::Unsigned => "not signed".into(),
            State::Untrusted => format!("signed by {key}, a key that this host does not know"),
            State::Invalid => format!("not what {key} has signed"),
        }
    }
}
