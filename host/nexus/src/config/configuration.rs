//! The commands that configure components: `config` for values, `secret` for what nobody is to
//! read. Options and help; refuses to know how a host is asked.

use super::operate::{HostOptions, PageOptions};
use super::rollout::WaitOptions;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `config` and `secret`; stands in their help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done, or ordered when nobody waits; 1 the host failed; 2 the command line is wrong, \
or there is no token; 3 what was named is not there; 4 the host refuses; 5 no host answers; \
6 what was applied was rolled back, failed or was aborted; 7 it was not over in time (it goes on).
What is set takes effect with `nexus config apply`: the component gets a new revision of what it \
runs, and rolling that back restores what was configured. The component `_` is all of them.
A value comes from the first of: NEXUS_VARIABLE_<NAME>, SPIN_VARIABLE_<NAME>, \
NEXUS_CONFIGURATION_FILE, NEXUS_CONFIGURATION_FOLDERS, Vault (VAULT_ADDR), what was set here, the \
manifest's default.";

#[derive(Debug, Args)]
pub struct ConfigOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// Why something is done.
#[derive(Debug, Clone, Args)]
pub struct ReasonOptions {
    /// Why, for the history
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
}

/// Whether what is set takes effect, too.
#[derive(Debug, Clone, Copy, Args)]
#[command(mut_arg("wait", |wait| wait.requires("apply")))]
pub struct ForceOptions {
    /// Put it in force at once
    #[arg(long)]
    pub apply: bool,
    #[command(flatten)]
    pub wait: WaitOptions,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// List the variables of a component, and where their values come from
    Ls {
        /// The component; `_` is all of them
        component: String,
    },
    /// Print the value of a variable, and nothing else
    Get {
        /// The component; `_` is all of them
        component: String,
        /// The variable
        name: String,
    },
    /// Set a variable
    #[command(after_help = EXIT_CODES)]
    Set {
        /// The component; `_` is all of them
        component: String,
        /// The variable
        name: String,
        /// The value; for secrets see `nexus secret set`
        value: String,
        #[command(flatten)]
        why: ReasonOptions,
        #[command(flatten)]
        force: ForceOptions,
    },
    /// Take the value of a variable away; the next source's holds
    Unset {
        /// The component; `_` is all of them
        component: String,
        /// The variable
        name: String,
    },
    /// Show what differs between two versions
    Diff {
        /// The component; `_` is all of them
        component: String,
        /// Default: what runs
        #[arg(long, value_name = "VERSION")]
        from: Option<u64>,
        /// Default: the newest
        #[arg(long, value_name = "VERSION")]
        to: Option<u64>,
    },
    /// List the changes, the latest first
    Versions {
        /// The component; `_` is all of them
        component: String,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Put what is set in force: a new revision of what the component runs
    #[command(after_help = EXIT_CODES)]
    Apply {
        /// The component; `_` is all of them
        component: String,
        #[command(flatten)]
        why: ReasonOptions,
        /// Only say what would be put in force
        #[arg(long, conflicts_with = "wait")]
        dry_run: bool,
        #[command(flatten)]
        wait: WaitOptions,
    },
}

#[derive(Debug, Args)]
pub struct SecretOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Set a secret from a file or from standard input, without its last line end
    ///
    /// Never from the command line, which other users of the machine can read.
    #[command(after_help = EXIT_CODES)]
    Set {
        /// The component; `_` is all of them
        component: String,
        /// The variable
        name: String,
        /// Read it from this file [default: standard input]
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        why: ReasonOptions,
        #[command(flatten)]
        force: ForceOptions,
    },
    /// List the secrets of a component: which are set, by whom and when
    Ls {
        /// The component; `_` is all of them
        component: String,
    },
    /// Put every secret under the current root key
    Rotate,
    /// Take a secret away
    Unset {
        /// The component; `_` is all of them
        component: String,
        /// The variable
        name: String,
    },
}
