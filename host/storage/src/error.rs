//! What can go wrong between the host and PostgreSQL, in words an operator can act on. Refuses to
//! know what a caller answers; [`Error::is_unavailable`] says whether waiting may help.

use std::path::PathBuf;
use tokio_postgres::error::SqlState;

/// The oldest major version of PostgreSQL that the migrations are written for.
pub(crate) const OLDEST_MAJOR: u32 = 15;

/// Everything this crate can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer on this machine (looked in {looked}): \
         `apt-get install postgresql`, or set NEXUS_PG_BIN to a folder with initdb and postgres, \
         or DATABASE_URL to a running server"
    )]
    NoServer { looked: String },
    #[error("PostgreSQL {found} at {address} is too old: {OLDEST_MAJOR} or newer is needed")]
    TooOld { found: String, address: String },
    #[error(
        "the cluster in {folder} belongs to PostgreSQL {made_by}, which is not installed: \
         install it, or move the data with pg_dump or pg_upgrade"
    )]
    OtherMajor { folder: PathBuf, made_by: String },
    #[error("another host{} already runs on {}: stop it, or set NEXUS_HOME to another folder",
        .pid.map(|p| format!(" (process {p})")).unwrap_or_default(), .home.display())]
    HomeInUse { home: PathBuf, pid: Option<u32> },
    #[error("the private PostgreSQL could not {doing}: {detail}")]
    Cluster { doing: &'static str, detail: String },
    #[error(
        "there is no {program} of PostgreSQL {major} or newer on this machine: install \
         postgresql-client, or set NEXUS_PG_BIN to the folder it is in"
    )]
    NoProgram { program: &'static str, major: u32 },
    #[error("{program} failed: {detail}")]
    Program { program: &'static str, detail: String },
    #[error("not a PostgreSQL address: {0}")]
    Address(String),
    #[error("{address} may not be connected to: {reason}")]
    Forbidden { address: String, reason: String },
    #[error("PostgreSQL at {address} cannot be reached: {reason}")]
    Unreachable { address: String, reason: String },
    #[error("PostgreSQL at {address} is starting or stopping: {reason}")]
    StartingUp { address: String, reason: String },
    #[error(
        "PostgreSQL at {address} has no connection left: raise its max_connections, or lower \
         NEXUS_PG_CONNECTIONS_MAX"
    )]
    Full { address: String },
    #[error("PostgreSQL has run out of disk space: {0}")]
    DiskFull(String),
    #[error("PostgreSQL at {address} refused role {role}: {reason}")]
    Credentials { role: String, address: String, reason: String },
    #[error("all {bound} database connections stayed busy for {waited_ms} ms")]
    Saturated { bound: usize, waited_ms: u64 },
    #[error(
        "the host closed this connection: it was held too long, in a transaction or a statement, \
         or without use while others waited"
    )]
    Revoked,
    #[error("{keyword} is not run for a service: {reason}")]
    Refused { keyword: String, reason: &'static str },
    #[error("the statement takes {expected} parameters, {given} were given")]
    Parameters { expected: usize, given: usize },
    #[error("the result takes more than {bytes_max} bytes: stream it, or ask for less")]
    TooLarge { bytes_max: usize },
    #[error("{0} cannot be a service's name in the database: {1}")]
    ServiceName(String, &'static str),
    #[error("role {role} cannot stand for a service: {reason}")]
    Role { role: String, reason: String },
    #[error("{file}: {reason}")]
    Migration { file: String, reason: String, source: Option<tokio_postgres::Error> },
    #[error("read {}: {source}", .path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}", says(.0))]
    Query(#[from] tokio_postgres::Error),
}

impl Error {
    /// Whether the database is away or overloaded, so that a caller answers 503 with
    /// `Retry-After`, rather than blaming the request.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::StartingUp { .. }
            | Self::Full { .. }
            | Self::DiskFull(_)
            | Self::Saturated { .. }
            | Self::Revoked => true,
            Self::Migration { source: Some(source), .. } | Self::Query(source) => lost(source),
            _ => false,
        }
    }

    /// The SQLSTATE, when the server said one.
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Migration { source: Some(source), .. } | Self::Query(source) => source.code(),
            _ => None,
        }
    }

    /// Sorts an error that came while connecting.
    pub(crate) fn connecting(error: tokio_postgres::Error, role: &str, address: &str) -> Self {
        let (role, address, reason) = (role.to_owned(), address.to_owned(), says(&error));
        match error.code() {
            Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => Self::Full { address },
            Some(code) if *code == SqlState::DISK_FULL => Self::DiskFull(reason),
            Some(code) if shutting_down(code) => Self::StartingUp { address, reason },
            // Class 28: wrong password, no such role, no line in pg_hba.conf. 42501 and 3D000: no
            // right to connect, no such database.
            Some(code)
                if code.code().starts_with("28")
                    || *code == SqlState::INSUFFICIENT_PRIVILEGE
                    || *code == SqlState::UNDEFINED_DATABASE =>
            {
                Self::Credentials { role, address, reason }
            }
            Some(_) => Self::Query(error),
            None => Self::Unreachable { address, reason },
        }
    }

    /// Sorts an error that came from a running statement.
    pub(crate) fn running(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if *code == SqlState::DISK_FULL => Self::DiskFull(says(&error)),
            _ => Self::Query(error),
        }
    }
}

/// `tokio_postgres` keeps the useful half of an error in its source.
pub(crate) fn says(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return format!("{} ({})", db.message(), db.code().code());
    }
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn shutting_down(code: &SqlState) -> bool {
    [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN]
        .contains(code)
}

/// Whether the connection or the server is gone, rather than the statement wrong. Class 08 is
/// connection trouble, class 53 insufficient resources, class 58 trouble outside the server.
fn lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            shutting_down(code)
                || *code == SqlState::DATABASE_DROPPED
                || matches!(code.code().get(..2), Some("08" | "53" | "58"))
        }
        None => error.is_closed() || has_io(error),
    }
}

fn has_io(error: &tokio_postgres::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        if source.is::<std::io::Error>() {
            return true;
        }
        next = source.source();
    }
    false
}
