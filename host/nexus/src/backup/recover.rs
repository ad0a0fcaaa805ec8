//! Back to an instant: the copy of the server's files in a backup, and the archived log since.
//! Refuses to know the command line.

use super::check::Backup;
use super::contents::{ServerFiles, Table, What};
use super::installation::connect;
use super::{Archive, Installation, Refusal};
use anyhow::{Context as _, Result, bail};
use nexus_storage::backup::Snapshot;
use nexus_storage::cluster::{Cluster, Recovery, RecoveryError, Settings};
use serde::Serialize;
use std::path::Path;
use std::str::FromStr;

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instant {
    At(jiff::Timestamp),
    /// As far as the archive reaches.
    Latest,
}

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            text => text.parse().map(Self::At).map_err(|error: jiff::Error| {
                format!("neither `latest` nor like 2027-01-31T03:15:00Z: {error}")
            }),
        }
    }
}

/// A way back that is wanted.
#[derive(Clone)]
pub struct Back {
    pub to: Instant,
    pub archive: Archive,
}

/// What was reached.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// None is the end of the archive.
    pub wanted: Option<String>,
    /// When the last transaction was committed that is in it.
    pub last_commit: Option<String>,
    /// Parts of the log that were opened.
    pub parts: usize,
    pub last_part: Option<String>,
    /// What `pg_checksums` says of every page; only when asked to verify.
    pub pages: Option<String>,
    /// Rows and fingerprint of each table; only when asked to verify. Nobody counted them at that
    /// instant, so there is nothing here to compare them with.
    pub tables: Vec<Counted>,
}

/// A table as it is now.
#[derive(Debug, Clone, Serialize)]
pub struct Counted {
    pub table: String,
    pub rows: i64,
    pub hash: String,
}

impl Back {
    /// Whether this backup leads there; asked before anything is written.
    pub(super) fn fits(&self, backup: &Backup, installation: &Installation) -> Result<()> {
        let base = base(backup)?;
        if installation.database_url.is_some() {
            bail!(
                "DATABASE_URL names a server: only the private one is brought back to an instant \
                 here; for another, its own archive does it (runbook, \"Point in time\")"
            );
        }
        let from: jiff::Timestamp = base.ended_at.parse().context("read when the copy was made")?;
        match self.to {
            Instant::At(at) if at < from => Err(Refusal::TooLate(base.ended_at.clone()).into()),
            _ => Ok(()),
        }
    }

    fn wanted(&self) -> Option<String> {
        match self.to {
            Instant::At(at) => Some(at.to_string()),
            Instant::Latest => None,
        }
    }
}

pub(super) fn base(backup: &Backup) -> Result<&ServerFiles, Refusal> {
    backup.contents.base.as_ref().ok_or(Refusal::NoBase)
}

/// Makes the private server of `home` as it was; it is stopped when this returns.
pub(super) async fn database(
    backup: &Backup,
    back: &Back,
    home: &Path,
    verify: bool,
) -> Result<Reached> {
    let base = base(backup)?;
    let entry = backup.contents.entries.iter().position(|entry| entry.what == What::Base);
    let mut reading = backup.entry(entry.ok_or(Refusal::NoBase)?)?;
    let mut recovery = Recovery::begin(home).await?;
    while let Some(piece) = reading.next()? {
        recovery.write(&piece).await?;
    }
    let replay = recovery.unpacked().await?;
    let (parts, last_part) = back.archive.replay(&base.wal, &replay)?;
    let wanted = back.wanted();
    let until = match back.to {
        Instant::At(at) => Some(at.strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string()),
        Instant::Latest => None,
    };
    let recovered = match recovery.run(until.as_deref()).await {
        Err(RecoveryError::TooShort) => bail!(
            "the archive in {} holds no transaction after {}, so nobody knows that it reaches \
             there: name an earlier instant, or go as far as it does with `--to latest`",
            back.archive.folder.display(),
            wanted.unwrap_or_default()
        ),
        recovered => recovered.context("bring the database back")?,
    };
    let pages = verify.then(|| recovery.check_pages()).transpose()?;
    drop(recovery);
    let tables = if verify { census(home).await? } else { Vec::new() };
    let last_commit = recovered.last_commit;
    Ok(Reached { wanted, last_commit, parts, last_part, pages, tables })
}

/// Starts the server once, so that it is known to start, and counts.
async fn census(home: &Path) -> Result<Vec<Counted>> {
    let cluster = Cluster::start(home, Settings::default()).await?;
    let counted = async {
        let database = connect(cluster.server()).await?;
        let counted = Snapshot::take(&database).await?.census().await?;
        anyhow::Ok(counted)
    };
    let counted = counted.await;
    cluster.stop().await;
    let counted = counted.context("count the rows")?;
    let tables = counted.into_iter().map(Table::from);
    let said = |table: Table| Counted { table: table.table, rows: table.rows, hash: table.hash };
    Ok(tables.map(said).collect())
}
