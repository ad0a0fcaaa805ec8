//! `nexus init`: a component that builds, runs and has a test before a word of it is changed.
//! Inside a checkout of Nexus that is what `cargo xtask new` makes; anywhere else a folder of its
//! own, which plain cargo builds.

use super::Failure;
use super::table::{say, say_json};
use crate::config::{InitOptions, Template};
use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

const CARGO: &str = include_str!("../../templates/cargo.toml");
const SPIN: &str = include_str!("../../templates/spin.toml");
const LIB: &str = include_str!("../../templates/lib.rs.txt");
const GREETING: &str = include_str!("../../templates/greeting.rs.txt");
const NAMES: &str = include_str!("../../templates/names.rs.txt");
const HTTP: &str = include_str!("../../templates/http.rs.txt");
const QUEUE: &str = include_str!("../../templates/queue.rs.txt");
const CRON: &str = include_str!("../../templates/cron.rs.txt");
const README: &str = include_str!("../../templates/readme.md");
const TRIGGERS: &str = include_str!("../../../../wit/nexus-triggers@0.1.0/triggers.wit");

/// PostgreSQL cuts names after 63 bytes; `<schema>_something` should fit as well.
const NAME_BYTES_MAX: usize = 40;

/// Names that Rust, PostgreSQL or the host has already.
const TAKEN: [&str; 11] = [
    "alloc",
    "component",
    "core",
    "host",
    "nexus",
    "platform",
    "postgres",
    "proc-macro",
    "public",
    "std",
    "test",
];

pub(super) fn run(options: &InitOptions) -> Result<(), Failure> {
    let (domain, name) = names(&options.name).map_err(Failure::Setting)?;
    let here = std::env::current_dir().context("find the current folder")?;
    let inside = options.into.is_none().then(|| checkout(&here)).flatten();
    if let Some(root) = inside {
        return in_checkout(&root, options);
    }
    let folder = options.into.clone().unwrap_or_else(|| PathBuf::from(name));
    if folder.join("Cargo.toml").exists() || folder.join("spin.toml").exists() {
        return Err(Failure::Setting(anyhow!(
            "{} has a component already: choose another folder with --into",
            folder.display()
        )));
    }
    let files = files(domain, name, options.template);
    if !options.dry_run {
        write(&folder, &files)?;
    }
    tell(&folder, &files, options)
}

