//! The shared connection: made when first needed, replaced when it breaks. A broken connection
//! is noticed when it breaks, so the command after a restart of the server does not fail.
//! Refuses to queue: while the server is away, callers are told so at once.

use crate::address::Address;
use crate::dial::{Reach, Socket, dial};
use crate::{ANSWER_LIMIT, CONNECT_LIMIT, LinkError, Reply};
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;

/// Whether a command may be sent a second time when the connection breaks under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Running it twice equals running it once: reads, plain writes of a whole value.
    Safe,
    /// It counts, moves or compares; the caller learns that the outcome is unknown.
    Unsafe,
}

/// After a failed attempt, callers get its error for this long instead of one attempt each.
const RETRY_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Commands waiting for the socket before callers wait for a place: one busy host's burst.
const PIPELINE_DEPTH: usize = 1024;

/// A handle to the connection; clones share it.
#[derive(Clone)]
pub struct Link(Arc<Shared>);

struct Shared {
    address: Address,
    reach: Reach,
    /// Where the connection's task lives: callers come from runtimes that may end before it.
    home: Handle,
    live: Mutex<Option<Live>>,
    connecting: tokio::sync::Mutex<Option<(Instant, LinkError)>>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    open: Arc<AtomicBool>,
}

impl Link {
    /// A link to `address`; connects with the first command. `home` carries the connection.
    pub fn new(address: Address, reach: Reach, home: Handle) -> Self {
        Self(Arc::new(Shared {
            address,
            reach,
            home,
            live: Mutex::new(None),
            connecting: tokio::sync::Mutex::new(None),
        }))
    }

    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// Nobody but the caller holds this link.
    pub fn is_unused(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Connects unless connected.
    ///
    /// # Errors
    ///
    /// [`LinkError::Unavailable`].
    pub async fn ready(&self) -> Result<(), LinkError> {
        self.live().await.map(drop)
    }

    /// Sends one command and waits for its answer, at most [`ANSWER_LIMIT`].
    ///
    /// # Errors
    ///
    /// [`LinkError::Refused`] with the server's words; [`LinkError::Unavailable`] when there is no
    /// connection, or when it broke under the command and `repeat` forbids another try;
    /// [`LinkError::Protocol`].
    pub async fn send<A: AsRef<[u8]>>(
        &self,
        arguments: &[A],
        repeat: Repeat,
    ) -> Result<Reply, LinkError> {
        let mut command = Cmd::new();
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        let mut tries = if repeat == Repeat::Safe { 2 } else { 1 };
        loop {
            let mut live = self.live().await?;
            tries -= 1;
            let answer = live.connection.send_packed_command(&command).await;
            match answer.and_then(Value::extract_error) {
                Ok(value) => {
                    return Reply::from_value(value).map_err(|reason| self.protocol(reason));
                }
                Err(error) if broke(&error) => {
                    live.open.store(false, Ordering::Release);
                    if tries == 0 || error.is_timeout() {
                        return Err(self.broken(&error));
                    }
                }
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    fn protocol(&self, reason: &str) -> LinkError {
        LinkError::Protocol { server: self.0.address.to_string(), reason: reason.into() }
    }

    fn broken(&self, error: &RedisError) -> LinkError {
        match error.is_timeout() {
            true => self.unavailable(&format!("no answer within {ANSWER_LIMIT:?}")),
            false => self.unavailable(&format!("the connection broke ({error})")),
        }
    }

    pub(crate) fn unavailable(&self, reason: &str) -> LinkError {
        self.0.unavailable(reason.to_string())
    }

    async fn live(&self) -> Result<Live, LinkError> {
        if let Some(live) = self.0.current() {
            return Ok(live);
        }
        let shared = self.0.clone();
        let attempt = self.0.home.spawn(async move { shared.connect().await });
        attempt.await.unwrap_or_else(|_| Err(self.unavailable("the host is shutting down")))
    }

    /// A connection of its own for messages, as [`crate::subscription`] needs one.
    pub(crate) async fn dedicated(&self) -> Result<PubSub, LinkError> {
        let work = async {
            let socket = self.0.dial().await?;
            let info = self.0.identity();
            PubSub::new(&info, socket).await.map_err(|error| error.to_string())
        };
        in_time(work).await.map_err(|reason| self.0.unavailable(reason))
    }

    pub(crate) fn home(&self) -> &Handle {
        &self.0.home
    }
}

impl Shared {
    fn current(&self) -> Option<Live> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| live.open.load(Ordering::Acquire)).cloned()
    }

    /// One attempt at a time; those who waited for it share its outcome.
    async fn connect(&self) -> Result<Live, LinkError> {
        let mut last_failure = self.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some((at, error)) = &*last_failure
            && at.elapsed() < RETRY_PAUSE
        {
            return Err(error.clone());
        }
        match in_time(self.open()).await {
            Ok(live) => {
                tracing::debug!(server = %self.address, "connected to Redis");
                *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                *last_failure = None;
                Ok(live)
            }
            Err(reason) => {
                let error = self.unavailable(reason);
                if last_failure.is_none() {
                    tracing::warn!(%error, "no Redis connection; trying again with each command");
                }
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<Live, String> {
        let socket = self.dial().await?;
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(ANSWER_LIMIT))
            .set_pipeline_buffer_size(PIPELINE_DEPTH);
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&self.identity(), socket, config)
                .await
                .map_err(|error| error.to_string())?;
        let open = Arc::new(AtomicBool::new(true));
        let closing = open.clone();
        // Ends when the server closes, or when the last clone of the connection is dropped.
        tokio::spawn(async move {
            driver.await;
            closing.store(false, Ordering::Release);
        });
        // A socket is opened by the server's kernel; only an answer shows that Redis is there and
        // takes these credentials. Once per connection, not per command.
        let pong = connection.send_packed_command(&redis::cmd("PING")).await;
        pong.and_then(Value::extract_error).map_err(|error| error.to_string())?;
        Ok(Live { connection, open })
    }

    fn unavailable(&self, reason: String) -> LinkError {
        LinkError::Unavailable { server: self.address.to_string(), reason }
    }

    async fn dial(&self) -> Result<Box<dyn Socket>, String> {
        dial(&self.address, self.reach).await.map_err(|error| error.to_string())
    }

    fn identity(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default()
            .set_db(i64::from(self.address.database))
            .set_skip_set_lib_name();
        if let Some(user) = &self.address.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.address.password {
            info = info.set_password(password);
        }
        info
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("no connection within {CONNECT_LIMIT:?}"));
    tokio::time::timeout(CONNECT_LIMIT, work).await.unwrap_or_else(late)
}

/// The connection is of no more use. A timeout counts: what answers late answers out of turn.
fn broke(error: &RedisError) -> bool {
    error.is_io_error() || error.kind() == ErrorKind::Parse
}

fn refused(error: &RedisError) -> LinkError {
    LinkError::Refused {
        code: error.code().unwrap_or("ERR").to_string(),
        text: error.detail().map_or_else(|| error.to_string(), str::to_string),
    }
}
