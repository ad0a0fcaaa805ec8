//! The rows of one query, on their way. At most one result is on the wire of a connection; when
//! the next statement comes, what is left of the result before it moves into memory.
//!
//! Knows order and amounts. Refuses to know what is in a row.

use crate::error::Error;
use crate::session::Held;
use futures::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use tokio_postgres::{Column, Row, RowStream, Statement};

/// What an unread result may take when another statement overtakes it, and what a result read in
/// one piece may take. Bytes as the server sent them.
pub(crate) const HELD_BYTES_MAX: usize = 16 << 20;

/// A result being read. Dropping it before its end gives the rest up.
pub struct Rows {
    statement: Statement,
    source: Arc<Source>,
}

/// Shared with the session, which may have to read the rest ahead of its reader.
pub(crate) struct Source(Mutex<State>);

struct State {
    stream: Option<Pin<Box<RowStream>>>,
    ahead: VecDeque<Row>,
    failed: Option<Error>,
    reader: Option<Waker>,
    /// Keeps the connection until the last row has come, whoever else has let go of it.
    held: Option<Arc<Held>>,
}

impl Rows {
    pub(crate) fn new(statement: Statement, stream: RowStream, held: Arc<Held>) -> Self {
        let state = State {
            stream: Some(Box::pin(stream)),
            ahead: VecDeque::new(),
            failed: None,
            reader: None,
            held: Some(held),
        };
        Self { statement, source: Arc::new(Source(Mutex::new(state))) }
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The columns, known before the first row and also when there is none.
    pub fn columns(&self) -> &[Column] {
        self.statement.columns()
    }

    /// The next row; `None` after the last one.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Row, Error>>> {
        let mut state = self.source.lock();
        if let Some(row) = state.ahead.pop_front() {
            return Poll::Ready(Some(Ok(row)));
        }
        if let Some(error) = state.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        state.reader = Some(cx.waker().clone());
        let (next, finished) = ready!(state.poll_wire(cx));
        drop(state);
        // Giving the connection back takes locks of the pool: never under this one.
        drop(finished);
        Poll::Ready(next)
    }

    /// As [`Rows::poll_next`].
    pub async fn next(&mut self) -> Option<Result<Row, Error>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// All rows that are left.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] when they take more memory than a guest may make the host hold.
    pub async fn collect(self) -> Result<Vec<Row>, Error> {
        Ok(self.answer().await?.rows)
    }

    /// As [`Rows::collect`], with the columns.
    pub(crate) async fn answer(mut self) -> Result<Answer, Error> {
        Answer::gather(self.statement.clone(), |cx| self.poll_next(cx)).await
    }
}

/// All rows of one statement.
pub struct Answer {
    statement: Statement,
    rows: Vec<Row>,
    bytes: usize,
}

impl Answer {
    /// # Errors
    /// What `next` says, and [`Error::TooLarge`].
    pub(crate) async fn gather(
        statement: Statement,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Result<Row, Error>>>,
    ) -> Result<Self, Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = std::future::poll_fn(&mut next).await {
            let row = row?;
            bytes += weight(&row);
            if bytes > HELD_BYTES_MAX {
                return Err(Error::TooLarge { bytes_max: HELD_BYTES_MAX });
            }
            rows.push(row);
        }
        Ok(Self { statement, rows, bytes })
    }

    /// The columns, known also when there is no row.
    pub fn columns(&self) -> &[Column] {
        self.statement.columns()
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A row's own bytes and what holding it costs beside them.
fn weight(row: &Row) -> usize {
    row.raw_size_bytes() + 64 + 24 * row.len()
}

impl Source {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while polling the stream leaves nothing half-changed that matters.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Reads what is left on the wire into memory, so that another statement may run. Beyond the
    /// bound the reader gets [`Error::TooLarge`] and the rest is thrown away as it comes.
    pub(crate) async fn read_ahead(&self) {
        let mut bytes = 0;
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            loop {
                if state.stream.is_none() {
                    return Poll::Ready(());
                }
                let (next, finished) = ready!(state.poll_wire(cx));
                match next {
                    Some(Ok(row)) => {
                        bytes += weight(&row);
                        if bytes <= HELD_BYTES_MAX {
                            state.ahead.push_back(row);
                        } else {
                            state.ahead.clear();
                            state.failed = Some(Error::TooLarge { bytes_max: HELD_BYTES_MAX });
                        }
                    }
                    Some(Err(error)) => state.failed = Some(error),
                    None => {}
                }
                if let Some(reader) = state.reader.take() {
                    reader.wake();
                }
                // The session that reads ahead is itself held by the caller: no last one here.
                drop(finished);
            }
        })
        .await;
    }
}

type Polled = (Option<Result<Row, Error>>, Option<Arc<Held>>);

impl State {
    /// One row from the wire, and the connection to let go of when it was the end.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready((None, None));
        };
        let next = match ready!(stream.as_mut().poll_next(cx)) {
            Some(Ok(row)) => return Poll::Ready((Some(Ok(row)), None)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        self.stream = None;
        let held = self.held.take();
        let Some(held) = held else { return Poll::Ready((None, None)) };
        let next = match next {
            Some(error) => Some(Err(held.failed(error))),
            None => {
                held.finished();
                None
            }
        };
        Poll::Ready((next, Some(held)))
    }
}
