//! `cargo xtask new`: a service's one folder and its first migration, from the pattern that every
//! service follows; and a context's contract, in which its services tell the others their ids and
//! events. The result compiles, runs and has a test; its author then changes the words.

use crate::workspace::{Workspace, read_toml, write_if_changed};
use crate::{manifest, progress, shell};
use anyhow::{Result, bail};
use std::collections::BTreeSet;

/// The pattern: path inside the repository, text. `@service@` is the name as written, `@schema@`
/// the same with `_`, `@Title@` a heading.
const PATTERN: [(&str, &str); 6] = [
    ("components/@domain@/@service@/Cargo.toml", include_str!("../templates/cargo.toml")),
    ("components/@domain@/@service@/component.toml", include_str!("../templates/component.toml")),
    ("components/@domain@/@service@/src/lib.rs", include_str!("../templates/lib.rs.txt")),
    ("components/@domain@/@service@/src/domain.rs", include_str!("../templates/domain.rs.txt")),
    ("components/@domain@/@service@/src/store.rs", include_str!("../templates/store.rs.txt")),
    ("migrations/@service@/0001_item.sql", include_str!("../templates/0001_item.sql")),
];

/// The service name that stands for a context's contract.
const CONTRACT: &str = "contract";

/// The pattern of a contract.
const CONTRACT_PATTERN: [(&str, &str); 2] = [
    ("components/@domain@/contract/Cargo.toml", include_str!("../templates/contract.toml")),
    ("components/@domain@/contract/src/lib.rs", include_str!("../templates/contract.rs.txt")),
];

/// Schemas that PostgreSQL or the host has, and names that Rust has.
const TAKEN: [&str; 13] = [
    "alloc",
    "core",
    "host",
    "information-schema",
    "nexus",
    "platform",
    "postgres",
    "proc-macro",
    "public",
    "sdk",
    "std",
    "test",
    "wit",
];

/// PostgreSQL cuts names after 63 bytes; `<schema>_something` should fit as well.
const NAME_BYTES_MAX: usize = 40;

/// Makes `<domain>/<service>`, or a contract, and refreshes `spin.toml`.
pub fn run(ws: &Workspace, name: &str) -> Result<()> {
    let Some((domain, service)) = name.split_once('/') else {
        bail!("{name}: write <domain>/<service>, such as commerce/catalog");
    };
    check(ws, domain, service)?;
    for (path, text) in files(domain, service) {
        write_if_changed(&ws.root.join(&path), text.as_bytes())?;
        eprintln!("  {path}");
    }
    let ws = progress::stage("join it into Cargo.lock and spin.toml", || {
        let mut cargo = shell::cargo(&ws.root);
        shell::capture(cargo.args(["metadata", "--format-version", "1"]))?;
        Workspace::open(&ws.root)
    })?;
    if service == CONTRACT {
        eprintln!(
            "\nNext: put your ids and events into src/lib.rs; a service takes them with\n\
             \x20 {domain}-contract = {{ path = \"../contract\" }}     in its Cargo.toml"
        );
        return Ok(());
    }
    manifest::run(&ws, false)?;
    eprintln!(
        "\nNext: put your words into src/, then\n\
         \x20 cargo test -p {service}\n\
         \x20 cargo xtask up\n\
         \x20 cargo xtask tidy --bless     when the migration is final"
    );
    if !ws.root.join("components").join(domain).join(CONTRACT).is_dir() {
        eprintln!(
            "\x20 cargo xtask new {domain}/{CONTRACT}     when others shall know its ids or events"
        );
    }
    Ok(())
}

fn fill(text: &str, domain: &str, service: &str) -> String {
    let mut title = service.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.replace("@domain@", domain)
        .replace("@service@", service)
        .replace("@schema@", &service.replace('-', "_"))
        .replace("@Title@", &title)
}

/// One word everywhere: it has to be free everywhere.
fn check(ws: &Workspace, domain: &str, service: &str) -> Result<()> {
    for (what, name) in [("domain", domain), ("service", service)] {
        if !is_kebab(name) {
            bail!("{what} {name:?}: use lower-case letters, digits and single dashes");
        }
        if name.len() > NAME_BYTES_MAX {
            bail!("{what} {name:?}: at most {NAME_BYTES_MAX} characters");
        }
    }
    if domain == "sdk" {
        bail!("components/sdk is what all services share; choose another domain");
    }
    if service == CONTRACT {
        return check_contract(ws, domain);
    }
    if TAKEN.contains(&service) || service.starts_with("pg-") {
        bail!("{service}: the name has a meaning already (Rust, PostgreSQL or the host)");
    }
    if let Some(member) = ws.member(service) {
        bail!("{service}: {} has this name already", member.folder);
    }
    if ws.root.join("migrations").join(service).exists() {
        bail!("{service}: migrations/{service} exists already");
    }
    if dependencies(ws)?.contains(service) {
        bail!("{service}: a crate we depend on has this name, and `cargo -p` could not tell them");
    }
    Ok(())
}

