//! Under which licences we take the work of others, and which of it we do not take.

use crate::graph;

/// Permissive licences, by SPDX name. MPL-2.0 asks for its own files only.
const ALLOWED: [&str; 16] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OFL-1.1",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];
const ALLOWED_EXCEPTIONS: [&str; 1] = ["LLVM-exception"];

/// Packages whose manifest does not tell the whole truth: name, and why it may stay.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Packages we do without: one implementation of each kind is enough to keep up to date.
const UNWANTED: [(&str, &str); 6] = [
    ("aws-lc-rs", "TLS is rustls with ring"),
    ("aws-lc-sys", "TLS is rustls with ring"),
    ("native-tls", "TLS is rustls with ring"),
    ("openssl", "TLS is rustls with ring"),
    ("openssl-sys", "TLS is rustls with ring"),
    ("openssl-src", "TLS is rustls with ring"),
];

/// A second copy of one of these costs minutes of build and megabytes of program.
const ONE_COPY: [&str; 11] = [
    "aws-sdk-s3",
    "axum",
    "cranelift-codegen",
    "hyper",
    "redis",
    "rustls",
    "spin-sdk",
    "tokio",
    "tokio-postgres",
    "wasmtime",
    "wasmtime-wasi",
];

#[test]
fn every_dependency_has_a_permissive_licence() {
    let mut wrong = Vec::new();
    for package in graph::packages() {
        if EXCEPTIONS.iter().any(|(name, _)| *name == package.name.as_str()) {
            continue;
        }
        let licence = package.license.clone().unwrap_or_else(|| "none".into());
        if !is_permissive(&licence) {
            wrong.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    assert!(wrong.is_empty(), "not permissive:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_unwanted_is_compiled() {
    let packages = graph::packages();
    let found = UNWANTED.iter().filter(|(name, _)| packages.iter().any(|it| it.name == *name));
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "see `cargo tree -i <name>`: {found:?}");
}

#[test]
fn heavy_crates_are_compiled_once() {
    let packages = graph::packages();
    let mut twice = Vec::new();
    for name in ONE_COPY {
        let versions = packages.iter().filter(|it| it.name == name).map(|it| it.version.clone());
        let versions: Vec<_> = versions.collect();
        if versions.len() > 1 {
            twice.push(format!("{name}: {versions:?}"));
        }
    }
    assert!(twice.is_empty(), "see `cargo tree -d`: {twice:?}");
}

#[test]
fn an_expression_is_read_as_spdx_means_it() {
    let good = [
        "MIT",
        "MIT OR GPL-3.0-only",
        "GPL-2.0 OR (MIT AND Zlib)",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0-only",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "MIT/Apache-2.0",
        "Apache-2.0 / MIT",
    ];
    for licence in good {
        assert!(is_permissive(licence), "{licence}");
    }
    let bad = [
        "",
        "none",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "(MIT OR Apache-2.0) AND SSPL-1.0",
        "GPL-2.0 WITH Classpath-exception-2.0",
        "(MIT",
        "MIT MIT",
    ];
    for licence in bad {
        assert!(!is_permissive(licence), "{licence:?}");
    }
}

/// Whether a licence expression (SPDX 2.3, annex D) leaves us a permissive choice. What cannot
/// be read is not permissive.
fn is_permissive(expression: &str) -> bool {
    // `/` is how manifests wrote OR before cargo took SPDX.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any(&mut rest) == Some(true) && rest.is_empty()
}

fn any(words: &mut &[&str]) -> Option<bool> {
    let mut permissive = all(words)?;
    while take(words, "OR") {
        permissive |= all(words)?;
    }
    Some(permissive)
}

fn all(words: &mut &[&str]) -> Option<bool> {
    let mut permissive = one(words)?;
    while take(words, "AND") {
        permissive &= one(words)?;
    }
    Some(permissive)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    if take(words, "(") {
        let inside = any(words)?;
        return take(words, ")").then_some(inside);
    }
    let (name, rest) = words.split_first()?;
    *words = rest;
    let mut permissive = ALLOWED.contains(name);
    if take(words, "WITH") {
        let (exception, rest) = words.split_first()?;
        *words = rest;
        permissive &= ALLOWED_EXCEPTIONS.contains(exception);
    }
    Some(permissive)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    if *first == word {
        *words = rest;
    }
    *first == word
}
