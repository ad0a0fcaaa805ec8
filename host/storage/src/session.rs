//! One checked-out connection: statements in, rows out, and what must be undone at its return.
//!
//! Knows whether the connection is as it was when it was handed out. Refuses to know who holds it.

use crate::error::Error;
use crate::pool::{Shared, Target};
use crate::prepared::{Cache, Prepared};
use crate::rows::{Answer, Rows, Source};
use crate::statement::{Effect, inspect};
use crate::wire::Wire;
use crate::work::makes_work;
use futures::Stream as _;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::Context;
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

/// A parameter of a statement.
pub type Param<'a> = &'a (dyn ToSql + Sync);

/// Time to cancel, roll back and reset a connection that came back in use; then it is closed.
const RECOVERY: Duration = Duration::from_secs(3);

/// Time for a statement that lost its caller to end by itself; then it is cancelled.
const GRACE: Duration = Duration::from_millis(25);

/// `DISCARD ALL` without `DEALLOCATE ALL`: only the host prepares statements, and they survive.
const RESET: &str = "close all; set session authorization default; reset all; unlisten *; \
                     select pg_catalog.pg_advisory_unlock_all(); discard sequences; discard temp";

/// A connection to the server, between uses or in use.
pub(crate) struct Physical {
    pub(crate) id: u64,
    pub(crate) client: Client,
    pub(crate) wire: Arc<Wire>,
    pub(crate) target: Arc<Target>,
    pub(crate) driver: AbortHandle,
    pub(crate) opened: Instant,
    /// Whose runtime drives the socket: using it from there saves waking another thread.
    pub(crate) thread: ThreadId,
    statements: Mutex<Cache>,
}

impl Physical {
    pub(crate) fn new(
        id: u64,
        client: Client,
        wire: Arc<Wire>,
        target: Arc<Target>,
        driver: AbortHandle,
    ) -> Self {
        Self {
            id,
            client,
            wire,
            target,
            driver,
            opened: Instant::now(),
            thread: std::thread::current().id(),
            statements: Mutex::default(),
        }
    }

    fn statements(&self) -> MutexGuard<'_, Cache> {
        self.statements.lock().expect("nothing panics while it is held")
    }

    /// Makes a used connection as good as new, or says that it cannot be.
    async fn recover(&self, lasting: bool) -> Result<(), Error> {
        let undone = async {
            // Two messages, one round trip: inside the implicit transaction of one message, a
            // ROLLBACK would not end what was begun before it.
            let rollback = self.client.batch_execute("rollback");
            match lasting {
                true => futures::try_join!(rollback, self.client.batch_execute(RESET)).map(|_| ()),
                false => rollback.await,
            }
        };
        let mut undone = std::pin::pin!(undone);
        match tokio::time::timeout(GRACE, &mut undone).await {
            Ok(done) => done?,
            Err(_) => {
                self.target.endpoint.cancel(self.client.cancel_token()).await?;
                undone.await?;
                // The request travels on a way of its own and may arrive only now: it would stop
                // whatever the connection's next holder runs.
                return Err(Error::Revoked);
            }
        }
        match self.wire.is_settled() && !self.wire.in_transaction() {
            true => Ok(()),
            false => Err(Error::Revoked),
        }
    }
}

/// What the last statement left on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Loose {
    /// It was answered to the end.
    Nothing,
    /// It failed; the end of the answer may still be coming.
    Tail,
    /// Its rows are being read. It was sent, so a settled wire means that it ended.
    Rows,
    /// It may not even have been sent when its caller went away.
    Cut,
}

/// A connection in use. Given back when the session and every result of it are dropped.
pub(crate) struct Held {
    physical: Option<Physical>,
    pool: Arc<Shared>,
    /// One statement at a time, and the result that may still be on the wire.
    turn: tokio::sync::Mutex<Weak<Source>>,
    loose: AtomicU8,
    lasting: AtomicBool,
    broken: AtomicBool,
    /// One of several who read over it has gone before its answer was there.
    unread: AtomicBool,
    /// The open transaction may have made work, of which nobody is told before it has committed.
    made_work: AtomicBool,
}

impl Held {
    fn physical(&self) -> &Physical {
        self.physical.as_ref().expect("only drop takes it")
    }

    fn set(&self, loose: Loose) {
        self.loose.store(loose as u8, Ordering::Release);
    }

    /// A statement was answered to its end; everything before it was too, since answers come in
    /// order.
    pub(crate) fn finished(&self) {
        self.set(Loose::Nothing);
        let physical = self.physical();
        if self.made_work.load(Ordering::Relaxed) && !physical.wire.in_transaction() {
            self.made_work.store(false, Ordering::Relaxed);
            // After a rollback, too: who looks for work and finds none has lost little.
            if let Some(work) = &physical.target.work {
                work.poke();
            }
        }
    }

