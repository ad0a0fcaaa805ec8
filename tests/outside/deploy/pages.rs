//! The runbooks: what they tell an operator to type. `nexus` lines are read by the program's own
//! command line, whole blocks by a shell that runs nothing, links by whether what they name is
//! there.

use super::{claim, files_of, folder, text};
use nexus::config::CommandLine;
use std::path::PathBuf;
use std::process::Command;

fn pages() -> PathBuf {
    folder("docs/runbooks")
}

/// A runbook has this heading, as links to it are written.
pub fn claim_heading(page: &str, link: &str) {
    let page = text(&pages().join(page));
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let mut links = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
    assert!(links.any(|has| has == link), "no heading of the page is {link}");
}

/// The `sh` blocks of a page, without what lists indent them by.
fn blocks(page: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for line in page.lines() {
        let trimmed = line.trim_start();
        block = match block {
            None if trimmed == "```sh" => Some((line.len() - trimmed.len(), String::new())),
            None => None,
            Some((_, done)) if trimmed == "```" => {
                all.push(done);
                None
            }
            Some((indent, text)) => Some((indent, text + line.get(indent..).unwrap_or("") + "\n")),
        };
    }
    assert!(block.is_none(), "a block does not end");
    all
}

/// The words of a line as a shell makes them; variables stand for any word.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => return words,
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_line_of_the_runbooks_that_calls_nexus_is_one_that_nexus_takes() {
    let mut lines = 0;
    for file in files_of(&pages(), ".md") {
        let page = text(&file);
        for block in blocks(&page) {
            for line in block.lines().map(str::trim) {
                let call = line.split_once("/opt/nexus/bin/").map_or(line, |(_, call)| call);
                if !call.starts_with("nexus ") {
                    continue;
                }
                let read = CommandLine::read_from(shell_words(call));
                read.unwrap_or_else(|error| panic!("{}: {line}: {error:#}", file.display()));
                lines += 1;
            }
        }
    }
    assert!(lines > 20, "only {lines} lines were found");
}

#[test]
fn a_shell_can_read_every_block_of_the_runbooks() {
    for file in files_of(&pages(), ".md") {
        for block in blocks(&text(&file)) {
            claim(Command::new("bash").args(["-n", "-c", &block]));
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere_and_named_files_are_there() {
    let mut all = files_of(&pages(), ".md");
    all.push(folder("docs/README.md"));
    for file in all {
        let page = text(&file);
        let place = file.parent().unwrap();
        for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            assert!(place.join(target).exists(), "{}: {link}", file.display());
        }
        let words = page.split(|c: char| c.is_whitespace() || "`,;()".contains(c));
        for named in words.filter(|word| word.starts_with("deploy/")) {
            let named = named.trim_end_matches(['.', ':']);
            let place = nexus_harness::repository().join(named);
            // Compose's `.env` is the operator's own.
            assert!(place.exists() || named.ends_with(".env"), "{}: {named}", file.display());
        }
    }
}

#[test]
fn blocks_and_words_are_found_as_a_shell_finds_them() {
    let page = "a\n  ```sh\n  x 'y z' \"$A\"  # why\n  ```\n```text\nno\n```\n";
    assert_eq!(blocks(page), ["x 'y z' \"$A\"  # why\n"]);
    assert_eq!(shell_words(&blocks(page)[0]), ["x", "y z", "$A"]);
}
