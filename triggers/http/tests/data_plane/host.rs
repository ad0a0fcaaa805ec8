//! A host on free ports, with a deadline for everything.

use crate::echo::Echo;
use nexus_runtime::{Shutdown, ShutdownSender, Trigger as _};
use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use trigger_http::{HttpConfig, HttpMetrics, HttpSnapshot, HttpTrigger};

/// Longer than anything here takes, shorter than a person's patience.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Host {
    pub addresses: Vec<SocketAddr>,
    pub echo: Echo,
    metrics: HttpMetrics,
    shutdown: ShutdownSender,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Host {
    /// A host with default limits.
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut HttpConfig)) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let mut config = HttpConfig { listen: vec![any], ..HttpConfig::default() };
        configure(&mut config);
        let trigger = HttpTrigger::new(config).unwrap();
        let (addresses, metrics) = (trigger.addresses(), trigger.metrics());
        let (echo, (shutdown, told)) = (Echo::new(), Shutdown::channel());
        let running = tokio::spawn(trigger.serve(echo.clone(), told));
        Self { addresses, echo, metrics, shutdown, running }
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn snapshot(&self) -> HttpSnapshot {
        self.metrics.snapshot()
    }

    pub fn request_shutdown(&self) {
        self.shutdown.shut_down();
    }

    pub fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// Waits for the host to end by itself.
    pub async fn ended(self) {
        within(self.running).await.unwrap().unwrap();
    }

    pub async fn stop(self) {
        self.request_shutdown();
        self.ended().await;
    }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("within the deadline")
}

/// Polls until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < DEADLINE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
