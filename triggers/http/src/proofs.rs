//! What one shard has proven and need not prove again. Keyed by digest: a dump of memory holds no
//! credential. Refuses to judge whether a proof still holds.

use crate::generations::Generations;
use crate::identities::Proof;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Credentials one shard remembers, in halves: enough for every user active in an hour.
const PROOFS_HALF: usize = 4096;

/// A credential, and what the client wants of it.
pub(crate) type Key = [u8; 32];

pub(crate) struct Proofs {
    known: Generations<Key, Arc<Proof>>,
    epoch: u64,
}

impl Proofs {
    pub(crate) fn new() -> Self {
        Self { known: Generations::new(PROOFS_HALF), epoch: 0 }
    }

    /// What was proven before, in this epoch of the host's own keys.
    pub(crate) fn recall(&mut self, key: &Key, epoch: u64) -> Option<Arc<Proof>> {
        if self.epoch != epoch {
            self.known.clear();
            self.epoch = epoch;
        }
        self.known.get_mut(key).cloned()
    }

    pub(crate) fn remember(&mut self, key: Key, proof: Arc<Proof>) {
        self.known.insert(key, proof);
    }
}

/// The key of a credential's digest with the organisation that the client chose.
pub(crate) fn key(digest: &[u8; 32], organisation: Option<&str>) -> Key {
    match organisation {
        None => *digest,
        Some(chosen) => Sha256::new().chain_update(digest).chain_update(chosen).finalize().into(),
    }
}
