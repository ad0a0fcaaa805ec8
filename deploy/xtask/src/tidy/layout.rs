//! Rules about where things stand: the fixed top level, a README where there is a choice.

use super::Report;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The top level is fixed: a newcomer learns it once.
const TOP_LEVEL: [&str; 16] = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "components",
    "deploy",
    "host",
    "media-native",
    "migrations",
    "rust-toolchain.toml",
    "spin.toml",
    "tests",
    "triggers",
    "wit",
];

/// From this many folders on, somebody has to choose among them.
const CHILDREN_NEEDING_README: usize = 3;

pub(super) fn check(root: &Path, files: &[PathBuf], report: &mut Report) -> Result<()> {
    top_level(files, report);
    readmes(root, files, report);
    toolchain_file(root, report);
    Ok(())
}

fn top_level(files: &[PathBuf], report: &mut Report) {
    let first = files.iter().filter_map(|path| path.iter().next());
    let names: BTreeSet<_> = first.map(|name| name.to_string_lossy()).collect();
    for name in names {
        if !name.starts_with('.') && !TOP_LEVEL.contains(&&*name) {
            report.violation(&name, "the top level is fixed; see ARCHITECTURE.md");
        }
    }
}

fn readmes(root: &Path, files: &[PathBuf], report: &mut Report) {
    let mut children: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for path in files {
        for folder in path.ancestors().skip(1) {
            if let Some(parent) = folder.parent() {
                children.entry(parent).or_default().insert(folder);
            }
        }
    }
    for path in files.iter().filter(|path| path.ends_with("README.md")) {
        if std::fs::metadata(root.join(path)).is_ok_and(|file| file.len() == 0) {
            report.violation(path.display(), "is empty");
        }
    }
    for (folder, inside) in children {
        if inside.len() < CHILDREN_NEEDING_README || is_inside_a_unit(root, folder) {
            continue;
        }
        let readme = std::fs::read_to_string(root.join(folder).join("README.md"));
        if readme.map_or(true, |text| text.lines().filter(|it| !it.is_empty()).count() < 2) {
            let words = "needs a README.md: what belongs here, what does not, why";
            report.violation(folder.display(), words);
        }
    }
}

/// A crate, a WIT package, a service's migrations: a unit explains itself by its own header.
fn is_inside_a_unit(root: &Path, folder: &Path) -> bool {
    let hidden = folder.iter().any(|part| part.to_string_lossy().starts_with('.'));
    let source = folder.iter().any(|part| part == "src" || part == "templates");
    let crate_itself = folder != Path::new("") && root.join(folder).join("Cargo.toml").is_file();
    hidden || source || crate_itself
}

/// With a channel or a target in this file, rustup would try to download on every call.
fn toolchain_file(root: &Path, report: &mut Report) {
    let text = std::fs::read_to_string(root.join("rust-toolchain.toml")).unwrap_or_default();
    for key in ["channel", "targets"] {
        if text.lines().any(|line| line.trim_start().starts_with(key)) {
            let words = format!("names {key}; rust-version in Cargo.toml is the pin");
            report.violation("rust-toolchain.toml", words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<String>) {
        let root = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let mut report = Report::default();
        let files: Vec<_> = files.iter().map(|(path, _)| PathBuf::from(path)).collect();
        check(root.path(), &files, &mut report).expect("it can be read");
        (root, report.violations)
    }

    #[test]
    fn three_folders_need_a_readme_with_something_in_it() {
        let three = [("host/a/x", ""), ("host/b/x", ""), ("host/c/x", "")];
        let (_root, found) = tree(&three);
        assert_eq!(found, ["host: needs a README.md: what belongs here, what does not, why"]);
        let (_root, found) = tree(&[&three[..], &[("host/README.md", "# host\n")]].concat());
        assert_eq!(found.len(), 1, "a title alone says nothing");
        let (_root, found) =
            tree(&[&three[..], &[("host/README.md", "# host\n\nThe host.\n")]].concat());
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_crate_explains_itself() {
        let (_root, found) = tree(&[
            ("host/a/Cargo.toml", ""),
            ("host/a/src/x/y.rs", ""),
            ("host/a/tests/y.rs", ""),
            ("host/a/assets/y", ""),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn the_top_level_and_the_toolchain_are_fixed() {
        let (_root, found) = tree(&[
            ("scripts/x", ""),
            (".ci/run", ""),
            ("rust-toolchain.toml", "[toolchain]\nchannel = \"stable\"\n"),
        ]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("scripts: the top level is fixed"));
        assert!(found[1].starts_with("rust-toolchain.toml: names channel"));
    }
}
