//! `nexus completions`: what a shell loads to complete this command line.

use super::Failure;
use super::table::say;
use crate::config::{CommandLine, CompletionsOptions, Shell};
use clap::CommandFactory as _;

pub(super) fn run(options: &CompletionsOptions) -> Result<(), Failure> {
    say(&script(options.shell))
}

fn script(shell: Shell) -> String {
    let mut command = CommandLine::command();
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "nexus", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_is_told_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = script(shell);
            for command in CommandLine::command().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell:?} {}", command.get_name());
            }
        }
    }
}
