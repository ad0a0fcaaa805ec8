//! `deploy/docs/commands.md`: every command of `nexus`, in the program's own words. Written anew by
//! `NEXUS_BLESS=1 cargo nextest run -p outside commands`.

use clap::{Command, CommandFactory as _};
use nexus::config::CommandLine;
use nexus_harness::repository;
use std::collections::BTreeMap;

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
    text += &codes(&command);
    for one in command.get_subcommands() {
        section(one, "nexus", &mut text);
    }
    text
}

/// What each exit code means, and of which commands.
fn codes(command: &Command) -> String {
    let mut all: BTreeMap<(u8, String), Vec<String>> = BTreeMap::new();
    for one in command.get_subcommands() {
        for (code, meaning) in codes_of(one) {
            all.entry((code, meaning)).or_default().push(format!("`{}`", one.get_name()));
        }
    }
    let mut text = "\n## Exit codes\n\nThose of `up` are above.\n\n\
                    | code | means | of |\n|---|---|---|\n"
        .to_owned();
    for ((code, meaning), commands) in all {
        text += &format!("| {code} | {meaning} | {} |\n", commands.join(" "));
    }
    text
}

/// From a sentence such as `Exit codes: 0 done; 1 failed.`, in a command's help.
fn codes_of(command: &Command) -> Vec<(u8, String)> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let Some((_, said)) = help.split_once("Exit codes: ") else { return Vec::new() };
    let end = [". ", ".\n"].into_iter().filter_map(|end| said.find(end)).min();
    let sentence = said[..end.unwrap_or(said.len())].trim_end_matches('.');
    let each = sentence.split("; ").map(|part| {
        let (code, meaning) = part.split_once(' ').expect("a code has a meaning");
        let code = code.parse().unwrap_or_else(|_| panic!("{}: {part}", command.get_name()));
        (code, meaning.to_owned())
    });
    each.collect()
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

#[test]
fn whoever_may_wait_is_told_how_a_bad_end_and_a_late_one_are_told_apart() {
    let mut waiting = Vec::new();
    let mut left = vec![(CommandLine::command(), "nexus".to_owned(), Vec::new())];
    while let Some((command, name, above)) = left.pop() {
        let own = codes_of(&command);
        let codes = if own.is_empty() { above } else { own };
        if command.get_arguments().any(|argument| argument.get_id() == "wait") {
            assert!(codes.iter().any(|(code, _)| *code == 7), "{name}: {codes:?}");
            assert!(codes.iter().any(|(code, _)| [6, 8].contains(code)), "{name}: {codes:?}");
            waiting.push(name.clone());
        }
        for one in command.get_subcommands() {
            left.push((one.clone(), format!("{name} {}", one.get_name()), codes.clone()));
        }
    }
    for name in ["config set", "config apply", "secret set", "traffic", "deploy", "rollout show"] {
        assert!(waiting.contains(&format!("nexus {name}")), "{name} does not wait: {waiting:?}");
    }
}
