//! One cluster for many short-lived processes: what a run of tests uses, where each test is a
//! process of its own and brings its own database.
//!
//! The first process starts the server; a small watcher stops it some seconds after the last one
//! has gone. Refuses to supervise: a test that kills servers starts its own.

use super::place::Place;
use super::setup::{self, Settings};
use super::{bring_up, role_key, server, take_over};
use crate::database::Server;
use crate::error::Error;
use crate::roles::RoleKey;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Holds a share in a cluster; it may stop once all shares are gone.
pub struct SharedCluster {
    place: Place,
    key: RoleKey,
    _share: File,
}

/// Waits until nobody holds a share, then stops the server. It looks every few seconds, so that
/// the server survives the gaps between processes; while it stops the server it holds the lock
/// alone, and who comes then waits and starts a new one.
const WATCHER: &str = r#"
while sleep 5; do
  kill -0 "$2" 2>/dev/null || exit 0
  flock --nonblock --exclusive "$1" sh -c '
    kill -INT "$1"
    while kill -0 "$1" 2>/dev/null; do sleep 0.1; done' sh "$2" && exit 0
done
"#;

impl SharedCluster {
    /// Joins the cluster of `home`, starting it if nobody has.
    ///
    /// # Errors
    ///
    /// As [`super::Cluster::start`].
    pub async fn join(home: &Path, settings: Settings) -> Result<Self, Error> {
        let place = Place::make(home)?;
        let share = locked(&place, "users", FlockOperation::LockShared).await?;
        let turn = locked(&place, "turn", FlockOperation::LockExclusive).await?;
        // What others use is used as it is: only who finds no server says how it runs.
        let (process, key) = match take_over(&place, true).await {
            Some(process) if setup::is_furnished(&place) => (process, role_key(&place)?),
            _ => bring_up(&place, &settings).await?,
        };
        let watcher = place.state.join("watcher");
        let pid = process.id().to_string();
        if std::fs::read_to_string(&watcher).ok().as_deref() != Some(&*pid) {
            watch(&place, &pid)?;
            std::fs::write(&watcher, &pid)
                .map_err(|source| Error::File { path: watcher.clone(), source })?;
        }
        drop(turn);
        process.leave();
        Ok(Self { place, key, _share: share })
    }

    /// How to reach it.
    pub fn server(&self) -> Server {
        server(&self.place, &self.key)
    }
}

async fn locked(place: &Place, name: &str, how: FlockOperation) -> Result<File, Error> {
    let path = place.state.join(name);
    let take = move || {
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let taken = file.and_then(|file| Ok(flock(&file, how).map(|()| file)?));
        taken.map_err(|source| Error::File { path, source })
    };
    let waiting = tokio::task::spawn_blocking(take).await;
    waiting.map_err(|e| Error::Cluster { doing: "wait its turn", detail: e.to_string() })?
}

fn watch(place: &Place, pid: &str) -> Result<(), Error> {
    let mut command = Command::new("sh");
    command.args(["-c", WATCHER, "sh"]).arg(place.state.join("users")).arg(pid);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let started = command.spawn();
    started.map(drop).map_err(|e| Error::Cluster { doing: "be watched", detail: e.to_string() })
}
