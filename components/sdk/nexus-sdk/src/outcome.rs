//! What an error of the database means.
//!
//! Knows SQLSTATE codes (PostgreSQL 15, appendix A). Refuses to read message texts.

use std::fmt::Display;

use spin_sdk::pg::{DbError, PgError, QueryError};

use crate::problem::{Error, Failure, standard};

/// Why a statement did not do what it says.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another transaction was in the way; the same one may succeed now.
    Raced(Failure),
    /// The named constraint would be violated.
    Constraint(String, Failure),
    /// The idempotency key is held by a request that is not finished.
    KeyInUse,
    /// The database is away, or has no room.
    Away(Failure),
    /// Anything else: our fault.
    Failed(Failure),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        Fault::Failed(failure)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match fault {
            Fault::Raced(failure) | Fault::Away(failure) => Error::unavailable(failure),
            Fault::Constraint(_, failure) | Fault::Failed(failure) => Error::Failed(failure),
            Fault::KeyInUse => standard::IdempotencyKeyInUse.into(),
        }
    }
}

/// The meaning of `error`, which `doing` met.
pub(crate) fn classify(doing: &str, error: PgError) -> Fault {
    let failure = |why: &dyn Display| Failure::msg(why.to_string()).context(doing.to_owned());
    match error {
        PgError::ConnectionFailed(why) => Fault::Away(failure(&why)),
        PgError::QueryFailed(QueryError::DbError(error)) => by_code(doing, error),
        PgError::QueryFailed(QueryError::Text(why))
        | PgError::BadParameter(why)
        | PgError::ValueConversionFailed(why)
        | PgError::Other(why) => Fault::Failed(failure(&why)),
    }
}

fn by_code(doing: &str, error: DbError) -> Fault {
    let told = format!("{} ({})", error.message, error.code);
    let failure = Failure::msg(told).context(doing.to_owned());
    match error.code.as_str() {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => return Fault::Raced(failure),
        // raised by platform.idempotency_claim
        "NX409" => return Fault::KeyInUse,
        // admin_shutdown, crash_shutdown, cannot_connect_now
        "57P01" | "57P02" | "57P03" => return Fault::Away(failure),
        // connection_exception, insufficient_resources
        code if code.starts_with("08") || code.starts_with("53") => return Fault::Away(failure),
        _ => {}
    }
    // Also set by `raise … using constraint = '…'`, so that a function can name a refusal.
    match error.extras.into_iter().find(|(name, _)| name == "constraint") {
        Some((_, constraint)) => Fault::Constraint(constraint, failure),
        None => Fault::Failed(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_code(code: &str, extras: Vec<(String, String)>) -> Fault {
        let error = DbError {
            as_text: "…".into(),
            severity: "ERROR".into(),
            code: code.into(),
            message: "…".into(),
            detail: None,
            extras,
        };
        classify("insert", PgError::QueryFailed(QueryError::DbError(error)))
    }

    #[test]
    fn a_code_says_whether_to_retry_to_wait_or_to_fail() {
        assert!(matches!(with_code("40001", vec![]), Fault::Raced(_)));
        assert!(matches!(with_code("40P01", vec![]), Fault::Raced(_)));
        assert!(matches!(with_code("NX409", vec![]), Fault::KeyInUse));
        assert!(matches!(with_code("57P01", vec![]), Fault::Away(_)));
        assert!(matches!(with_code("53300", vec![]), Fault::Away(_)));
        assert!(matches!(with_code("08006", vec![]), Fault::Away(_)));
        assert!(matches!(with_code("42703", vec![]), Fault::Failed(_)));
    }

    #[test]
    fn a_violated_constraint_is_known_by_its_name() {
        let named = with_code("23505", vec![("constraint".into(), "product_title_key".into())]);
        assert!(matches!(named, Fault::Constraint(name, _) if name == "product_title_key"));
        assert!(matches!(with_code("23505", vec![]), Fault::Failed(_)));
    }

    #[test]
    fn a_connection_that_cannot_be_had_is_a_503_and_a_wrong_parameter_is_ours() {
        let away = classify("open", PgError::ConnectionFailed("refused".into()));
        assert!(matches!(Error::from(away), Error::Unavailable { .. }));
        let ours = classify("read", PgError::BadParameter("…".into()));
        assert!(matches!(Error::from(ours), Error::Failed(_)));
    }
}
