//! The commands that look at what runs and try it: `status`, `tail`, `logs`, `invoke`,
//! `call-queue`, `run-cron`; and those about who may: `operators`, `audit`. Options and help;
//! refuses to know how a host is asked.

use super::operate::{HostOptions, PageOptions, ScheduleName};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Of `invoke`; stands in its help.
pub(crate) const INVOKE_CODES: &str = "\
Exit codes: 0 the component answered, with a status below 400; 1 the host failed; 2 the command \
line is wrong, or there is no token; 3 what was named is not there; 4 the host refuses; 5 no host \
answers; 8 the component answered with a status of 400 or above.";

/// Of `run-cron`; stands in its help.
pub(crate) const RUN_CODES: &str = "\
Exit codes: 0 done, or ordered when nobody waits; 1 the host failed; 2 the command line is wrong, \
or there is no token; 3 what was named is not there; 4 the host refuses; 5 no host answers; 7 the \
run was not over in time; 8 it did not succeed.";

/// Of `audit verify`; stands in its help.
pub(crate) const AUDIT_CODES: &str = "\
Exit codes: 0 done, and of `verify`: the chain is whole; 1 the host failed; 2 the command line is \
wrong, or there is no token; 3 what was named is not there; 4 the host refuses; 5 no host answers; \
9 the chain is broken.";

#[derive(Debug, Args)]
pub struct StatusOptions {
    /// Only this component, with more of it
    pub component: Option<String>,
    #[command(flatten)]
    pub host: HostOptions,
}

/// What a stream tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Topic {
    Invocations,
    Logs,
    Rollouts,
    Conditions,
}

#[derive(Debug, Args)]
pub struct TailOptions {
    /// Only this component
    pub component: Option<String>,
    /// What to show; default: invocations and logs
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "invocations,logs")]
    pub topics: Vec<Topic>,
    /// End after so many lines
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct LogsOptions {
    /// Only this component
    pub component: Option<String>,
    /// Only lines of this weight and above
    #[arg(long, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "error"])]
    pub level: Option<String>,
    /// Only lines since then
    #[arg(long, value_name = "INSTANT")]
    pub since: Option<String>,
    /// Go on with what comes
    #[arg(short = 'f', long)]
    pub follow: bool,
    #[command(flatten)]
    pub page: PageOptions,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct InvokeOptions {
    /// The component
    pub component: String,
    /// Path and query, as a client would ask: /api/catalog/v1/products?limit=2
    pub path: String,
    /// The method; default: GET, or POST with a body
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub method: Option<String>,
    /// The body; `@FILE` is a file's content, `-` what comes on stdin
    #[arg(short = 'd', long, value_name = "BODY", allow_hyphen_values = true)]
    pub body: Option<String>,
    /// A header, `name: value`; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// This revision, whether it has traffic or not
    #[arg(long, value_name = "NUMBER")]
    pub revision: Option<u32>,
    /// Print status and headers, too
    #[arg(short = 'i', long)]
    pub include: bool,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct CallQueueOptions {
    /// `service/queue`, or a topic, whose every subscription gets it
    #[arg(value_name = "TOPIC|SERVICE/QUEUE")]
    pub queue: String,
    /// The payload, JSON; `@FILE` is a file's content, `-` what comes on stdin
    #[arg(short = 'd', long, value_name = "JSON")]
    pub payload: String,
    /// The topic that stands on the message; default: the queue's name
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Sent again under the same key, it is the same message
    #[arg(long, value_name = "WORD")]
    pub key: Option<String>,
    /// Only say which queues would get it
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct RunCronOptions {
    #[command(flatten)]
    pub schedule: ScheduleName,
    /// If an earlier run is not over: allow, skip, buffer_one, buffer_all, cancel_other
    #[arg(long, value_name = "WORD")]
    pub overlap: Option<String>,
    /// Wait until the run is over; one that did not succeed ends with 8
    #[arg(long)]
    pub wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
    /// Only show the schedule's next instants
    #[arg(long, conflicts_with_all = ["overlap", "wait"])]
    pub dry_run: bool,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct OperatorsOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: OperatorsCommand,
}

/// What an operator may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Look at everything
    Viewer,
    /// Deploy, roll back, pause, redrive, run
    Operator,
    /// Everything
    Admin,
}

#[derive(Debug, Subcommand)]
pub enum OperatorsCommand {
    /// List who may operate this installation
    Ls,
    /// Let somebody in; prints the token, which nobody can show again
    Add {
        /// Name, as it stands in the audit trail
        name: String,
        /// What they may do
        #[arg(long, value_name = "ROLE", default_value = "viewer")]
        role: Role,
    },
    /// Let somebody in no more
    Rm {
        /// Name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct AuditOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: AuditCommand,
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List who did what, the latest first
    Ls {
        /// Only what this operator did
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// Only what was done to this: a component, a queue, an operator
        #[arg(long, value_name = "NAME")]
        subject: Option<String>,
        /// Only what ended so
        #[arg(long, value_name = "WORD")]
        outcome: Option<String>,
        /// Only what was done since
        #[arg(long, value_name = "INSTANT")]
        since: Option<String>,
        /// Only what was done before
        #[arg(long, value_name = "INSTANT")]
        before: Option<String>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Check that no entry was changed or taken out
    Verify,
    /// Write every entry, a line of JSON each
    Export {
        /// Into this file; default: stdout
        #[arg(short = 'o', long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}
