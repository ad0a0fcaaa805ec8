//! Files that never change once they are released: migrations, because they have run somewhere,
//! and WIT folders, because components were built against them. Knows only their checksums.

use super::Report;
use crate::workspace::{Workspace, hex, read, write_if_changed};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const MIGRATIONS: &str = "migrations/CHECKSUMS";
const WIT: &str = "wit/FROZEN";

/// The platform's own tables belong to the host, not to a service.
const PLATFORM: &str = "platform";

/// A line is `sha256  name`, as `sha256sum` writes it.
type Checksums = BTreeMap<String, String>;

pub(super) fn check(ws: &Workspace, report: &mut Report) -> Result<()> {
    let recorded = recorded(&ws.root.join(MIGRATIONS))?;
    let present = migrations(&ws.root)?;
    for (name, sum) in &present {
        match recorded.get(name) {
            None => report.violation(
                format!("migrations/{name}"),
                "is not recorded; run `cargo xtask tidy --bless` when it is final",
            ),
            Some(old) if old != sum => report.violation(
                format!("migrations/{name}"),
                "was recorded and has changed; a migration that has run is corrected by the next",
            ),
            Some(_) => {}
        }
    }
    for name in recorded.keys().filter(|name| !present.contains_key(*name)) {
        report.violation(format!("migrations/{name}"), "was recorded and is gone");
    }
    numbers(present.keys(), report);
    owners(ws, &present, report);
    for (name, sum) in recorded_wit(&ws.root)? {
        match folder_sum(&ws.root.join("wit").join(&name)) {
            Ok(now) if now == sum => {}
            Ok(_) => report.violation(
                format!("wit/{name}"),
                "was released and has changed; additions go into a new version's folder",
            ),
            Err(_) => report.violation(format!("wit/{name}"), "was released and is gone"),
        }
    }
    Ok(())
}

/// `tidy --bless`: records every migration that is not recorded yet, and corrects those that no
/// commit has recorded. What HEAD has recorded stays.
pub fn bless(ws: &Workspace) -> Result<()> {
    let present = migrations(&ws.root)?;
    let fixed = committed(ws);
    let mut sums = fixed.clone();
    for (name, sum) in present {
        sums.entry(name).or_insert(sum);
    }
    let news = sums.len() - fixed.len();
    write_if_changed(&ws.root.join(MIGRATIONS), lines(&sums).as_bytes())?;
    eprintln!("{MIGRATIONS}: {} recorded, {news} of them since HEAD", sums.len());
    Ok(())
}

/// `tidy --freeze`: declares one WIT folder released.
pub fn freeze(ws: &Workspace, folder: &str) -> Result<()> {
    let name = folder.trim_start_matches("wit/").trim_end_matches('/');
    if !name.contains('@') {
        bail!("{folder}: a released folder is named package@version");
    }
    let sum = folder_sum(&ws.root.join("wit").join(name))?;
    let mut sums = recorded_wit(&ws.root)?;
    if let Some(old) = sums.get(name)
        && *old != sum
    {
        bail!("wit/{name} was released already, with other content; make a new version's folder");
    }
    sums.insert(name.into(), sum);
    write_if_changed(&ws.root.join(WIT), lines(&sums).as_bytes())?;
    Ok(())
}

/// Without git nothing can be told apart, so all that is recorded is fixed.
fn committed(ws: &Workspace) -> Checksums {
    match ws.git(&["rev-parse", "--is-inside-work-tree"]) {
        Some(_) => {
            let text = ws.git(&["show", &format!("HEAD:{MIGRATIONS}")]).unwrap_or_default();
            parse(&text)
        }
        None => recorded(&ws.root.join(MIGRATIONS)).unwrap_or_default(),
    }
}

/// Each service counts from 0001 without a gap, and says in words what a file does.
fn numbers<'n>(names: impl Iterator<Item = &'n String>, report: &mut Report) {
    let mut next: BTreeMap<&str, u32> = BTreeMap::new();
    for name in names {
        let Some((service, file)) = name.split_once('/') else {
            report.violation(format!("migrations/{name}"), "belongs into its service's folder");
            continue;
        };
        let expected = next.entry(service).or_insert(1);
        let prefix = format!("{expected:04}_");
        if file.strip_prefix(&prefix).is_none_or(|words| !is_snake(words.trim_end_matches(".sql")))
        {
            let words = format!("should be named {prefix}what_it_does.sql");
            report.violation(format!("migrations/{name}"), words);
        }
        *expected += 1;
    }
}

fn is_snake(words: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !words.is_empty() && words.chars().all(good)
}

fn owners(ws: &Workspace, present: &Checksums, report: &mut Report) {
    let folders: BTreeSet<_> = present.keys().filter_map(|name| name.split('/').next()).collect();
    for folder in folders {
        let owned = ws.member(folder).is_some_and(|member| member.guest().is_some());
        if folder != PLATFORM && !owned {
            let words = "no component has this name, so nobody owns this schema";
            report.violation(format!("migrations/{folder}"), words);
        }
    }
}

