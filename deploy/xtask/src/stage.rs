//! `.nexus/`: where the host and the tests find what was built, wherever Cargo's target folder
//! is. A file is replaced only when its content changed, by rename, so that a running host keeps
//! the one it has and caches keyed by content stay warm.

use crate::workspace::{GuestKind, Member, Workspace, hex, write_if_changed};
use crate::{guests, progress};
use anyhow::{Context, Result, bail};
use nexus_layout::{Order, laid_out};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// What to build.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A component, a probe, or a native program; everything when absent.
    pub name: Option<String>,
    /// Native programs with the release profile.
    pub release: bool,
    /// Guests that only tests load, too.
    pub probes: bool,
}

/// The native programs: the host, and the workers that it starts.
const PROGRAMS: [&str; 2] = ["nexus", "nx-media"];

/// The host's program, as staged.
pub fn program(ws: &Workspace) -> PathBuf {
    ws.stage().join("bin/nexus")
}

/// Builds what is wanted and puts it in its place.
pub fn build(ws: &Workspace, wanted: &Wanted) -> Result<()> {
    let guests = chosen_guests(ws, wanted)?;
    let built = guests::build(ws, &guests)?;
    let mut changed = Vec::new();
    for guest in guests {
        if lay_out_if_changed(ws, &built[&guest.name], &place(ws, guest))? {
            changed.push(guest.wasm_name());
        }
    }
    let chosen = |name: &&str| wanted.name.as_deref().is_none_or(|only| only == *name);
    let programs: Vec<_> = PROGRAMS.into_iter().filter(chosen).collect();
    let built = guests::build_programs(ws, &programs, wanted.release)?;
    for (name, built) in programs.into_iter().zip(built) {
        if copy_if_changed(&built, &ws.stage().join("bin").join(name))? {
            changed.push(name);
        }
    }
    if !changed.is_empty() {
        eprintln!("    staged in .nexus/: {}", changed.join(", "));
    }
    Ok(())
}

/// The staged file of a guest.
pub fn place(ws: &Workspace, guest: &Member) -> PathBuf {
    let folder = match guest.guest() {
        Some(GuestKind::Probe) => "probes",
        _ => "components",
    };
    ws.stage().join(folder).join(format!("{}.wasm", guest.wasm_name()))
}

fn chosen_guests<'w>(ws: &'w Workspace, wanted: &Wanted) -> Result<Vec<&'w Member>> {
    let all = ws.guests();
    let Some(name) = &wanted.name else {
        let keep = |guest: &&Member| wanted.probes || guest.guest() == Some(GuestKind::Component);
        return Ok(all.into_iter().filter(keep).collect());
    };
    if PROGRAMS.contains(&name.as_str()) {
        return Ok(Vec::new());
    }
    let known: Vec<_> = all.iter().map(|guest| guest.name.as_str()).collect();
    let known = known.join(", ");
    let guest = all.into_iter().find(|guest| guest.name == *name || guest.wasm_name() == name);
    match guest {
        Some(guest) => Ok(vec![guest]),
        None => bail!("there is no guest {name}; there are {}, {known}", PROGRAMS.join(", ")),
    }
}

/// Puts a guest in its place with its functions in order; says whether it is another than before.
/// It is laid out only when it, or the order, has changed since: there are dozens of them.
fn lay_out_if_changed(ws: &Workspace, built: &Path, to: &Path) -> Result<bool> {
    let name = to.file_name().context("a staged file has a name")?;
    let note = ws.target.join("xtask/laid-out").join(name).with_extension("txt");
    let guest = fs::read(built).with_context(|| format!("read {}", built.display()))?;
    let order = Order::of_services();
    let noted = |staged: &[u8]| {
        let digests = [&guest, staged].map(|bytes| hex(&Sha256::digest(bytes)));
        format!("{:x}\n{}\n", order.fingerprint(), digests.join("\n"))
    };
    let before = fs::read(to).unwrap_or_default();
    if fs::read_to_string(&note).is_ok_and(|note| note == noted(&before)) {
        return Ok(false);
    }
    let laid_out =
        laid_out(&guest, &order).with_context(|| format!("lay out {}", built.display()))?;
    let changed = write_if_changed(to, &laid_out)?;
    write_if_changed(&note, noted(&laid_out).as_bytes())?;
    Ok(changed)
}

/// Copies when the contents differ; says whether they did.
fn copy_if_changed(from: &Path, to: &Path) -> Result<bool> {
    if same_content(from, to).with_context(|| format!("compare with {}", to.display()))? {
        return Ok(false);
    }
    let folder = to.parent().context("a staged file has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let part = to.with_extension(format!("part{}", std::process::id()));
    fs::copy(from, &part)
        .with_context(|| format!("copy {} to {}", from.display(), part.display()))?;
    fs::rename(&part, to).with_context(|| format!("rename to {}", to.display()))?;
    Ok(true)
}

fn same_content(from: &Path, to: &Path) -> std::io::Result<bool> {
    if !to.is_file() || fs::metadata(from)?.len() != fs::metadata(to)?.len() {
        return Ok(false);
    }
    let (mut new, mut old) = (File::open(from)?, File::open(to)?);
    let (mut new_part, mut old_part) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = new.read(&mut new_part)?;
        if length == 0 {
            return Ok(true);
        }
        old.read_exact(&mut old_part[..length])?;
        if new_part[..length] != old_part[..length] {
            return Ok(false);
        }
    }
}

/// `cargo xtask build`.
pub fn run(ws: &Workspace, wanted: &Wanted) -> Result<()> {
    let began = std::time::Instant::now();
    build(ws, wanted)?;
    eprintln!("built in {}", progress::spoken(began.elapsed()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equal_file_is_left_alone_and_a_changed_one_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("deep/to"));
        fs::write(&from, "one").expect("a file");
        assert!(copy_if_changed(&from, &to).expect("a first copy"));
        assert!(!copy_if_changed(&from, &to).expect("nothing to do"));
        fs::write(&from, "two").expect("a file");
        assert!(copy_if_changed(&from, &to).expect("a second copy"));
        assert_eq!(fs::read_to_string(&to).expect("the copy"), "two");
    }
}
