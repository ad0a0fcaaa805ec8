//! One shard: a thread with its own runtime, listeners, routing table and caches. Shards share
//! nothing on the way of a request but counters that must be one.

use crate::backend::Backend;
use crate::connection::{self, Accepted};
use crate::metrics::{HOST, Open, ShardMetrics, Traffic};
use crate::plane::Plane;
use crate::proofs::Proofs;
use crate::table::Table;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the connections of one shard share.
pub(crate) struct Shard<B: Backend> {
    pub(crate) backend: B,
    pub(crate) plane: Arc<Plane>,
    pub(crate) metrics: Arc<ShardMetrics>,
    pub(crate) host_traffic: Arc<Traffic>,
    pub(crate) proofs: Mutex<Proofs>,
    /// Cancelled when this host goes down.
    pub(crate) drain: CancellationToken,
    table: ArcSwap<Table>,
    connections: TaskTracker,
}

/// A listener of one shard.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
}

/// When the process is out of file descriptors: how long to wait for connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Shorter than what requests are given: see [`tick`].
const TICK: Duration = Duration::from_millis(250);

impl<B: Backend> Shard<B> {
    pub(crate) fn new(
        backend: B,
        plane: Arc<Plane>,
        metrics: Arc<ShardMetrics>,
        drain: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            backend,
            plane,
            host_traffic: metrics.traffic(HOST),
            metrics,
            proofs: Mutex::new(Proofs::new()),
            drain,
            table: ArcSwap::from_pointee(Table::empty()),
            connections: TaskTracker::new(),
        })
    }

    /// The table of what is active now: one comparison unless something changed.
    pub(crate) fn table(&self) -> Arc<Table> {
        let table = self.table.load();
        if table.generation == Some(self.backend.generation()) {
            return Arc::clone(&table);
        }
        let view = self.backend.view();
        let table = Arc::new(Table::new(view, &self.plane.rate, &self.metrics));
        self.table.store(table.clone());
        table
    }

    /// Runs the calling thread as this shard until the host has drained.
    pub(crate) fn run(
        self: Arc<Self>,
        index: usize,
        listeners: Vec<Listener>,
    ) -> anyhow::Result<()> {
        self.backend.enter_shard(index);
        nexus_observability::keep_apart(index);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start a shard's runtime")?;
        runtime.block_on(async {
            tokio::spawn(tick());
            let mut accepting = Vec::new();
            for listener in listeners {
                let socket = tokio::net::TcpListener::from_std(listener.socket)
                    .context("register a listener")?;
                accepting.push(tokio::spawn(self.clone().accept(socket, listener.tls)));
            }
            self.drain.cancelled().await;
            for task in accepting {
                task.await.context("accept connections")?;
            }
            self.drained().await;
            Ok(())
        })
        // Dropping the runtime closes whatever did not end in time.
    }

    /// Resolves when this host goes down and connections have had the time to bring a last request.
    pub(crate) async fn left(&self) {
        self.drain.cancelled().await;
        tokio::time::sleep(self.plane.limits.last_requests).await;
    }

    async fn drained(&self) {
        self.connections.close();
        let limit = self.plane.limits.drain;
        if tokio::time::timeout(limit, self.connections.wait()).await.is_err() {
            let left = self.connections.len();
            tracing::warn!(left, ?limit, "connections did not end in time and are closed");
        }
    }

    async fn accept(self: Arc<Self>, socket: tokio::net::TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = self.drain.cancelled() => return,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, tls.clone()),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Handshake and all happen in the connection's own task.
    fn admit(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        let place = match self.plane.peers.enter(peer.ip()) {
            Ok(place) => place,
            Err(turned) => {
                self.metrics.connections_refused.fetch_add(1, Relaxed);
                tracing::debug!(%peer, ?turned, "connection refused");
                return;
            }
        };
        let open = Open::new(&self.metrics);
        let accepted = Accepted { socket, peer, tls, place, open };
        self.connections.spawn(connection::serve(self.clone(), accepted));
    }
}

/// Always has a timer that is due before those of requests. Tokio wakes its own thread, by a write
/// to the kernel, for each timer that is due before all others, although the thread is awake and
/// setting it: that was every second request.
async fn tick() {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

/// The connection was gone before we took it; the next one is another matter.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused)
}
