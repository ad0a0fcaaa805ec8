//! Connections of an instance, and how many it holds: a place is taken before one that it keeps,
//! and given back with it, however that comes about. What is kept for one statement needs none: the
//! pool bounds those. Refuses to know where connections lead.

use crate::encode::Param;
use crate::error::PostgresError;
use crate::host::spin::postgres::postgres::{ParameterValue, RowSet};
use crate::rows::{columns, values};
use crate::sends::Sends;
use crate::{OPEN_MAX, Postgres, own_service};
use nexus_runtime::{ComponentId, ComponentManifest};
use nexus_storage::tokio_postgres::types::ToSql;
use nexus_storage::{Error, Rows, Session};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a call waits for another of its instance to give a connection back: as long as for one
/// of the pool.
const TURN: Duration = Duration::from_secs(3);

/// What an instance keeps: the capability, and a place for each connection it may hold.
#[derive(Clone)]
pub struct State {
    postgres: Postgres,
    places: Arc<Semaphore>,
}

/// A connection on behalf of a component.
#[derive(Clone)]
pub(crate) struct Line {
    component: ComponentId,
    session: Session,
}

/// A connection that an instance keeps, with its place; cheap to clone.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
#[derive(Clone)]
pub struct Open {
    pub(crate) line: Line,
    place: Arc<OwnedSemaphorePermit>,
}

impl State {
    pub(crate) fn new(postgres: Postgres) -> Self {
        Self { postgres, places: Arc::new(Semaphore::new(OPEN_MAX)) }
    }

    /// For one statement.
    pub(crate) async fn line(
        &self,
        component: &ComponentManifest,
        address: &str,
        root: Option<&str>,
    ) -> Result<Line, PostgresError> {
        let opened = noted(component, self.postgres.connect(component, address, root).await);
        Ok(Line { component: component.id.clone(), session: opened? })
    }

    /// A whole result of one statement, bounded like what a guest may make the host hold.
    pub(crate) async fn query(
        &self,
        component: &ComponentManifest,
        address: &str,
        sql: &str,
        mut params: Vec<ParameterValue>,
    ) -> Result<RowSet, PostgresError> {
        let Some(service) = own_service(address) else {
            return self.line(component, address, None).await?.query(sql, params).await;
        };
        let reading = noted(component, self.postgres.reading(component, service, sql).await)?;
        let sends = Sends::begin(&component.id, sql, &mut params);
        let params: Vec<Param> = params.into_iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let answer = reading.all(&params).await;
        sends.end(&answer);
        let answer = answer?;
        let rows: Result<Vec<_>, _> = answer.rows().iter().map(values).collect();
        Ok(RowSet { columns: columns(answer.columns()), rows: rows? })
    }

    pub(crate) async fn open(
        &self,
        component: &ComponentManifest,
        address: &str,
        root: Option<&str>,
    ) -> Result<Open, PostgresError> {
        let place = match tokio::time::timeout(TURN, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Arc::new(place),
            _ => return Err(PostgresError::TooManyOpen),
        };
        Ok(Open { line: self.line(component, address, root).await?, place })
    }
}

/// An operator is told why a component has no connection.
fn noted<T>(
    component: &ComponentManifest,
    opened: Result<T, PostgresError>,
) -> Result<T, PostgresError> {
    opened.inspect_err(|error| {
        tracing::warn!(component = %component.id, %error, "no database connection");
    })
}

impl Open {
    /// The place, to be held as long as a result is read.
    pub(crate) fn place(&self) -> Arc<OwnedSemaphorePermit> {
        self.place.clone()
    }
}

impl Line {
    pub(crate) async fn rows(
        &self,
        sql: &str,
        mut params: Vec<ParameterValue>,
    ) -> Result<Rows, Error> {
        let sends = Sends::begin(&self.component, sql, &mut params);
        let params: Vec<Param> = params.into_iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let rows = self.session.rows(sql, &params).await;
        sends.end(&rows);
        rows
    }

    pub(crate) async fn execute(
        &self,
        sql: &str,
        mut params: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let sends = Sends::begin(&self.component, sql, &mut params);
        let params: Vec<Param> = params.into_iter().map(Param).collect();
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|p| p as _).collect();
        let executed = self.session.execute(sql, &params).await;
        sends.end(&executed);
        executed
    }

    /// A whole result, bounded like what a guest may make the host hold.
    pub(crate) async fn query(
        &self,
        sql: &str,
        params: Vec<ParameterValue>,
    ) -> Result<RowSet, PostgresError> {
        let rows = self.rows(sql, params).await?;
        let columns = columns(rows.columns());
        let rows: Result<Vec<_>, _> = rows.collect().await?.iter().map(values).collect();
        Ok(RowSet { columns, rows: rows? })
    }
}
