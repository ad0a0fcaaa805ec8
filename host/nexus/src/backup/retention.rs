//! Which of many backups in one folder are kept: the newest of each of so many days, and of each of
//! so many weeks. Knows their names; opens only the oldest that stays, to learn from where on the
//! server's log is needed.

use super::check::Backup;
use super::{Archive, Given, recover};
use anyhow::{Context as _, Result};
use jiff::civil::DateTime;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub daily: usize,
    pub weekly: usize,
}

/// What was taken away.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pruned {
    pub backups: Vec<String>,
    /// Parts of the server's log that no backup needs any more.
    pub log_parts: usize,
}

/// The name of a backup that is made now. Names sort as their instants do.
pub fn name(now: jiff::Timestamp) -> String {
    format!("nexus-{}.nxb", now.strftime("%Y-%m-%dT%H%M%SZ"))
}

/// When a backup of this name was made: only what was named by [`name`], or by its day as the
/// units of earlier versions did, is ever taken away.
fn instant(name: &str) -> Option<DateTime> {
    let text = name.strip_prefix("nexus-")?.strip_suffix(".nxb")?;
    let whole = DateTime::strptime("%Y-%m-%dT%H%M%SZ", text);
    let day = || jiff::civil::Date::strptime("%Y-%m-%d", text).map(|day| day.at(0, 0, 0, 0));
    whole.or_else(|_| day()).ok()
}

impl Keep {
    /// Of these names, the ones that stay. The newest always does.
    fn of<'a>(self, names: &'a [String]) -> BTreeSet<&'a str> {
        let mut known: Vec<(DateTime, &str)> =
            names.iter().filter_map(|name| Some((instant(name)?, name.as_str()))).collect();
        known.sort();
        let mut kept: BTreeSet<&str> = known.last().map(|(_, name)| *name).into_iter().collect();
        let (mut days, mut weeks) = (BTreeSet::new(), BTreeSet::new());
        for (at, name) in known.iter().rev() {
            let week = at.date().iso_week_date();
            if days.len() < self.daily && days.insert(at.date()) {
                kept.insert(name);
            }
            if weeks.len() < self.weekly && weeks.insert((week.year(), week.week())) {
                kept.insert(name);
            }
        }
        kept
    }
}

/// Takes away what is not kept of the backups beside `made`, which stays in any case, and of the
/// server's log what the oldest that stays does not need.
pub fn prune(made: &Path, keep: Keep, archive: Option<&Archive>, given: &Given) -> Result<Pruned> {
    let folder = made.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let shown = folder.display();
    let entries = fs::read_dir(folder).with_context(|| format!("list {shown}"))?;
    let names: std::io::Result<Vec<String>> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let names = names.with_context(|| format!("list {shown}"))?;
    let kept = keep.of(&names);
    let mut pruned = Pruned::default();
    for name in names.iter().filter(|name| instant(name).is_some()) {
        let file = folder.join(name);
        if !kept.contains(name.as_str()) && file != made {
            fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
            pruned.backups.push(name.clone());
        }
    }
    pruned.backups.sort();
    if let (Some(archive), Some(oldest)) = (archive, kept.first()) {
        pruned.log_parts = forget(archive, &folder.join(oldest), given)?;
    }
    Ok(pruned)
}

fn forget(archive: &Archive, oldest: &PathBuf, given: &Given) -> Result<usize> {
    let backup = Backup::open(oldest, given);
    let backup = backup.with_context(|| format!("open {}", oldest.display()))?;
    match recover::base(&backup) {
        Ok(base) => archive.forget_before(&base.wal),
        // Made before the log was kept: there is nothing older to forget.
        Err(_) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(names: &[&str], daily: usize, weekly: usize) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| format!("nexus-{name}.nxb")).collect();
        let kept = Keep { daily, weekly }.of(&names);
        kept.into_iter().map(|n| n[6..n.len() - 4].to_owned()).collect()
    }

    #[test]
    fn the_newest_of_each_day_and_week_stays() {
        let names = [
            "2027-01-10",
            "2027-01-17T031500Z",
            "2027-01-20T031500Z",
            "2027-01-21T031500Z",
            "2027-01-22T031500Z",
            "2027-01-22T151500Z",
        ];
        assert_eq!(kept(&names, 2, 0), ["2027-01-21T031500Z", "2027-01-22T151500Z"]);
        let weeks = ["2027-01-10", "2027-01-17T031500Z", "2027-01-22T151500Z"];
        assert_eq!(kept(&names, 0, 3), weeks);
        assert_eq!(kept(&names, 1, 2), weeks[1..]);
        assert_eq!(kept(&names, 0, 0), weeks[2..], "the newest stays whatever is asked");
    }

    #[test]
    fn what_was_named_by_somebody_else_is_never_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let mine = name("2027-01-31T03:15:00Z".parse().unwrap());
        assert_eq!(mine, "nexus-2027-01-31T031500Z.nxb");
        let others = ["before-the-fair.nxb", "nexus-2027.nxb", "nexus-2027-01-01.nxb.part"];
        for name in others.iter().copied().chain(["nexus-2027-01-01.nxb", &mine]) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let given = Given::passphrase("correct horse battery").unwrap();
        let made = folder.path().join(&mine);
        let pruned = prune(&made, Keep { daily: 1, weekly: 1 }, None, &given).unwrap();
        assert_eq!(pruned.backups, ["nexus-2027-01-01.nxb"]);
        assert!(others.iter().all(|name| folder.path().join(name).exists()));
        assert!(made.exists());
    }
}
