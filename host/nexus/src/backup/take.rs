//! Making a backup: first the database as it is at one instant, then the objects, so that whatever
//! a row names is there unless it was deleted meanwhile; then the rest, and the contents last.

use super::contents::{Contents, DatabaseContents, ServerFiles, What};
use super::pack::Packs;
use super::source::Objects;
use super::{Archive, Given, Installation, VERSION, VERSION_OF_DUMPS};
use anyhow::{Context as _, Result, bail};
use capability_blob::{BlobError, BucketName, Key, Place};
use futures::StreamExt as _;
use nexus_runtime::Manifest;
use nexus_storage::backup::{self as storage, Dump, Snapshot};
use nexus_storage::cluster;
use serde::Serialize;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Read from `pg_dump` at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How often the list of the key-value store's files may change under our hands.
const LISTINGS_MAX: usize = 100;

/// A backup that is wanted.
pub struct Taking {
    pub installation: Installation,
    pub manifest: Manifest,
    pub manifest_file: PathBuf,
    pub to: PathBuf,
    pub given: Given,
    pub with_root_key: bool,
    /// Where the private server's log goes, if it is kept.
    pub archive: Option<Archive>,
}

/// A backup that was made.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    pub to: String,
    pub bytes: u64,
    pub tables: usize,
    pub rows: i64,
    pub objects: usize,
    pub object_bytes: u64,
    /// Objects that were deleted between the listing and their turn.
    pub gone: usize,
    pub key_value_files: usize,
    /// Which root key the secrets in it need.
    pub root_key: Option<String>,
    pub root_key_included: bool,
    /// Whether the server archives its log, here or by itself.
    pub server_archives: bool,
    /// The first instant that this backup leads to with the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leads_on_from: Option<String>,
    pub seconds: f64,
}

/// Makes it, whether the host runs or not.
///
/// Fails with [`super::NotEmpty::Target`] where something is already; what is left of a failed
/// attempt is taken away.
pub async fn take(taking: &Taking) -> Result<Taken> {
    let began = Instant::now();
    let open = taking.installation.open().await?;
    let there = taking.to.exists();
    let version = if taking.archive.is_some() { VERSION } else { VERSION_OF_DUMPS };
    let packs = match Packs::begin(&taking.to, &taking.given, version) {
        Ok(packs) => packs,
        Err(error) => {
            open.close().await;
            return Err(error);
        }
    };
    let taken = fill(taking, packs, &open.database).await;
    open.close().await;
    if taken.is_err() && !there {
        abandon(&taking.to);
    }
    let mut taken = taken?;
    taken.seconds = began.elapsed().as_secs_f64();
    Ok(taken)
}

/// A backup without contents is refused in any case; this is about the disk.
fn abandon(to: &Path) {
    let part = to.with_extension("nxb.part");
    let removed = if to.is_dir() { fs::remove_dir_all(to) } else { fs::remove_file(&part) };
    if let Err(error) = removed {
        tracing::warn!(%error, path = %to.display(), "an unfinished backup stays behind");
    }
}

async fn fill(
    taking: &Taking,
    mut packs: Packs,
    database: &nexus_storage::Database,
) -> Result<Taken> {
    let installation = &taking.installation;
    let server_archives = storage::archiving(database).await?.is_on();
    let contents = dump(&mut packs, database).await.context("back the database up")?;
    let base = match &taking.archive {
        None => None,
        Some(archive) => {
            let copied = base(&mut packs, database, &installation.home, archive).await;
            Some(copied.context("copy the files of the database")?)
        }
    };
    let objects = Objects::of(installation, &taking.manifest)?;
    let gone = copy(&mut packs, &objects).await?;
    let key_value_files = key_value(&mut packs, &installation.home.join("key-value"))?;
    let manifest = fs::read(&taking.manifest_file);
    let manifest = manifest.with_context(|| format!("read {}", taking.manifest_file.display()))?;
    packs.whole(What::Manifest, &manifest)?;
    let configuration = installation.configuration(&taking.manifest)?;
    if taking.with_root_key {
        let Some((key, _)) = installation.root_key()? else {
            bail!("there is no root key to put in: give it with NEXUS_ROOT_KEY_FILE");
        };
        packs.whole(What::RootKey, &key)?;
    }
    let rest = Contents {
        host: crate::VERSION.into(),
        made_at: String::new(),
        database: Some(contents),
        packs: Vec::new(),
        entries: Vec::new(),
        configuration,
        base,
    };
    let (bytes, contents) = packs.finish(rest)?;
    let mut taken = describe(taking, bytes, &contents, gone, key_value_files);
    taken.server_archives = server_archives;
    Ok(taken)
}

fn describe(
    taking: &Taking,
    bytes: u64,
    contents: &Contents,
    gone: usize,
    key_value_files: usize,
) -> Taken {
    let tables = contents.database.as_ref().map_or(&[][..], |database| &database.tables);
    let tables = tables.iter().filter(|table| table.table != nexus_storage::backup::GRANTS);
    let objects = contents.entries.iter().filter(|e| matches!(e.what, What::Object { .. }));
    Taken {
        to: taking.to.display().to_string(),
        bytes,
        tables: tables.clone().count(),
        rows: tables.map(|table| table.rows).sum(),
        objects: objects.clone().count(),
        object_bytes: objects.map(|entry| entry.bytes).sum(),
        gone,
        key_value_files,
        root_key: contents.configuration.root_key.clone(),
        root_key_included: taking.with_root_key,
        server_archives: false,
        leads_on_from: contents.base.as_ref().map(|base| base.ended_at.clone()),
        seconds: 0.0,
    }
}

