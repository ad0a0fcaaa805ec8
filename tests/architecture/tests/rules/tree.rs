//! The rules about files, asked of the same code as `cargo xtask tidy`: generated files fresh,
//! released files frozen, headers, names, lengths.

use crate::graph;
use xtask::tidy;
use xtask::workspace::Workspace;

#[test]
fn tidy_finds_nothing() {
    let ws = Workspace::open(&graph::root()).expect("this is a checkout");
    let report = tidy::look(&ws).expect("the tree can be read");
    assert!(report.violations.is_empty(), "\n{}", report.violations.join("\n"));
}
