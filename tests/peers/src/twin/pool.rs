//! Connections with their statements prepared, one request at a time each: what a pool of sqlx or
//! deadpool does, without what either costs.

use anyhow::{Context as _, Result};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::{Client, NoTls, Statement};

/// A connection and what is asked over it.
pub struct Session {
    pub client: Client,
    pub show: Statement,
    pub insert: Statement,
    pub tell: Statement,
}

/// The connections.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    free: Mutex<Vec<Session>>,
    turns: Semaphore,
}

impl Pool {
    /// Makes `count` connections to `url`, whose schema `twin` must have its tables.
    ///
    /// # Errors
    /// When the server refuses one, or a statement.
    pub async fn connect(url: &str, count: usize) -> Result<Self> {
        let mut free = Vec::new();
        for _ in 0..count {
            free.push(session(url).await?);
        }
        Ok(Self(Arc::new(Inner { free: Mutex::new(free), turns: Semaphore::new(count) })))
    }

    /// A connection for one request; waits while all are taken.
    ///
    /// # Errors
    /// Never while the pool lives.
    pub async fn take(&self) -> Result<Taken<'_>> {
        let turn = self.0.turns.acquire().await.context("wait for a connection")?;
        let session = self.free().pop().context("a turn comes with a connection")?;
        Ok(Taken { pool: self, session: Some(session), _turn: turn })
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.0.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn session(url: &str) -> Result<Session> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("connect")?;
    tokio::spawn(connection);
    let prepared = async |sql: &str| client.prepare(sql).await.context("prepare a statement");
    let show =
        prepared("select id, title from twin.entry where tenant_id = $1 and id = $2").await?;
    let insert = "insert into twin.entry (tenant_id, id, title) values ($1, $2, $3)";
    let insert = prepared(insert).await?;
    let tell = "insert into twin.event (id, topic, payload) values ($1, $2, $3)";
    let tell = prepared(tell).await?;
    Ok(Session { client, show, insert, tell })
}

/// A connection that goes back when dropped.
pub struct Taken<'p> {
    pool: &'p Pool,
    session: Option<Session>,
    _turn: SemaphorePermit<'p>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // Before the turn, which is given back after this.
        self.pool.free().extend(self.session.take());
    }
}

impl Deref for Taken<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("it is taken until it is dropped")
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("it is taken until it is dropped")
    }
}
