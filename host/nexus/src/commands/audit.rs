//! `nexus audit`: who did what to an installation, and whether that trail is whole.

use super::Failure;
use super::host_api::HostApi;
use super::table::{Table, age, cell, instant_of, list_of, say, say_json, say_list};
use crate::config::{AuditCommand, AuditOptions, PageOptions};
use anyhow::Context as _;
use jiff::Timestamp;
use std::io::Write as _;
use std::path::Path;

/// The chain is broken.
const BROKEN: u8 = 9;

pub(super) fn run(options: &AuditOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    match &options.command {
        AuditCommand::Ls { actor, since, page } => host.list(actor.clone(), since.as_ref(), page),
        AuditCommand::Verify => host.verify(),
        AuditCommand::Export { output } => host.export(output.as_deref()),
    }
}

struct Host {
    api: HostApi,
    json: bool,
}

impl Host {
    fn list(
        &self,
        actor: Option<String>,
        since: Option<&String>,
        page: &PageOptions,
    ) -> Result<(), Failure> {
        let now = Timestamp::now();
        let query = [
            ("actor", actor),
            ("since", instant_of(since, now)?),
            ("limit", Some(page.limit.to_string())),
            ("cursor", page.cursor.clone()),
        ];
        let answer = self.api.get(&["audit"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let mut table =
            Table::new(&["#ENTRY", "WHEN", "ACTOR", "ADDRESS", "METHOD", "WHAT", "OUTCOME"]);
        for entry in list_of(&answer["entries"]) {
            let numbered = [&entry["number"], &entry["sequence"], &entry["id"]];
            let number = numbered.into_iter().find(|number| !number.is_null());
            let paths = [&entry["path"], &entry["action"]];
            let path = paths.into_iter().find(|path| !path.is_null());
            table.row(vec![
                number.map(cell).unwrap_or_default(),
                age(&entry["at"], now),
                cell(&entry["actor"]),
                cell(&entry["address"]),
                cell(&entry["method"]),
                path.map(cell).unwrap_or_default(),
                cell(&entry["outcome"]),
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
        match is_whole(&answer) {
            true if self.json => Ok(()),
            true => say(&format!("whole: {entries} entries, each bound to the one before\n")),
            false => Err(Failure::Told {
                words: format!(
                    "the chain is broken: {}; compare with the last export before it",
                    answer["broken"]
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

/// The host says that it is, and names no broken link.
fn is_whole(answer: &serde_json::Value) -> bool {
    answer["whole"] == true && answer["broken"].is_null()
}
