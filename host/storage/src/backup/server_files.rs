//! A copy of a server's files while it runs, from which, with the log since, any later instant can
//! be had again; and what a server says of its archive. Refuses to know where either is kept.

use super::{Dump, failed, major, programs, spawned};
use crate::database::Database;
use crate::endpoint::Endpoint;
use crate::error::Error;
use std::process::Stdio;
use tokio::process::Command;

const PROGRAM: &str = "pg_basebackup";

/// What a server says of how it archives its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archiving {
    /// `archive_mode`: `off`, `on` or `always`.
    pub mode: String,
    pub archived: i64,
    pub failed: i64,
    /// The last part that was archived, and when.
    pub last: Option<(String, String)>,
}

impl Archiving {
    pub fn is_on(&self) -> bool {
        self.mode != "off"
    }
}

/// An instant of a server, by its clock and by its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// RFC 3339, to the microsecond.
    pub at: String,
    /// The file of the log that was written to.
    pub wal: String,
}

/// How `database`'s server archives.
///
/// # Errors
///
/// [`Error::Query`], and whatever connecting says.
pub async fn archiving(database: &Database) -> Result<Archiving, Error> {
    let session = database.host().await?;
    let sql = "select current_setting('archive_mode'), archived_count, failed_count, \
               last_archived_wal, last_archived_time::text from pg_stat_archiver";
    let row = &session.query(sql, &[]).await?[0];
    let last: (Option<String>, Option<String>) = (row.try_get(3)?, row.try_get(4)?);
    Ok(Archiving {
        mode: row.try_get(0)?,
        archived: row.try_get(1)?,
        failed: row.try_get(2)?,
        last: last.0.zip(last.1),
    })
}

/// Now.
///
/// # Errors
///
/// [`Error::Query`], and whatever connecting says.
pub async fn mark(database: &Database) -> Result<Mark, Error> {
    let session = database.host().await?;
    let sql = "select to_char(clock_timestamp() at time zone 'UTC', \
               'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), pg_walfile_name(pg_current_wal_lsn())";
    let row = &session.query(sql, &[]).await?[0];
    Ok(Mark { at: row.try_get(0)?, wal: row.try_get(1)? })
}

/// Begins to copy the files of the server that `copier` logs in to, as a tar archive. It ends when
/// the server has archived the log without which the copy is of no use.
///
/// # Errors
///
/// [`Error::NoProgram`] when there is no `pg_basebackup` of the server's version or a newer one.
pub async fn copy(database: &Database, copier: &Endpoint) -> Result<Dump, Error> {
    let major = major(&database.host().await?).await?;
    let mut command = Command::new(programs::find(PROGRAM, major)?);
    command.args(["--pgdata=-", "--format=tar", "--wal-method=none", "--checkpoint=fast"]);
    command.args(["--no-password", "--label=nexus"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawned(PROGRAM, &mut command, copier)?;
    let out = child.stdout.take().ok_or_else(|| failed(PROGRAM, "it has no output"))?;
    Ok(Dump { program: PROGRAM, child, out })
}
