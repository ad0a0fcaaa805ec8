//! A component's crate, in a folder of its own or in a checkout of Nexus: where its parts are, and
//! cargo's answer when it is compiled.

use super::toolchain::{TARGET, Toolchain};
use super::{component_of, fragment_of};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A crate that becomes a component.
#[derive(Debug)]
pub(super) struct Crate {
    folder: PathBuf,
    /// The checkout it is part of.
    checkout: Option<PathBuf>,
    pub(super) component: String,
    /// What it may use, as TOML.
    pub(super) fragment: String,
    /// Where its migrations are, if it has any: the first that is there.
    pub(super) migrations: Vec<PathBuf>,
}

/// What cargo has made.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) wasm: PathBuf,
    pub(super) version: String,
}

impl Crate {
    /// Reads what a crate says about itself.
    ///
    /// # Errors
    ///
    /// When it has neither a component.toml nor a spin.toml of one component.
    pub(super) fn open(folder: &Path, checkout: Option<PathBuf>) -> Result<Self> {
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let fragment = match (read("component.toml"), read("spin.toml")) {
            (Ok(fragment), _) => fragment,
            (_, Ok(manifest)) => fragment_of(&manifest)?,
            _ => bail!(
                "{} has neither a component.toml nor a spin.toml, which say what it may use",
                folder.display()
            ),
        };
        let component = component_of(&fragment)?;
        let own = folder.join("migrations");
        let migrations = match &checkout {
            Some(root) => vec![root.join("migrations").join(&component)],
            None => vec![own.join(&component), own],
        };
        Ok(Self { folder: folder.into(), checkout, component, fragment, migrations })
    }

    pub(super) fn is_of_checkout(&self) -> bool {
        self.checkout.is_some()
    }

    /// Where its artifact goes unless somebody says otherwise.
    pub(super) fn artifact_file(&self) -> PathBuf {
        let name = format!("{}.oci.tar", self.component);
        match &self.checkout {
            Some(root) => root.join(".nexus/artifacts").join(name),
            None => self.folder.join(name),
        }
    }

    /// Compiles it; the compiler's words go to stderr.
    pub(super) fn compile(&self, with: &Toolchain, target: Option<&Path>) -> Result<Compiled> {
        let flags = if self.is_of_checkout() { nexus_layout::RUSTFLAGS } else { "" };
        let mut cargo = with.cargo_build(&self.folder, flags);
        cargo.args(["--target", TARGET, "--lib", "--message-format", "json-render-diagnostics"]);
        match &self.checkout {
            // As `cargo xtask build` has it, so that neither builds what the other has built.
            Some(root) => {
                cargo.args(["--profile", "component", "--target-dir"]);
                cargo.arg(target.map_or_else(|| root.join("target/guests"), Path::to_owned));
            }
            None => {
                cargo.arg("--release");
                if let Some(target) = target {
                    cargo.arg("--target-dir").arg(target);
                }
            }
        }
        let made = messages(cargo)?;
        let of_crate = |one: &&Message| {
            one.manifest_path.parent() == Some(&*self.folder)
                && one.target.kind.iter().any(|kind| kind == "cdylib")
        };
        let made = made.iter().find(of_crate).context("its library is no `cdylib`")?;
        let is_wasm = |file: &&PathBuf| file.extension().is_some_and(|end| end == "wasm");
        let wasm = made.filenames.iter().find(is_wasm).context("cargo has made no wasm file")?;
        Ok(Compiled { wasm: wasm.clone(), version: version_of(&made.package_id) })
    }
}

/// Runs a build and collects what it has made.
fn messages(mut cargo: Command) -> Result<Vec<Message>> {
    cargo.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = cargo.spawn().context("start cargo")?;
    let output = child.stdout.take().context("cargo's output is piped")?;
    let mut made = Vec::new();
    for line in BufReader::new(output).lines() {
        // Other kinds of message, and what build scripts print, are not ours.
        made.extend(serde_json::from_str::<Message>(&line.context("read cargo's messages")?).ok());
    }
    match child.wait().context("wait for cargo")?.success() {
        true => Ok(made),
        false => bail!("it does not compile"),
    }
}

/// Cargo's `compiler-artifact` message (The Cargo Book, "External tools").
#[derive(Debug, Deserialize)]
struct Message {
    package_id: String,
    manifest_path: PathBuf,
    target: Target,
    filenames: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// `path+file:///x/greeting#0.1.0` or `…#greeting@0.1.0` (The Cargo Book, "Package ID
/// Specifications").
fn version_of(package_id: &str) -> String {
    let end = package_id.rsplit_once('#').map_or(package_id, |(_, end)| end);
    end.rsplit_once('@').map_or(end, |(_, version)| version).to_owned()
}

#[test]
fn a_version_stands_at_the_end_of_a_package_id() {
    for id in ["path+file:///x/greeting#0.1.0", "path+file:///x/greeting#other@0.1.0"] {
        assert_eq!(version_of(id), "0.1.0");
    }
}
