//! What cargo says: every package, every edge between ours. Knows no rule.

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// The targets we ship for: what neither uses is never compiled.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "wasm32-wasip2"];

/// The repository's root.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders deep").to_path_buf()
}

fn ask(configure: impl FnOnce(&mut MetadataCommand)) -> Metadata {
    let mut command = MetadataCommand::new();
    command.current_dir(root());
    configure(&mut command);
    command.exec().expect("cargo knows this workspace")
}

/// The workspace without what it depends on.
pub fn workspace() -> Metadata {
    ask(|command| {
        command.no_deps();
    })
}

/// Everything that is compiled for the host or into a guest, ours included, sorted by name.
pub fn packages() -> Vec<Package> {
    let mut found: Vec<Package> = Vec::new();
    for target in TARGETS {
        let metadata = ask(|command| {
            let only = ["--filter-platform".to_owned(), target.to_owned()];
            command.features(CargoOpt::SomeFeatures(Vec::new())).other_options(only);
        });
        let graph = metadata.resolve.as_ref().expect("cargo resolves the graph");
        let used = |package: &Package| graph.nodes.iter().any(|node| node.id == package.id);
        let packages = metadata.packages.iter().filter(|package| used(package));
        found.extend(packages.cloned());
    }
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    found.dedup_by(|a, b| a.id == b.id);
    found
}

/// What a build with this selection of packages consists of: a line for each package, with the
/// features that cargo chooses for it there (`cargo tree`, The Cargo Book).
pub fn features(selection: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).arg("tree").args(selection);
    cargo.args(["--target", TARGETS[0], "--prefix", "none", "--format", "{p} {f}"]);
    let output = cargo.output().expect("cargo is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("cargo writes text");
    lines.lines().map(|line| line.trim_end_matches(" (*)").trim_end().to_owned()).collect()
}

/// A dependency of one crate of ours on another.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Folder of the crate that depends.
    pub from: String,
    /// Folder of the crate it depends on.
    pub to: String,
    /// For its tests only.
    pub test_only: bool,
}

/// Every edge between crates of ours.
pub fn edges() -> Vec<Edge> {
    let metadata = workspace();
    let folder_of = |name: &str| {
        let package = metadata.packages.iter().find(|package| package.name.as_str() == name)?;
        Some(folder(package))
    };
    let mut edges = Vec::new();
    for package in &metadata.packages {
        for dependency in package.dependencies.iter().filter(|it| it.path.is_some()) {
            let to = folder_of(&dependency.name).expect("a path leads to a member");
            let test_only = dependency.kind == DependencyKind::Development;
            edges.push(Edge { from: folder(package), to, test_only });
        }
    }
    edges
}

/// A member's folder, relative to the root.
pub fn folder(package: &Package) -> String {
    let manifest = package.manifest_path.as_std_path();
    let folder = manifest.parent().and_then(|it| it.strip_prefix(root()).ok());
    folder.expect("a member lies below the root").to_string_lossy().into_owned()
}
