//! `nexus audit`: who did what to an installation, and whether that trail is whole.

use super::Failure;
use super::host_api::{HostApi, Parameter};
use super::table::{Table, age, cell, instant_of, list_of, say, say_json, say_list};
use crate::config::{AuditCommand, AuditOptions};
use anyhow::Context as _;
use jiff::Timestamp;
use std::io::Write as _;
use std::path::Path;

/// The chain is broken.
const BROKEN: u8 = 9;

pub(super) fn run(options: &AuditOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    match &options.command {
        AuditCommand::Ls { actor, subject, outcome, since, before, page } => {
            let now = Timestamp::now();
            host.list(&[
                ("actor", actor.clone()),
                ("subject", subject.clone()),
                ("outcome", outcome.clone()),
                ("since", instant_of(since.as_ref(), now)?),
                ("before", instant_of(before.as_ref(), now)?),
                ("limit", Some(page.limit.to_string())),
                ("cursor", page.cursor.clone()),
            ])
        }
        AuditCommand::Verify => host.verify(),
        AuditCommand::Export { output } => host.export(output.as_deref()),
    }
}

struct Host {
    api: HostApi,
    json: bool,
}

impl Host {
    fn list(&self, query: &[Parameter<'_>]) -> Result<(), Failure> {
        let answer = self.api.get(&["audit"], query)?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        let mut table = Table::new(&[
            "#ENTRY", "WHEN", "ACTOR", "ADDRESS", "ACTION", "SUBJECT", "OUTCOME", "REASON",
        ]);
        for entry in list_of(&answer["entries"]) {
            table.row(vec![
                cell(&entry["position"]),
                age(&entry["at"], now),
                cell(&entry["actor"]),
                cell(&entry["address"]),
                cell(&entry["action"]),
                cell(&entry["subject"]),
                cell(&entry["outcome"]),
                cell(&entry["reason"]),
            ]);
        }
        say_list(&table, "nobody has done anything", &answer["cursor"])
    }

    fn verify(&self) -> Result<(), Failure> {
        let answer = self.api.get(&["audit", "verify"], &[])?;
        if self.json {
            say_json(&answer)?;
        }
        let entries = cell(&answer["entries"]);
        match answer["whole"] == true {
            true if self.json => Ok(()),
            true => say(&format!("whole: {entries} entries, each bound to the one before\n")),
            false => Err(Failure::Told {
                words: format!(
                    "the chain is broken at entry {}: {}; compare with the last export before it",
                    cell(&answer["broken_at"]),
                    cell(&answer["why"])
                ),
                code: BROKEN,
            }),
        }
    }

    fn export(&self, output: Option<&Path>) -> Result<(), Failure> {
        let bytes = self.api.download(&["audit", "export"], &[])?;
        let Some(file) = output else {
            let mut out = std::io::stdout().lock();
            return match out.write_all(&bytes) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    Err(Failure::Other(anyhow::Error::new(error).context("write the entries")))
                }
                _ => Ok(()),
            };
        };
        std::fs::write(file, &bytes).with_context(|| format!("write {}", file.display()))?;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        eprintln!("{lines} entries in {}", file.display());
        Ok(())
    }
}
