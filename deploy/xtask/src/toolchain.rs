//! Which compiler builds the guests, chosen by what the machine has. Knows the two ways that
//! work; refuses to know what is built with them.
//!
//! 1. The user's own toolchain, when it has the standard library for `wasm32-wasip2`; where it
//!    comes from rustup and the library is missing, rustup is asked for it, once.
//! 2. Debian's `rustc-web`, a compiler with the library's source: cargo builds the library first
//!    (`-Z build-std`), links Debian's `wasi-libc`, and borrows the linkers of the user's
//!    toolchain. This serves a machine with a Debian mirror but no way to rustup's server.

use crate::shell;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The only target of our guests.
pub const TARGET: &str = "wasm32-wasip2";

/// Debian's packages for the second way.
pub const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "wasi-libc"];

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// rustup fetches about 25 MB; where its server cannot be reached it usually fails at once.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// Forces one way, to test it: `rustup` or `debian`.
const CHOICE: &str = "NEXUS_GUEST_TOOLCHAIN";

/// A way to build guests that this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestToolchain {
    Own,
    /// `linkers`: the folders that hold `wasm-component-ld` and `wasm-ld`.
    Debian {
        linkers: Vec<PathBuf>,
    },
}

impl GuestToolchain {
    /// A `cargo build` for guests, to which the caller adds packages and profile.
    pub fn cargo_build(&self, ws: &Workspace) -> Command {
        let mut cargo = match self {
            Self::Own => {
                let mut cargo = shell::cargo(&ws.root);
                cargo.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", nexus_layout::RUSTFLAGS);
                cargo
            }
            Self::Debian { linkers } => debian_cargo(&ws.root, linkers),
        };
        cargo.arg("build");
        if matches!(self, Self::Debian { .. }) {
            cargo.args(["-Z", "build-std=std,panic_abort"]);
        }
        // Not the host's target folder: both builds may run at once, and neither compiler
        // throws away what the other made.
        cargo.args(["--target", TARGET, "--target-dir"]).arg(ws.target.join("guests"));
        cargo
    }

    pub fn describe(&self) -> &'static str {
        match self {
            Self::Own => "own toolchain, wasm32-wasip2",
            Self::Debian { .. } => "Debian's rustc-web, standard library from source",
        }
    }
}

/// The toolchain to use, without changing anything on the machine.
///
/// # Errors
///
/// When neither way is there; the text says what each of them lacks.
pub fn find(ws: &Workspace) -> Result<GuestToolchain> {
    let choice = std::env::var(CHOICE).unwrap_or_default();
    let own = match choice.as_str() {
        "debian" => Err(format!("{CHOICE} says debian")),
        _ => own(),
    };
    let own_lacks = match own {
        Ok(()) => return Ok(GuestToolchain::Own),
        Err(lacks) => lacks,
    };
    let debian = match choice.as_str() {
        "rustup" => Err(format!("{CHOICE} says rustup")),
        _ => debian(&ws.rust_version),
    };
    match debian {
        Ok(linkers) => Ok(GuestToolchain::Debian { linkers }),
        Err(debian_lacks) => {
            bail!("no compiler for {TARGET}: own toolchain: {own_lacks}; Debian's: {debian_lacks}")
        }
    }
}

/// Asks rustup for the target, unless it was asked before with this compiler and could not.
pub fn ask_rustup(ws: &Workspace) -> Result<()> {
    if shell::find("rustup").is_none() {
        bail!("rustup is not installed");
    }
    let compiler = shell::first_line("rustc", &["--version"]).unwrap_or_default();
    let refused = refusal_note(ws);
    if fs::read_to_string(&refused).is_ok_and(|text| text.trim() == compiler) {
        bail!("rustup could not fetch it before ({} remembers)", refused.display());
    }
    let log = ws.target.join("xtask/rustup.log");
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).current_dir(&ws.root);
    let asked = shell::run_into(&mut rustup, &log, RUSTUP_LIMIT);
    if asked.is_err() {
        crate::workspace::write_if_changed(&refused, compiler.as_bytes())?;
    }
    asked
}

/// Forgets that rustup failed, so that the next call asks again.
pub fn forget_refusal(ws: &Workspace) {
    // Nothing to forget is as good as forgotten.
    let _absent = fs::remove_file(refusal_note(ws));
}

fn refusal_note(ws: &Workspace) -> PathBuf {
    ws.target.join("xtask/rustup-could-not")
}

