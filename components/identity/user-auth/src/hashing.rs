//! Slow hashes, made by the host (`nexus:password`). Knows no cost: that is the host's.

use crate::password_rules;
use nexus_sdk::prelude::*;
use nexus_sdk::spin_sdk::wit_bindgen;

wit_bindgen::generate!({
    path: "../../../wit/nexus-password@0.1.0",
    world: "nexus:password/password",
    runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
});

use nexus::password::passwords::{self, Verification};

/// What became of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Match,
    /// It matches a hash that was made at another cost: a new one should take its place.
    MatchOld,
    Mismatch,
}

/// # Errors
/// 503 when all threads that hash are taken.
pub async fn hash(password: &str) -> Result<String> {
    passwords::hash(password.to_owned(), None).await.map_err(error)
}

/// Compares with a stored hash; with none it takes as long and is a mismatch.
///
/// # Errors
/// As [`hash`]; a stored hash that is none is a failure.
pub async fn verify(password: &str, stored: Option<String>) -> Result<Verdict> {
    if !password_rules::could_be(password) {
        // As much work for anybody: what is compared is of no matter.
        verify_in_bounds("", None).await?;
        return Ok(Verdict::Mismatch);
    }
    verify_in_bounds(password, stored).await
}

async fn verify_in_bounds(password: &str, stored: Option<String>) -> Result<Verdict> {
    let verdict = passwords::verify(password.to_owned(), stored).await.map_err(error)?;
    Ok(match verdict {
        Verification::Match => Verdict::Match,
        Verification::MatchNeedsRehash => Verdict::MatchOld,
        Verification::Mismatch => Verdict::Mismatch,
    })
}

fn error(why: passwords::Error) -> Error {
    let failure = Failure::msg(format!("hash a password: {why:?}"));
    match why {
        passwords::Error::Busy => Error::unavailable(failure),
        _ => failure.into(),
    }
}
