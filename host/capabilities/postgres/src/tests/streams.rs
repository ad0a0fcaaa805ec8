//! Rows go to a guest as they come, in batches, and no faster than it reads.

use super::{failure, fixture, shown};
use crate::host::spin::postgres::postgres::{DbValue, Error};
use crate::places::Open;
use crate::rows::Batches;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use wasmtime::component::{Lift, Source, StreamConsumer, StreamReader, StreamResult};
use wasmtime::{AsContextMut as _, Config, Engine, Store, StoreContextMut};

/// Reads a stream as a guest does: so many items, then so many more, as it is told.
struct Reader {
    wanted: usize,
    read: mpsc::UnboundedSender<usize>,
    gate: mpsc::UnboundedReceiver<()>,
}

impl<D> StreamConsumer<D> for Reader {
    type Item = Vec<DbValue>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>>
    where
        Self::Item: Lift,
    {
        if self.gate.poll_recv(cx).is_pending() {
            return match finish {
                true => Poll::Ready(Ok(StreamResult::Cancelled)),
                false => Poll::Pending,
            };
        }
        let mut items = Vec::with_capacity(self.wanted);
        source.read(store.as_context_mut(), &mut items)?;
        self.read.send(items.len()).unwrap();
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Runs a query into a stream; hands out how many rows each read got, and the outcome.
async fn stream(open: &Open, sql: &str, wanted: usize, reads: usize) -> (Vec<usize>, Outcome) {
    let rows = open.line.rows(sql, vec![]).await.unwrap();
    let (end, mut ended) = oneshot::channel();
    let engine = Engine::new(&Config::new()).unwrap();
    let mut store = Store::new(&engine, ());
    let (read, mut batches) = mpsc::unbounded_channel();
    let (open_gate, gate) = mpsc::unbounded_channel();
    (0..reads).for_each(|_| open_gate.send(()).unwrap());
    let batch = Batches::new(rows, end, open.place());
    let stream = StreamReader::new(&mut store, batch).unwrap();
    stream.pipe(&mut store, Reader { wanted, read, gate }).unwrap();
    let mut seen = Vec::new();
    let run = store.run_concurrent(async |_| {
        while seen.len() < reads {
            match batches.recv().await {
                Some(count) => seen.push(count),
                None => break,
            }
        }
    });
    run.await.unwrap();
    drop(store);
    let outcome = ended.try_recv().ok();
    (seen, outcome)
}

type Outcome = Option<Result<(), Error>>;

#[tokio::test]
async fn a_read_gets_many_rows_at_once_and_all_of_them_in_the_end() {
    let fixture = fixture().await;
    let open = fixture.open().await;
    let many = "select n from generate_series(1, 20000) n";
    let (reads, outcome) = stream(&open, many, 1000, 100_000).await;
    assert_eq!(reads.iter().sum::<usize>(), 20_000);
    assert!(reads.len() < 400, "{} reads", reads.len());
    assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
    drop(open);
    fixture.end().await;
}

#[tokio::test]
async fn rows_nobody_reads_are_not_fetched_and_their_query_ends() {
    let fixture = fixture().await;
    let open = fixture.open().await;
    let endless = "select generate_series(1, 1000000000), repeat('x', 1000)";
    let (reads, outcome) = stream(&open, endless, 10, 3).await;
    assert_eq!(reads.len(), 3);
    assert!(outcome.is_none(), "{outcome:?}");
    drop(open);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while fixture.database.stats().0.idle < fixture.database.stats().0.open {
        assert!(std::time::Instant::now() < deadline, "the query goes on");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    fixture.end().await;
}

#[tokio::test]
async fn an_error_after_rows_comes_after_them() {
    let fixture = fixture().await;
    let open = fixture.open().await;
    let sql = "select 1000 / (1000 - n) from generate_series(1, 2000) n";
    let (reads, outcome) = stream(&open, sql, 100, 10_000).await;
    assert_eq!(reads.iter().sum::<usize>(), 999);
    let told = shown(&outcome);
    assert!(told.contains("22012"), "{told}");
    assert!(shown(&failure(&open, "select 1 / 0", vec![]).await).contains("22012"));
    drop(open);
    fixture.end().await;
}