fn check_contract(ws: &Workspace, domain: &str) -> Result<()> {
    let name = format!("{domain}-{CONTRACT}");
    if let Some(member) = ws.member(&name) {
        bail!("{name}: it is there already, in {}", member.folder);
    }
    if dependencies(ws)?.contains(&name) {
        bail!("{name}: a crate we depend on has this name, and `cargo -p` could not tell them");
    }
    Ok(())
}

fn dependencies(ws: &Workspace) -> Result<BTreeSet<String>> {
    let lock = ws.root.join("Cargo.lock");
    if !lock.is_file() {
        return Ok(BTreeSet::new());
    }
    let lock = read_toml(&lock)?;
    let packages = lock.get("package").and_then(|it| it.as_array()).into_iter().flatten();
    let names = packages.filter_map(|it| it.get("name")?.as_str().map(str::to_owned));
    Ok(names.collect())
}

fn is_kebab(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// Every file of the pattern for one service or contract, filled in.
pub fn files(domain: &str, service: &str) -> Vec<(String, String)> {
    let filled =
        |(path, text): &(&str, &str)| (fill(path, domain, service), fill(text, domain, service));
    let pattern: &[_] = if service == CONTRACT { &CONTRACT_PATTERN } else { &PATTERN };
    pattern.iter().map(filled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fragment::Fragment;
    use crate::workspace::Member;

    fn workspace() -> Workspace {
        let root = tempfile::tempdir().expect("a temporary folder").keep();
        let catalog = Member {
            name: "catalog".into(),
            folder: "components/commerce/catalog".into(),
            kinds: vec!["cdylib".into()],
        };
        let contract = Member {
            name: "home-contract".into(),
            folder: "components/home/contract".into(),
            kinds: vec!["lib".into()],
        };
        Workspace {
            target: root.join("target"),
            root,
            version: "0.1.0".into(),
            rust_version: "1.95".into(),
            members: vec![catalog, contract],
        }
    }

    #[test]
    fn a_name_must_be_free_and_kebab_case() {
        let ws = workspace();
        let lock = "[[package]]\nname = \"time\"\nversion = \"1\"\n";
        write_if_changed(&ws.root.join("Cargo.lock"), lock.as_bytes()).expect("a file");
        assert!(check(&ws, "commerce", "price-list").is_ok());
        assert!(check(&ws, "commerce", "contract").is_ok(), "there is none yet");
        let cases = [
            ("commerce", "PriceList", "lower-case letters"),
            ("commerce", "price--list", "lower-case letters"),
            ("commerce", "../x", "lower-case letters"),
            ("sdk", "price", "what all services share"),
            ("home", "contract", "it is there already, in components/home/contract"),
            ("commerce", "platform", "has a meaning already"),
            ("commerce", "pg-dump", "has a meaning already"),
            ("commerce", "catalog", "components/commerce/catalog has this name already"),
            ("commerce", "time", "a crate we depend on"),
            ("commerce", &"x".repeat(41), "at most 40"),
        ];
        for (domain, service, words) in cases {
            let error = check(&ws, domain, service).expect_err(service).to_string();
            assert!(error.contains(words), "{service}: {error}");
        }
        std::fs::remove_dir_all(&ws.root).expect("removed");
    }

    #[test]
    fn nothing_is_left_unfilled_and_the_fragment_is_valid() {
        let service = files("commerce", "price-list").into_iter();
        for (path, text) in service.chain(files("commerce", "contract")) {
            assert!(!path.contains('@') && !text.contains('@'), "{path}: {text}");
            if path.ends_with("component.toml") {
                let fragment = Fragment::parse(&path, &text, "price-list").expect("it is valid");
                assert_eq!(fragment.routes, ["/api/price-list/..."]);
            }
            if path.ends_with(".sql") {
                assert!(text.contains("create table price_list.item"), "{text}");
            }
        }
    }
}
