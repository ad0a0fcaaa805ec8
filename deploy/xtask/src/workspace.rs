//! Where the repository is and which crates it has. Asks cargo, so there is no second list.

use crate::shell;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository as cargo sees it, without its dependencies.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub root: PathBuf,
    /// Cargo's target folder, wherever the user has put it.
    pub target: PathBuf,
    /// `workspace.package.version`.
    pub version: String,
    /// `workspace.package.rust-version`, such as `1.95`.
    pub rust_version: String,
    pub members: Vec<Member>,
}

/// One crate of the workspace.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    /// Relative to the root, with `/`.
    pub folder: String,
    /// `lib`, `cdylib`, `proc-macro`, `bin`, `test` …
    pub kinds: Vec<String>,
}

/// What a guest is for, which decides where its wasm is staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestKind {
    /// A service under `components/`.
    Component,
    /// A guest that only tests load, under `tests/conformance/probes/`.
    Probe,
}

impl Member {
    /// A crate that becomes wasm: a `cdylib` in one of the two places where guests live.
    pub fn guest(&self) -> Option<GuestKind> {
        if !self.kinds.iter().any(|kind| kind == "cdylib") {
            return None;
        }
        if self.folder.starts_with("components/") {
            return Some(GuestKind::Component);
        }
        self.folder.starts_with("tests/conformance/probes/").then_some(GuestKind::Probe)
    }

    /// The name its wasm is staged under: a component's id, a probe's folder.
    pub fn wasm_name(&self) -> &str {
        match self.guest() {
            Some(GuestKind::Probe) => self.folder.rsplit('/').next().unwrap_or(&self.name),
            _ => &self.name,
        }
    }
}

impl Workspace {
    /// Finds the repository around the current folder and asks cargo about it.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().context("read the current folder")?;
        let root = here.ancestors().find(|dir| dir.join("deploy/xtask/Cargo.toml").is_file());
        Self::open(root.context("run this inside a checkout of the repository")?)
    }

    /// Reads the workspace whose root is `root`.
    pub fn open(root: &Path) -> Result<Self> {
        let mut metadata = shell::cargo(root);
        metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata = shell::capture(&mut metadata)?;
        let metadata: Metadata = serde_json::from_str(&metadata).context("read cargo metadata")?;
        let manifest = read_toml(&root.join("Cargo.toml"))?;
        let field = |name: &str| {
            let value = manifest.get("workspace").and_then(|w| w.get("package")?.get(name));
            let value = value.and_then(|v| v.as_str()).map(str::to_owned);
            value.with_context(|| format!("Cargo.toml: workspace.package.{name} is missing"))
        };
        Ok(Self {
            root: root.to_path_buf(),
            target: metadata.target_directory,
            version: field("version")?,
            rust_version: field("rust-version")?,
            members: metadata.packages.into_iter().map(|p| p.member(root)).collect(),
        })
    }

    /// The state folder: `NEXUS_HOME`, or `.nexus` in the root.
    pub fn home(&self) -> PathBuf {
        match std::env::var_os("NEXUS_HOME") {
            Some(home) if !home.is_empty() => self.root.join(home),
            _ => self.root.join(".nexus"),
        }
    }

    /// Where the build puts what the host runs; independent of `NEXUS_HOME`, because `spin.toml`
    /// names it relative to itself.
    pub fn stage(&self) -> PathBuf {
        self.root.join(".nexus")
    }

    /// Every crate that is built for wasm, sorted by name.
    pub fn guests(&self) -> Vec<&Member> {
        let mut guests: Vec<_> = self.members.iter().filter(|m| m.guest().is_some()).collect();
        guests.sort_by(|a, b| a.name.cmp(&b.name));
        guests
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Runs `git` in the root; `None` when this is no checkout or git is absent.
    pub fn git(&self, arguments: &[&str]) -> Option<String> {
        let answer = Command::new("git").args(arguments).current_dir(&self.root).output().ok()?;
        answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
    }
}

/// Reads a TOML file; the error names it.
pub fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = read(path)?;
    match text.parse() {
        Ok(table) => Ok(table),
        Err(error) => bail!("{}: {error}", path.display()),
    }
}

/// Reads a text file; the error names it.
pub fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

/// Writes a file and the folders above it, unless it holds just that already; says whether it
/// wrote. Readers never see half a file: the new one is renamed over the old.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let folder = path.parent().context("a file has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let part = path.with_extension(format!("part{}", std::process::id()));
    std::fs::write(&part, content).with_context(|| format!("write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("rename to {}", path.display()))?;
    Ok(true)
}

/// Two digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Package {
    fn member(self, root: &Path) -> Member {
        let folder = self.manifest_path.parent().unwrap_or(root);
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        Member {
            name: self.name,
            folder: folder.to_string_lossy().replace('\\', "/"),
            kinds: self.targets.into_iter().flat_map(|target| target.kind).collect(),
        }
    }
}
