//! The HTTP trigger: the native data plane in front of every component. Framing, limits, identity,
//! rates, routing and streaming happen here, once, so that no component has to do them.
//! Refuses to know what a component does, and any operator's or business rule.
//!
//! One request's way: `listen` and `shard` accept, `connection` speaks, `head_guard` watches the
//! bytes, `door` orders the steps, `upload` and `outbound` carry the bodies.

mod admission;
mod backend;
mod config;
mod connection;
mod cors;
mod credentials;
mod csrf;
mod door;
mod dpop;
mod exchanges;
mod fields;
mod generations;
mod grammar;
mod head_guard;
mod head_scan;
mod identities;
mod identity;
mod inbound;
mod key_set;
mod last_word;
mod lifecycles;
mod listen;
mod local_keys;
mod media;
mod metrics;
mod openapi;
mod outbound;
mod own_paths;
mod peers;
mod permissions;
mod plane;
mod principal;
mod problems;
mod proofs;
mod rate;
mod refusal;
mod router;
mod shard;
mod shared;
mod spin_headers;
mod steering;
mod table;
mod tls;
mod upload;
mod wire;

pub use backend::{Backend, View};
pub use config::{HttpConfig, HttpLimits, TlsConfig};
pub use cors::CorsConfig;
pub use identities::{Clock, Follower, Identities};
pub use listen::{Inherited, Sockets};
pub use local_keys::{AUDIENCE, KeyError, LocalKeys};
pub use media::{
    Bytes as MediaBytes, KEY_BYTES, MediaOrigin, Opened, Packages, PackagesAway, Playback,
};
pub use metrics::{ComponentTraffic, DURATION_BOUNDS, HOST, HttpMetrics, HttpSnapshot};
pub use peers::PeerConfig;
pub use principal::{Proven, Terms, Unproven, Verifier};
pub use rate::{RateClass, RateConfig, RateError};
pub use tls::TlsError;

use anyhow::Context as _;
use listen::Bound;
use nexus_runtime::{Runtime, Shutdown, Trigger};
use plane::Plane;
use shard::{Listener, Shard};
use std::net::SocketAddr;
use std::sync::Arc;
use tls::{Certificate, Watch};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The trigger: bound when made, serving when run.
pub struct HttpTrigger {
    plane: Plane,
    sockets: Vec<Bound>,
    certificate: Option<(Arc<Certificate>, TlsConfig)>,
    metrics: HttpMetrics,
    held: Sockets,
}

impl Trigger for HttpTrigger {
    const NAME: &'static str = "http";
    type Config = HttpConfig;

    /// Reads the certificate and binds every address, so that what is wrong with them is said
    /// before anything starts.
    fn new(mut config: HttpConfig) -> anyhow::Result<Self> {
        let mut sockets = Vec::new();
        let mut inherited = std::mem::take(&mut config.inherited);
        let mut bind = |address: SocketAddr, tls: bool| {
            Bound::inherit_or_new(address, tls, config.share_ports, &mut inherited)
        };
        for address in &config.listen {
            sockets.push(bind(*address, false)?);
        }
        let mut certificate = None;
        if let Some(tls) = &config.tls {
            certificate = Some((Certificate::load(tls)?, tls.clone()));
            for address in &tls.listen {
                sockets.push(bind(*address, true)?);
            }
        }
        anyhow::ensure!(!sockets.is_empty(), "the HTTP trigger has no address to listen on");
        let plane = Plane::new(config)?;
        let (metrics, held) = (HttpMetrics::default(), Sockets::default());
        Ok(Self { plane, sockets, certificate, metrics, held })
    }

    async fn run(self, runtime: Runtime, shutdown: Shutdown) -> anyhow::Result<()> {
        self.serve(runtime, shutdown).await
    }
}

impl HttpTrigger {
    /// Counters of all shards; they stay readable after the trigger has run.
    pub fn metrics(&self) -> HttpMetrics {
        self.metrics.clone()
    }

    /// What it listens with, once it serves.
    pub fn sockets(&self) -> Sockets {
        self.held.clone()
    }

    /// The addresses in use, cleartext first, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.address).collect()
    }

    /// Serves `backend` until shutdown is requested, then drains. Fails when a thread cannot start
    /// or a shard dies; the other shards are drained then, too.
    pub async fn serve<B: Backend>(self, backend: B, mut shutdown: Shutdown) -> anyhow::Result<()> {
        let shards = backend.shards().max(1);
        let drain = CancellationToken::new();
        // Dropped with this future, so that an abandoned trigger stops as well.
        let _going = drain.clone().drop_guard();
        let mut acceptor = None;
        let mut watch = None;
        if let Some((certificate, config)) = self.certificate {
            acceptor = Some(TlsAcceptor::from(tls::server_config(certificate.clone())?));
            watch = Some(Watch::start(certificate, config).context("watch the certificate")?);
        }
        let listeners = spread(self.sockets, shards, acceptor.as_ref(), &self.held)?;
        let held = Held(self.held);
        let plane = Arc::new(self.plane);
        let (ended, mut ends) = mpsc::unbounded_channel();
        let mut running = 0;
        for (index, listeners) in listeners.into_iter().enumerate() {
            let (backend, metrics) = (backend.clone(), self.metrics.add_shard());
            // Looked at for each request, under a lock that shards have no need to share.
            let shard = Shard::new(backend, plane.clone(), metrics, drain.child_token());
            let ended = End { sender: ended.clone(), result: None };
            std::thread::Builder::new()
                .name(format!("nexus-http-{index}"))
                .spawn(move || {
                    let mut ended = ended;
                    ended.result = Some(shard.run(index, listeners));
                })
                .context("start a shard's thread")?;
            running += 1;
        }
        let mut outcome = Ok(());
        while running > 0 {
            tokio::select! {
                () = shutdown.requested(), if !drain.is_cancelled() => {
                    held.0.close();
                    drain.cancel();
                }
                Some(result) = ends.recv() => {
                    running -= 1;
                    drain.cancel();
                    outcome = outcome.and(result);
                }
            }
        }
        drop(watch);
        outcome
    }
}

/// Closes what is held when the trigger ends, however it does.
struct Held(Sockets);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Each shard's share of the sockets.
fn spread(
    sockets: Vec<Bound>,
    shards: usize,
    acceptor: Option<&TlsAcceptor>,
    held: &Sockets,
) -> anyhow::Result<Vec<Vec<Listener>>> {
    let mut spread: Vec<Vec<Listener>> = (0..shards).map(|_| Vec::new()).collect();
    for socket in sockets {
        let (address, is_tls) = (socket.address, socket.tls);
        let tls = acceptor.filter(|_| is_tls).cloned();
        for (index, socket) in socket.listeners(shards)?.into_iter().enumerate() {
            held.keep(address, is_tls, &socket).context("keep a listener")?;
            spread[index % shards].push(Listener { socket, tls: tls.clone() });
        }
    }
    Ok(spread)
}

/// Tells how a shard ended, even when it panicked.
struct End {
    sender: mpsc::UnboundedSender<anyhow::Result<()>>,
    result: Option<anyhow::Result<()>>,
}

impl Drop for End {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or_else(|| Err(anyhow::anyhow!("a shard panicked")));
        // Nobody listens when the trigger itself was dropped.
        let _heard = self.sender.send(result);
    }
}
