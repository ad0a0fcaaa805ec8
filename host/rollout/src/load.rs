//! Revisions that this host has ready: each made once, from the release's own files or from bytes
//! of the database. Refuses to know who is served.

use crate::{Inner, fragment};
use nexus_runtime::{ComponentId, ComponentManifest, Fragment, HttpRoute, Revision, Runtime};
use nexus_storage::rollouts::RevisionRow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A component of the manifest, and which revision of it that is.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) number: u32,
    pub(crate) component: Arc<ComponentManifest>,
    /// `sha256:<hex>` of its bytes.
    pub(crate) wasm: String,
}

/// A revision that can be called.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) revision: Arc<Revision>,
    pub(crate) routes: Vec<HttpRoute>,
}

type Key = (String, u32);

/// A file of nobody's is removed when it is this old.
const STRAY_MAX: Duration = Duration::from_secs(3_600);

/// What is ready.
pub(crate) struct Shelf {
    folder: PathBuf,
    registered: HashMap<String, Registered>,
    ready: Mutex<HashMap<Key, Arc<OnceCell<Loaded>>>>,
}

impl Shelf {
    pub(crate) fn new(folder: &Path, registered: Vec<Registered>) -> Result<Self, crate::Error> {
        let failed = |source| crate::Error::File { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let registered =
            registered.into_iter().map(|one| (one.component.id.to_string(), one)).collect();
        Ok(Self { folder: folder.to_owned(), registered, ready: Mutex::default() })
    }

    pub(crate) fn registered(&self, component: &str) -> Option<&Registered> {
        self.registered.get(component)
    }

    /// Makes a revision ready, or gives it again. Two who ask at once wait for the same one: a
    /// revision counts its calls, so there must be one of it.
    ///
    /// # Errors
    ///
    /// Why it cannot be called here, for operators.
    pub(crate) async fn load(
        &self,
        inner: &Inner,
        runtime: &Runtime,
        component: &str,
        number: u32,
    ) -> Result<Loaded, String> {
        let cell = {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            let cell = ready.entry((component.to_owned(), number)).or_default();
            if cell.get().is_some_and(|loaded| loaded.revision.is_cut_off()) {
                *cell = Arc::default();
            }
            cell.clone()
        };
        let made = cell.get_or_try_init(|| self.make(inner, runtime, component, number));
        made.await.cloned()
    }

    async fn make(
        &self,
        inner: &Inner,
        runtime: &Runtime,
        component: &str,
        number: u32,
    ) -> Result<Loaded, String> {
        let row = inner.rollouts.revision(component, number).await.map_err(|e| e.to_string())?;
        let row = row.ok_or_else(|| format!("{component} has no revision {number}"))?;
        let source = self.source(inner, &row).await?;
        let place = format!("the fragment of {component}, revision {number}");
        let read = Fragment::parse(&row.fragment, component, &source, Path::new(&place));
        let fragment = read.map_err(|e| e.to_string())?;
        (inner.declare)(&fragment)?;
        let Fragment { component: manifest, routes, .. } = fragment;
        let mut manifest = ComponentManifest::clone(&manifest);
        manifest.configuration = row.configuration;
        let revision = runtime.prepare(Arc::new(manifest), number).await;
        let revision = revision.map_err(|error| error.to_string())?;
        if format!("sha256:{}", revision.digest) != row.wasm {
            return Err(format!("{} is not what revision {number} consists of", source.display()));
        }
        Ok(Loaded { revision, routes })
    }

    /// A file with the revision's bytes.
    async fn source(&self, inner: &Inner, row: &RevisionRow) -> Result<PathBuf, String> {
        let path = self.kept(&row.wasm);
        // A machine that lost its power may have left half of it.
        if digest_of(&path).await.is_ok_and(|digest| digest == row.wasm) {
            return Ok(path);
        }
        if let Some(own) = self.registered(&row.component).filter(|own| own.wasm == row.wasm)
            && digest_of(&own.component.source).await.is_ok_and(|digest| digest == row.wasm)
        {
            return Ok(own.component.source.clone());
        }
        let bytes = inner.rollouts.blob(&row.wasm).await.map_err(|error| error.to_string())?;
        let missing = || format!("the bytes {} are neither here nor stored", row.wasm);
        let bytes = bytes.ok_or_else(missing)?;
        let written = write(&self.folder, &path, &bytes);
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Where this host keeps bytes by their digest.
    fn kept(&self, wasm: &str) -> PathBuf {
        let name = wasm.strip_prefix("sha256:").unwrap_or(wasm);
        self.folder.join(format!("{name}.wasm"))
    }

    /// Keeps a copy of everything that came with this host's release: the next build writes over
    /// its files, and what they were must be there to go back to.
    pub(crate) async fn keep_release(&self) {
        for own in self.registered.values() {
            let (from, to) = (own.component.source.clone(), self.kept(&own.wasm));
            let (folder, wasm) = (self.folder.clone(), own.wasm.clone());
            let copying = tokio::task::spawn_blocking(move || match to.exists() {
                true => Ok(true),
                false => copy(&folder, &from, &to, &wasm),
            });
            let component = &own.component.id;
            match copying.await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    tracing::warn!(%component, "its file has changed since this host has begun");
                }
                Ok(Err(error)) => tracing::warn!(%component, %error, "its bytes are not kept"),
                Err(error) => tracing::warn!(%component, %error, "its bytes are not kept"),
            }
        }
    }

