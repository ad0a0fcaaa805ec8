//! What is in a backup: the header that everybody reads, and the sealed list of everything else.

use super::key::Derivation;
use nexus_storage::backup::{Admitted, Counted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const FORMAT: &str = "nexus-backup";

/// What can be read without the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    /// Random: no two backups share a key.
    pub(super) id: String,
    pub(super) made_at: String,
    pub(super) key: Derivation,
    pub(super) check: String,
}

/// Format and version alone, which every version of the header has.
#[derive(Deserialize)]
pub(super) struct Versioned {
    pub(super) format: String,
    pub(super) version: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Contents {
    /// The version of the host that made it.
    pub(super) host: String,
    pub(super) made_at: String,
    pub(super) database: Option<DatabaseContents>,
    pub(super) packs: Vec<PackRecord>,
    pub(super) entries: Vec<Entry>,
    pub(super) configuration: Configuration,
    /// Set when the files of the server are in it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<ServerFiles>,
}

/// From when on the copy of the server's files, with the log since, leads to any instant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ServerFiles {
    /// The first file of the log that it needs.
    pub(super) wal: String,
    /// When the copy was done, as RFC 3339: the first instant that it leads to.
    pub(super) ended_at: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DatabaseContents {
    pub(super) major: u32,
    pub(super) owner: String,
    pub(super) services: Vec<Service>,
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Service {
    pub(super) service: String,
    pub(super) role: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    pub(super) table: String,
    pub(super) rows: i64,
    pub(super) hash: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PackRecord {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// One thing that was put in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) what: What,
    /// Which pack, by its place in the list.
    pub(super) pack: usize,
    pub(super) offset: u64,
    /// Bytes in the pack.
    pub(super) stored: u64,
    /// Bytes of the thing itself.
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum What {
    /// What `pg_dump` wrote.
    Database,
    Object {
        bucket: String,
        key: String,
        content_type: Option<String>,
        metadata: BTreeMap<String, String>,
    },
    /// A file of the embedded key-value store.
    KeyValue { name: String },
    /// The manifest of the application.
    Manifest,
    /// Only when asked for.
    RootKey,
    /// The files of the server, as `pg_basebackup` copied them into a tar archive.
    Base,
    /// A file of the server's log; the zeros at its end, up to `length` bytes, are left out.
    Wal { name: String, length: u64 },
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database => f.write_str("the dump of the database"),
            Self::Object { bucket, key, .. } => write!(f, "object {bucket}/{key}"),
            Self::KeyValue { name } => write!(f, "file {name} of the key-value store"),
            Self::Manifest => f.write_str("the manifest"),
            Self::RootKey => f.write_str("the root key"),
            Self::Base => f.write_str("the copy of the server's files"),
            Self::Wal { name, .. } => write!(f, "part {name} of the server's log"),
        }
    }
}

/// How the installation was set up, as far as that is no secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Configuration {
    /// SHA-256 of each component's file; the components themselves are not in the backup.
    pub(super) components: BTreeMap<String, Option<String>>,
    /// Variables that were set and are not declared secret.
    pub(super) variables: BTreeMap<String, String>,
    /// Names of those that are set and secret: their values are not in the backup.
    pub(super) secrets: Vec<String>,
    /// Which root key the secrets in the database are encrypted under.
    pub(super) root_key: Option<String>,
    /// Whether the host had made that key itself, in its home.
    pub(super) root_key_is_of_the_home: bool,
}

impl From<Counted> for Table {
    fn from(counted: Counted) -> Self {
        Self { table: counted.table, rows: counted.rows, hash: counted.hash }
    }
}

impl From<Admitted> for Service {
    fn from(admitted: Admitted) -> Self {
        Self { service: admitted.service, role: admitted.role }
    }
}

impl From<&Service> for Admitted {
    fn from(service: &Service) -> Self {
        Self { service: service.service.clone(), role: service.role.clone() }
    }
}
