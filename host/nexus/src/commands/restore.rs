//! `nexus restore`: what it says, the matrix of what was compared, and its exit codes.

use super::Failure;
use super::backup::{checked_in_words, json, told};
use super::table::{Table, pairs, say, say_json};
use crate::backup::{self, Line, Reached, Restored, Restoring, Verdict};
use crate::config::RestoreOptions;
use anyhow::Context as _;
use std::collections::BTreeMap;

/// Restored, and not the same as what was backed up.
const DIFFERS: u8 = 5;

pub(super) fn run(options: RestoreOptions) -> Result<(), Failure> {
    let given = options.key.given().map_err(Failure::Setting)?;
    let restoring = Restoring {
        back: options.back(&given),
        given,
        installation: options.places.installation(options.into, None),
        from: options.from,
        verify: options.verify,
    };
    let threads = tokio::runtime::Runtime::new().context("start threads")?;
    let restored = threads.block_on(backup::restore(&restoring)).map_err(told)?;
    if options.json {
        say_json(&json(&restored)?)?;
    } else {
        say(&described(&restored))?;
    }
    match restored.same {
        true => Ok(()),
        false => Err(Failure::Told {
            words: "what was restored is not what was backed up: see the lines above".into(),
            code: DIFFERS,
        }),
    }
}

fn described(restored: &Restored) -> String {
    let mut text = String::new();
    if !restored.lines.is_empty() {
        text += &matrix(&restored.lines);
        text.push('\n');
    }
    text += &checked_in_words(&restored.backup);
    if let Some(reached) = &restored.reached {
        text += &reached_in_words(reached);
    }
    if restored.begun_again {
        text += "An earlier attempt had been cut off; this one began anew.\n";
    }
    text + &format!("{}\nRestored in {:.1} s.\n", restored.root_key, restored.seconds)
}

fn reached_in_words(reached: &Reached) -> String {
    let mut words = pairs(&[
        ("brought to", reached.wanted.clone().unwrap_or("the end of the archive".into())),
        ("last commit", reached.last_commit.clone().unwrap_or("that of the copy".into())),
        ("log", format!("{} parts", reached.parts)),
        ("pages", reached.pages.clone().unwrap_or_default()),
    ]);
    if !reached.tables.is_empty() {
        let mut table = Table::new(&["TABLE", "ROWS", "FINGERPRINT"]);
        for one in &reached.tables {
            table.row(vec![one.table.clone(), one.rows.to_string(), one.hash.clone()]);
        }
        words += &table.render();
    }
    words + "Objects and key-value files are those of the backup, not of that instant.\n"
}

/// Every table; objects by bucket, and one by one only where they differ.
fn matrix(lines: &[Line]) -> String {
    let mut table = Table::new(&["WHAT", "NAME", "BACKED UP", "RESTORED", "VERDICT"]);
    let mut buckets: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines {
        if let ("object", Verdict::Same) = (line.kind, line.verdict) {
            let bucket = line.name.split('/').next().unwrap_or_default();
            *buckets.entry(bucket).or_default() += 1;
            continue;
        }
        let verdict = match line.verdict {
            Verdict::Same => "same",
            Verdict::Differs => "DIFFERS",
            Verdict::Missing => "MISSING",
        };
        let cells = [line.kind, &line.name, &line.expected, &line.found, verdict];
        table.row(cells.map(str::to_owned).to_vec());
    }
    for (bucket, same) in buckets {
        let number = same.to_string();
        let cells = ["objects", bucket, &number, &number, "same"];
        table.row(cells.map(str::to_owned).to_vec());
    }
    table.render()
}
