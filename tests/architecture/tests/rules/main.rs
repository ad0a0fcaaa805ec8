//! The rules of ARCHITECTURE.md that a program can see. Reads what cargo says about the
//! workspace; refuses to read the code itself, which is `cargo xtask tidy`'s.

mod dependencies;
mod graph;
mod licences;
mod manifests;
mod scaffold;
mod tree;
