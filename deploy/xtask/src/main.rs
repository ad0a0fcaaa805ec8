//! `cargo xtask`: reads the command line and hands over. Knows no chore itself.

use clap::Parser;

fn main() -> std::process::ExitCode {
    match xtask::command_line::CommandLine::parse().run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
