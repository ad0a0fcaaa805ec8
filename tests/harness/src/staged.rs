//! Where the repository is, and the guests and workers that `cargo xtask build` has staged in it.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the harness stands in tests/harness")
}

/// A staged probe guest by its folder's name.
///
/// # Panics
///
/// When it is not staged.
pub fn probe(name: &str) -> PathBuf {
    staged("probes", name)
}

/// A staged component by its id.
///
/// # Panics
///
/// When it is not staged.
pub fn component(name: &str) -> PathBuf {
    staged("components", name)
}

/// The program of all native workers, if it is staged.
pub(crate) fn worker() -> Option<PathBuf> {
    let program = repository().join(".nexus/bin/nx-media");
    program.is_file().then_some(program)
}

fn staged(folder: &str, name: &str) -> PathBuf {
    let file = repository().join(".nexus").join(folder).join(format!("{name}.wasm"));
    assert!(file.is_file(), "{} is missing: run cargo xtask build --probes", file.display());
    file
}
