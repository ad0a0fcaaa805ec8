//! `nexus doctor`: everything that `up` would be told, and what to look at.

use super::UpOptions;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Stands in its help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 all is well; 1 something is wrong; 2 something is odd and may become wrong, or the \
command line is. Nothing is changed; what a check writes to try something it takes away again.
Of the developer's tools see `cargo xtask doctor`.";

#[derive(Debug, Args)]
pub struct DoctorOptions {
    #[command(flatten)]
    pub up: UpOptions,
    /// What to look at; default: all, and of a host what one that answers says
    #[arg(long, value_name = "WHAT", help_heading = "Doctor")]
    pub only: Option<Looked>,
    /// Folder in which backups are put, to see how old the newest is
    #[arg(long, value_name = "FOLDER", help_heading = "Doctor")]
    pub backups: Option<PathBuf>,
    /// Show also what is well
    #[arg(long, help_heading = "Doctor")]
    pub all: bool,
    /// Print JSON instead of a table
    #[arg(long, help_heading = "Doctor")]
    pub json: bool,
}

/// Which half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Looked {
    /// The machine, the settings, and what a host stands on
    Before,
    /// A host that runs, and its work
    Running,
}
