//! The ways work arrives. Refuses to know which exist.

use crate::runtime::Runtime;
use std::future::Future;
use tokio::sync::watch;

/// One way in: a crate under `triggers/`.
pub trait Trigger: Sized + Send + 'static {
    /// Folder name and word used in messages.
    const NAME: &'static str;
    type Config;

    fn new(config: Self::Config) -> anyhow::Result<Self>;
    /// Serves until `shutdown` fires, then drains and returns.
    fn run(
        self,
        runtime: Runtime,
        shutdown: Shutdown,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Told once to everybody that the host is going down.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end of [`Shutdown`].
pub struct ShutdownSender(watch::Sender<bool>);

impl Shutdown {
    pub fn channel() -> (ShutdownSender, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownSender(sender), Shutdown(receiver))
    }

    /// Resolves when the host is going down (at once if it already is).
    pub async fn requested(&mut self) {
        // A dropped sender means the owner is gone: that is a shutdown too.
        let _ended = self.0.wait_for(|down| *down).await;
    }

    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownSender {
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}
