//! The commands of somebody who writes a component: `init`, `dev`, `completions`. Options and help.

use super::UpOptions;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Of `init`; stands in its help.
pub(crate) const INIT_CODES: &str = "\
Exit codes: 0 made; 1 it could not be written; 2 the name cannot be one, or is taken.
The link by which the first administrator of an installation comes in: nexus setup-link";

/// Of `dev`; stands in its help.
pub(crate) const DEV_CODES: &str = "\
Exit codes: 0 stopped as asked; 1 failed; 2 the command line or a setting is wrong; 3 another host \
uses the address.";

/// What a new component answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// Requests
    Http,
    /// Requests and the events of a topic
    Queue,
    /// Requests and a schedule
    Cron,
}

#[derive(Debug, Args)]
pub struct InitOptions {
    /// The context and the component's name, such as commerce/catalog
    #[arg(value_name = "DOMAIN/NAME")]
    pub name: String,
    /// What it answers to
    #[arg(long, value_name = "KIND", default_value = "http")]
    pub template: Template,
    /// The folder to make; default: the name. Inside this repository, it has its place
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    /// Only list the files
    #[arg(long)]
    pub dry_run: bool,
    /// Print the files as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DevOptions {
    /// A component's folder with its spin.toml, or a checkout of Nexus itself; everything is looked
    /// for as if started there
    #[arg(default_value = ".", value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Folder of what cargo makes; default: as `nexus build` has it
    #[arg(long, env = "NEXUS_BUILD_TARGET", value_name = "FOLDER")]
    pub target_dir: Option<PathBuf>,
    #[command(flatten)]
    pub up: Box<UpOptions>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// The shell
    pub shell: Shell,
}
