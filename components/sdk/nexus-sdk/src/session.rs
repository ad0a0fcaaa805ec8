//! One connection to the service's own database, as a component has it: `spin:postgres`.
//!
//! Knows how an answer is read to its end and which errors mean that the database is away.
//! Refuses to know transactions: those are `commit.rs`.

use spin_sdk::pg::{Connection, Error as SpinError, ParameterValue, PgError};
use spin_sdk::variables;

use crate::outcome::{Fault, classify};
use crate::problem::Failure;
use crate::row::Rows;
use crate::sql::Statement;

/// A connection. Whatever it leaves open, the host rolls back when it is dropped.
pub(crate) struct Session(Connection);

impl Session {
    /// Opens a connection to where the variable `pg_url` says.
    pub(crate) async fn open() -> Result<Session, Fault> {
        let url = variables::get("pg_url").await;
        let url = url.map_err(|why| Failure::msg(format!("read the variable pg_url: {why:?}")))?;
        match Connection::open(url).await {
            Ok(connection) => Ok(Session(connection)),
            Err(why) => Err(classify("open a connection", inner(why))),
        }
    }

    /// Runs a command; how many rows it touched.
    pub(crate) async fn execute(
        &self,
        statement: &Statement,
        params: Vec<ParameterValue>,
    ) -> Result<u64, Fault> {
        let ran = self.0.execute(statement.text(), params).await;
        ran.map_err(|why| classify(&statement.name(), inner(why)))
    }

    /// Runs a query and reads all its rows.
    pub(crate) async fn query(
        &self,
        statement: &Statement,
        params: Vec<ParameterValue>,
    ) -> Result<Rows, Fault> {
        let fault = |why| classify(&statement.name(), inner(why));
        let answer = self.0.query(statement.text(), params).await.map_err(fault)?;
        let (columns, rows, end) = answer.into_inner();
        let values = rows.collect().await;
        end.await.map_err(|why| fault(SpinError::PgError(why)))?;
        Ok(Rows { columns, values })
    }
}

fn inner(error: SpinError) -> PgError {
    match error {
        SpinError::PgError(error) => error,
        SpinError::Decode(reason) => PgError::ValueConversionFailed(reason),
    }
}