fn write(folder: &Path, files: &[(String, String)]) -> Result<()> {
    for (path, text) in files {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

fn tell(folder: &Path, files: &[(String, String)], options: &InitOptions) -> Result<(), Failure> {
    let paths: Vec<String> =
        files.iter().map(|(path, _)| folder.join(path).display().to_string()).collect();
    if options.json {
        let folder = folder.display().to_string();
        return say_json(&json!({ "folder": folder, "files": paths, "dry_run": options.dry_run }));
    }
    for path in &paths {
        say(&format!("{path}\n"))?;
    }
    if !options.dry_run {
        eprintln!("next: `cd {}`, then `nexus dev`", folder.display());
    }
    Ok(())
}

/// What `cargo xtask new` does knows this repository's rules.
fn in_checkout(root: &Path, options: &InitOptions) -> Result<(), Failure> {
    if options.template != Template::Http {
        return Err(Failure::Setting(anyhow!(
            "inside this repository a service begins with HTTP; add `events` or `cron` to its \
             `service!` and the same to its component.toml"
        )));
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["xtask", "new", &options.name]);
    if options.dry_run {
        return say(&format!("cargo xtask new {}\n", options.name));
    }
    let status = cargo.status().context("start `cargo xtask new`")?;
    match status.success() {
        true if options.json => say_json(
            &json!({ "folder": root.join("components").join(&options.name).display().to_string() }),
        ),
        true => Ok(()),
        false => {
            Err(Failure::Other(anyhow!("`cargo xtask new {}` failed ({status})", options.name)))
        }
    }
}

/// The checkout of Nexus that a folder stands in.
pub(super) fn checkout(folder: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| {
        folder.join("deploy/xtask/Cargo.toml").is_file() && folder.join("spin.toml").is_file()
    };
    folder.ancestors().find(is_root).map(Path::to_owned)
}

fn names(text: &str) -> Result<(&str, &str)> {
    let Some((domain, name)) = text.split_once('/') else {
        bail!("{text}: write <domain>/<name>, such as commerce/catalog");
    };
    for word in [domain, name] {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = word.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !word.chars().all(letters) || word.ends_with('-') || word.contains("--") {
            bail!("{word:?}: use lower-case letters, digits and single dashes");
        }
        if word.len() > NAME_BYTES_MAX {
            bail!("{word:?}: at most {NAME_BYTES_MAX} characters");
        }
    }
    if TAKEN.contains(&name) || name.starts_with("pg-") {
        bail!("{name}: the name has a meaning already (Rust, PostgreSQL or the host)");
    }
    Ok((domain, name))
}

/// Every file of a component of its own: path inside its folder, text.
fn files(domain: &str, name: &str, template: Template) -> Vec<(String, String)> {
    let snake = name.replace('-', "_");
    let topic = format!("{}.{snake}.asked.v1", domain.replace('-', "_"));
    let triggers = match template {
        Template::Http => String::new(),
        Template::Queue => format!("subscribe = [\"{topic}\"]\n"),
        Template::Cron => {
            "cron = [{ name = \"greet\", schedule = \"*/5 * * * *\", zone = \"UTC\" }]\n".into()
        }
    };
    let mut files = vec![
        ("Cargo.toml", CARGO.to_owned()),
        ("spin.toml", format!("{SPIN}{triggers}")),
        (".gitignore", "/target\n/.nexus\n*.oci.tar\n".into()),
        ("README.md", README.to_owned()),
        ("src/lib.rs", LIB.to_owned()),
        ("src/greeting.rs", decisions(template)),
        ("src/component.rs", component(template)),
    ];
    let export = match template {
        Template::Http => None,
        Template::Queue => Some("messages"),
        Template::Cron => Some("schedules"),
    };
    if let Some(export) = export {
        let world = format!(
            "package {domain}:{name};\n\nworld component {{\n  export \
             nexus:triggers/{export}@0.1.0;\n}}\n"
        );
        files.push(("wit/world.wit", world));
        files.push(("wit/deps/nexus-triggers/triggers.wit", TRIGGERS.to_owned()));
    }
    let title = title(name);
    let fill = |text: String| {
        text.replace("@domain@", domain).replace("@Title@", &title).replace("@snake@", &snake)
    };
    let files = files.into_iter();
    files.map(|(path, text)| (path.to_owned(), fill(text).replace("@name@", name))).collect()
}

fn title(name: &str) -> String {
    let mut title = name.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

fn decisions(template: Template) -> String {
    match template {
        Template::Queue => format!("{GREETING}{NAMES}"),
        _ => GREETING.to_owned(),
    }
}

/// The way in: HTTP, and what the template adds.
fn component(template: Template) -> String {
    let (ways, uses, more) = match template {
        Template::Http => return HTTP.to_owned(),
        Template::Queue => (
            "by HTTP, and by the events of a topic",
            "use crate::greeting::{greeting, name_in};\nuse \
             bindings::exports::nexus::triggers::messages::{Guest, Message, Outcome};\n",
            QUEUE,
        ),
        Template::Cron => (
            "by HTTP, and by a schedule",
            "use crate::greeting::greeting;\nuse \
             bindings::exports::nexus::triggers::schedules::{Guest, Outcome, Tick};\n",
            CRON,
        ),
    };
    let http = HTTP.replace("by HTTP", ways).replace("use crate::greeting::greeting;\n", uses);
    http + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_domain_and_is_kebab_case() {
        assert_eq!(names("shop/greeting").unwrap(), ("shop", "greeting"));
        let long = format!("shop/{}", "x".repeat(41));
        for wrong in
            ["greeting", "shop/Greeting", "shop/../x", "shop/a--b", "shop/pg-a", "shop/std"]
                .into_iter()
                .chain([&*long])
        {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_is_left_unfilled_and_the_manifest_is_one_that_the_host_reads() {
        for template in [Template::Http, Template::Queue, Template::Cron] {
            let files = files("shop", "price-list", template);
            for (path, text) in &files {
                let marks = ["@name@", "@domain@", "@Title@", "@snake@"];
                assert!(!marks.iter().any(|mark| text.contains(mark)), "{path}: {text}");
                let longest = text.lines().map(|line| line.chars().count()).max();
                assert!(longest <= Some(100), "{path}");
            }
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &files).unwrap();
            let read = nexus_runtime::Manifest::read(&folder.path().join("spin.toml"));
            let manifest = read.unwrap_or_else(|error| panic!("{template:?}: {error}"));
            assert_eq!(manifest.components[0].id.as_str(), "price-list");
        }
    }

    #[test]
    fn a_folder_inside_a_checkout_is_known_by_its_root() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("components/shop");
        std::fs::create_dir_all(folder.path().join("deploy/xtask")).unwrap();
        std::fs::create_dir_all(&inside).unwrap();
        assert_eq!(checkout(&inside), None);
        for file in ["deploy/xtask/Cargo.toml", "spin.toml"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        assert_eq!(checkout(&inside).as_deref(), Some(folder.path()));
    }
}
