//! Which compiler makes wasm on this machine: the user's own, where it has the standard library
//! for the target, or Debian's `rustc-web`, which builds that library from its source and borrows
//! the user's linkers. `cargo xtask` chooses in the same order (`deploy/xtask/src/toolchain.rs`)
//! and can fetch what is missing; this only looks.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only target of components.
pub(super) const TARGET: &str = "wasm32-wasip2";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A way to build components that this machine has.
#[derive(Debug)]
pub(super) enum Toolchain {
    Own,
    /// With the folders of `wasm-component-ld` and `wasm-ld`.
    Debian(Vec<PathBuf>),
}

/// The way to take.
///
/// # Errors
///
/// When neither is there; the text says what to do.
pub(super) fn find() -> Result<Toolchain> {
    if has_target() {
        return Ok(Toolchain::Own);
    }
    match (Path::new(DEBIAN_WASI_LIBC).join("libc.a").is_file(), linkers()) {
        (true, Some(linkers)) if Path::new(DEBIAN_CARGO).is_file() => {
            Ok(Toolchain::Debian(linkers))
        }
        _ => bail!(
            "no compiler for {TARGET}: `rustup target add {TARGET}`, or on Debian 12 \
             `apt-get install rustc-web cargo-web rust-web-src wasi-libc`"
        ),
    }
}

fn has_target() -> bool {
    let folder = said("rustc", &["--print", "target-libdir", "--target", TARGET]);
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok());
    let mut names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("libstd-"))
}

/// Where the user's toolchain keeps its linkers.
fn linkers() -> Option<Vec<PathBuf>> {
    let sysroot = PathBuf::from(said("rustc", &["--print", "sysroot"])?);
    let version = said("rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let bin = sysroot.join("lib/rustlib").join(host).join("bin");
    let folders = vec![bin.clone(), bin.join("gcc-ld")];
    let has = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    (has("wasm-component-ld") && has("wasm-ld")).then_some(folders)
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

impl Toolchain {
    /// `cargo build` in a folder, with flags for the compiler besides, if there are any.
    pub(super) fn cargo_build(&self, folder: &Path, flags: &str) -> Command {
        let Self::Debian(linkers) = self else {
            let mut cargo = Command::new("cargo");
            cargo.current_dir(folder).arg("build");
            if !flags.is_empty() {
                cargo.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", flags);
            }
            return cargo;
        };
        let mut cargo = Command::new(DEBIAN_CARGO);
        cargo.current_dir(folder);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            // Where crates are kept and how they are fetched is the user's; all else that speaks
            // to a compiler speaks to the other one.
            let of_user = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_"];
            let of_user = of_user.iter().any(|start| text.starts_with(start));
            let speaks = ["CARGO", "RUST", "LD_LIBRARY_PATH"];
            if speaks.iter().any(|start| text.starts_with(start)) && !of_user {
                cargo.env_remove(&name);
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = linkers.iter().cloned().chain(std::env::split_paths(&path));
        cargo.env("PATH", std::env::join_paths(all).unwrap_or(path));
        // `-Z build-std` is not stable; this lets a stable compiler accept it.
        cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
        let libc = format!("-L native={DEBIAN_WASI_LIBC} -C link-self-contained=no {flags}");
        cargo.env("RUSTFLAGS", libc).args(["build", "-Z", "build-std=std,panic_abort"]);
        cargo
    }
}