/// Counts and dumps one and the same instant.
async fn dump(packs: &mut Packs, database: &nexus_storage::Database) -> Result<DatabaseContents> {
    let snapshot = Snapshot::take(database).await?;
    let tables = snapshot.census().await.context("count the rows")?;
    let services = snapshot.admitted().await?;
    stream(packs, What::Database, snapshot.dump()?).await?;
    Ok(DatabaseContents {
        major: snapshot.major,
        owner: snapshot.owner().to_owned(),
        services: services.into_iter().map(Into::into).collect(),
        tables: tables.into_iter().map(Into::into).collect(),
    })
}

async fn stream(packs: &mut Packs, what: What, mut dump: Dump) -> Result<()> {
    let mut entry = packs.entry(what)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match dump.read(&mut buffer).await? {
            0 => break,
            read => packs.write(&mut entry, &buffer[..read])?,
        }
    }
    dump.finish().await?;
    packs.end(entry)
}

/// The files of the private server. They lead on only with the log that was written meanwhile, so
/// that is sealed before this returns.
async fn base(
    packs: &mut Packs,
    database: &nexus_storage::Database,
    home: &Path,
    archive: &Archive,
) -> Result<ServerFiles> {
    let spool = cluster::spool(home)?;
    let (Some(spool), true) = (spool, storage::archiving(database).await?.is_on()) else {
        bail!(
            "the server does not archive its log: start the host with NEXUS_WAL_ARCHIVE once, or \
             make this backup without it"
        );
    };
    let first = storage::mark(database).await?;
    let copier = cluster::copier(home)?;
    stream(packs, What::Base, storage::copy(database, &copier).await?).await?;
    let done = storage::mark(database).await?;
    archive.seal(&spool)?;
    Ok(ServerFiles { wal: first.wal, ended_at: done.at })
}

/// Every object of every bucket; returns how many were deleted before their turn.
async fn copy(packs: &mut Packs, objects: &Objects) -> Result<usize> {
    let mut gone = 0;
    for bucket in objects.buckets().await.context("list the buckets")? {
        let mut cursor = None;
        loop {
            let page = objects.page(&bucket, cursor).await;
            let (entries, next) = page.with_context(|| format!("list bucket {bucket}"))?;
            for entry in entries {
                let copied = object(packs, objects, &bucket, &entry.key).await;
                let copied = copied.with_context(|| format!("copy {bucket}/{}", entry.key))?;
                gone += usize::from(!copied);
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(gone)
}

/// False when it is no longer there.
async fn object(
    packs: &mut Packs,
    objects: &Objects,
    bucket: &BucketName,
    key: &str,
) -> Result<bool> {
    let place = Place { bucket: bucket.clone(), key: Key::new(key)? };
    let download = match objects.get(&place).await {
        Err(BlobError::NoSuchKey | BlobError::NoSuchBucket(_)) => return Ok(false),
        download => download?,
    };
    let attributes = download.object.attributes;
    let mut entry = packs.entry(What::Object {
        bucket: bucket.to_string(),
        key: key.to_owned(),
        content_type: attributes.content_type,
        metadata: attributes.metadata,
    })?;
    let mut body = download.body;
    while let Some(chunk) = body.next().await {
        packs.write(&mut entry, &chunk?)?;
    }
    packs.end(entry)?;
    Ok(true)
}

/// The files of the embedded key-value store. A running host appends to the last of them and
/// sometimes writes a new snapshot; all are opened before any is read, and the list is read again,
/// so that they belong together. A record cut at the end is one that a crash would cut as well.
fn key_value(packs: &mut Packs, folder: &Path) -> Result<usize> {
    for _ in 0..LISTINGS_MAX {
        let names = key_value_names(folder)?;
        let open = |name: &String| File::open(folder.join(name)).map(|file| (name.clone(), file));
        let opened: std::io::Result<Vec<(String, File)>> = names.iter().map(open).collect();
        let Ok(files) = opened else { continue };
        if key_value_names(folder)? != names {
            continue;
        }
        let count = files.len();
        for (name, mut file) in files {
            let mut entry = packs.entry(What::KeyValue { name })?;
            let mut buffer = vec![0; CHUNK_BYTES];
            loop {
                match file.read(&mut buffer).context("read the key-value store")? {
                    0 => break,
                    read => packs.write(&mut entry, &buffer[..read])?,
                }
            }
            packs.end(entry)?;
        }
        return Ok(count);
    }
    bail!("the files of the key-value store change faster than they can be listed")
}

fn key_value_names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("list the key-value store"),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.context("list the key-value store")?.file_name();
        let kept = |name: &&str| name.ends_with(".log") || name.ends_with(".snapshot");
        names.extend(name.to_str().filter(kept).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
