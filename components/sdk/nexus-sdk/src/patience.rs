//! Not now: how a function that handles a message asks for it again without a fault of ours.
//!
//! Knows the two ways, of which one uses an attempt up. Refuses to log: what somebody else's
//! machine answered is no failure of this service.

use std::fmt;
use std::time::Duration;

use crate::problem::{Error, Failure};
use crate::triggers::Outcome;

/// The outcome on its way through an [`Error`].
#[derive(Debug, Clone)]
struct Postponed(Outcome);

impl fmt::Display for Postponed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Retry { reason, .. } => f.write_str(reason),
            _ => f.write_str("asked for patience"),
        }
    }
}

impl std::error::Error for Postponed {}

/// This attempt is used up; the message comes again after `after`. `reason` is kept with it.
/// Only for functions that handle messages and schedules: to a client it would be a failure.
pub fn retry_after(after: Duration, reason: impl Into<String>) -> Error {
    let reason = reason.into();
    Failure::new(Postponed(Outcome::Retry { after: Some(after), reason })).into()
}

/// No attempt is used up; the message comes again after `after`. As [`retry_after`], only for
/// messages and schedules.
pub fn release_after(after: Duration) -> Error {
    Failure::new(Postponed(Outcome::Release { after: Some(after) })).into()
}

/// The outcome that an error stands for, if it was made here.
pub(crate) fn of(error: &Error) -> Option<Outcome> {
    match error {
        Error::Failed(failure) => failure.downcast_ref().map(|Postponed(outcome)| outcome.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triggers::outcome;

    #[test]
    fn a_postponed_message_keeps_its_time_and_reason_and_is_no_failure() {
        let soon = Duration::from_secs(7);
        let retried = outcome("scheduler", "r-1", Err(retry_after(soon, "it answered 503")));
        let reason = "it answered 503".to_owned();
        assert_eq!(retried, Outcome::Retry { after: Some(soon), reason });
        let released = outcome("scheduler", "r-1", Err(release_after(soon)));
        assert_eq!(released, Outcome::Release { after: Some(soon) });
        assert!(of(&Failure::msg("a real one").into()).is_none());
    }
}
