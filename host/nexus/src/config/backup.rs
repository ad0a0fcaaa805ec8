//! `backup` and `restore`: their options and their help. Refuses to know the format.

use super::{ApplicationOptions, HomeOptions};
use crate::backup::{Archive, Back, Given, Installation, Instant, Keep};
use crate::settings::Objects;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Of `backup` and `restore`; stands in their help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 the command line or a setting is wrong, or no key was given; \
3 the home is in use, or something is already where the backup should go; 4 the backup is refused: \
wrong key, cut, changed, incomplete, of a newer format, or it does not lead to the instant; \
5 restored, but not the same (--verify).
The key: `openssl rand -base64 32 > backup.key`, kept somewhere else than the backups. Without it \
nobody reads them again.
Daily, by cron: 15 3 * * * NEXUS_HOME=/srv/nexus NEXUS_BACKUP_KEY_FILE=/etc/nexus/backup.key \
nexus backup -f /srv/nexus/spin.toml --in /backup --keep-daily 7 --keep-weekly 4
Point in time: with NEXUS_WAL_ARCHIVE=<folder> and the key, `nexus up` keeps the log of the \
private PostgreSQL there, and with the same setting `nexus backup` adds the server's files.";

/// What opens a backup.
#[derive(Debug, Args)]
#[command(next_help_heading = "Key")]
pub struct KeyOptions {
    /// File with the backup's key: 32 bytes as base64
    #[arg(
        long,
        env = "NEXUS_BACKUP_KEY_FILE",
        value_name = "FILE",
        conflicts_with = "passphrase_file",
        global = true
    )]
    pub key_file: Option<PathBuf>,
    /// File with a passphrase instead, of at least 12 characters; NEXUS_BACKUP_PASSPHRASE may hold
    /// the words themselves
    #[arg(long, env = "NEXUS_BACKUP_PASSPHRASE_FILE", value_name = "FILE", global = true)]
    pub passphrase_file: Option<PathBuf>,
}

/// The database and the store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stores")]
pub struct PlaceOptions {
    /// The PostgreSQL server; default: the private cluster in the home
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The S3 bucket for objects; default: the folder in the home
    #[arg(long, env = "NEXUS_S3_BUCKET", value_name = "NAME")]
    pub s3_bucket: Option<String>,
    /// The S3 server, if it is not Amazon's
    #[arg(long, env = "NEXUS_S3_ENDPOINT", value_name = "URL", requires = "s3_bucket")]
    pub s3_endpoint: Option<String>,
    /// The region requests are signed for
    #[arg(long, env = "NEXUS_S3_REGION", value_name = "NAME", default_value = "us-east-1")]
    pub s3_region: String,
}

