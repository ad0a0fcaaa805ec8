//! What a guest is told when something fails: the interface's cases, with everything the server
//! said. `connection-failed` always means that the database could not be used at all, so that a
//! guest can answer 503; what a statement did wrong is `query-failed`.

use crate::decode::Malformed;
use crate::host::spin::postgres::postgres::{DbError, Error as WitError, QueryError};
use nexus_storage::tokio_postgres::error::DbError as ServerError;
use nexus_storage::tokio_postgres::error::ErrorPosition;
use nexus_storage::{Error, tokio_postgres};

/// Why a connection was not opened, or a statement not run.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "component {component} may not open the data of {service:?}: no manifest line allows \
         that, services talk by API and events. Its own is postgres://nexus.internal/{component} \
         (`variables = {{ pg_url = \"{{{{ pg_url }}}}\" }}` in [component.{component}])"
    )]
    Foreign { component: String, service: String },
    #[error("this host has no database of its own: it was started without one")]
    NoDatabase,
    #[error(
        "component {component} may not reach {address}: add \"postgres://{address}\" to \
         allowed_outbound_hosts of [component.{component}]"
    )]
    Ungranted { component: String, address: String },
    #[error("{grant:?} in allowed_outbound_hosts of {component} cannot be read: {reason}")]
    Grant { component: String, grant: String, reason: String },
    #[error("this instance already holds {} connections", crate::OPEN_MAX)]
    TooManyOpen,
    #[error(transparent)]
    Value(#[from] Malformed),
    #[error(transparent)]
    Storage(#[from] Error),
}

/// A parameter that has no form in its column's type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadParameter(pub(crate) String);

impl From<PostgresError> for WitError {
    fn from(error: PostgresError) -> Self {
        match error {
            PostgresError::Storage(error) => error.into(),
            PostgresError::Value(error) => Self::ValueConversionFailed(error.to_string()),
            other => Self::ConnectionFailed(other.to_string()),
        }
    }
}

impl From<Error> for WitError {
    fn from(error: Error) -> Self {
        match error {
            Error::Query(error) => running(error),
            Error::Parameters { .. } => Self::BadParameter(error.to_string()),
            Error::Refused { .. } => Self::QueryFailed(QueryError::DbError(refused(&error))),
            Error::TooLarge { .. } => Self::QueryFailed(QueryError::Text(error.to_string())),
            Error::DiskFull(_) => {
                Self::QueryFailed(QueryError::DbError(by_host("53100", error.to_string())))
            }
            other => Self::ConnectionFailed(other.to_string()),
        }
    }
}

fn running(error: tokio_postgres::Error) -> WitError {
    if let Some(said) = error.as_db_error() {
        return WitError::QueryFailed(QueryError::DbError(by_server(said)));
    }
    let source = std::error::Error::source(&error);
    if let Some(bad) = source.and_then(|source| source.downcast_ref::<BadParameter>()) {
        return WitError::BadParameter(format!("{error}: {bad}"));
    }
    let wrapped = Error::Query(error);
    match wrapped.is_unavailable() {
        true => WitError::ConnectionFailed(wrapped.to_string()),
        false => WitError::QueryFailed(QueryError::Text(wrapped.to_string())),
    }
}

fn by_server(said: &ServerError) -> DbError {
    let position = said.position().map(|position| match position {
        ErrorPosition::Original(at) => at.to_string(),
        ErrorPosition::Internal { position, .. } => position.to_string(),
    });
    let line = said.line().map(|line| line.to_string());
    // The names are those of Spin's host, which guests may look for.
    let extras = [
        ("column", said.column()),
        ("constraint", said.constraint()),
        ("routine", said.routine()),
        ("hint", said.hint()),
        ("table", said.table()),
        ("datatype", said.datatype()),
        ("schema", said.schema()),
        ("file", said.file()),
        ("line", line.as_deref()),
        ("where_", said.where_()),
        ("position", position.as_deref()),
    ];
    let extras = extras.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    DbError {
        as_text: said.to_string(),
        severity: said.severity().to_owned(),
        code: said.code().code().to_owned(),
        message: said.message().to_owned(),
        detail: said.detail().map(str::to_owned),
        extras: extras.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// What the host keeps from the server is a missing right, as if the server had said so.
fn refused(error: &Error) -> DbError {
    by_host("42501", error.to_string())
}

fn by_host(code: &str, message: String) -> DbError {
    DbError {
        as_text: format!("ERROR: {message}"),
        severity: "ERROR".into(),
        code: code.into(),
        message,
        detail: None,
        extras: Vec::new(),
    }
}
