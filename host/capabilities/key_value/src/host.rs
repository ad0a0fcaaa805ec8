//! The WIT side of `spin:key-value`: handles, streams of keys, error cases. Refuses to know where
//! values lie.

use crate::{KeyValue, KeyValueError, Keys, Store};
use futures::StreamExt as _;
use nexus_runtime::{Has, View};
use spin::key_value::key_value::{Error, Host, HostStore, HostStoreWithStore};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, Resource, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};

wasmtime::component::bindgen!({
    path: "../../../wit/deps/spin-key-value@3.0.0",
    inline: "
        package capability:key-value;
        world imports { import spin:key-value/key-value@3.0.0; }
    ",
    world: "capability:key-value/imports",
    imports: { default: trappable },
    with: { "spin:key-value/key-value.store": Open },
});

/// Behind a guest's handle; gives its place back when dropped, however that comes about.
pub struct Open {
    store: Store,
    _place: OwnedSemaphorePermit,
}

type KeysAndEnd = (StreamReader<String>, FutureReader<Result<(), Error>>);

impl Host for View<'_, KeyValue> {}

impl HostStore for View<'_, KeyValue> {
    fn drop(&mut self, store: Resource<Open>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl<T: 'static> HostStoreWithStore<T> for Has<KeyValue> {
    async fn open(
        accessor: &Accessor<T, Self>,
        label: String,
    ) -> wasmtime::Result<Result<Resource<Open>, Error>> {
        accessor.with(|mut access| {
            let view = access.get();
            let Ok(place) = view.state.places.clone().try_acquire_owned() else {
                return Ok(Err(Error::StoreTableFull));
            };
            let backend = view.state.backend.clone();
            match Store::open(backend, view.component, &label) {
                Ok(store) => Ok(Ok(view.table.push(Open { store, _place: place })?)),
                Err(error) => {
                    // The interface has no text for this case: the log is where it can be read.
                    if !std::mem::replace(&mut view.state.refusal_logged, true) {
                        tracing::warn!(component = %view.component.id, %error, "store refused");
                    }
                    Ok(Err(error.into()))
                }
            }
        })
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        store: Resource<Open>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let store = find(accessor, &store)?;
        let found = store.get(&key).await;
        Ok(found.map(|value| value.map(Vec::from)).map_err(Error::from))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        store: Resource<Open>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = find(accessor, &store)?;
        Ok(store.set(&key, value.into()).await.map_err(Error::from))
    }

    async fn delete(
        accessor: &Accessor<T, Self>,
        store: Resource<Open>,
        key: String,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = find(accessor, &store)?;
        Ok(store.delete(&key).await.map_err(Error::from))
    }

    async fn exists(
        accessor: &Accessor<T, Self>,
        store: Resource<Open>,
        key: String,
    ) -> wasmtime::Result<Result<bool, Error>> {
        let store = find(accessor, &store)?;
        Ok(store.exists(&key).await.map_err(Error::from))
    }

    async fn get_keys(
        accessor: &Accessor<T, Self>,
        store: Resource<Open>,
    ) -> wasmtime::Result<KeysAndEnd> {
        let store = find(accessor, &store)?;
        let (end, ended) = oneshot::channel();
        accessor.with(|mut access| {
            let batches = Batches { keys: store.keys(), end: Some(end) };
            let keys = StreamReader::new(&mut access, batches)?;
            // A guest that drops the stream early asked for no more: that is no error.
            let outcome = async { wasmtime::error::Ok(ended.await.unwrap_or(Ok(()))) };
            Ok((keys, FutureReader::new(&mut access, outcome)?))
        })
    }
}

fn find<T>(
    accessor: &Accessor<T, Has<KeyValue>>,
    store: &Resource<Open>,
) -> wasmtime::Result<Store> {
    accessor.with(|mut access| Ok(access.get().table.get(store)?.store.clone()))
}

/// Hands the guest one batch of keys for each read.
struct Batches {
    keys: Keys,
    end: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Batches {
    fn finish(&mut self, outcome: Result<(), Error>) -> Poll<wasmtime::Result<StreamResult>> {
        // The guest may have dropped the future; then nobody asks for the outcome.
        if let Some(end) = self.end.take() {
            end.send(outcome).ok();
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<D: 'static> StreamProducer<D> for Batches {
    type Item = String;
    type Buffer = VecBuffer<String>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let batch = match self.keys.poll_next_unpin(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            polled => ready!(polled),
        };
        match batch {
            Some(Ok(keys)) => {
                destination.set_buffer(keys.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Some(Err(error)) => self.finish(Err(error.into())),
            None => self.finish(Ok(())),
        }
    }
}

impl From<KeyValueError> for Error {
    fn from(error: KeyValueError) -> Self {
        match error {
            KeyValueError::Ungranted { .. } => Self::AccessDenied,
            other => Self::Other(other.to_string()),
        }
    }
}
