//! Changes of files, in batches: an editor that saves writes several times, a checkout of another
//! branch hundreds of files.

use anyhow::{Context as _, Result};
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

/// So long nothing has to change before what did is one batch.
const QUIET: Duration = Duration::from_millis(30);

/// What is watched, for as long as this value lives.
pub(super) struct Changes {
    paths: UnboundedReceiver<PathBuf>,
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches folders; `true` is with all below them.
    ///
    /// # Errors
    ///
    /// When one is not there, or the machine watches no more.
    pub(super) fn watch(folders: &[(PathBuf, bool)]) -> Result<Self> {
        let (sender, paths) = mpsc::unbounded_channel();
        let tell = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if is_change(event.kind) {
                for path in event.paths {
                    // Nobody listens any more when the command ends.
                    let _ended = sender.send(path);
                }
            }
        };
        let mut watcher = notify::recommended_watcher(tell).context("watch files")?;
        for (folder, below) in folders {
            let mode = if *below { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
            let watching = watcher.watch(folder, mode);
            watching.with_context(|| {
                format!(
                    "watch {} (`sysctl fs.inotify.max_user_watches` may be too low)",
                    folder.display()
                )
            })?;
        }
        Ok(Self { paths, _watcher: watcher })
    }

    /// The next batch. Losing a call of this loses no path that was not given.
    pub(super) async fn next(&mut self) -> BTreeSet<PathBuf> {
        let mut batch = BTreeSet::new();
        // The watcher holds the sender, so the channel ends with this value only.
        batch.extend(self.paths.recv().await);
        while let Ok(Some(path)) = timeout(QUIET, self.paths.recv()).await {
            batch.insert(path);
        }
        batch
    }
}

/// Reading a file is none, nor is what only concerns its modes and times.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Remove(_) => true,
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_is_written_is_told_and_one_that_is_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (seen, read) = (folder.path().join("lib.rs"), folder.path().join("read.rs"));
        std::fs::write(&read, "1").unwrap();
        let mut changes = Changes::watch(&[(folder.path().to_owned(), true)]).unwrap();
        std::fs::read(&read).unwrap();
        std::fs::write(&seen, "2").unwrap();
        let batch = timeout(Duration::from_secs(30), changes.next()).await.unwrap();
        assert_eq!(batch, BTreeSet::from([seen]));
    }
}
