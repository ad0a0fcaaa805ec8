//! Looking at jobs for everybody who watches: one query for all of them, however many they are, and
//! none when nobody watches. Knows no guest.

use nexus_storage::jobs::{JobProgress, Jobs};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use uuid::Uuid;

/// A worker tells its progress once a second at most.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The database may be away for so many looks before watches end.
const FAILURES_MAX: u32 = 60;

/// All watches of a host. Clones share them.
#[derive(Clone)]
pub(crate) struct Watches(Arc<Inner>);

struct Inner {
    jobs: Jobs,
    home: Handle,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    told: HashMap<Uuid, watch::Sender<JobProgress>>,
    is_looking: bool,
}

impl Watches {
    pub(crate) fn new(jobs: Jobs, home: Handle) -> Self {
        Self(Arc::new(Inner { jobs, home, open: Mutex::default() }))
    }

    /// What becomes of a job from `now` on; closed after a final state, or when looking fails.
    pub(crate) fn open(&self, id: Uuid, now: JobProgress) -> watch::Receiver<JobProgress> {
        let mut open = self.0.lock();
        let known = open.told.get(&id).filter(|told| told.receiver_count() > 0);
        let receiver = match known {
            // Marked as changed, so that whoever comes later hears the present at once.
            Some(told) => {
                let mut receiver = told.subscribe();
                receiver.mark_changed();
                receiver
            }
            None => {
                let is_final = now.state.is_final();
                let (told, mut receiver) = watch::channel(now);
                receiver.mark_changed();
                if is_final {
                    return receiver;
                }
                open.told.insert(id, told);
                receiver
            }
        };
        if !open.is_looking {
            open.is_looking = true;
            self.0.home.spawn(look(self.0.clone()));
        }
        receiver
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Jobs that somebody still watches; when there are none, looking ends.
    fn watched(&self) -> Option<Vec<Uuid>> {
        let mut open = self.lock();
        open.told.retain(|_, told| told.receiver_count() > 0);
        open.is_looking = !open.told.is_empty();
        open.is_looking.then(|| open.told.keys().copied().collect())
    }

    /// Jobs that are gone end as those that are done.
    fn tell(&self, asked: &[Uuid], found: Vec<(Uuid, JobProgress)>) {
        let mut found: HashMap<_, _> = found.into_iter().collect();
        let mut open = self.lock();
        for id in asked {
            let Some(told) = open.told.get(id) else { continue };
            let progress = found.remove(id);
            let is_over = progress.as_ref().is_none_or(|progress| progress.state.is_final());
            if let Some(progress) = progress {
                told.send_if_modified(|known| {
                    let is_news = *known != progress;
                    *known = progress;
                    is_news
                });
            }
            if is_over {
                open.told.remove(id);
            }
        }
    }
}

async fn look(inner: Arc<Inner>) {
    let mut failures = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(ids) = inner.watched() else { return };
        match inner.jobs.progress(&ids).await {
            Ok(found) => {
                failures = 0;
                inner.tell(&ids, found);
            }
            Err(error) => {
                failures += 1;
                tracing::debug!(%error, "watched jobs cannot be looked at");
                if failures >= FAILURES_MAX {
                    inner.lock().told.clear();
                }
            }
        }
    }
}