fn own() -> Result<(), String> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let folder = shell::capture(&mut rustc).map_err(|error| error.to_string())?;
    let standard_library = fs::read_dir(folder.trim()).into_iter().flatten().flatten();
    let has = standard_library
        .map(|entry| entry.file_name())
        .any(|name| name.to_string_lossy().starts_with("libstd-"));
    if has { Ok(()) } else { Err("its standard library is not installed".into()) }
}

/// The linkers' folders, when everything that the second way needs is there.
fn debian(rust_version: &str) -> Result<Vec<PathBuf>, String> {
    let version = shell::first_line(DEBIAN_RUSTC, &["--version"]);
    let Some(version) = version else {
        return Err(format!("{DEBIAN_RUSTC} is missing"));
    };
    if !at_least(&version, rust_version) {
        return Err(format!("{version} is older than {rust_version}"));
    }
    let sysroot = shell::first_line(DEBIAN_RUSTC, &["--print", "sysroot"]).unwrap_or_default();
    let source = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    let archive = Path::new(DEBIAN_WASI_LIBC).join("libc.a");
    for needed in [Path::new(DEBIAN_CARGO), &source, &archive] {
        if !needed.is_file() {
            return Err(format!("{} is missing", needed.display()));
        }
    }
    linkers().ok_or_else(|| "no wasm-component-ld and wasm-ld beside rustc or on PATH".into())
}

/// Where the user's toolchain keeps its wasm linkers; a distribution may have them on PATH.
fn linkers() -> Option<Vec<PathBuf>> {
    let sysroot = shell::first_line("rustc", &["--print", "sysroot"]);
    let host = shell::capture(Command::new("rustc").arg("-vV")).ok();
    let host = host.as_deref().and_then(|text| text.lines().find_map(|l| l.strip_prefix("host: ")));
    if let (Some(sysroot), Some(host)) = (sysroot, host) {
        let bin = Path::new(&sysroot).join("lib/rustlib").join(host).join("bin");
        let folders = [bin.clone(), bin.join("gcc-ld")];
        let has = |program: &str| folders.iter().any(|dir| dir.join(program).is_file());
        if has("wasm-component-ld") && has("wasm-ld") {
            return Some(folders.to_vec());
        }
    }
    let both = shell::find("wasm-component-ld").is_some() && shell::find("wasm-ld").is_some();
    both.then(Vec::new)
}

fn debian_cargo(root: &Path, linkers: &[PathBuf]) -> Command {
    let mut cargo = Command::new(DEBIAN_CARGO);
    cargo.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        // Where crates are kept and how they are fetched is the user's; all else that speaks to
        // a compiler speaks to the other one.
        let of_user = text == "CARGO_HOME" || text.starts_with("CARGO_NET_");
        let of_user = of_user || text.starts_with("CARGO_HTTP_");
        let speaks = ["CARGO", "RUST", "LD_LIBRARY_PATH"].iter().any(|it| text.starts_with(it));
        if speaks && !of_user {
            cargo.env_remove(&name);
        }
    }
    cargo.env("PATH", path_with(linkers));
    cargo.env("RUSTC", DEBIAN_RUSTC);
    // `-Z build-std` is not stable; this lets a stable compiler accept it.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    let libc = format!("-L native={DEBIAN_WASI_LIBC} -C link-self-contained=no");
    cargo.env("RUSTFLAGS", format!("{libc} {}", nexus_layout::RUSTFLAGS));
    cargo
}

fn path_with(first: &[PathBuf]) -> OsString {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let all = first.iter().cloned().chain(std::env::split_paths(&rest));
    std::env::join_paths(all).unwrap_or(rest)
}

/// Whether the first number of `text` that looks like a version is `least` or newer.
pub fn at_least(text: &str, least: &str) -> bool {
    let numbers = |version: &str| -> Vec<u32> {
        let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
        version.split('.').map_while(|part| digits(part).parse().ok()).collect()
    };
    let word =
        text.split([' ', '=', ':', ')']).find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
    word.is_some_and(|word| numbers(word) >= numbers(least))
}

#[test]
fn versions_compare_as_numbers_wherever_a_program_prints_them() {
    assert!(at_least("rustc 1.96.0 (ac68faa20 2026-05-25)", "1.95"));
    assert!(!at_least("rustc 1.63.0", "1.95"));
    assert!(at_least("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "15"));
    assert!(at_least("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", "5.1"));
    assert!(!at_least("ffmpeg version 4.4", "5.1"));
    assert!(at_least("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0", "0"));
    assert!(!at_least("no version here", "0"));
}
