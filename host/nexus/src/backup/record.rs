//! What a home remembers of its last backup: for `/metrics`, the alert on it, and doctor. Refuses
//! to know the backup.

use super::Taken;
use super::installation::written;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const FILE: &str = "last-backup.json";

/// The last backup that was made to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was done, as RFC 3339.
    pub at: String,
    pub to: String,
    pub bytes: u64,
    pub seconds: f64,
    pub rows: i64,
    pub objects: usize,
}

impl Record {
    /// Of a backup that is done now.
    pub fn of(taken: &Taken) -> Self {
        Self {
            at: jiff::Timestamp::now().to_string(),
            to: taken.to.clone(),
            bytes: taken.bytes,
            seconds: taken.seconds,
            rows: taken.rows,
            objects: taken.objects,
        }
    }

    /// Keeps it in a home, by a rename: it is read at any moment.
    pub fn keep(&self, home: &Path) -> Result<()> {
        let (new, file) = (home.join("last-backup.new"), home.join(FILE));
        fs::create_dir_all(home).with_context(|| format!("make {}", home.display()))?;
        written(&new, &serde_json::to_vec(self).context("write the record")?)?;
        fs::rename(&new, &file).with_context(|| format!("write {}", file.display()))
    }

    /// What a home remembers.
    pub fn read(home: &Path) -> Result<Option<Self>> {
        let file = home.join(FILE);
        let text = match fs::read(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("read {}", file.display()))?,
        };
        let record = serde_json::from_slice(&text);
        record.map(Some).with_context(|| format!("understand {}", file.display()))
    }
}