#[derive(Debug, Args)]
pub struct BackupOptions {
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// Where it goes, where nothing is yet: a folder, or one file if the name ends in `.nxb`
    #[arg(long, value_name = "PATH", conflicts_with = "into")]
    pub to: Option<PathBuf>,
    /// The folder of all backups instead: this one is named by its instant there
    #[arg(long = "in", value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    /// Of the backups in that folder, keep the newest of each of so many days; what is neither of
    /// those days nor of those weeks is removed once this backup is done
    #[arg(long, value_name = "NUMBER", requires = "into", conflicts_with = "to")]
    pub keep_daily: Option<usize>,
    /// Keep the newest of each of so many weeks
    #[arg(long, value_name = "NUMBER", requires = "into", conflicts_with = "to")]
    pub keep_weekly: Option<usize>,
    #[command(flatten)]
    pub archive: ArchiveOptions,
    /// Put the root key in as well: then whoever can open the backup reads every secret
    #[arg(long)]
    pub with_root_key: bool,
    /// File with the root key, as `nexus up` was given it: to name it in the backup
    #[arg(long, env = "NEXUS_ROOT_KEY_FILE", value_name = "FILE")]
    pub root_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub home: HomeOptions,
    #[command(flatten)]
    pub application: ApplicationOptions,
    #[command(flatten)]
    pub places: PlaceOptions,
    #[command(flatten)]
    pub key: KeyOptions,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The log of the private server.
#[derive(Debug, Args)]
pub struct ArchiveOptions {
    /// The folder into which the host puts the log of its private PostgreSQL
    #[arg(long, env = "NEXUS_WAL_ARCHIVE", value_name = "FOLDER")]
    pub wal_archive: Option<PathBuf>,
}

/// The log of the private server, as the host keeps it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log of the private PostgreSQL")]
pub struct LogOptions {
    #[command(flatten)]
    pub archive: ArchiveOptions,
    /// After how many seconds a part of it is put there that is not full: what a lost disk may cost
    #[arg(long, env = "NEXUS_WAL_ARCHIVE_SECONDS", value_name = "SECONDS", default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub wal_archive_seconds: u32,
    #[command(flatten)]
    pub key: KeyOptions,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Read all of a backup and say whether every byte is the one that was written
    Verify(BackupVerifyOptions),
}

#[derive(Debug, Args)]
pub struct BackupVerifyOptions {
    /// The backup
    #[arg(long, value_name = "PATH")]
    pub from: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreOptions {
    /// The backup
    #[arg(long, value_name = "PATH")]
    pub from: PathBuf,
    /// The new home: a folder that is empty or not there
    #[arg(long, value_name = "FOLDER")]
    pub into: PathBuf,
    /// Afterwards count the rows of each table and hash every object, and compare
    #[arg(long)]
    pub verify: bool,
    /// Bring the private PostgreSQL to this instant instead of the backup's: RFC 3339, or `latest`
    ///
    /// What was committed until then is there, what was committed later is not. Objects and
    /// key-value files are those of the backup.
    #[arg(long, value_name = "INSTANT", requires = "wal_archive")]
    pub to: Option<Instant>,
    #[command(flatten)]
    pub archive: ArchiveOptions,
    #[command(flatten)]
    pub places: PlaceOptions,
    #[command(flatten)]
    pub key: KeyOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl KeyOptions {
    /// The key, from wherever it was given.
    ///
    /// Fails when there is none, or it is none.
    pub fn given(&self) -> Result<Given> {
        if let Some(file) = &self.key_file {
            return Given::key_file(file);
        }
        if let Some(file) = &self.passphrase_file {
            let words = std::fs::read_to_string(file);
            let words = words.with_context(|| format!("read {}", file.display()))?;
            return Given::passphrase(&words);
        }
        match std::env::var("NEXUS_BACKUP_PASSPHRASE") {
            Ok(words) => Given::passphrase(&words),
            Err(_) => bail!(
                "no key was given: name one with --key-file (`openssl rand -base64 32` makes one) \
                 or a passphrase with --passphrase-file"
            ),
        }
    }
}

impl ArchiveOptions {
    /// The archive, opened with the key of the backups.
    pub fn archive(&self, given: &Given) -> Option<Archive> {
        let folder = self.wal_archive.clone().filter(|folder| !folder.as_os_str().is_empty())?;
        Some(Archive::new(folder, given.clone()))
    }
}

impl LogOptions {
    /// Where the log goes, if it is kept.
    ///
    /// Fails when there is no key for it.
    pub fn archive(&self) -> Result<Option<Archive>> {
        if self.archive.wal_archive.is_none() {
            return Ok(None);
        }
        let given = self.key.given().context("seal the log that --wal-archive keeps")?;
        let archive = self.archive.archive(&given);
        Ok(archive.map(|archive| Archive { seconds: self.wal_archive_seconds, ..archive }))
    }
}

impl RestoreOptions {
    /// The instant that is wanted, if it is not the backup's own.
    pub fn back(&self, given: &Given) -> Option<Back> {
        Some(Back { to: self.to?, archive: self.archive.archive(given)? })
    }
}

impl PlaceOptions {
    /// The installation in `home`.
    pub fn installation(self, home: PathBuf, root_key: Option<String>) -> Installation {
        let (endpoint, region) = (self.s3_endpoint, self.s3_region);
        let objects = |bucket| Objects { endpoint, public_endpoint: None, bucket, region };
        Installation {
            home,
            database_url: self.database_url,
            objects: self.s3_bucket.map(objects),
            root_key,
            environment: super::environment(),
        }
    }
}

impl BackupOptions {
    /// How many backups stay in the folder; None when none is removed.
    pub fn keep(&self) -> Option<Keep> {
        let asked = self.keep_daily.is_some() || self.keep_weekly.is_some();
        let (daily, weekly) =
            (self.keep_daily.unwrap_or_default(), self.keep_weekly.unwrap_or_default());
        asked.then_some(Keep { daily, weekly })
    }

    /// The root key, as `nexus up` reads it.
    ///
    /// Fails when its file cannot be read.
    pub fn root_key(&self) -> Result<Option<String>> {
        match &self.root_key_file {
            Some(file) => {
                let key = std::fs::read_to_string(file);
                Ok(Some(key.with_context(|| format!("read the root key in {}", file.display()))?))
            }
            None => Ok(std::env::var("NEXUS_ROOT_KEY").ok()),
        }
    }
}
