//! Where the outside WIT packages (`spin:*`) come from: the published `spin-sdk` package.
//!
//! Each capability's `build.rs` includes this file by `#[path]`, so that a plain `cargo build`
//! needs no step before it. It copies the packages asked for into `wit/deps/` (not committed),
//! where `bindgen!` reads them at a fixed relative path. It knows where cargo keeps sources; it
//! refuses to know what is inside a package.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// Copies `packages` (folder names such as `spin-postgres@4.2.0`) into the workspace's
/// `wit/deps/` and returns that folder. Files that are equal already are left alone; the others
/// are replaced by rename, so that build scripts running side by side never see half a file.
///
/// # Panics
///
/// When `spin-sdk` cannot be found and `wit/deps` does not hold the packages: a build script
/// has no other way to say so.
pub fn outside_wit(packages: &[&str]) -> PathBuf {
    let workspace = workspace();
    let deps = workspace.join("wit/deps");
    println!("cargo:rerun-if-changed={}", workspace.join("Cargo.lock").display());
    println!("cargo:rerun-if-changed={}", workspace.join("wit/outside.rs").display());
    let Some(sdk) = spin_sdk(&workspace) else {
        let missing: Vec<_> = packages.iter().filter(|p| !deps.join(p).is_dir()).collect();
        assert!(missing.is_empty(), "spin-sdk is not downloaded: run `cargo fetch` ({missing:?})");
        return deps;
    };
    for package in packages {
        let (from, to) = (sdk.join("wit/deps").join(package), deps.join(package));
        copy_folder(&from, &to).unwrap_or_else(|e| {
            panic!("copy {} to {}: {e}", from.display(), to.display());
        });
    }
    deps
}

fn workspace() -> PathBuf {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.ancestors().find(|dir| dir.join("wit/outside.rs").is_file());
    root.expect("a crate that includes wit/outside.rs lies below wit's parent").to_path_buf()
}

/// The unpacked package of the version that `Cargo.lock` names: first where cargo unpacks
/// registry sources, then wherever `cargo metadata` says (a vendored or a path source), at last
/// with the network, because a build of the host alone does not download what only guests use.
fn spin_sdk(workspace: &Path) -> Option<PathBuf> {
    let lock = fs::read_to_string(workspace.join("Cargo.lock")).ok()?;
    let (_, entry) = lock.split_once("name = \"spin-sdk\"\nversion = \"")?;
    let folder = format!("spin-sdk-{}", entry.split_once('"')?.0);
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    let sources = home.and_then(|home| fs::read_dir(home.join("registry/src")).ok());
    let unpacked = sources.into_iter().flatten().flatten().map(|dir| dir.path().join(&folder));
    unpacked
        .into_iter()
        .find(|dir| dir.join("wit/deps").is_dir())
        .or_else(|| by_metadata(workspace, &["--offline"]))
        .or_else(|| by_metadata(workspace, &[]))
}

fn by_metadata(workspace: &Path, extra: &[&str]) -> Option<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(extra)
        .current_dir(workspace)
        .output()
        .ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    // Build scripts should need no JSON crate; the only value wanted is one path per package.
    text.split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| Path::new(rest.split('"').next()?).parent().map(Path::to_path_buf))
        .find(|dir| {
            let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            name.starts_with("spin-sdk") && dir.join("wit/deps").is_dir()
        })
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
            continue;
        }
        println!("cargo:rerun-if-changed={}", target.display());
        let text = fs::read(entry.path())?;
        if fs::read(&target).is_ok_and(|old| old == text) {
            continue;
        }
        // Not `.wit`: what a killed build leaves behind must not be read as a second copy.
        let part = target.with_extension(format!("part{}", std::process::id()));
        fs::write(&part, &text)?;
        // An old time, or cargo would take the copy for a change made after this script ran.
        let modified = fs::metadata(entry.path())?.modified()?;
        fs::File::options().write(true).open(&part)?.set_modified(modified)?;
        fs::rename(&part, &target)?;
    }
    Ok(())
}
