//! The commands that bring a component's revisions to its callers and take them back: `deploy`,
//! `promote`, `rollback`, `rollout`, `versions`, `traffic`, `freeze`, with their options and their
//! help. Refuses to know how a host is asked.

use super::operate::{HostOptions, PageOptions};
use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

/// Of every command that starts or follows a rollout; stands in their help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done, or ordered when nobody waits; 1 the host failed; 2 the command line is wrong, \
or there is no token; 3 what was named is not there; 4 the host refuses; 5 no host answers; \
6 the rollout was rolled back, failed or was aborted; 7 it was not over in time (it goes on).";

/// Of `traffic`; stands in its help.
pub(crate) const TRAFFIC_CODES: &str = "\
Exit codes: 0 done, or ordered when nobody waits; 1 the host failed; 2 the command line is wrong, \
or there is no token; 3 what was named is not there; 4 the host refuses; 5 no host answers; \
6 a host cannot serve it; 7 not every host had applied it in time (they go on).";

/// Waiting for a rollout.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Waiting")]
pub struct WaitOptions {
    /// Show what happens until it is over, and end with what became of it
    #[arg(long)]
    pub wait: bool,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600, requires = "wait",
        value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub timeout: u32,
}

/// How a revision comes to its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// In steps, each held against the revision before it; a bad one is rolled back
    Canary,
    /// All callers at once, after the checks and a probe on each host
    Instant,
    /// No caller: only who names the revision in `nexus-revision` reaches it
    Stage,
}

/// Steps and gates of a canary.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Strategy")]
pub struct StrategyOptions {
    /// How its callers come to it
    #[arg(long, value_name = "WORD", default_value = "canary")]
    pub strategy: Strategy,
    /// The share of calls at each step, in percent (0.01 is the least), growing
    #[arg(long, value_name = "PERCENT", value_delimiter = ',', default_value = "1,10,50,100",
        value_parser = share)]
    pub steps: Vec<u16>,
    /// How long each step is watched
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub step_seconds: u32,
    /// By how much its share of failed calls may be above that of the revision before, in percent;
    /// default: the host's
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub error_delta: Option<f64>,
    /// How many times as slow its 99th percentile may be; default: the host's
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub latency_ratio: Option<f64>,
    /// How many traps are too many; default: the host's
    #[arg(long, value_name = "NUMBER")]
    pub traps_max: Option<u32>,
    /// How many calls a step must have seen; probes make up for what is missing; default: the
    /// host's
    #[arg(long, value_name = "NUMBER")]
    pub samples_min: Option<u32>,
}

