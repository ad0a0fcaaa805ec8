//! The WIT side of `spin:redis`: handles, parameters, flattened answers, error cases. Refuses to
//! know servers.

use crate::{Connection, Redis, RedisError, Reply};
use bytes::Bytes;
use nexus_runtime::{Has, View};
use spin::redis::redis::{
    Error, Host, HostConnection, HostConnectionWithStore, RedisParameter, RedisResult,
};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::{Accessor, Resource};

wasmtime::component::bindgen!({
    path: "../../../wit/deps/spin-redis@3.0.0",
    inline: "
        package capability:redis;
        world imports { import spin:redis/redis@3.0.0; }
    ",
    world: "capability:redis/imports",
    imports: { default: trappable },
    with: { "spin:redis/redis.connection": Open },
});

/// Behind a guest's handle; gives its place back when dropped, however that comes about.
pub struct Open {
    connection: Connection,
    _place: OwnedSemaphorePermit,
}

type Answer<T> = wasmtime::Result<Result<T, Error>>;

impl Host for View<'_, Redis> {}

impl HostConnection for View<'_, Redis> {
    fn drop(&mut self, connection: Resource<Open>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl<T: 'static> HostConnectionWithStore<T> for Has<Redis> {
    async fn open(accessor: &Accessor<T, Self>, address: String) -> Answer<Resource<Open>> {
        // A place is taken before the wait: a hundred attempts at once are a hundred.
        let (redis, component, place) = accessor.with(|mut access| {
            let view = access.get();
            let place = view.state.places.clone().try_acquire_owned();
            (view.state.redis.clone(), view.component.clone(), place)
        });
        let Ok(place) = place else { return Ok(Err(Error::TooManyConnections)) };
        match redis.connect(&component, &address).await {
            Ok(connection) => accessor.with(|mut access| {
                Ok(Ok(access.get().table.push(Open { connection, _place: place })?))
            }),
            Err(error) => {
                tracing::debug!(component = %component.id, %error, "connection refused");
                Ok(Err(error.into()))
            }
        }
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        channel: String,
        payload: Vec<u8>,
    ) -> Answer<()> {
        let connection = find(accessor, &connection)?;
        answer(connection.publish(channel, payload.into()).await)
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        key: String,
    ) -> Answer<Option<Vec<u8>>> {
        let connection = find(accessor, &connection)?;
        answer(connection.get(key).await)
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        key: String,
        value: Vec<u8>,
    ) -> Answer<()> {
        let connection = find(accessor, &connection)?;
        answer(connection.set(key, value.into()).await)
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        key: String,
    ) -> Answer<i64> {
        let connection = find(accessor, &connection)?;
        answer(connection.incr(key).await)
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        keys: Vec<String>,
    ) -> Answer<u32> {
        let connection = find(accessor, &connection)?;
        answer(connection.del(keys).await)
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        let connection = find(accessor, &connection)?;
        answer(connection.sadd(key, values).await)
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        key: String,
    ) -> Answer<Vec<String>> {
        let connection = find(accessor, &connection)?;
        answer(connection.smembers(key).await)
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        key: String,
        values: Vec<String>,
    ) -> Answer<u32> {
        let connection = find(accessor, &connection)?;
        answer(connection.srem(key, values).await)
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<Open>,
        command: String,
        arguments: Vec<RedisParameter>,
    ) -> Answer<Vec<RedisResult>> {
        let connection = find(accessor, &connection)?;
        let arguments = arguments.into_iter().map(|argument| match argument {
            RedisParameter::Int64(n) => Bytes::from(n.to_string()),
            RedisParameter::Binary(bytes) => bytes.into(),
        });
        let reply = connection.execute(&command, arguments.collect()).await;
        answer(reply.map(|reply| {
            let mut flat = Vec::new();
            flatten(reply, &mut flat);
            flat
        }))
    }
}

fn find<T>(
    accessor: &Accessor<T, Has<Redis>>,
    connection: &Resource<Open>,
) -> wasmtime::Result<Connection> {
    accessor.with(|mut access| Ok(access.get().table.get(connection)?.connection.clone()))
}

fn answer<T>(outcome: Result<T, RedisError>) -> Answer<T> {
    Ok(outcome.map_err(Error::from))
}

/// The interface has no lists in lists: their elements follow each other, as on Spin.
fn flatten(reply: Reply, out: &mut Vec<RedisResult>) {
    match reply {
        Reply::Nil => out.push(RedisResult::Nil),
        Reply::Status(text) => out.push(RedisResult::Status(text)),
        Reply::Int(n) => out.push(RedisResult::Int64(n)),
        Reply::Bytes(bytes) => out.push(RedisResult::Binary(bytes)),
        Reply::List(replies) => replies.into_iter().for_each(|reply| flatten(reply, out)),
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        match error {
            RedisError::Address(_) => Self::InvalidAddress,
            RedisError::TooManyServers => Self::TooManyConnections,
            error if error.is_type_error() => Self::TypeError,
            other => Self::Other(other.to_string()),
        }
    }
}
