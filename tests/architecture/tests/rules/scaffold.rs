//! What `cargo xtask new` writes is a service as it stands: it compiles for the host's target
//! before anybody has changed a word. Asks the real compiler; knows nothing of what is in it.

use crate::graph;
use std::fs;
use std::path::{Path, PathBuf};
use xtask::workspace::{Workspace, write_if_changed};
use xtask::{scaffold, shell, toolchain};

#[test]
fn a_new_service_compiles_before_a_word_is_changed() {
    // Always the same folder, so that cargo finds what it compiled the last time.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("new-service");
    let real = Workspace::open(&graph::root()).expect("this is a checkout");
    let service = scaffold::files("commerce", "price-list").into_iter();
    for (path, text) in service.chain(scaffold::files("commerce", "contract")) {
        put(&folder, &path, &text);
    }
    put(&folder, "Cargo.toml", &workspace_around(&real.root));
    let lock = fs::read_to_string(real.root.join("Cargo.lock")).expect("it is committed");
    put(&folder, "Cargo.lock", &lock);
    let ws = Workspace { root: folder, ..real };
    let compiler = toolchain::find(&ws).expect("`cargo xtask doctor` brings one");
    let mut cargo = compiler.cargo_build(&ws);
    cargo.args(["--profile", "component", "-p", "price-list", "-p", "commerce-contract"]);
    shell::capture(&mut cargo).expect("the pattern compiles with today's SDK");
}

/// The real root manifest, with one member and absolute paths to what ours depend on.
fn workspace_around(root: &Path) -> String {
    let text = fs::read_to_string(root.join("Cargo.toml")).expect("this is a checkout");
    let mut manifest: toml::Table = text.parse().expect("cargo reads it too");
    let workspace = manifest["workspace"].as_table_mut().expect("it is a workspace");
    workspace.remove("default-members");
    workspace.insert("members".into(), vec!["components/*/*"].into());
    let ours = workspace["dependencies"].as_table_mut().expect("a table");
    for (_, dependency) in ours.iter_mut() {
        if let Some(path) = dependency.get_mut("path") {
            let absolute = root.join(path.as_str().expect("a path is a string"));
            *path = absolute.to_string_lossy().into_owned().into();
        }
    }
    manifest.to_string()
}

fn put(folder: &Path, path: &str, text: &str) {
    write_if_changed(&folder.join(path), text.as_bytes()).expect("the target folder is writable");
}
