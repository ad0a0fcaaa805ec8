//! `build`: its options and its help.

use clap::Args;
use std::path::PathBuf;

/// Of `build`; stands in its help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 built; 1 it does not compile, or is none that hosts take; 2 the command line is \
wrong, or no compiler for wasm32-wasip2 is there; 3 there is no such component.";

#[derive(Debug, Args)]
pub struct BuildOptions {
    /// A component's folder, or inside a checkout of Nexus its name
    #[arg(default_value = ".", value_name = "FOLDER|NAME")]
    pub what: PathBuf,
    /// The artifact's file; default: `<component>.oci.tar` in the component's folder, of a checkout
    /// in `.nexus/artifacts`
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Folder of what cargo makes; default: cargo's own
    #[arg(long, env = "NEXUS_BUILD_TARGET", value_name = "FOLDER")]
    pub target_dir: Option<PathBuf>,
    /// Print what was made as JSON
    #[arg(long)]
    pub json: bool,
}
