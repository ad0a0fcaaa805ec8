//! What can go wrong with a rollout, in words for whoever ordered it.

use nexus_storage::Error as StorageError;
use nexus_storage::rollouts::RolloutError;
use std::path::PathBuf;

/// Why something about a rollout was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Artifact(#[from] nexus_artifact::Error),
    #[error("the fragment cannot be used: {0}")]
    Fragment(#[from] nexus_runtime::ManifestError),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("there is no artifact {0}")]
    NoArtifact(String),
    #[error("{0} is not known here")]
    NoComponent(String),
    #[error("the bytes {digest} of {component} are on no host's disk any more and not stored")]
    NoBytes { component: String, digest: String },
    #[error("{0}")]
    Unfit(String),
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Rollout(error.into())
    }
}

impl Error {
    /// Whether the same may go well later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Rollout(RolloutError::Storage(_)))
    }

    /// Whether the database is not there now.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self, Self::Rollout(RolloutError::Storage(error)) if error.is_unavailable())
    }
}
