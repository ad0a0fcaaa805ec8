//! Rollouts: artifacts, revisions, who serves how much of them, and how that changes step by step.
//!
//! Knows the functions of `migrations/platform/0010_rollouts.sql`, which hold the rules: weights
//! are whole, a revision never changes, one rollout of a component at a time, each move by whoever
//! holds the lease. Refuses to know when a rollout goes on, and what an artifact consists of.

mod artifacts;
mod figures;
mod hosts;
mod moves;
mod revisions;
mod rows;
mod traffic;

pub use artifacts::{ArtifactRow, NewArtifact};
pub use figures::{Follower, Marks};
pub use hosts::{Applied, HostRow, Report, Sample};
pub use moves::{Frozen, Held, Move, NewRollout, Verb};
pub use revisions::{Made, NewRevision, RevisionRow};
pub use rows::{EventRow, FreezeRow, RolloutRow, State, Weights};
pub use traffic::{Change, Desired};

use crate::database::Database;
use crate::error::Error;
use crate::session::Session;
use std::time::Duration;
use uuid::Uuid;

/// What is kept of each component beside whatever has a share.
pub const REVISIONS_KEPT: i32 = 5;

/// What can go wrong beside the database.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    #[error(transparent)]
    Storage(#[from] Error),
    #[error("there is no rollout {0}")]
    Unknown(Uuid),
    #[error("{component} has no revision {number}")]
    NoRevision { component: String, number: u32 },
    #[error("{component} is being rolled out already (rollout {rollout})")]
    Busy { component: String, rollout: Uuid },
    #[error("frozen: {reason}")]
    Frozen { reason: String },
    #[error("not now: {0}")]
    Refused(String),
}

impl From<tokio_postgres::Error> for RolloutError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// The rollouts of one database. Cheap to clone.
#[derive(Clone)]
pub struct Rollouts {
    database: Database,
}

impl Rollouts {
    /// Needs the platform's migrations.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    async fn session(&self) -> Result<Session, Error> {
        self.database.host().await
    }

    /// Forgets what nobody needs any more.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn collect(&self) -> Result<(), Error> {
        let sql = "select platform.rollout_collect($1)";
        self.session().await?.execute(sql, &[&REVISIONS_KEPT]).await?;
        Ok(())
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
