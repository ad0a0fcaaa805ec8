//! Rules about the text of one file: headers, lengths, names, things left behind.

use super::Report;
use std::path::{Path, PathBuf};

/// Wider lines do not fit beside a second window.
const COLUMNS_MAX: usize = 100;
/// Longer files usually hold two rooms.
const LINES_USUAL: usize = 600;
/// A file bigger than this is a fixture or a mistake; it is not read line by line.
const BYTES_READ_MAX: u64 = 1 << 20;

/// Words that say nothing about what is inside, as a module's name or a type's last word.
const EMPTY_WORDS: [&str; 11] = [
    "util", "helper", "common", "misc", "manager", "handler", "base", "data", "info", "types",
    "impl",
];

/// Paths of one person's machine, in pieces so that this file does not hold them itself.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// What marks unfinished work, in pieces as well.
const UNFINISHED: [&str; 2] = [concat!("todo", "!("), concat!("unimplemented", "!(")];

pub(super) fn check(root: &Path, files: &[PathBuf], report: &mut Report) {
    for path in files {
        let file = root.join(path);
        let small = file.metadata().is_ok_and(|it| it.len() <= BYTES_READ_MAX);
        // A picture or an archive is no text; these rules are not about it.
        let Some(text) = std::fs::read_to_string(file).ok().filter(|_| small) else {
            continue;
        };
        if path != Path::new("Cargo.lock") {
            machine_paths(path, &text, report);
        }
        match path.extension().and_then(|it| it.to_str()) {
            Some("rs") => rust(path, &text, report),
            Some("sql") => width(path, &text, report),
            _ => {}
        }
    }
}

fn rust(path: &Path, text: &str, report: &mut Report) {
    width(path, text, report);
    header(path, text, report);
    module_name(path, report);
    let count = text.lines().count();
    if count > LINES_USUAL {
        report.warning(path.display(), format!("{count} lines; perhaps two rooms in one"));
    }
    for (index, line) in text.lines().enumerate() {
        let place = format!("{}:{}", path.display(), index + 1);
        let trimmed = line.trim_start();
        if trimmed.starts_with("#[ignore") {
            report.violation(&place, "assert today's wrong behaviour and say why, instead");
        }
        if UNFINISHED.iter().any(|mark| line.contains(mark)) {
            report.violation(&place, "finish it, or answer with an honest error");
        }
        if let Some(word) = declared_type(line).and_then(empty_last_word) {
            report.violation(&place, format!("a type named …{word}: say what it is"));
        }
    }
}

fn width(path: &Path, text: &str, report: &mut Report) {
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        // A long URL or hash cannot be broken.
        let one_word = line.split_whitespace().any(|word| word.len() > COLUMNS_MAX - 20);
        if columns > COLUMNS_MAX && !one_word {
            let place = format!("{}:{}", path.display(), index + 1);
            report.violation(place, format!("{columns} columns, at most {COLUMNS_MAX}"));
        }
    }
}

fn header(path: &Path, text: &str, report: &mut Report) {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    if !first.is_some_and(|line| line.starts_with("//!")) {
        let words = "begins without a //! header: what it knows, what it refuses to know";
        report.violation(path.display(), words);
    }
}

fn module_name(path: &Path, report: &mut Report) {
    let inside_source = path.iter().skip_while(|part| *part != "src").skip(1);
    let stem = path.file_stem().into_iter();
    for part in inside_source.chain(stem) {
        let name = part.to_string_lossy();
        let singular = name.strip_suffix('s').unwrap_or(&name);
        if EMPTY_WORDS.contains(&&*name) || EMPTY_WORDS.contains(&singular) {
            report.violation(path.display(), format!("a module named {name}: say what it is"));
        }
    }
}

/// The name that a line declares; `type` only where it stands alone, since within an `impl` the
/// trait has chosen it.
fn declared_type(line: &str) -> Option<&str> {
    let indented = line.starts_with(' ');
    let line = line.trim_start();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => line,
    };
    let (keyword, rest) = line.split_once(' ')?;
    let declares = matches!(keyword, "struct" | "enum" | "trait" | "union")
        || (keyword == "type" && !indented);
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (declares && end > 0).then(|| &rest[..end])
}

fn empty_last_word(name: &str) -> Option<&'static str> {
    let last = name.rfind(|c: char| c.is_ascii_uppercase()).map_or(name, |at| &name[at..]);
    let last = last.to_ascii_lowercase();
    EMPTY_WORDS.into_iter().find(|word| last == *word || last == format!("{word}s"))
}

fn machine_paths(path: &Path, text: &str, report: &mut Report) {
    for (index, line) in text.lines().enumerate() {
        for machine in MACHINE_PATHS {
            let Some(at) = line.find(machine) else {
                continue;
            };
            // `https://example/home/` and `src/work/` are no paths of a machine.
            let before = line[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || "/.-_}*".contains(c)) {
                let place = format!("{}:{}", path.display(), index + 1);
                report.violation(place, format!("{machine}… is a path of one machine"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let mut report = Report::default();
        rust(Path::new(path), text, &mut report);
        machine_paths(Path::new(path), text, &mut report);
        report.violations
    }

    #[track_caller]
    fn refuses(path: &str, text: &str, words: &str) {
        let found = violations(path, text);
        assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
    }

    #[test]
    fn a_file_in_good_order_passes() {
        let text =
            "//! What it is.\n\npub struct Lease;\nimpl Body for Lease {\n    type Data = u8;\n}\n";
        assert!(violations("host/storage/src/lease.rs", text).is_empty());
    }

    #[test]
    fn each_rule_finds_its_fault() {
        let path = "a/src/lease.rs";
        refuses(path, "use std::fs;\n", "begins without a //! header");
        refuses(path, "//! x\npub(crate) struct LeaseManager;\n", ":2: a type named …manager");
        refuses(path, "//! x\ntype LeaseData = u8;\n", "a type named …data");
        refuses(path, "//! x\n    #[ignore = \"slow\"]\n", "assert today's wrong behaviour");
        refuses(path, &format!("//! x\nfn f() {{ {}) }}\n", UNFINISHED[0]), "finish it");
        refuses(path, &format!("//! x\n// {}\n", "word ".repeat(30)), "columns, at most 100");
        refuses(path, &format!("//! see {}me\n", MACHINE_PATHS[0]), "a path of one machine");
        refuses("a/src/helpers.rs", "//! x\n", "a module named helpers");
        refuses("a/src/base/lease.rs", "//! x\n", "a module named base");
    }

    #[test]
    fn a_word_inside_a_longer_word_is_no_fault() {
        let text = "//! x\nstruct Database;\nenum Metadata { A }\ntrait Information {}\n";
        assert!(violations("a/src/database.rs", text).is_empty());
        assert!(violations("a/src/x.rs", "//! https://example.org/home/x\n").is_empty());
    }
}
