//! The rules of this repository that a program can see. One list, asked by `cargo xtask tidy`
//! and by the test of the same name. Each rule says what to do instead.

use crate::workspace::Workspace;
use crate::{docs, manifest};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

mod frozen;
mod layout;
mod sources;

pub use frozen::{bless, freeze};

/// What the rules found; each line is `path[:line]: words`.
#[derive(Debug, Default)]
pub struct Report {
    pub violations: Vec<String>,
    /// Worth a look; nobody is stopped.
    pub warnings: Vec<String>,
}

impl Report {
    fn violation(&mut self, place: impl std::fmt::Display, words: impl std::fmt::Display) {
        self.violations.push(format!("{place}: {words}"));
    }

    fn warning(&mut self, place: impl std::fmt::Display, words: impl std::fmt::Display) {
        self.warnings.push(format!("{place}: {words}"));
    }
}

/// `cargo xtask tidy`: prints what is wrong and fails when something is.
pub fn run(ws: &Workspace) -> Result<()> {
    let report = look(ws)?;
    for warning in &report.warnings {
        eprintln!("worth a look: {warning}");
    }
    for violation in &report.violations {
        println!("{violation}");
    }
    if !report.violations.is_empty() {
        bail!("{} rules are broken", report.violations.len());
    }
    Ok(())
}

/// Applies every rule.
pub fn look(ws: &Workspace) -> Result<Report> {
    let mut report = Report::default();
    let files = files(&ws.root)?;
    sources::check(&ws.root, &files, &mut report);
    layout::check(&ws.root, &files, &mut report)?;
    frozen::check(ws, &mut report)?;
    match manifest::staleness(ws) {
        Ok(stale) => report.violations.extend(stale),
        Err(error) => report.violations.push(format!("{error:#}")),
    }
    report.violations.extend(docs::staleness(ws)?);
    Ok(report)
}

/// Folders whose content is made or fetched, not written.
const NOT_OURS: [&str; 5] = [".git", ".nexus", "target", "node_modules", "wit/deps"];

/// Every file of the tree, relative to the root, sorted. Walks by itself rather than asking git,
/// so that an unpacked archive is checked like a checkout.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if NOT_OURS.iter().any(|skipped| path == Path::new(skipped) || path.ends_with(skipped))
            {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
