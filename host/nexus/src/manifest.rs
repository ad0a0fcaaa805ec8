//! Finding the manifest, and leaving out the components nobody asked for.

use crate::config::ApplicationOptions;
use anyhow::{Context as _, Result, bail};
use nexus_runtime::Manifest;
use std::path::{Path, PathBuf};

/// The file the options mean.
pub(crate) fn file(options: &ApplicationOptions) -> Result<PathBuf> {
    let named = options.from.as_deref().map(Path::new).and_then(existing);
    if let Some(file) = named {
        return Ok(file);
    }
    match (&options.from, &options.manifest) {
        (None, None) => existing(Path::new("spin.toml")).context(
            "there is no spin.toml here: change to the application's folder or name it with -f",
        ),
        (from, Some(fallback)) => {
            if let Some(from) = from {
                let manifest = fallback.display();
                tracing::info!(%manifest, "{from} is no file here: NEXUS_MANIFEST is used");
            }
            existing(fallback).with_context(|| format!("{} is no manifest", fallback.display()))
        }
        (Some(from), None) => bail!(
            "{from} is no file here; this host fetches no images: bake the application into the \
             host's image and name its manifest in NEXUS_MANIFEST"
        ),
    }
}

/// A manifest's own path, or that of `spin.toml` in a folder.
fn existing(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    Some(path.join("spin.toml")).filter(|file| file.is_file())
}

/// Reads the manifest, keeping only `retained` components if any are named.
pub(crate) fn read(file: &Path, retained: &[String]) -> Result<Manifest> {
    let manifest = Manifest::read(file)?;
    if retained.is_empty() { Ok(manifest) } else { retain(manifest, retained) }
}

fn retain(mut manifest: Manifest, retained: &[String]) -> Result<Manifest> {
    for name in retained {
        if !manifest.components.iter().any(|component| component.id.as_str() == name) {
            let known: Vec<_> = manifest.components.iter().map(|c| c.id.as_str()).collect();
            bail!("the manifest has no component {name}; it has {}", known.join(", "));
        }
    }
    let kept = |name: &str| retained.iter().any(|kept| kept == name);
    manifest.components.retain(|component| kept(component.id.as_str()));
    manifest.routes.retain(|route| kept(route.component.as_str()));
    Ok(manifest)
}
