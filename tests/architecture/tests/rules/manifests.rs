//! The form of our crates: what every `Cargo.toml` says alike, what a component's may say.

use crate::graph;
use cargo_metadata::Package;
use std::fs;

/// What a crate inherits rather than says; one place to change it.
const INHERITED: [&str; 5] = ["edition", "license", "publish", "rust-version", "version"];

fn manifest(package: &Package) -> toml::Table {
    let text = fs::read_to_string(&package.manifest_path).expect("cargo has just read it");
    text.parse().expect("cargo has just parsed it")
}

/// Every member that `check` complains about.
#[track_caller]
fn check_all(check: impl Fn(&Package, &toml::Table) -> Option<String>) {
    let members = graph::workspace().packages;
    let complaints: Vec<_> = members
        .iter()
        .filter_map(|package| {
            let words = check(package, &manifest(package))?;
            Some(format!("{}/Cargo.toml: {words}", graph::folder(package)))
        })
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    check_all(|_, manifest| {
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
        (inherits != Some(true)).then(|| "add [lints] workspace = true".into())
    });
}

#[test]
fn every_crate_inherits_what_all_share() {
    check_all(|_, manifest| {
        let package = &manifest["package"];
        let own = INHERITED.iter().find(|key| {
            let value = package.get(**key).and_then(|value| value.get("workspace")?.as_bool());
            value != Some(true)
        })?;
        Some(format!("write {own}.workspace = true"))
    });
}

#[test]
fn a_service_is_named_as_its_folder_and_becomes_one_wasm() {
    check_all(|package, manifest| {
        let folder = graph::folder(package);
        let mut parts = folder.split('/');
        let (Some("components"), Some(domain), Some(name)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        if domain == "sdk" || name == "contract" || folder == "components/web/kit" {
            return None;
        }
        if package.name.as_str() != name {
            return Some(format!("the crate is named {}, the folder {name}", package.name));
        }
        let kinds = manifest.get("lib").and_then(|lib| lib.get("crate-type")?.as_array().cloned());
        let wasm = kinds.is_some_and(|kinds| kinds.iter().any(|it| it.as_str() == Some("cdylib")));
        (!wasm).then(|| "a service is crate-type = [\"cdylib\"]".into())
    });
}

#[test]
fn dependencies_are_versioned_in_one_place() {
    check_all(|package, manifest| {
        // A list of features that others' dependencies need, versions and all.
        if graph::folder(package) == "host/unify" {
            return None;
        }
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        let own = tables.iter().filter_map(|name| manifest.get(*name)?.as_table());
        let version = |value: &toml::Value| value.is_str() || value.get("version").is_some();
        let versioned = own.flatten().find(|(_, value)| version(value));
        versioned.map(|(name, _)| format!("{name}: its version belongs into the root Cargo.toml"))
    });
}
