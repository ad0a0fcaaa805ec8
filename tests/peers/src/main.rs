//! `peers <suite>`: starts our host and its peers, asks each of them the same in turn, and says
//! what it took: one JSON object a line, as `cargo xtask bench` reads them. Knows how servers are
//! started and asked; refuses to know what a good figure is.
//!
//! In a round everybody has short turns, so that a busy moment of the machine concerns all alike,
//! and ratios are of one round. What runs on the machine besides tells on answers a second, hardly
//! on microseconds of CPU for an answer (`…_cpu`).

mod calls;
mod cold;
mod database;
mod http;
mod isolation;
mod load;
mod ours;
mod process;
mod rows;
mod servers;
mod soak;
mod told;

use anyhow::{Result, bail};
use clap::Parser;
use std::path::{Path, PathBuf};

/// What is measured, and how thoroughly.
#[derive(Debug, Parser)]
pub struct Wanted {
    /// `http`, `isolation`, `cold`, `db`, `soak`; or `order`, which counts calls
    suite: String,
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// How long one server is asked one thing
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Connections
    #[arg(long, value_delimiter = ',', default_value = "16,64,256")]
    connections: Vec<u32>,
    /// Only these servers, by their word in the figures: `ours,serve,twin`
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these requests: `hello,echo`
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
    /// The folder into which `cargo xtask bench` installs `wasmtime` and Express
    #[arg(long, default_value = "target/peers")]
    tools: PathBuf,
    /// The host's program
    #[arg(long)]
    nexus: Option<PathBuf>,
    /// Whose calls are counted, with the names of its functions
    #[arg(long)]
    guest: Option<PathBuf>,
}

impl Wanted {
    fn server(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn case(&self, name: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|only| only == name)
    }

    fn nexus(&self) -> PathBuf {
        self.nexus.clone().unwrap_or_else(|| repository().join(".nexus/bin/nexus"))
    }
}

/// The repository's root.
fn repository() -> &'static Path {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.expect("this crate stands in tests/peers")
}

fn main() -> Result<()> {
    let wanted = Wanted::parse();
    match wanted.suite.as_str() {
        "http" => http::run(&wanted),
        "isolation" => isolation::run(&wanted),
        "cold" => cold::run(&wanted),
        "db" => rows::run(&wanted),
        "soak" => soak::run(&wanted),
        "order" => calls::run(&wanted),
        other => bail!("there is no suite {other:?}: http, isolation, cold, db, soak, order"),
    }
}
