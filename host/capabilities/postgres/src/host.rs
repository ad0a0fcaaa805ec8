//! The WIT side of `spin:postgres`: handles, both twins of each function, streams; and `nexus:sql`,
//! which has none of them. Refuses to know servers.
//!
//! The twins without `-async` hold the whole instance while they wait; guests built with the
//! current SDK never call them.

use crate::places::{Line, Open};
use crate::rows::{Batches, columns};
use crate::{Postgres, PostgresError, State};
use nexus_runtime::{ComponentManifest, Has, View};
use spin::postgres::postgres::{
    Column, Error, Host, HostConnection, HostConnectionBuilder, HostConnectionBuilderWithStore,
    HostConnectionWithStore, ParameterValue, Row, RowSet,
};
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, FutureReader, Resource, StreamReader};

wasmtime::component::bindgen!({
    path: ["../../../wit/deps/spin-postgres@4.2.0", "../../../wit/nexus-sql@0.1.0"],
    inline: "
        package capability:postgres;
        world imports {
            import spin:postgres/postgres@4.2.0;
            import nexus:sql/statements@0.1.0;
        }
    ",
    world: "capability:postgres/imports",
    imports: {
        "spin:postgres/postgres.[static]connection.open": async | trappable | exact,
        "spin:postgres/postgres.[method]connection.query": async | trappable | exact,
        "spin:postgres/postgres.[method]connection.execute": async | trappable | exact,
        "spin:postgres/postgres.[method]connection-builder.build": async | trappable | exact,
        default: trappable,
    },
    with: {
        "spin:postgres/postgres.connection": crate::places::Open,
        "spin:postgres/postgres.connection-builder": Builder,
    },
});

/// Behind a guest's handle: an address, and a certificate to trust for it.
#[expect(unreachable_pub, reason = "the generated bindings export it again")]
pub struct Builder {
    address: String,
    root: Option<String>,
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

/// Columns, rows as they come, and how it ended.
type Streamed = (Vec<Column>, StreamReader<Row>, FutureReader<Result<(), Error>>);

impl Host for View<'_, Postgres> {}

impl nexus::sql::statements::Host for View<'_, Postgres> {}

impl<T: 'static> nexus::sql::statements::HostWithStore<T> for Has<Postgres> {
    async fn query(
        accessor: &Accessor<T, Self>,
        address: String,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Answer<RowSet> {
        let (state, component) = who_asks(accessor);
        Ok(state.query(&component, &address, &statement, params).await.map_err(Error::from))
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        address: String,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Answer<u64> {
        match line(accessor, &address).await {
            Ok(line) => Ok(line.execute(&statement, params).await.map_err(Error::from)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

async fn open_now(
    view: &mut View<'_, Postgres>,
    address: &str,
    root: Option<&str>,
) -> Answer<Resource<Open>> {
    match view.state.clone().open(view.component, address, root).await {
        Ok(open) => Ok(Ok(view.table.push(open)?)),
        Err(error) => Ok(Err(error.into())),
    }
}

impl HostConnection for View<'_, Postgres> {
    async fn open(&mut self, address: String) -> Answer<Resource<Open>> {
        open_now(self, &address, None).await
    }

    async fn query(
        &mut self,
        connection: Resource<Open>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Answer<RowSet> {
        let Open { line, .. } = self.table.get(&connection)?.clone();
        Ok(line.query(&statement, params).await.map_err(Error::from))
    }

    async fn execute(
        &mut self,
        connection: Resource<Open>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Answer<u64> {
        let Open { line, .. } = self.table.get(&connection)?.clone();
        Ok(line.execute(&statement, params).await.map_err(Error::from))
    }

    fn drop(&mut self, connection: Resource<Open>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl HostConnectionBuilder for View<'_, Postgres> {
    fn new(&mut self, address: String) -> wasmtime::Result<Resource<Builder>> {
        Ok(self.table.push(Builder { address, root: None })?)
    }

    fn set_ca_root(&mut self, builder: Resource<Builder>, certificate: String) -> Answer<()> {
        self.table.get_mut(&builder)?.root = Some(certificate);
        Ok(Ok(()))
    }

    async fn build(&mut self, builder: Resource<Builder>) -> Answer<Resource<Open>> {
        let Builder { address, root } = self.table.get(&builder)?;
        let (address, root) = (address.clone(), root.clone());
        open_now(self, &address, root.as_deref()).await
    }

    fn drop(&mut self, builder: Resource<Builder>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl<T: 'static> HostConnectionBuilderWithStore<T> for Has<Postgres> {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        builder: Resource<Builder>,
    ) -> Answer<Resource<Open>> {
        let (address, root) = accessor.with(|mut access| {
            let Builder { address, root } = access.get().table.get(&builder)?;
            wasmtime::error::Ok((address.clone(), root.clone()))
        })?;
        open(accessor, &address, root.as_deref()).await
    }
}

impl<T: 'static> HostConnectionWithStore<T> for Has<Postgres> {
    async fn open_async(accessor: &Accessor<T, Self>, address: String) -> Answer<Resource<Open>> {
        open(accessor, &address, None).await
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Answer<Streamed> {
        let open = find(accessor, &connection)?;
        let rows = match open.line.rows(&statement, params).await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error.into())),
        };
        let (end, ended) = oneshot::channel();
        let columns = columns(rows.columns());
        let batches = Batches::new(rows, end, open.place());
        accessor.with(|mut access| {
            let stream = StreamReader::new(&mut access, batches)?;
            // A guest that drops the stream early asked for no more: that is no error.
            let outcome = async { wasmtime::error::Ok(ended.await.unwrap_or(Ok(()))) };
            Ok(Ok((columns, stream, FutureReader::new(&mut access, outcome)?)))
        })
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        statement: String,
        params: Vec<ParameterValue>,
    ) -> Answer<u64> {
        let Open { line, .. } = find(accessor, &connection)?;
        Ok(line.execute(&statement, params).await.map_err(Error::from))
    }
}

async fn open<T>(
    accessor: &Accessor<T, Has<Postgres>>,
    address: &str,
    root: Option<&str>,
) -> Answer<Resource<Open>> {
    let (state, component) = who_asks(accessor);
    match state.open(&component, address, root).await {
        Ok(open) => accessor.with(|mut access| Ok(Ok(access.get().table.push(open)?))),
        Err(error) => Ok(Err(error.into())),
    }
}

async fn line<T>(
    accessor: &Accessor<T, Has<Postgres>>,
    address: &str,
) -> Result<Line, PostgresError> {
    let (state, component) = who_asks(accessor);
    state.line(&component, address, None).await
}

fn who_asks<T>(accessor: &Accessor<T, Has<Postgres>>) -> (State, Arc<ComponentManifest>) {
    accessor.with(|mut access| {
        let view = access.get();
        (view.state.clone(), view.component.clone())
    })
}

fn find<T>(
    accessor: &Accessor<T, Has<Postgres>>,
    connection: &Resource<Open>,
) -> wasmtime::Result<Open> {
    accessor.with(|mut access| Ok(access.get().table.get(connection)?.clone()))
}
