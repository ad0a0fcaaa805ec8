//! The words one can type after `cargo xtask`, and what they mean. Knows every command's name;
//! refuses to know how any of them works.

use crate::bench::{self, Bench};
use crate::stage::{self, Wanted};
use crate::up::{self, Up};
use crate::workspace::Workspace;
use crate::{demo, docs, doctor, manifest, order, scaffold, tidy, verify};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

const TEACH: &str = "\
First time here:
  cargo xtask demo          everything: set-up, build, start, real answers, a film that plays
  cargo xtask test          everything: set-up, build, every test with real servers

A day's work:
  cargo xtask new commerce/catalog      a new service: one folder, one migration
  cargo test -p catalog                 its unit tests, natively, in seconds
  cargo xtask up                        build what changed and run the suite (Ctrl-C stops it)
  cargo xtask test catalog              every test whose name contains `catalog`
  cargo xtask tidy                      the rules that a program can see

Files: guests are built to .nexus/components/<name>.wasm and the host to .nexus/bin/nexus.
The host listens on 127.0.0.1:8080 (NEXUS_LISTEN), for operators on :8081 (NEXUS_ADMIN_LISTEN);
without DATABASE_URL and REDIS_URL it brings its own stores, kept in .nexus/ (NEXUS_HOME).";

/// Every chore of this repository
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = TEACH, version)]
pub struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Set up, build, start, walk through the first service, and take a film to its viewers
    ///
    /// Installs what is missing when it may (root and apt), builds guests and host, starts the
    /// host in the background and shows each step as the curl command that would do it. Then a
    /// creator registers, uploads a film, waits until it is processed, publishes and plays it.
    /// Stops at the first surprise and says where. Ends with the URLs to look at; `cargo xtask
    /// down` stops the host. Running it again takes another film the same way.
    Demo {
        /// A film of your own, instead of one that ffmpeg makes
        #[arg(long, value_name = "FILE")]
        video: Option<PathBuf>,
    },
    /// Build what changed, refresh spin.toml and start the host
    ///
    /// In the foreground until Ctrl-C, which lets open requests end. The host mints a
    /// development token at its start and says where it is.
    Up {
        /// Return as soon as the host is ready; its log is .nexus/host.log
        #[arg(long)]
        detach: bool,
        /// Run what spin.toml names, even where a newer revision was deployed
        #[arg(long)]
        from_manifest: bool,
        /// The optimised host (its build takes minutes)
        #[arg(long)]
        release: bool,
    },
    /// Stop the host that `up --detach` started
    Down,
    /// Build guests and host and put them where they are run from
    ///
    /// Guests are compiled for wasm32-wasip2 with the compiler that this machine has; `cargo
    /// xtask doctor` says which.
    Build {
        /// One component, one probe, or `nexus` for the host; all but probes when absent
        name: Option<String>,
        /// The optimised host
        #[arg(long)]
        release: bool,
        /// The guests that only tests load, too
        #[arg(long)]
        probes: bool,
    },
    /// Run every test, with real PostgreSQL, Redis and guests
    ///
    /// Prepares the machine, builds guests, host and test programs, then runs them with
    /// cargo-nextest where it is installed and with cargo test where it is not.
    Test {
        /// Only the tests whose name contains this
        filter: Option<String>,
    },
    /// What a build server runs: tidy, then every test
    Ci,
    /// Measure, in the optimised build, beside those whom one could take instead
    ///
    /// Peers are installed into target/peers; one that cannot be had is left out, with a word.
    /// Everybody has a turn in each round, and ratios are of one round: they say something of the
    /// code whatever the machine does besides, as microseconds of CPU for an answer do.
    Bench {
        /// One suite; all when absent. An unknown name lists those that exist
        suite: Option<String>,
        /// One JSON object a line instead of a table
        #[arg(long)]
        json: bool,
        /// Fail when a ratio is worse than in deploy/bench-baseline.json
        #[arg(long)]
        check: bool,
        /// Write this run's ratios there
        #[arg(long, conflicts_with = "check")]
        bless: bool,
        /// How often each figure is taken
        #[arg(long, default_value_t = 10)]
        runs: u32,
        /// The development build: quick to have, figures not comparable
        #[arg(long = "dev")]
        development: bool,
    },
    /// Count which functions services call most, which then stand together in every guest
    ///
    /// Writes host/layout/src/function-order.txt. To be run when the SDK, what it is built of or
    /// the compiler has changed: a name that is no longer there has no effect.
    Order,
    /// Begin a new service: its folder, its first migration, its place in spin.toml
    ///
    /// The name is the crate, the component, the database schema (with _ for -) and the
    /// permission prefix, so it is unique in the repository. `<domain>/contract` begins the
    /// crate in which the services of a domain tell the others their ids and events.
    New {
        /// <domain>/<service>, such as commerce/catalog
        name: String,
    },
    /// Join every component.toml into spin.toml
    Manifest {
        /// Only say whether spin.toml is fresh
        #[arg(long)]
        check: bool,
    },
    /// Render deploy/docs/reference from the code
    Docs {
        /// Only say what is stale
        #[arg(long)]
        check: bool,
    },
    /// Check the rules that a program can see
    ///
    /// Names, headers, lengths, frozen files, generated files. `cargo xtask test` checks them
    /// too, but this takes a second.
    Tidy {
        /// Record the checksums of new migrations; those recorded in HEAD stay as they are
        #[arg(long)]
        bless: bool,
        /// Declare a WIT folder released, such as nexus-blob@0.1.0; it never changes again
        #[arg(long, value_name = "FOLDER")]
        freeze: Option<String>,
    },
    /// Look at the machine; install what is missing when that is allowed
    ///
    /// Allowed means root and apt. Otherwise it prints the exact line to run. No service is
    /// started and no database cluster is made.
    Doctor {
        /// Change nothing
        #[arg(long)]
        look: bool,
    },
}

impl CommandLine {
    /// Does what was typed.
    pub fn run(self) -> Result<()> {
        let ws = Workspace::find()?;
        match self.chore {
            Chore::Demo { video } => demo::run(&ws, video.as_deref()),
            Chore::Up { detach, from_manifest, release } => {
                up::run(&ws, &Up { detach, from_manifest, release })
            }
            Chore::Down => up::down(&ws),
            Chore::Build { name, release, probes } => {
                doctor::ensure(&ws, doctor::Purpose::Build)?;
                stage::run(&ws, &Wanted { name, release, probes })
            }
            Chore::Test { filter } => verify::test(&ws, filter.as_deref()),
            Chore::Ci => verify::ci(&ws),
            Chore::Bench { suite, json, check, bless, runs, development } => {
                bench::run(&ws, &Bench { suite, runs, json, check, bless, development })
            }
            Chore::Order => order::run(&ws),
            Chore::New { name } => scaffold::run(&ws, &name),
            Chore::Manifest { check } => manifest::run(&ws, check),
            Chore::Docs { check } => docs::run(&ws, check),
            Chore::Tidy { bless, freeze } => {
                if let Some(folder) = freeze {
                    tidy::freeze(&ws, &folder)?;
                }
                if bless {
                    tidy::bless(&ws)?;
                }
                tidy::run(&ws)
            }
            Chore::Doctor { look } => doctor::run(&ws, look),
        }
    }
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    CommandLine::command().debug_assert();
}
