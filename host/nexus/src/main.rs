//! The `nexus` command: reads the command line and hands over. Knows no part of the host itself.

use nexus::commands;
use nexus::config::CommandLine;
use std::process::ExitCode;

/// Guests allocate in their own memories; what the host allocates is many small short-lived
/// things on several threads, which this allocator does best.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::run(CommandLine::read().command)
}
