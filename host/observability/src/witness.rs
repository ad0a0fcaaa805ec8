//! Warnings and errors, remembered: for tests, which fail on those they did not expect. Sees what
//! the filter lets through, of the whole process; refuses to know which test or host it was.

use crate::fields::Fields;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines kept; one is enough to fail a test, and a flood of them should not become its memory.
const LINES_MAX: usize = 1_000;

/// What was seen; clones share it.
#[derive(Clone, Default)]
pub struct Witness(Arc<Mutex<Vec<String>>>);

impl Witness {
    /// Every warning and error so far, oldest first: `WARN target: message name=value …`.
    pub fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        // `Level` orders by verbosity: what is worse is less.
        if *metadata.level() > Level::WARN {
            return;
        }
        let fields = Fields::of(|visitor| event.record(visitor));
        let message = fields.text("message").unwrap_or_default();
        let mut line = format!("{} {}: {message}", metadata.level(), metadata.target());
        for (name, value) in fields.iter().filter(|(name, _)| *name != "message") {
            // Writing into a string does not fail.
            let _written = write!(line, " {name}={}", value.to_json());
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < LINES_MAX {
            seen.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    #[test]
    fn warnings_and_errors_are_seen_with_their_fields_and_nothing_else_is() {
        let witness = Witness::default();
        let subscriber = tracing_subscriber::registry().with(witness.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("all is well");
            tracing::warn!(attempt = 3, component = "hello", "slow");
            tracing::error!(target: "guest", "lost");
        });
        let own = module_path!();
        let slow = format!("WARN {own}: slow attempt=3 component=\"hello\"");
        assert_eq!(witness.seen(), [slow.as_str(), "ERROR guest: lost"]);
    }

    #[test]
    fn a_flood_is_not_kept() {
        let witness = Witness::default();
        let subscriber = tracing_subscriber::registry().with(witness.clone());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..2 * LINES_MAX {
                tracing::warn!("again");
            }
        });
        assert_eq!(witness.seen().len(), LINES_MAX);
    }
}
