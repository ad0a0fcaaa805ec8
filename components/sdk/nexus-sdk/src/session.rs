//! The service's own database, as a component has it: one statement by `nexus:sql`, several over
//! one connection by `spin:postgres`.
//!
//! Knows how an answer is read to its end and which errors mean that the database is away.
//! Refuses to know transactions: those are `commit.rs`.

use spin_sdk::pg::{Connection, Error as SpinError, ParameterValue, PgError};
use spin_sdk::variables;
use std::sync::OnceLock;

use bindings::nexus::sql::statements;

use crate::outcome::{Fault, classify};
use crate::problem::Failure;
use crate::row::Rows;
use crate::sql::Statement;

#[allow(missing_docs, unreachable_pub)]
mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: ["../../../wit/deps/spin-postgres@4.2.0", "../../../wit/nexus-sql@0.1.0"],
        world: "nexus:sql/client",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
        with: { "spin:postgres/postgres@4.2.0": spin_sdk::pg::wit::postgres },
    });
}

/// What the variable `pg_url` says, which a running instance never sees change.
static ADDRESS: OnceLock<String> = OnceLock::new();

async fn address() -> Result<String, Fault> {
    if let Some(known) = ADDRESS.get() {
        return Ok(known.clone());
    }
    let url = variables::get("pg_url").await;
    let url = url.map_err(|why| Failure::msg(format!("read the variable pg_url: {why:?}")))?;
    Ok(ADDRESS.get_or_init(|| url).clone())
}

/// Runs one query by itself and reads all its rows.
pub(crate) async fn query(
    statement: &Statement,
    params: Vec<ParameterValue>,
) -> Result<Rows, Fault> {
    let asked = statements::query(address().await?, statement.text().to_owned(), params);
    let answer = asked.await.map_err(|why| classify(&statement.name(), why))?;
    Ok(Rows { columns: answer.columns, values: answer.rows })
}

/// Runs one command by itself; how many rows it touched.
pub(crate) async fn execute(
    statement: &Statement,
    params: Vec<ParameterValue>,
) -> Result<u64, Fault> {
    let asked = statements::execute(address().await?, statement.text().to_owned(), params);
    asked.await.map_err(|why| classify(&statement.name(), why))
}

/// A connection. Whatever it leaves open, the host rolls back when it is dropped.
pub(crate) struct Session(Connection);

impl Session {
    /// Opens a connection to where the variable `pg_url` says.
    pub(crate) async fn open() -> Result<Session, Fault> {
        match Connection::open(address().await?).await {
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
}

fn inner(error: SpinError) -> PgError {
    match error {
        SpinError::PgError(error) => error,
        SpinError::Decode(reason) => PgError::ValueConversionFailed(reason),
    }
}
