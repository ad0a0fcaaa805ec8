//! The `nexus` command: reads the command line and hands over. Knows no part of the host itself.

mod allocator;

use nexus::commands;
use nexus::config::CommandLine;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

fn main() -> ExitCode {
    commands::run(CommandLine::read().command)
}
