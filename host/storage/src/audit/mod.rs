//! The journal of what operators did, and who they are. An entry is appended, never changed; each
//! is bound to the one before by SHA-256, so that a reader finds what was tampered with.
//!
//! Knows the chain, not what is worth an entry: that is decided where an order comes in.

mod entry;
mod operators;
mod verify;

pub use entry::{Entry, Outcome};
pub use operators::{Operator, Operators, Role, digest_of};
pub use verify::{Broken, Verified};

use crate::database::Database;
use crate::error::Error;
use crate::session::Session;
use tokio_postgres::Row;

/// Entries of one answer.
const ROWS_MAX: u32 = 1_000;

/// Longest text of a value: a journal is no place for documents.
pub const TEXT_CHARS_MAX: usize = 2_000;

/// The journal of one database. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    database: Database,
}

/// An entry as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// 1, 2, 3, …
    pub position: u64,
    /// Canonical JSON: the bytes that were hashed.
    pub entry: String,
    /// SHA-256 of the hash before and the bytes of `entry`.
    pub hash: [u8; 32],
}

/// Which entries; all that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub subject: Option<String>,
    pub outcome: Option<String>,
    /// RFC 3339 in UTC, as entries write it.
    pub since: Option<String>,
    pub before: Option<String>,
}

impl Audit {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    async fn session(&self) -> Result<Session, Error> {
        self.database.host().await
    }

    /// Writes the next entry; waits for whoever writes at this moment. Returns its position.
    ///
    /// # Errors
    ///
    /// As [`Session::query`].
    pub async fn append(&self, entry: &Entry) -> Result<u64, Error> {
        let text = entry.canonical();
        let sql = "select platform.audit_append($1)";
        let rows = self.session().await?.query(sql, &[&text]).await?;
        Ok(rows[0].try_get::<_, i64>(0)?.cast_unsigned())
    }

    /// Entries, the latest first, before the position of the last one of the page before.
    ///
    /// # Errors
    ///
    /// As [`Session::query`].
    pub async fn list(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        rows_max: u32,
    ) -> Result<Vec<Written>, Error> {
        let sql = "select position, entry, hash from platform.audit \
                   where ($1::text is null or actor = $1) and ($2::text is null or action = $2) \
                   and ($3::text is null or subject = $3) and ($4::text is null or outcome = $4) \
                   and ($5::text is null or at collate \"C\" >= $5) \
                   and ($6::text is null or at collate \"C\" < $6) \
                   and ($7::int8 is null or position < $7) order by position desc limit $8";
        let before = before.map(|position| i64::try_from(position).unwrap_or(i64::MAX));
        let rows_max = i64::from(rows_max.min(ROWS_MAX));
        let params: &[crate::Param<'_>] = &[
            &filter.actor,
            &filter.action,
            &filter.subject,
            &filter.outcome,
            &filter.since,
            &filter.before,
            &before,
            &rows_max,
        ];
        self.session().await?.query(sql, params).await?.iter().map(written).collect()
    }

    /// One entry.
    ///
    /// # Errors
    ///
    /// As [`Session::query`].
    pub async fn find(&self, position: u64) -> Result<Option<Written>, Error> {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let sql = "select position, entry, hash from platform.audit where position = $1";
        let rows = self.session().await?.query(sql, &[&position]).await?;
        rows.first().map(written).transpose()
    }

    /// Entries in order, after a position: the pages of an export.
    ///
    /// # Errors
    ///
    /// As [`Session::query`].
    pub async fn after(&self, position: u64, rows_max: u32) -> Result<Vec<Written>, Error> {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let rows_max = i64::from(rows_max.min(ROWS_MAX));
        let sql = "select position, entry, hash from platform.audit where position > $1 \
                   order by position limit $2";
        let rows = self.session().await?.query(sql, &[&position, &rows_max]).await?;
        rows.iter().map(written).collect()
    }
}

fn written(row: &Row) -> Result<Written, Error> {
    let hash: Vec<u8> = row.try_get(2)?;
    Ok(Written {
        position: row.try_get::<_, i64>(0)?.cast_unsigned(),
        entry: row.try_get(1)?,
        // The table's own check says 32.
        hash: hash.try_into().unwrap_or_default(),
    })
}

impl Written {
    /// One line of an export: where it stands, its hash, and its text as it was hashed.
    pub fn to_line(&self) -> String {
        let hash = hex(&self.hash);
        format!("{{\"position\":{},\"hash\":\"{hash}\",\"entry\":{}}}\n", self.position, self.entry)
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
