//! What can go wrong between a worker and its host, sorted by what the worker does about it.

use std::path::PathBuf;

/// Everything this crate can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lease is another's, or over: the work is dropped.
    #[error("the lease is lost: {0}")]
    Stale(String),
    /// The host refuses, and would refuse again.
    #[error("the host refuses {path} with {status}: {reason}")]
    Refused { path: String, status: u16, reason: String },
    /// No answer, or one that may be another later.
    #[error("{url} cannot be reached: {reason}")]
    Away { url: String, reason: String },
    #[error("{url} answers nothing that can be read: {reason}")]
    Unreadable { url: String, reason: String },
    #[error("{name} {reason}")]
    Setting { name: &'static str, reason: String },
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the bytes are not those of the object: {0}")]
    Damaged(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}