fn migrations(root: &Path) -> Result<Checksums> {
    let mut sums = Checksums::new();
    let folder = root.join("migrations");
    for service in fs::read_dir(&folder).into_iter().flatten().flatten() {
        if !service.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(service.path()).context("list a service's migrations")? {
            let path = file.context("list a service's migrations")?.path();
            let numbered = path.file_name().is_some_and(|name| name != "schema.sql");
            if path.extension().is_some_and(|it| it == "sql") && numbered {
                let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                let name = path.strip_prefix(&folder).unwrap_or(&path);
                sums.insert(name.to_string_lossy().into_owned(), hex(&Sha256::digest(bytes)));
            }
        }
    }
    Ok(sums)
}

/// One checksum over the names and contents of a folder's files.
fn folder_sum(folder: &Path) -> Result<String> {
    let list = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut sum = Sha256::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = read(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sum.update(format!("{name}\0{}\0{text}", text.len()));
    }
    Ok(hex(&sum.finalize()))
}

fn recorded(file: &Path) -> Result<Checksums> {
    if file.is_file() { Ok(parse(&read(file)?)) } else { Ok(Checksums::new()) }
}

fn recorded_wit(root: &Path) -> Result<Checksums> {
    recorded(&root.join(WIT))
}

fn parse(text: &str) -> Checksums {
    let pairs = text.lines().filter_map(|line| line.split_once("  "));
    pairs.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}

fn lines(sums: &Checksums) -> String {
    sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;
    use std::process::Command;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().to_path_buf();
        let catalog = Member {
            name: "catalog".into(),
            folder: "components/commerce/catalog".into(),
            kinds: vec!["cdylib".into()],
        };
        let ws = Workspace {
            target: root.join("target"),
            root,
            version: "0.1.0".into(),
            rust_version: "1.95".into(),
            members: vec![catalog],
        };
        (folder, ws)
    }

    fn put(ws: &Workspace, path: &str, text: &str) {
        write_if_changed(&ws.root.join(path), text.as_bytes()).expect("a file");
    }

    fn violations(ws: &Workspace) -> Vec<String> {
        let mut report = Report::default();
        check(ws, &mut report).expect("it can be read");
        report.violations
    }

    #[track_caller]
    fn says(ws: &Workspace, words: &str) {
        let found = violations(ws);
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
    }

    #[test]
    fn a_recorded_migration_neither_changes_nor_goes_away() {
        let (_folder, ws) = workspace();
        put(&ws, "migrations/catalog/0001_product.sql", "create table catalog.product ();");
        says(&ws, "is not recorded");
        bless(&ws).expect("it is recorded");
        assert!(violations(&ws).is_empty());
        put(&ws, "migrations/catalog/0001_product.sql", "create table catalog.thing ();");
        says(&ws, "was recorded and has changed");
        bless(&ws).expect("without git everything recorded is fixed");
        says(&ws, "was recorded and has changed");
        fs::remove_file(ws.root.join("migrations/catalog/0001_product.sql")).expect("removed");
        says(&ws, "was recorded and is gone");
    }

    #[test]
    fn what_no_commit_has_recorded_may_be_recorded_anew() {
        let (_folder, ws) = workspace();
        let git = |arguments: &[&str]| {
            let git = Command::new("git").args(arguments).current_dir(&ws.root).output();
            assert!(git.expect("git runs").status.success(), "git {arguments:?}");
        };
        git(&["init", "-q"]);
        put(&ws, "migrations/catalog/0001_product.sql", "create table catalog.a ();");
        bless(&ws).expect("it is recorded");
        put(&ws, "migrations/catalog/0001_product.sql", "create table catalog.b ();");
        bless(&ws).expect("it is recorded anew");
        assert!(violations(&ws).is_empty());
        git(&["add", "-A"]);
        git(&["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first"]);
        put(&ws, "migrations/catalog/0001_product.sql", "create table catalog.c ();");
        bless(&ws).expect("the commit stands");
        says(&ws, "was recorded and has changed");
    }

    #[test]
    fn numbers_have_no_gap_and_folders_have_an_owner() {
        let (_folder, ws) = workspace();
        put(&ws, "migrations/catalog/0001_product.sql", "");
        put(&ws, "migrations/catalog/0003_price.sql", "");
        put(&ws, "migrations/nobody/0001_x.sql", "");
        put(&ws, "migrations/platform/0001_outbox.sql", "");
        bless(&ws).expect("they are recorded");
        let found = violations(&ws).join("\n");
        assert!(found.contains("0003_price.sql: should be named 0002_what_it_does.sql"));
        assert!(found.contains("migrations/nobody: no component has this name"));
        assert_eq!(found.lines().count(), 2, "{found}");
    }

    #[test]
    fn a_released_wit_folder_is_frozen() {
        let (_folder, ws) = workspace();
        put(&ws, "wit/nexus-blob@0.1.0/blob.wit", "package nexus:blob@0.1.0;");
        assert!(violations(&ws).is_empty(), "what is not released may change");
        freeze(&ws, "wit/nexus-blob@0.1.0").expect("it is released");
        assert!(violations(&ws).is_empty());
        put(&ws, "wit/nexus-blob@0.1.0/blob.wit", "package nexus:blob@0.1.0; interface x {}");
        says(&ws, "wit/nexus-blob@0.1.0: was released and has changed");
        assert!(freeze(&ws, "nexus-blob@0.1.0").is_err(), "it cannot be released twice");
    }
}
