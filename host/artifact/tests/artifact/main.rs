//! Artifacts against hostile files, hostile registries, and the tools that others use: skopeo,
//! Debian's docker-registry and openssl, as they are installed.
#![allow(clippy::unwrap_used)]

mod archive;
mod hostile;
mod openssl;
mod peers;
mod registry;
mod signed;

use bytes::Bytes;
use nexus_artifact::{Artifact, Migration, Parts};

const FRAGMENT: &str = "[component.catalog]\nsource = \"catalog.wasm\"\n\
    key_value_stores = [\"default\"]\n";

/// A component that differs from others by `word`.
fn wasm(word: &str) -> Bytes {
    let text = format!(
        r#"(component
            (import "spin:key-value/key-value@3.0.0" (instance $store))
            (core module (import "word" "{word}" (func)))
            (export "wasi:http/handler@0.3.0" (instance $store)))"#
    );
    wat::parse_str(text).unwrap().into()
}

fn migration(number: u32) -> Migration {
    Migration { name: format!("{number:04}_step.sql"), sql: format!("select {number};\n") }
}

fn catalog(word: &str) -> Artifact {
    Artifact::build(Parts {
        component: "catalog",
        version: Some("1.0.0"),
        created: None,
        wasm: wasm(word),
        fragment: Some(FRAGMENT),
        migrations: vec![migration(1), migration(2)],
    })
    .unwrap()
}