    /// Notes and sorts a failure.
    pub(crate) fn failed(&self, error: tokio_postgres::Error) -> Error {
        let wire = &self.physical().wire;
        match error.code() {
            Some(code) => {
                self.set(Loose::Tail);
                // Somebody else deallocated the host's statements: start afresh.
                if *code == SqlState::INVALID_SQL_STATEMENT_NAME {
                    self.broken.store(true, Ordering::Release);
                }
            }
            // Parameters that could not be encoded were never sent; settled tells.
            None if wire.is_settled() && !error.is_closed() => self.set(Loose::Tail),
            None => {}
        }
        if wire.is_revoked() {
            return Error::Revoked;
        }
        if wire.was_too_long() {
            return Error::TooLarge { bytes_max: crate::wire::MESSAGE_BYTES_MAX };
        }
        Error::running(error)
    }

    async fn prepare(&self, sql: &str, given: usize) -> Result<(Prepared, bool), Error> {
        let (prepared, cached) = self.prepare_any(sql).await?;
        let expected = prepared.statement.params().len();
        match expected == given {
            true => Ok((prepared, cached)),
            false => Err(Error::Parameters { expected, given }),
        }
    }

    async fn prepare_any(&self, sql: &str) -> Result<(Prepared, bool), Error> {
        let physical = self.physical();
        if let Some(prepared) = physical.statements().get(sql) {
            return Ok((prepared, true));
        }
        let effect = inspect(sql, physical.target.rules);
        if let Effect::Refused { keyword, reason } = effect {
            return Err(Error::Refused { keyword, reason });
        }
        self.set(Loose::Cut);
        let statement = physical.client.prepare(sql).await.map_err(|e| self.failed(e))?;
        self.set(Loose::Tail);
        let prepared = Prepared { statement, effect, makes_work: makes_work(sql) };
        physical.statements().put(sql, prepared.clone());
        Ok((prepared, false))
    }

    /// Whether a failure only says that a cached plan is out of date, and may be tried again:
    /// nothing has run, and no transaction has failed by it.
    fn is_stale_plan(&self, sql: &str, error: &tokio_postgres::Error) -> bool {
        let stale = error.as_db_error().is_some_and(|db| {
            *db.code() == SqlState::FEATURE_NOT_SUPPORTED
                && db.routine() == Some("RevalidateCachedQuery")
        });
        if stale {
            self.physical().statements().forget(sql);
        }
        stale && !self.physical().wire.in_transaction()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(physical) = self.physical.take() else { return };
        let loose = *self.loose.get_mut();
        let lasting = *self.lasting.get_mut();
        let wire = &physical.wire;
        if *self.broken.get_mut() || wire.is_revoked() || physical.client.is_closed() {
            return self.pool.discard(physical);
        }
        let ended = wire.is_settled() && loose != Loose::Cut as u8 && !*self.unread.get_mut();
        if ended && !lasting && !wire.in_transaction() {
            return self.pool.check_in(physical);
        }
        let pool = self.pool.clone();
        self.pool.handle().spawn(async move {
            match tokio::time::timeout(RECOVERY, physical.recover(lasting)).await {
                Ok(Ok(())) => pool.check_in(physical),
                _ => {
                    physical.driver.abort();
                    pool.discard(physical);
                }
            }
        });
    }
}

/// A connection checked out for one user. Cheap to clone; the connection goes back when the last
/// clone and the last unfinished result are gone, whatever state it is in.
#[derive(Clone)]
pub struct Session(Arc<Held>);

impl Session {
    pub(crate) fn new(physical: Physical, pool: Arc<Shared>) -> Self {
        Self(Arc::new(Held {
            physical: Some(physical),
            pool,
            turn: tokio::sync::Mutex::new(Weak::new()),
            loose: AtomicU8::new(Loose::Nothing as u8),
            lasting: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            made_work: AtomicBool::new(false),
        }))
    }

    /// One more who reads over a connection; see [`Session::read_together`].
    pub(crate) fn sharing(held: Arc<Held>) -> Self {
        Self(held)
    }

    pub(crate) fn downgrade(&self) -> Weak<Held> {
        Arc::downgrade(&self.0)
    }

    /// Whose runtime drives the socket.
    pub(crate) fn thread(&self) -> ThreadId {
        self.0.physical().thread
    }

    /// Whether it can still be used.
    pub(crate) fn is_sound(&self) -> bool {
        let physical = self.0.physical();
        !self.0.broken.load(Ordering::Acquire)
            && !physical.wire.is_revoked()
            && !physical.client.is_closed()
    }

