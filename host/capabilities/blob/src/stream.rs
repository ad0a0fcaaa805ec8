//! The joints between a guest's streams and the host's bodies: back-pressure both ways, and an end
//! that cannot be mistaken for a death. Knows nothing of stores.

use crate::body::CHUNK_BYTES;
use crate::store::{BlobError, Body};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::try_unfold;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::PollSender;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};

/// Chunks on their way from a guest to a store: one being stored, one waiting.
const WAITING_CHUNKS: usize = 2;

/// Takes what a guest writes. Dropped by wasmtime when the guest closes its end, and also when the
/// guest dies: the two look the same from here.
pub(crate) struct Inflow {
    chunks: PollSender<Bytes>,
    _closed: oneshot::Sender<()>,
}

/// The host call's end of an [`Inflow`].
pub(crate) struct Incoming {
    chunks: mpsc::Receiver<Bytes>,
    closed: oneshot::Receiver<()>,
}

pub(crate) fn inflow() -> (Inflow, Incoming) {
    let (sender, chunks) = mpsc::channel(WAITING_CHUNKS);
    let (_closed, closed) = oneshot::channel();
    (Inflow { chunks: PollSender::new(sender), _closed }, Incoming { chunks, closed })
}

/// What lets a body end: to be polled together with whatever takes the body.
pub(crate) struct Ending {
    closed: oneshot::Receiver<()>,
    end: oneshot::Sender<()>,
}

impl Incoming {
    /// The body, and its end.
    ///
    /// The body ends well only if [`Ending::of`] is still polled after the stream was closed. It is
    /// not when the call was cancelled or the instance died: then the body ends with
    /// [`BlobError::Incomplete`] and nothing half-written becomes visible.
    pub(crate) fn split(self) -> (Body, Ending) {
        let (end, ended) = oneshot::channel::<()>();
        type Flow = (mpsc::Receiver<Bytes>, oneshot::Receiver<()>);
        let step = |(mut chunks, ended): Flow| async move {
            match chunks.recv().await {
                Some(chunk) => Ok(Some((chunk, (chunks, ended)))),
                None => ended.await.map(|()| None).map_err(|_| BlobError::Incomplete),
            }
        };
        let body = try_unfold((self.chunks, ended), step).boxed();
        (body, Ending { closed: self.closed, end })
    }
}

impl Ending {
    /// Waits for the answer of whoever takes the body, and tells it when the body has ended.
    pub(crate) async fn of<T>(self, taking: impl Future<Output = T>) -> T {
        let taking = std::pin::pin!(taking);
        match futures::future::select(taking, self.closed).await {
            futures::future::Either::Left((answer, _)) => answer,
            futures::future::Either::Right((_, taking)) => {
                // Fails when the answer is under way and the body dropped: then nobody listens.
                _ = self.end.send(());
                taking.await
            }
        }
    }
}

