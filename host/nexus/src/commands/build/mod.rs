//! `nexus build`: a component's crate becomes its artifact, one file with the component, what it
//! may use and its migrations. The same sources make the same digest.

mod crate_of;
mod toolchain;

use super::Failure;
use super::host_api::MISSING;
use super::scaffold;
use super::table::{say, say_json};
use crate::config::BuildOptions;
use anyhow::{Context as _, Result, anyhow, bail};
use crate_of::{Compiled, Crate};
use nexus_artifact::{Artifact, Migration, Parts};
use nexus_layout::{Order, laid_out};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(super) fn run(options: &BuildOptions) -> Result<(), Failure> {
    let one = find(&options.what)?;
    let toolchain = toolchain::find().map_err(Failure::Setting)?;
    let compiled = one.compile(&toolchain, options.target_dir.as_deref())?;
    let artifact = artifact(&one, &compiled)?;
    let file = options.output.clone().unwrap_or_else(|| one.artifact_file());
    let bytes = artifact.archive();
    put(&file, &bytes)?;
    let digest = artifact.digest().to_string();
    if options.json {
        return say_json(&json!({
            "component": one.component,
            "version": compiled.version,
            "digest": digest,
            "file": file,
            "wasm": compiled.wasm,
            "size_bytes": bytes.len(),
        }));
    }
    let (shown, version) = (file.display(), &compiled.version);
    say(&format!("{shown}  {} {version}  {digest}\n", one.component))
}

/// The crate that a folder is, or that has this name in the checkout around the current folder.
fn find(what: &Path) -> Result<Crate, Failure> {
    if what.join("Cargo.toml").is_file() {
        let folder = what.canonicalize().with_context(|| format!("find {}", what.display()))?;
        return Ok(Crate::open(&folder, scaffold::checkout(&folder))?);
    }
    let here = std::env::current_dir().context("find the current folder")?;
    let missing = |words: String| Failure::Told { words, code: MISSING };
    let shown = what.display();
    let Some(root) = scaffold::checkout(&here) else {
        return Err(missing(format!("{shown} holds no Cargo.toml")));
    };
    let domains = std::fs::read_dir(root.join("components")).context("look into components")?;
    let folders = domains.flatten().map(|domain| domain.path().join(what));
    let mut folders = folders.filter(|folder| folder.join("component.toml").is_file());
    match folders.next() {
        Some(folder) => Ok(Crate::open(&folder, Some(root))?),
        None => {
            Err(missing(format!("{shown} is neither a folder with a Cargo.toml nor a component")))
        }
    }
}

fn artifact(one: &Crate, compiled: &Compiled) -> Result<Artifact> {
    let wasm = std::fs::read(&compiled.wasm);
    let mut wasm = wasm.with_context(|| format!("read {}", compiled.wasm.display()))?;
    if one.is_of_checkout() {
        // As `cargo xtask build` does. What somebody else builds is taken as it is: names of
        // functions may be wanted where it traps.
        wasm = laid_out(&wasm, &Order::of_services()).context("put its functions in order")?;
    }
    let parts = Parts {
        component: &one.component,
        version: Some(&compiled.version),
        created: None,
        wasm: wasm.into(),
        fragment: Some(&one.fragment),
        migrations: migrations(&one.migrations)?,
    };
    Artifact::build(parts).with_context(|| format!("make the artifact of {}", one.component))
}

/// Those of the first folder that is there.
fn migrations(folders: &[PathBuf]) -> Result<Vec<Migration>> {
    match folders.iter().find(|folder| folder.is_dir()) {
        Some(folder) => Migration::read_folder(folder).context("read the migrations"),
        None => Ok(Vec::new()),
    }
}

/// Whole or not at all: somebody may be reading the file before.
fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    let shown = file.display();
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let part = file.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&part, bytes).with_context(|| format!("write {shown}"))?;
    std::fs::rename(&part, file).with_context(|| format!("write {shown}"))
}

/// A fragment from a manifest of one component: what only a whole manifest has is left out.
fn fragment_of(manifest: &str) -> Result<String> {
    let mut table: toml::Table = manifest.parse().context("read spin.toml")?;
    for whole in ["spin_manifest_version", "application"] {
        table.remove(whole);
    }
    Ok(table.to_string())
}

/// The one component that a fragment describes.
fn component_of(fragment: &str) -> Result<String> {
    let table: toml::Table = fragment.parse().context("read the fragment")?;
    let mut names = table.get("component").and_then(|it| it.as_table()).into_iter().flatten();
    match (names.next(), names.next()) {
        (Some((name, _)), None) => Ok(name.clone()),
        (None, _) => bail!("it describes no component"),
        _ => Err(anyhow!("it describes several components; an artifact is one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
spin_manifest_version = 2
[application]
name = \"greeting\"
[[trigger.http]]
component = \"greeting\"
route = \"/api/greeting/...\"
[component.greeting]
source = \"greeting.wasm\"
[component.greeting.tool.nexus]
subscribe = [\"shop.greeting.asked.v1\"]
";

    #[test]
    fn a_manifest_of_one_component_is_its_fragment() {
        let fragment = fragment_of(MANIFEST).unwrap();
        assert_eq!(component_of(&fragment).unwrap(), "greeting");
        let (source, path) = (Path::new("x.wasm"), Path::new("spin.toml"));
        let read = nexus_runtime::Fragment::parse(&fragment, "greeting", source, path).unwrap();
        assert_eq!(read.routes.len(), 1);
        let two = format!("{fragment}\n[component.other]\nsource = \"o.wasm\"\n");
        assert!(component_of(&two).is_err());
        assert!(component_of("").is_err());
    }
}