    /// Runs a statement and hands out its rows as they come. A result of this session that is
    /// still being read moves into memory first, bounded.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for what the rules forbid, [`Error::Query`] for what the server says.
    pub async fn rows(&self, sql: &str, params: &[Param<'_>]) -> Result<Rows, Error> {
        let held = &self.0;
        let mut open = held.turn.lock().await;
        make_way(&open).await;
        let (mut prepared, mut cached) = held.prepare(sql, params.len()).await?;
        loop {
            self.begin(&prepared);
            let values = params.iter().copied();
            match held.physical().client.query_raw(&prepared.statement, values).await {
                Ok(stream) => {
                    held.set(Loose::Rows);
                    let rows = Rows::new(prepared.statement, stream, held.clone());
                    *open = Arc::downgrade(rows.source());
                    return Ok(rows);
                }
                Err(e) if held.is_stale_plan(sql, &e) && cached => {
                    (prepared, cached) = held.prepare(sql, params.len()).await?;
                }
                Err(e) => return Err(held.failed(e)),
            }
        }
    }

    /// Runs a statement to its end; returns the number of rows it touched.
    ///
    /// # Errors
    ///
    /// As [`Session::rows`].
    pub async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, Error> {
        let held = &self.0;
        let open = held.turn.lock().await;
        make_way(&open).await;
        let (mut prepared, mut cached) = held.prepare(sql, params.len()).await?;
        loop {
            self.begin(&prepared);
            let values = params.iter().copied();
            match held.physical().client.execute_raw(&prepared.statement, values).await {
                Ok(count) => {
                    held.finished();
                    return Ok(count);
                }
                Err(e) if held.is_stale_plan(sql, &e) && cached => {
                    (prepared, cached) = held.prepare(sql, params.len()).await?;
                }
                Err(e) => return Err(held.failed(e)),
            }
        }
    }

    /// All rows of a statement, in memory.
    ///
    /// # Errors
    ///
    /// As [`Session::rows`], and [`Error::TooLarge`].
    pub async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Error> {
        self.rows(sql, params).await?.collect().await
    }

    /// As [`Session::query`], with the columns.
    pub(crate) async fn read_alone(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Answer, Error> {
        self.rows(sql, params).await?.answer().await
    }

    /// All rows of a plain read, in memory, while others may read over the same connection. What is
    /// left loose by one of them says nothing of the others, so that is not noted; who goes before
    /// its answer is there is.
    pub(crate) async fn read_together(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Answer, Error> {
        let held = &*self.0;
        let unread = Unread(held);
        let answer = async {
            let (mut prepared, mut cached) = held.prepare(sql, params.len()).await?;
            loop {
                let values = params.iter().copied();
                match held.physical().client.query_raw(&prepared.statement, values).await {
                    Ok(stream) => {
                        let mut stream = Box::pin(stream);
                        let next = |cx: &mut Context<'_>| {
                            let row = stream.as_mut().poll_next(cx);
                            row.map(|row| row.map(|row| row.map_err(|error| held.failed(error))))
                        };
                        break Answer::gather(prepared.statement, next).await;
                    }
                    Err(e) if held.is_stale_plan(sql, &e) && cached => {
                        (prepared, cached) = held.prepare(sql, params.len()).await?;
                    }
                    Err(e) => break Err(held.failed(e)),
                }
            }
        };
        let answer = answer.await;
        std::mem::forget(unread);
        answer
    }

    /// Runs several statements without parameters, as one message. For the host: a text of many
    /// statements cannot be judged by its first word.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] unless the session is the host's.
    pub async fn batch(&self, sql: &str) -> Result<(), Error> {
        let held = &self.0;
        if held.physical().target.rules != crate::statement::Rules::Host {
            let reason = "several statements at once are the host's alone";
            return Err(Error::Refused { keyword: "a batch".into(), reason });
        }
        let open = held.turn.lock().await;
        make_way(&open).await;
        held.set(Loose::Cut);
        held.lasting.store(true, Ordering::Release);
        if makes_work(sql) {
            held.made_work.store(true, Ordering::Relaxed);
        }
        held.physical().client.batch_execute(sql).await.map_err(|e| held.failed(e))?;
        held.finished();
        Ok(())
    }

    /// Whether a transaction is open, as the server last said.
    pub fn in_transaction(&self) -> bool {
        self.0.physical().wire.in_transaction()
    }

    fn begin(&self, prepared: &Prepared) {
        self.0.set(Loose::Cut);
        if prepared.effect == Effect::Lasting {
            self.0.lasting.store(true, Ordering::Release);
        }
        if prepared.makes_work {
            self.0.made_work.store(true, Ordering::Relaxed);
        }
    }
}

/// One of several who read, whose answer is not there.
struct Unread<'a>(&'a Held);

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        self.0.unread.store(true, Ordering::Release);
    }
}

async fn make_way(open: &Weak<Source>) {
    if let Some(source) = open.upgrade() {
        source.read_ahead().await;
    }
}
