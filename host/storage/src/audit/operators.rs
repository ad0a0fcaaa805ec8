//! Who may operate: names, roles, and the digests of their tokens. A token is shown once, to
//! whoever makes it. Refuses to know what a role may do.

use crate::database::Database;
use crate::error::Error;
use sha2::{Digest as _, Sha256};
use std::time::SystemTime;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

/// Operators of one installation: people and pipelines, of which there are few.
const OPERATORS_MAX: i64 = 1_000;

/// What somebody is trusted with; each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Deploys, redrives, pauses, runs.
    Operator,
    /// Decides about operators, secrets, and what cannot be undone.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    pub fn of(word: &str) -> Option<Self> {
        [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.as_str() == word)
    }
}

/// An operator as the table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    pub name: String,
    pub role: Role,
    pub digest: [u8; 32],
    pub created_at: SystemTime,
    pub created_by: String,
    /// To the minute.
    pub last_used_at: Option<SystemTime>,
}

/// The operators of one database. Cheap to clone.
#[derive(Clone)]
pub struct Operators {
    database: Database,
}

const COLUMNS: &str = "name, role, digest, created_at, created_by, last_used_at";

/// What is kept of a token.
pub fn digest_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Operators {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Everybody, by name.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`], as all of these.
    pub async fn list(&self) -> Result<Vec<Operator>, Error> {
        let sql = format!("select {COLUMNS} from platform.operator order by name limit $1");
        let session = self.database.host().await?;
        session.query(&sql, &[&OPERATORS_MAX]).await?.iter().map(operator).collect()
    }

    /// Whose token has this digest; notes, at most once a minute, that it was used.
    pub async fn known_by(&self, digest: &[u8; 32]) -> Result<Option<Operator>, Error> {
        let session = self.database.host().await?;
        let sql = format!("select {COLUMNS} from platform.operator where digest = $1");
        let rows = session.query(&sql, &[&digest.as_slice()]).await?;
        let Some(found) = rows.first().map(operator).transpose()? else { return Ok(None) };
        let stale = "update platform.operator set last_used_at = now() where digest = $1 \
                     and (last_used_at is null or last_used_at < now() - interval '1 minute')";
        session.execute(stale, &[&digest.as_slice()]).await?;
        Ok(Some(found))
    }

    /// Lets somebody in; false when the name is taken.
    pub async fn add(
        &self,
        name: &str,
        role: Role,
        digest: &[u8; 32],
        by: &str,
    ) -> Result<bool, Error> {
        let sql = "insert into platform.operator (name, role, digest, created_by) \
                   values ($1, $2, $3, $4)";
        let session = self.database.host().await?;
        let params: &[crate::Param<'_>] = &[&name, &role.as_str(), &digest.as_slice(), &by];
        match session.execute(sql, params).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Shuts somebody out; false when there is nobody of that name.
    pub async fn remove(&self, name: &str) -> Result<bool, Error> {
        let sql = "delete from platform.operator where name = $1";
        Ok(self.database.host().await?.execute(sql, &[&name]).await? == 1)
    }
}

fn operator(row: &Row) -> Result<Operator, Error> {
    let (role, digest): (String, Vec<u8>) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Operator {
        name: row.try_get(0)?,
        // The table's own checks say what these may be; the least role for what they do not.
        role: Role::of(&role).unwrap_or(Role::Viewer),
        digest: digest.try_into().unwrap_or_default(),
        created_at: row.try_get(3)?,
        created_by: row.try_get(4)?,
        last_used_at: row.try_get(5)?,
    })
}