impl<D> StreamConsumer<D> for Inflow {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.chunks.poll_reserve(cx) {
            Poll::Ready(Ok(())) => {}
            // The store has answered already and wants no more.
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let mut source = source.as_direct(store);
        let written = source.remaining();
        let taken = written.len().min(CHUNK_BYTES);
        if taken > 0 {
            let chunk = Bytes::copy_from_slice(&written[..taken]);
            source.mark_read(taken);
            if self.chunks.send_item(chunk).is_err() {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Hands a body to a guest as fast as it reads, and says at last how it went.
pub(crate) struct Outflow {
    body: Body,
    outcome: Option<oneshot::Sender<Result<(), BlobError>>>,
    /// The instance's place among its open transfers.
    _transfer: OwnedSemaphorePermit,
}

impl Outflow {
    /// The receiver gets the outcome, or closes when the guest drops the stream before its end.
    pub(crate) fn new(
        body: Body,
        transfer: OwnedSemaphorePermit,
    ) -> (Self, oneshot::Receiver<Result<(), BlobError>>) {
        let (sender, outcome) = oneshot::channel();
        (Self { body, outcome: Some(sender), _transfer: transfer }, outcome)
    }

    fn end(&mut self, outcome: Result<(), BlobError>) -> StreamResult {
        if let Some(sender) = self.outcome.take() {
            // A guest may read the bytes and not ask how it went.
            _ = sender.send(outcome);
        }
        StreamResult::Dropped
    }
}

impl<D> StreamProducer<D> for Outflow {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        // A guest that only asks whether there is more learns it by reading.
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        loop {
            let next = match self.body.poll_next_unpin(cx) {
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                next => ready!(next),
            };
            return Poll::Ready(Ok(match next {
                Some(Ok(chunk)) if chunk.is_empty() => continue,
                Some(Ok(chunk)) => {
                    // What the guest has no room for stays here until its next reading.
                    destination.set_buffer(chunk);
                    StreamResult::Completed
                }
                Some(Err(error)) => self.end(Err(error)),
                None => self.end(Ok(())),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Hasher;
    use futures::TryStreamExt as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;
    use wasmtime::component::StreamReader;
    use wasmtime::{Config, Engine, Store};

    fn store() -> Store<()> {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        Store::new(&Engine::new(&config).unwrap(), ())
    }

    /// Bytes that are counted as long as anyone holds them.
    struct Counted(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
        }
    }

    /// `chunks` chunks of 64 KiB that count themselves in `live`; the most ever alive in `peak`.
    fn counted(chunks: usize, live: &Arc<AtomicUsize>, peak: &Arc<AtomicUsize>) -> Body {
        let (live, peak) = (live.clone(), peak.clone());
        let chunk = move |index: usize| {
            let now = live.fetch_add(65_536, Ordering::Relaxed) + 65_536;
            peak.fetch_max(now, Ordering::Relaxed);
            Ok(Bytes::from_owner(Counted(vec![index as u8; 65_536], live.clone())))
        };
        futures::stream::iter((0..chunks).map(chunk)).boxed()
    }

    /// A body becomes a stream and a body again, through a store and without a guest.
    async fn through_a_store<T>(
        body: Body,
        sink: impl AsyncFnOnce(Body) -> Result<T, BlobError>,
    ) -> (Result<T, BlobError>, Option<Result<(), BlobError>>) {
        let mut store = store();
        let transfers = Arc::new(Semaphore::new(1));
        let permit = transfers.clone().try_acquire_owned().unwrap();
        let (outflow, outcome) = Outflow::new(body, permit);
        let (inflow, incoming) = inflow();
        let reader = StreamReader::new(&mut store, outflow).unwrap();
        reader.pipe(&mut store, inflow).unwrap();
        let (body, ending) = incoming.split();
        let taking = async |_: &_| ending.of(sink(body)).await;
        let answer = store.run_concurrent(taking).await.unwrap();
        drop(store);
        assert_eq!(transfers.available_permits(), 1, "the transfer is given back");
        (answer, outcome.await.ok())
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_and_few_are_in_memory_at_once() {
        let (live, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let sink = async |body: Body| {
            body.try_fold(Hasher::default(), async |mut hasher, chunk| {
                hasher.update(&chunk);
                tokio::task::yield_now().await;
                Ok(hasher)
            })
            .await
        };
        let (hasher, outcome) = through_a_store(counted(1600, &live, &peak), sink).await;
        let mut expected = Hasher::default();
        (0..1600).for_each(|index| expected.update(&[index as u8; 65_536]));
        let hasher = hasher.unwrap();
        assert_eq!(hasher.bytes(), 1600 * 65_536);
        assert_eq!(hasher.finish(), expected.finish());
        assert_eq!(outcome, Some(Ok(())));
        assert_eq!(live.load(Ordering::Relaxed), 0);
        let peak = peak.load(Ordering::Relaxed);
        assert!(peak <= 2 * 65_536, "{peak} bytes of 100 MiB were alive at once");
    }

    #[tokio::test]
    async fn an_error_of_the_body_arrives_as_its_outcome() {
        let chunks = [Ok(Bytes::from_static(b"ab")), Err(BlobError::ChecksumMismatch)];
        let body = futures::stream::iter(chunks).boxed();
        let sink = async |body: Body| body.try_collect::<Vec<_>>().await;
        let (_, outcome) = through_a_store(body, sink).await;
        assert_eq!(outcome, Some(Err(BlobError::ChecksumMismatch)));
    }

    #[tokio::test]
    async fn a_store_that_answers_early_ends_the_stream() {
        let (live, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let sink = async |_: Body| Err::<(), _>(BlobError::PreconditionFailed);
        let (answer, _) = through_a_store(counted(1600, &live, &peak), sink).await;
        assert_eq!(answer, Err(BlobError::PreconditionFailed));
        assert!(peak.load(Ordering::Relaxed) <= 4 * 65_536);
        assert_eq!(live.load(Ordering::Relaxed), 0);
    }

    /// What happens to a store whose guest is killed: everything is dropped, nothing is polled.
    #[tokio::test]
    async fn the_death_of_an_instance_is_not_the_end_of_its_body() {
        let (inflow, incoming) = inflow();
        let mut sender = inflow.chunks.clone();
        std::future::poll_fn(|cx| sender.poll_reserve(cx)).await.unwrap();
        sender.send_item(Bytes::from_static(b"half")).unwrap();
        drop(sender);
        let (answer, answered) = oneshot::channel();
        let (body, ending) = incoming.split();
        // As with S3: the work goes on elsewhere.
        tokio::spawn(async move { answer.send(body.try_collect::<Vec<_>>().await) });
        let mut call = Box::pin(ending.of(std::future::pending::<()>()));
        assert!(futures::poll!(call.as_mut()).is_pending());
        drop(inflow);
        drop(call);
        assert_eq!(answered.await.unwrap(), Err(BlobError::Incomplete));
    }
}
