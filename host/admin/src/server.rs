//! The listener: HTTP/1.1 for operators and workers, with limits that a scanner cannot stretch.

use crate::access::Access;
use crate::live::Streams;
use crate::routes::Surface;
use crate::worker::Workers;
use crate::{Error, Facts, Token, metrics, samples};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use nexus_runtime::Shutdown;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Operators, probes, one or two scrapers, and a few for each worker process.
const CONNECTIONS_MAX: usize = 1024;
/// From the first byte of a head to its last; also the longest pause between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How long answers may still be on their way after shutdown was requested.
const DRAIN: Duration = Duration::from_secs(2);
/// Between two attempts when the machine has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The operators' surface, bound to its address.
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    surface: Surface,
    workers: Option<Token>,
}

impl Admin {
    /// Binds `listen`; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`].
    pub async fn bind(listen: SocketAddr, token: Token, facts: Facts) -> Result<Self, Error> {
        let fail = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(fail)?;
        Self::on(listener, token, facts).map_err(fail)
    }

    /// Takes the socket of the host before.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`].
    pub fn inherit(
        socket: OwnedFd,
        listen: SocketAddr,
        token: Token,
        facts: Facts,
    ) -> Result<Self, Error> {
        let fail = |source| Error::Listen { address: listen, source };
        let listener = std::net::TcpListener::from(socket);
        let listener = TcpListener::from_std(listener).map_err(fail)?;
        Self::on(listener, token, facts).map_err(fail)
    }

    fn on(listener: TcpListener, token: Token, facts: Facts) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let access = Access::new(token, facts.clone());
        let streams = Streams::default();
        let surface = Surface { facts, access, workers: None, streams, ending: None };
        Ok(Self { listener, address, surface, workers: None })
    }

    /// Serves workers too, who show this token.
    ///
    /// # Errors
    ///
    /// [`Error::OneToken`] when it is also the operators': a worker is no operator.
    pub fn for_workers(mut self, token: Token) -> Result<Self, Error> {
        if self.surface.access.is_root(token.reveal()) {
            return Err(Error::OneToken);
        }
        self.workers = Some(token);
        Ok(self)
    }

    /// A descriptor of its listening socket, for the next host.
    ///
    /// # Errors
    ///
    /// When the process is out of descriptors.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` fires, then lets running answers finish.
    pub async fn serve(mut self, mut shutdown: Shutdown) {
        let facts = self.surface.facts.clone();
        self.surface.ending = Some(shutdown.clone());
        let workers = self.workers.take();
        self.surface.workers = workers.map(|token| Workers::new(facts, token, shutdown.clone()));
        tokio::spawn(sample(self.surface.facts.clone(), shutdown.clone()));
        metrics::push(&self.surface.facts);
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.requested() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // One too many is closed at once: waiting in line would look like a hang.
                    if let Ok(slot) = slots.clone().try_acquire_owned() {
                        let connection = converse(stream, peer, self.surface.clone(), &graceful);
                        tokio::spawn(async move {
                            connection.await;
                            drop(slot);
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "an operator's connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::debug!("operators' connections were cut");
        }
    }
}

fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    surface: Surface,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + use<> {
    let service = service_fn(move |request| {
        let surface = surface.clone();
        async move { Ok::<_, Infallible>(surface.answer(request, peer.ip(), &request_id()).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    async move {
        // Broken connections are the other side's affair.
        if let Err(error) = connection.await {
            tracing::debug!(%error, %peer, "an operator's connection broke");
        }
    }
}

/// Reads what components have counted, for as long as the surface is there.
async fn sample(facts: Facts, mut shutdown: Shutdown) {
    loop {
        if let Some(runtime) = facts.runtime() {
            facts.samples().take(runtime);
        }
        tokio::select! {
            () = tokio::time::sleep(samples::EVERY) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// `instance` of problems here; unique within the process is enough.
fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("admin-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
