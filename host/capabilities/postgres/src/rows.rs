//! Rows on their way to a guest: as many as have come for each of its reads, none before it asks.
//! Refuses to know how rows are fetched.

use crate::decode::{Raw, data_type, value};
use crate::error::PostgresError;
use crate::host::spin::postgres::postgres::{Column, DbValue, Error};
use nexus_storage::Rows;
use nexus_storage::tokio_postgres::Row;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

/// A batch ends at this many rows or bytes: enough that the cost of handing one over does not
/// show, little enough that a guest which reads slowly holds little of the host's memory.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 256 << 10;

pub(crate) fn columns(columns: &[nexus_storage::tokio_postgres::Column]) -> Vec<Column> {
    let column = |column: &nexus_storage::tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        data_type: data_type(column.type_()),
    };
    columns.iter().map(column).collect()
}

pub(crate) fn values(row: &Row) -> Result<Vec<DbValue>, PostgresError> {
    let columns = row.columns().iter().enumerate();
    let each = columns.map(|(n, column)| {
        let raw: Raw<'_> = row.try_get(n).map_err(nexus_storage::Error::Query)?;
        Ok(value(column.type_(), raw.0)?)
    });
    each.collect()
}

/// Produces a guest's stream, and says at its end how it ended.
pub(crate) struct Batches {
    rows: Rows,
    end: Option<oneshot::Sender<Result<(), Error>>>,
    /// An error that came after rows, which go first.
    failed: Option<Error>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl Batches {
    pub(crate) fn new(
        rows: Rows,
        end: oneshot::Sender<Result<(), Error>>,
        place: Arc<OwnedSemaphorePermit>,
    ) -> Self {
        Self { rows, end: Some(end), failed: None, _place: place }
    }

    /// All rows that are here, up to a batch; empty at the end.
    fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<Vec<DbValue>>, Error>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let row = match self.rows.poll_next(cx) {
                Poll::Pending if batch.is_empty() => return Poll::Pending,
                Poll::Pending | Poll::Ready(None) => break,
                Poll::Ready(Some(row)) => row,
            };
            let decoded = row.map_err(PostgresError::from).and_then(|row| {
                bytes += row.raw_size_bytes();
                values(&row)
            });
            match decoded {
                Ok(row) => batch.push(row),
                Err(error) if batch.is_empty() => return Poll::Ready(Err(error.into())),
                Err(error) => {
                    self.failed = Some(error.into());
                    break;
                }
            }
        }
        Poll::Ready(Ok(batch))
    }

    fn finish(&mut self, outcome: Result<(), Error>) -> Poll<wasmtime::Result<StreamResult>> {
        // The guest may have dropped the future; then nobody asks for the outcome.
        if let Some(end) = self.end.take() {
            end.send(outcome).ok();
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<D: 'static> StreamProducer<D> for Batches {
    type Item = Vec<DbValue>;
    type Buffer = VecBuffer<Vec<DbValue>>;

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
        let batch = match self.poll_batch(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            polled => ready!(polled),
        };
        match batch {
            Ok(rows) if rows.is_empty() => self.finish(Ok(())),
            Ok(rows) => {
                destination.set_buffer(rows.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(error) => self.finish(Err(error)),
        }
    }
}