#[derive(Debug, Args)]
pub struct DeployOptions {
    /// An artifact's file (`.oci.tar`, `.wasm`), its digest (`sha256:…`) where the host has it, or
    /// its name in a registry
    #[arg(value_name = "ARTIFACT")]
    pub what: String,
    /// The component it becomes a revision of; default: the one that it names itself
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    #[command(flatten)]
    pub strategy: StrategyOptions,
    /// Why, for whoever looks
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub note: String,
    /// Deploy although the component is frozen; only administrators may
    #[arg(long)]
    pub override_freeze: bool,
    /// Let the host ask a registry over plain HTTP
    #[arg(long)]
    pub insecure: bool,
    /// Only say what would change; the artifact is stored all the same, which nobody sees
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: WaitOptions,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct PromoteOptions {
    /// A component, whose rollout under way is meant, or a rollout by its id
    #[arg(value_name = "COMPONENT|ROLLOUT")]
    pub what: String,
    /// Only say what would be promoted
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: WaitOptions,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct RollbackOptions {
    /// The component
    pub component: String,
    /// The revision to go back to; default: the last good one
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<u32>,
    /// Why, for whoever looks
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub reason: String,
    /// Only say which revision would have the calls, and what that would change
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: WaitOptions,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct RolloutOptions {
    #[command(flatten)]
    pub host: HostOptions,
    #[command(subcommand)]
    pub command: RolloutCommand,
}

#[derive(Debug, Subcommand)]
pub enum RolloutCommand {
    /// List rollouts, the newest first
    Ls {
        /// Only those of this component
        #[arg(long, value_name = "NAME")]
        component: Option<String>,
        #[command(flatten)]
        page: PageOptions,
    },
    /// Show one rollout with all that has happened
    #[command(after_help = EXIT_CODES)]
    Show {
        /// The rollout
        id: Uuid,
        #[command(flatten)]
        wait: WaitOptions,
    },
    /// Stay at this step until resumed
    Pause {
        /// The rollout
        id: Uuid,
        /// Why, for whoever looks
        #[arg(long, value_name = "WORDS", default_value = "")]
        reason: String,
    },
    /// Go on
    Resume {
        /// The rollout
        id: Uuid,
    },
    /// Give it up: its callers go back to the revision before
    #[command(after_help = EXIT_CODES)]
    Abort {
        /// The rollout
        id: Uuid,
        /// Why, for whoever looks
        #[arg(long, value_name = "WORDS", default_value = "")]
        reason: String,
        #[command(flatten)]
        wait: WaitOptions,
    },
}

#[derive(Debug, Args)]
pub struct VersionsOptions {
    /// The component
    pub component: String,
    #[command(flatten)]
    pub page: PageOptions,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct TrafficOptions {
    /// The component
    pub component: String,
    /// Shares by revision, in percent, that add up to 100: `7=90 8=10`; none shows what is
    #[arg(value_name = "REVISION=PERCENT", value_parser = weight)]
    pub weights: Vec<(u32, u16)>,
    /// Why, for whoever looks
    #[arg(long, value_name = "WORDS", default_value = "", requires = "weights")]
    pub reason: String,
    /// Only say what would change
    #[arg(long, requires = "weights", conflicts_with = "wait")]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: WaitOptions,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct FreezeOptions {
    /// The component; without one, all of them
    pub component: Option<String>,
    /// Why, for whoever looks
    #[arg(long, value_name = "WORDS")]
    pub reason: String,
    #[command(flatten)]
    pub host: HostOptions,
}

#[derive(Debug, Args)]
pub struct UnfreezeOptions {
    /// The component whose freeze ends; without one, that of all of them
    pub component: Option<String>,
    #[command(flatten)]
    pub host: HostOptions,
}

/// A share of calls, per 10,000, from percent.
fn share(text: &str) -> Result<u16, String> {
    let parts = percent(text)? * 100.0;
    let whole = parts.round();
    if (parts - whole).abs() > 1e-6 || whole < 1.0 {
        return Err("a share is a multiple of 0.01 percent, above 0".into());
    }
    // Between 1 and 10,000, by the checks above.
    Ok(whole as u16)
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    match (0.0..=100.0).contains(&number) {
        true => Ok(number),
        false => Err("it is between 0 and 100".into()),
    }
}

fn factor(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text} is no number"))?;
    match (1.0..=1_000.0).contains(&number) {
        true => Ok(number),
        false => Err("it is between 1 and 1000".into()),
    }
}

fn weight(text: &str) -> Result<(u32, u16), String> {
    let (number, part) = text.split_once('=').ok_or("write it like 7=90")?;
    let number = number.parse().map_err(|_| format!("{number} is no revision's number"))?;
    let part = if part == "0" { 0 } else { share(part)? };
    Ok((number, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_as_people_write_them() {
        for (text, parts) in [("1", 100), ("0.01", 1), ("99.99", 9_999), ("100", 10_000)] {
            assert_eq!(share(text), Ok(parts), "{text}");
        }
        for wrong in ["0", "0.001", "100.1", "-1", "NaN", "half", ""] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert_eq!(weight("7=90"), Ok((7, 9_000)));
        assert_eq!(weight("8=0"), Ok((8, 0)));
        assert!(weight("7").is_err() && weight("x=1").is_err() && weight("7=").is_err());
    }
}
