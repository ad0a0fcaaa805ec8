//! The commands of the binary, one file each, and what their outcome means as an exit code.

mod audit;
mod backup;
mod build;
mod compile;
mod completions;
mod config;
mod cron;
mod dev;
mod doctor;
mod host_api;
mod invoke;
mod jobs;
mod keys;
mod operators;
mod push;
mod queue;
mod restore;
mod rollout;
mod scaffold;
mod secret;
mod setup_link;
mod status;
mod table;
mod token;
mod up;
mod watch;

use crate::config::Command;
use crate::home::HomeError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// The start or the service failed.
const FAILED: u8 = 1;
/// The command line or a setting is wrong (clap uses the same number).
const MISUSED: u8 = 2;
/// Another host uses the home folder or the address.
const IN_USE: u8 = 3;

/// How a command can end badly.
#[derive(Debug)]
pub enum Failure {
    /// A setting is wrong: starting again will not help.
    Setting(anyhow::Error),
    /// A host has said no, or none was there; with the exit code that the help names.
    Told { words: String, code: u8 },
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// What a person is told.
    fn words(&self) -> String {
        match self {
            Self::Setting(error) | Self::Other(error) => format!("{error:#}"),
            Self::Told { words, .. } => words.clone(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Runs a command to its end.
pub fn run(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Up(options) => up::run(*options),
        Command::Compile(options) => compile::run(options),
        Command::SetupLink(options) => setup_link::run(&options),
        Command::Init(options) => scaffold::run(&options),
        Command::Dev(options) => dev::run(*options),
        Command::Build(options) => build::run(&options),
        Command::Push(options) => push::push(&options),
        Command::Pull(options) => push::pull(&options),
        Command::Keys(options) => keys::run(&options),
        Command::Deploy(options) => rollout::deploy(&options),
        Command::Promote(options) => rollout::promote(&options),
        Command::Rollback(options) => rollout::rollback(&options),
        Command::Rollout(options) => rollout::run(&options),
        Command::Versions(options) => rollout::versions(&options),
        Command::Traffic(options) => rollout::traffic(&options),
        Command::Freeze(options) => rollout::freeze(&options),
        Command::Unfreeze(options) => rollout::unfreeze(&options),
        Command::Status(options) => status::run(&options),
        Command::Tail(options) => watch::tail(&options),
        Command::Logs(options) => watch::logs(&options),
        Command::Invoke(options) => invoke::invoke(&options),
        Command::CallQueue(options) => invoke::call_queue(&options),
        Command::RunCron(options) => cron::run_once(&options),
        Command::Doctor(options) => match doctor::run(*options) {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Config(options) => config::run(&options),
        Command::Secret(options) => secret::run(&options),
        Command::Operators(options) => operators::run(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Completions(options) => completions::run(&options),
        Command::Token(options) => token::run(options),
        Command::Queue(options) => queue::run(options),
        Command::Cron(options) => cron::run(options),
        Command::Jobs(options) => jobs::run(options),
        Command::Backup(options) => backup::run(*options),
        Command::Restore(options) => restore::run(*options),
        Command::Version => {
            println!("nexus {}", crate::VERSION);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let code = match &failure {
                Failure::Setting(_) => MISUSED,
                Failure::Told { code, .. } => *code,
                Failure::Other(error) if is_in_use(error) => IN_USE,
                Failure::Other(_) => FAILED,
            };
            eprintln!("nexus: {}", failure.words());
            ExitCode::from(code)
        }
    }
}

fn is_in_use(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let home = matches!(cause.downcast_ref(), Some(HomeError::InUse { .. }));
        let database = matches!(cause.downcast_ref(), Some(nexus_storage::Error::HomeInUse { .. }));
        let address = cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::AddrInUse);
        home || database || address
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn an_address_in_use_is_found_under_its_context() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let again = std::net::TcpListener::bind(address).context("listen").context("start");
        assert!(is_in_use(&again.unwrap_err()));
        assert!(!is_in_use(&anyhow::anyhow!("something else")));
    }
}