    /// Removes copies of what no revision consists of any more.
    ///
    /// # Errors
    ///
    /// When the database is away, or the folder cannot be read.
    pub(crate) async fn tidy(&self, inner: &Inner) -> Result<(), crate::Error> {
        let known = inner.rollouts.bytes_known().await?;
        let known: HashSet<PathBuf> = known.iter().map(|wasm| self.kept(wasm)).collect();
        let failed = |source| crate::Error::File { path: self.folder.clone(), source };
        let mut entries = tokio::fs::read_dir(&self.folder).await.map_err(failed)?;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            let found = entry.metadata().await.and_then(|found| found.modified());
            // What is being written now has another name until it is whole.
            let is_old = found.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STRAY_MAX));
            if is_old && !known.contains(&entry.path()) {
                tokio::fs::remove_file(entry.path()).await.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Stores the bytes of a revision that this host has, so that other hosts, and later releases,
    /// have them too. False when they are nowhere.
    pub(crate) async fn share(
        &self,
        inner: &Inner,
        component: &str,
        wasm: &str,
    ) -> Result<bool, crate::Error> {
        if inner.rollouts.has_blob(wasm).await? {
            return Ok(true);
        }
        let own = self.registered(component).filter(|own| own.wasm == wasm);
        let places = [Some(self.kept(wasm)), own.map(|own| own.component.source.clone())];
        for path in places.into_iter().flatten() {
            let Ok(bytes) = tokio::fs::read(&path).await else { continue };
            if digest(&bytes) == wasm {
                inner.rollouts.store_blob(wasm, &bytes).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets go of every revision that is not among `needed`.
    pub(crate) fn keep(&self, needed: &HashSet<Key>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is being made is somebody's.
        ready.retain(|key, cell| needed.contains(key) || Arc::strong_count(cell) > 1);
    }
}

impl Registered {
    pub(crate) fn fragment(&self, routes: &[HttpRoute]) -> String {
        fragment::render(&self.component, routes)
    }
}

pub(crate) fn component_id(name: &str) -> Result<ComponentId, String> {
    ComponentId::new(name).map_err(|error| error.to_string())
}

fn digest(bytes: &[u8]) -> String {
    nexus_artifact::Digest::of(bytes).to_string()
}

async fn digest_of(path: &Path) -> std::io::Result<String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || nexus_runtime::digest_of(&path));
    Ok(format!("sha256:{}", read.await??))
}

/// False when the file is not that any more.
fn copy(folder: &Path, from: &Path, to: &Path, wasm: &str) -> std::io::Result<bool> {
    let bytes = std::fs::read(from)?;
    let is_that = digest(&bytes) == wasm;
    if is_that {
        write(folder, to, &bytes)?;
    }
    Ok(is_that)
}

/// Whole or not at all: others may look for it at any moment.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = folder.join(format!("{}.part", uuid::Uuid::now_v7()));
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}
