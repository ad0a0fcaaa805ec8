//! The triggers that no client waits for: started once components and database are there, stopped
//! before HTTP, and given time to finish what they hold. Knows no trigger by name.

use nexus_runtime::{Runtime, Shutdown, ShutdownSender, Trigger};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Whatever runs in the background; ended when dropped.
pub(crate) struct Background {
    stop: ShutdownSender,
    stopped: Shutdown,
    cut: Notify,
    tasks: Mutex<JoinSet<()>>,
}

impl Background {
    pub(crate) fn new() -> Self {
        let (stop, stopped) = Shutdown::channel();
        Self { stop, stopped, cut: Notify::new(), tasks: Mutex::default() }
    }

    /// Runs a trigger until the host stops.
    pub(crate) fn run<T: Trigger>(&self, trigger: T, runtime: &Runtime) {
        let (runtime, stop) = (runtime.clone(), self.stopped.clone());
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move {
            if let Err(error) = trigger.run(runtime, stop).await {
                tracing::error!(trigger = T::NAME, error = format!("{error:#}"), "stopped");
            }
        });
    }

    /// Runs whatever else ends when it is told to.
    pub(crate) fn beside<F>(&self, work: impl FnOnce(Shutdown) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(work(self.stopped.clone()));
    }

    /// Asks everything to stop, without waiting.
    pub(crate) fn stop(&self) {
        self.stop.shut_down();
    }

    /// Waits until everything has.
    pub(crate) async fn stopped(&self) {
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::select! {
            () = async { while tasks.join_next().await.is_some() {} } => {}
            () = self.cut.notified() => {}
        }
    }

    /// Lets nothing finish: what is held comes again when its lease has lapsed.
    pub(crate) fn cut_short(&self) {
        self.cut.notify_one();
    }
}
