//! Whether what was restored is what was backed up: rows and fingerprints of tables, bytes, hashes
//! and attributes of objects, all read back from where they are now. Refuses to write.

use super::check::{Backup, Line, Verdict};
use super::contents::{Table, What};
use super::hex;
use anyhow::{Context as _, Result};
use capability_blob::{BlobError, BucketName, Get, Key, Place, Store};
use futures::StreamExt as _;
use nexus_storage::backup::Counted;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Tables that should be there, and those that are there and should not.
pub(super) fn tables(expected: &[Table], found: Vec<Counted>) -> Vec<Line> {
    let says = |rows: i64, hash: &str| format!("{rows} rows, {hash}");
    let mut found: BTreeMap<String, Table> =
        found.into_iter().map(|counted| (counted.table.clone(), counted.into())).collect();
    let mut lines = Vec::new();
    for table in expected {
        let there = found.remove(&table.table);
        let verdict = match &there {
            Some(there) if there == table => Verdict::Same,
            Some(_) => Verdict::Differs,
            None => Verdict::Missing,
        };
        lines.push(Line {
            kind: "table",
            name: table.table.clone(),
            expected: says(table.rows, &table.hash),
            found: there.map_or_else(String::new, |there| says(there.rows, &there.hash)),
            verdict,
        });
    }
    lines.extend(found.into_values().map(|table| Line {
        kind: "table",
        name: table.table.clone(),
        expected: String::new(),
        found: says(table.rows, &table.hash),
        verdict: Verdict::Differs,
    }));
    lines
}

/// Every object of the backup, as the store has it.
pub(super) async fn objects(backup: &Backup, store: &dyn Store) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in &backup.contents.entries {
        let What::Object { bucket, key, content_type, metadata } = &entry.what else { continue };
        let place = Place { bucket: BucketName::new(bucket)?, key: Key::new(key)? };
        let expected = format!("{} bytes, {}", entry.bytes, entry.sha256);
        let name = format!("{bucket}/{key}");
        let line = |found, verdict| Line {
            kind: "object",
            name: name.clone(),
            expected: expected.clone(),
            found,
            verdict,
        };
        let download = match store.get(&place, Get::default()).await {
            Err(BlobError::NoSuchKey) => {
                lines.push(line(String::new(), Verdict::Missing));
                continue;
            }
            download => download.with_context(|| format!("read {name}"))?,
        };
        let attributes = download.object.attributes;
        let (mut body, mut hash, mut bytes) = (download.body, Sha256::new(), 0);
        let mut damaged = None;
        while let Some(chunk) = body.next().await {
            match chunk {
                Ok(chunk) => {
                    hash.update(&chunk);
                    bytes += chunk.len() as u64;
                }
                Err(error) => damaged = Some(error.to_string()),
            }
        }
        let found = damaged.unwrap_or(format!("{bytes} bytes, {}", hex(&hash.finalize())));
        let alike = attributes.content_type == *content_type && attributes.metadata == *metadata;
        lines.push(match (found == expected, alike) {
            (true, true) => line(found, Verdict::Same),
            (true, false) => line("other attributes".into(), Verdict::Differs),
            (false, _) => line(found, Verdict::Differs),
        });
    }
    Ok(lines)
}

/// The files of the key-value store.
pub(super) fn files(backup: &Backup, folder: &Path) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for entry in &backup.contents.entries {
        let What::KeyValue { name } = &entry.what else { continue };
        let bytes = fs::read(folder.join(name)).with_context(|| format!("read {name}"))?;
        let expected = format!("{} bytes, {}", entry.bytes, entry.sha256);
        let found = format!("{} bytes, {}", bytes.len(), hex(&Sha256::digest(&bytes)));
        let verdict = if found == expected { Verdict::Same } else { Verdict::Differs };
        lines.push(Line {
            kind: "file",
            name: format!("key-value/{name}"),
            expected,
            found,
            verdict,
        });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_lost_a_row_or_should_not_be_there_is_named() {
        let table = |name: &str, rows| Table { table: name.into(), rows, hash: rows.to_string() };
        let counted =
            |name: &str, rows: i64| Counted { table: name.into(), rows, hash: rows.to_string() };
        let expected = [table("a", 1), table("b", 2), table("c", 3)];
        let found = vec![counted("a", 1), counted("b", 1), counted("d", 4)];
        let verdicts: Vec<_> =
            tables(&expected, found).into_iter().map(|line| (line.name, line.verdict)).collect();
        assert_eq!(
            verdicts,
            [
                ("a".to_owned(), Verdict::Same),
                ("b".to_owned(), Verdict::Differs),
                ("c".to_owned(), Verdict::Missing),
                ("d".to_owned(), Verdict::Differs),
            ]
        );
    }
}
