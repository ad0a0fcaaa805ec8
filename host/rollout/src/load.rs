//! Revisions that this host has ready: each made once, from the release's own files or from bytes
//! of the database. Refuses to know who is served.

use crate::{Inner, fragment};
use nexus_runtime::{ComponentId, ComponentManifest, Fragment, HttpRoute, Revision, Runtime};
use nexus_storage::rollouts::RevisionRow;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
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
        if let Some(own) = self.registered(&row.component).filter(|own| own.wasm == row.wasm) {
            return Ok(own.component.source.clone());
        }
        let name = row.wasm.strip_prefix("sha256:").unwrap_or(&row.wasm);
        let path = self.folder.join(format!("{name}.wasm"));
        if path.exists() {
            return Ok(path);
        }
        let bytes = inner.rollouts.blob(&row.wasm).await.map_err(|error| error.to_string())?;
        let missing = || format!("the bytes {} are neither here nor stored", row.wasm);
        let bytes = bytes.ok_or_else(missing)?;
        write(&self.folder, &path, &bytes).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }

    /// Stores the bytes of a revision that came with this host's release, so that other hosts, and
    /// later releases, have them too.
    pub(crate) async fn share(
        &self,
        inner: &Inner,
        component: &str,
        number: u32,
    ) -> Result<(), crate::Error> {
        let own = self.registered(component).filter(|own| own.number == number);
        let Some(own) = own else { return Ok(()) };
        if inner.rollouts.has_blob(&own.wasm).await? {
            return Ok(());
        }
        let path = &own.component.source;
        let failed = |source| crate::Error::File { path: path.clone(), source };
        let bytes = tokio::fs::read(path).await.map_err(failed)?;
        Ok(inner.rollouts.store_blob(&own.wasm, &bytes).await?)
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

/// Whole or not at all: others may look for it at any moment.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = folder.join(format!("{}.part", uuid::Uuid::now_v7()));
    let mut file = std::fs::File::create_new(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}
