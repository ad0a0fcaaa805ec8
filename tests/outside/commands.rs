//! `deploy/docs/commands.md`: every command of `nexus`, in the program's own words. Written anew by
//! `NEXUS_BLESS=1 cargo nextest run -p outside commands`.

use clap::{Command, CommandFactory as _};
use nexus::config::CommandLine;
use nexus_harness::repository;

const HEAD: &str = "\
<!-- Generated (NEXUS_BLESS=1 cargo nextest run -p outside commands); do not edit. -->
# Commands of nexus

What an operator types. What a developer of this repository types is in
[reference/commands.md](reference/commands.md).
";

/// The options that say which host is meant are the same everywhere.
const OF_HOST: [&str; 5] = ["admin", "admin_token", "home", "json", "by"];

fn page() -> String {
    let mut command = without_values(CommandLine::command());
    command.build();
    let mut text = HEAD.to_owned();
    text += &fenced(&command.render_long_help().to_string());
    for one in command.get_subcommands() {
        section(one, "nexus", &mut text);
    }
    text
}

/// Help shows what the environment says at the moment; a page does not.
fn without_values(command: Command) -> Command {
    let command = command.mut_args(|argument| argument.hide_env_values(true));
    command.mut_subcommands(without_values)
}

fn section(command: &Command, of: &str, text: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{of} {}", command.get_name());
    *text += &format!("\n## {name}\n");
    let shown = command.clone().mut_args(|argument| {
        // Once, with the first command that has them.
        let known = OF_HOST.contains(&argument.get_id().as_str()) && name != "nexus deploy";
        let home = argument.get_id() == "home" && !has_admin(command);
        argument.hide(known && !home)
    });
    *text += &fenced(&shown.clone().render_long_help().to_string());
    for one in command.get_subcommands() {
        section(one, &name, text);
    }
}

fn has_admin(command: &Command) -> bool {
    command.get_arguments().any(|argument| argument.get_id() == "admin")
}

fn fenced(text: &str) -> String {
    let lines = text.trim().lines().map(str::trim_end);
    format!("\n```text\n{}\n```\n", lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_page_of_commands_is_what_the_program_says() {
    let file = repository().join("deploy/docs/commands.md");
    let page = page();
    if std::env::var_os("NEXUS_BLESS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let line = written.lines().zip(page.lines()).take_while(|(old, new)| old == new).count();
    assert!(
        written == page,
        "{}:{} is stale: NEXUS_BLESS=1 cargo nextest run -p outside commands",
        file.display(),
        line + 1
    );
}

#[test]
fn every_command_says_what_its_exit_codes_mean() {
    let plain = ["completions", "compile", "help", "setup-link", "token", "up", "version"];
    for command in CommandLine::command().get_subcommands() {
        let help = command.clone().render_long_help().to_string();
        let name = command.get_name();
        assert!(plain.contains(&name) || help.contains("Exit codes"), "nexus {name}");
    }
}
