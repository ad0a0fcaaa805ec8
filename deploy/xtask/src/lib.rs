//! Every developer command, one file each: what `cargo xtask` runs and what the tests ask.
//!
//! Knows the shape of this repository (folders, fragments, generated files) and the machine it
//! stands on. Refuses to know the host from inside: it builds it, starts it, and talks HTTP to it.

pub mod bench;
pub mod command_line;
pub mod demo;
pub mod docs;
pub mod doctor;
pub mod fragment;
pub mod guests;
pub mod http;
pub mod manifest;
pub mod order;
pub mod packages;
pub mod progress;
pub mod scaffold;
pub mod shell;
pub mod stage;
pub mod tidy;
pub mod toolchain;
pub mod up;
pub mod verify;
pub mod workspace;
