//! The commands that operate a running host: `queue`, `cron` and `jobs`, with their options and
//! their help. Refuses to know how a host is asked.

use clap::{Args, Subcommand};
use std::path::PathBuf;
use uuid::Uuid;

/// Of `queue`, `cron` and `jobs`; stands in their help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the host failed; 2 the command line is wrong, or there is no token; \
3 what was named is not there; 4 the host refuses; 5 no host answers.
Instants are RFC 3339 (2027-01-31T03:15:00Z) or an age: 90s, 15m, 2h, 7d ago.";

/// Which host, and who asks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Host")]
pub struct HostOptions {
    /// Address of the host's operators' API: an URL, or what the host listens on
    #[arg(
        long,
        env = "NEXUS_ADMIN_LISTEN",
        value_name = "URL",
        default_value = "127.0.0.1:8081",
        global = true
    )]
    pub admin: String,
    /// The operators' bearer token; default: `admin-token` of the home folder
    ///
    /// Prefer the variable: other users of the machine can read command lines.
    #[arg(
        long,
        env = "NEXUS_ADMIN_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        global = true
    )]
    pub admin_token: Option<String>,
    /// Folder of the host's state
    #[arg(
        long,
        env = "NEXUS_HOME",
        value_name = "FOLDER",
        default_value = ".nexus",
        global = true
    )]
    pub home: PathBuf,
    /// Print the answer of the API instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// Whom the host writes down as the one who did it
    #[arg(
        long,
        env = "USER",
        value_name = "NAME",
        default_value = "operator",
        global = true,
        hide_env_values = true
    )]
    pub by: String,
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
pub struct PageOptions {
    /// Lines of one page
    #[arg(long, value_name = "NUMBER", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Where to go on: what the page before has named
    #[arg(long, value_name = "CURSOR")]
    pub cursor: Option<String>,
}

#[derive(Debug, Args)]
pub struct QueueOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: QueueCommand,
}

/// A queue.
#[derive(Debug, Clone, Args)]
pub struct QueueName {
    /// The service whose queue it is; `media-native` for jobs
    pub service: String,
    /// The queue's name: of a subscription, its topic as written
    pub queue: String,
}

#[derive(Debug, Subcommand)]
pub enum QueueCommand {
    /// List queues with what is in them
    Ls {
        /// Only those of this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Show one queue: depth, settings, rates
    Show {
        #[command(flatten)]
        queue: QueueName,
    },
    /// Look at messages where they lie; nothing is taken out
    Peek {
        #[command(flatten)]
        queue: QueueName,
        /// Which: ready, deferred, leased or dead
        #[arg(long, value_name = "STATE", default_value = "ready",
            value_parser = ["ready", "deferred", "leased", "dead"])]
        state: String,
        /// Print payloads, too
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        page: PageOptions,
    },
    /// List dead letters, the latest first
    Dlq {
        /// Only those of this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// Only those of queues of this name
        #[arg(long, value_name = "NAME")]
        queue: Option<String>,
        #[command(flatten)]
        filter: DeadOptions,
        /// Print payloads, too
        #[arg(long)]
        payload: bool,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Send dead letters back to work, with all their attempts before them
    Redrive {
        #[command(flatten)]
        queue: QueueName,
        #[command(flatten)]
        which: WhichOptions,
        /// Spread them over time: messages per second
        #[arg(long, value_name = "NUMBER")]
        rate: Option<f64>,
    },
    /// Throw messages away for good
    Purge {
        #[command(flatten)]
        queue: QueueName,
        /// Which: dead, ready or deferred
        #[arg(long, value_name = "STATE", default_value = "dead",
            value_parser = ["dead", "ready", "deferred"])]
        state: String,
        #[command(flatten)]
        which: WhichOptions,
    },
    /// Hold messages back: the queue takes them and gives none
    Pause {
        #[command(flatten)]
        queue: QueueName,
    },
    /// Give messages again
    Resume {
        #[command(flatten)]
        queue: QueueName,
    },
}

