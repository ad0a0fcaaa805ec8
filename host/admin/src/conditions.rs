//! What must hold before the host is ready, by name, with the reason where it does not hold yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One thing the host waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It holds; the words say how, e.g. which server.
    Met(String),
    /// It does not hold; the words say why, without secrets: `/ready` shows them to anybody.
    Waiting(String),
}

/// All of them; clones share one board.
#[derive(Debug, Clone, Default)]
pub struct Conditions(Arc<Mutex<BTreeMap<&'static str, Condition>>>);

impl Conditions {
    /// Puts up a condition, or changes it. Returns what stood there before.
    pub fn set(&self, name: &'static str, condition: Condition) -> Option<Condition> {
        self.board().insert(name, condition)
    }

    /// Every condition by name.
    pub fn all(&self) -> BTreeMap<&'static str, Condition> {
        self.board().clone()
    }

    /// Why the host is not ready, one sentence for each condition; None when it is.
    pub fn why_not_ready(&self) -> Option<String> {
        let board = self.board();
        let waiting = board.iter().filter_map(|(name, condition)| match condition {
            Condition::Waiting(reason) => Some(format!("{name}: {reason}")),
            Condition::Met(_) => None,
        });
        let reasons = waiting.collect::<Vec<_>>().join("; ");
        (!reasons.is_empty()).then_some(reasons)
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<&'static str, Condition>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_ready_when_nothing_is_waited_for() {
        let conditions = Conditions::default();
        conditions.set("components", Condition::Met("3 of 3".into()));
        conditions.set("postgresql", Condition::Waiting("connection refused".into()));
        let why = conditions.why_not_ready();
        assert_eq!(why.as_deref(), Some("postgresql: connection refused"));
        conditions.set("postgresql", Condition::Met("version 15".into()));
        assert_eq!(conditions.why_not_ready(), None);
    }
}
