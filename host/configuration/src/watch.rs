//! Looks at what is read outside of the database, now and then, and gives the components whose
//! values have changed a new revision. Knows no source but by its layer.

use crate::Error;
use crate::configuration::{Configuration, Order};
use crate::layers::{Layer, Layers};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks at files: the kubelet takes a minute to bring a change, people save and look.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// Whom the history names for a change that nobody ordered.
const BY: &str = "host";

/// What the layers say to each component, so that a change is seen.
type Fingerprints = BTreeMap<String, [u8; 32]>;

/// A Vault that is looked at more seldom than files.
#[derive(Default)]
struct Remembered {
    vault: Option<(Layer, Instant)>,
    /// The complaint that was logged last.
    complaint: String,
}

impl Configuration {
    /// Reads every source outside of the database once; before components are prepared.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] for the first that cannot be read; the others are read all the same.
    pub async fn look(&self) -> Result<(), Error> {
        self.look_at(&mut Remembered::default()).await
    }

    /// Follows the sources for as long as the host runs; returns at once when there are none.
    pub async fn watch(self) {
        if self.0.sources.is_empty() {
            return;
        }
        let mut remembered = Remembered::default();
        let mut known = self.fingerprints();
        loop {
            tokio::time::sleep(FILES_EVERY).await;
            match self.look_at(&mut remembered).await {
                Ok(()) => remembered.complaint.clear(),
                Err(error) => {
                    let words = error.to_string();
                    if words != remembered.complaint {
                        tracing::warn!(%error, "configuration stays as it was read before");
                        remembered.complaint = words;
                    }
                }
            }
            let now = self.fingerprints();
            for (component, fingerprint) in &now {
                if known.get(component) != Some(fingerprint)
                    && !self.note(component, fingerprint).await
                {
                    continue;
                }
                known.insert(component.clone(), *fingerprint);
            }
        }
    }

    /// What each component is told by the layers now.
    fn fingerprints(&self) -> Fingerprints {
        let layers = self.layers();
        let declared = self.declared();
        let of = |component: &str| {
            let names = declared.names(component).unwrap_or_default();
            let mut hash = Sha256::new();
            for name in names {
                if let Some((value, _)) = layers.get(component, name) {
                    // Lengths, so that no two lists read the same. The hash is of the hash of a
                    // value, as it will be kept.
                    hash.update((name.len() as u64).to_be_bytes());
                    hash.update(name);
                    hash.update(Sha256::digest(value));
                }
            }
            self.sealed_fingerprint(hash.finalize().into())
        };
        declared.components().map(|component| (component.to_owned(), of(component))).collect()
    }

    /// The history notes the change, and the component gets a revision; false when that is to be
    /// tried again.
    async fn note(&self, component: &str, fingerprint: &[u8; 32]) -> bool {
        let order = Order { by: BY, reason: "a file or Vault says something else" };
        let Ok(store) = self.store() else { return true };
        let noted = match store.note_outside(component, fingerprint, order.into()).await {
            Ok(noted) => noted,
            Err(error) => {
                tracing::warn!(component, %error, "a change of configuration is not noted yet");
                return false;
            }
        };
        // Another host was first: its revision is this host's, too.
        let Some(configuration) = noted else { return true };
        if let Err(error) = self.check(component).await {
            tracing::error!(component, %error, "a change of configuration is not applied");
            return true;
        }
        match self.revise(component, order).await {
            Ok(applied) => {
                let revision = applied.revised.revision;
                tracing::info!(component, configuration, revision, "configuration was changed");
            }
            Err(error) => {
                tracing::error!(component, %error, "a change of configuration is not applied");
            }
        }
        true
    }

    async fn look_at(&self, remembered: &mut Remembered) -> Result<(), Error> {
        let mut failed = None;
        let mut read = Vec::new();
        let before = self.layers();
        // What cannot be read now stays as it was.
        let mut keep = |place: String, found: Result<Layer, Error>| match found {
            Ok(layer) => read.push(layer),
            Err(error) => {
                read.extend(before.0.iter().find(|layer| layer.place == place).cloned());
                failed.get_or_insert(error);
            }
        };
        let sources = &self.0.sources;
        if let Some(file) = &sources.file {
            keep(file.display().to_string(), Layer::of_file(file));
        }
        for folder in sources.folders.iter().rev() {
            keep(folder.display().to_string(), Layer::of_folder(folder));
        }
        if let Some(vault) = &self.0.vault {
            let fresh = remembered.vault.as_ref().filter(|(_, at)| at.elapsed() < vault.every());
            match fresh {
                Some((layer, _)) => read.push(layer.clone()),
                None => {
                    let components: Vec<String> =
                        self.declared().components().map(str::to_owned).collect();
                    match vault.layer(&components).await {
                        Ok(layer) => {
                            read.push(layer.clone());
                            remembered.vault = Some((layer, Instant::now()));
                        }
                        Err(error) => {
                            let old = before.0.iter().find(|layer| layer.place == vault.place());
                            read.extend(old.cloned());
                            failed.get_or_insert(error);
                        }
                    }
                }
            }
        }
        *self.0.layers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Layers(read));
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