/// Which dead letters; all that is given must hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filter")]
pub struct DeadOptions {
    /// Of this topic or pattern: `commerce.**`
    #[arg(long, value_name = "PATTERN")]
    pub topic: Option<String>,
    /// Of this tenant
    #[arg(long, value_name = "UUID")]
    pub tenant: Option<Uuid>,
    /// Whose last failure has these words
    #[arg(long, value_name = "WORDS")]
    pub reason: Option<String>,
    /// Dead since
    #[arg(long, value_name = "INSTANT")]
    pub since: Option<String>,
    /// Dead before
    #[arg(long, value_name = "INSTANT")]
    pub before: Option<String>,
}

/// Which messages, of an order that reaches many.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Filter")]
pub struct WhichOptions {
    /// The message of this id; may be repeated
    #[arg(long = "id", value_name = "UUID")]
    pub ids: Vec<Uuid>,
    #[command(flatten)]
    pub filter: DeadOptions,
    /// Every one
    #[arg(long, conflicts_with_all = ["ids", "topic", "tenant", "reason", "since", "before"])]
    pub all: bool,
    /// Only say how many there are
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct CronOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: CronCommand,
}

#[derive(Debug, Subcommand)]
pub enum CronCommand {
    /// List schedules with what is next
    Ls {
        /// Only those of this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Show when a schedule is due next
    Next {
        #[command(flatten)]
        schedule: ScheduleName,
        /// How many instants
        #[arg(long, value_name = "NUMBER", default_value_t = 10,
            value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
        /// By the clocks of this zone; default: the schedule's own
        #[arg(long, value_name = "ZONE")]
        zone: Option<String>,
    },
    /// Run a schedule once, now, paused or not
    Run {
        #[command(flatten)]
        schedule: ScheduleName,
        /// If an earlier run is not over: allow, skip, buffer_one, buffer_all, cancel_other
        #[arg(long, value_name = "WORD")]
        overlap: Option<String>,
    },
    /// Run a schedule for every instant of a stretch that lies behind
    Backfill {
        #[command(flatten)]
        schedule: ScheduleName,
        /// From this instant on
        #[arg(long, value_name = "INSTANT")]
        from: String,
        /// Before this instant
        #[arg(long, value_name = "INSTANT")]
        to: String,
        /// If an earlier run is not over; default: buffer_all, one after the other
        #[arg(long, value_name = "WORD")]
        overlap: Option<String>,
        /// Only show the instants
        #[arg(long)]
        dry_run: bool,
    },
    /// Fire no more until resumed
    Pause {
        #[command(flatten)]
        schedule: ScheduleName,
        /// Why, for whoever looks
        #[arg(long, value_name = "WORDS", default_value = "")]
        reason: String,
    },
    /// Fire again, from now on; what fell into the pause is not made up for
    Resume {
        #[command(flatten)]
        schedule: ScheduleName,
    },
    /// List runs and what became of them, the latest first
    History {
        #[command(flatten)]
        schedule: ScheduleName,
        #[command(flatten)]
        page: PageOptions,
    },
}

/// A schedule.
#[derive(Debug, Clone, Args)]
pub struct ScheduleName {
    /// Its id, or `service/name` of an entry of a manifest
    pub schedule: String,
}

#[derive(Debug, Args)]
pub struct JobsOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: JobsCommand,
}

#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List jobs of native workers, the newest first
    Ls {
        /// Only those that are queued, running, succeeded, failed or cancelled
        #[arg(long, value_name = "STATE",
            value_parser = ["queued", "running", "succeeded", "failed", "cancelled"])]
        state: Option<String>,
        /// Only those of this kind
        #[arg(long, value_name = "NAME")]
        kind: Option<String>,
        /// Only those of this service
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Show one job with its arguments and its output
    Show {
        /// The job
        id: Uuid,
    },
    /// Cancel a job: at once if it waits, otherwise its worker is asked to stop
    Cancel {
        /// The job
        id: Uuid,
    },
}
