//! The way back: a backup into an empty home, database and store. Everything is checked before
//! anything is written; a sign in the home says that a restore is under way, so that it can be
//! begun again after a kill, and no host starts on half of it.

use super::check::{Backup, Checked, Line};
use super::contents::{DatabaseContents, What};
use super::installation::{OWN_ROOT_KEY, connect, written};
use super::source::Objects;
use super::{Back, Given, Installation, NotEmpty, Reached, recover, verify};
use crate::assembly;
use crate::home::{Home, RESTORING};
use crate::secret;
use anyhow::{Context as _, Result, bail};
use capability_blob::{
    Attributes, BucketName, Checksums, Folder, FolderSettings, Key, Place, Put, Query, S3, Signer,
    Store,
};
use futures::StreamExt as _;
use nexus_storage::Server;
use nexus_storage::backup::{Admitted, Target};
use nexus_storage::cluster::{self, Cluster};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Where the application's files go: they are for the operator to look at, not for the host.
const FILES: &str = "restored";

/// A restore that is wanted.
pub struct Restoring {
    /// The new one: its home does not exist or is empty.
    pub installation: Installation,
    pub from: PathBuf,
    pub given: Given,
    /// Count and hash what was restored.
    pub verify: bool,
    /// To another instant than the backup's.
    pub back: Option<Back>,
}

/// A restore that was done.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    pub backup: Checked,
    /// Whether an earlier attempt had been cut off.
    pub begun_again: bool,
    /// What was compared; empty unless asked for.
    pub lines: Vec<Line>,
    pub same: bool,
    /// Where the server's log has led, when it was asked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
    /// What has to be done before secrets can be read.
    pub root_key: String,
    pub seconds: f64,
}

/// The sign in the home.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Sign {
    backup: String,
    /// The database that was found empty, once it was: it may be emptied again.
    database: Option<String>,
    /// The store that was, likewise: what is in it may be written over.
    store: Option<String>,
}

/// Restores.
///
/// Fails with [`super::Refusal`] when the backup is not to be trusted and [`NotEmpty`] when
/// something would be overwritten; then nothing was changed.
pub async fn restore(restoring: &Restoring) -> Result<Restored> {
    let began = Instant::now();
    let backup = Backup::open(&restoring.from, &restoring.given)?;
    let bytes = backup.check_packs()?;
    if let Some(back) = &restoring.back {
        back.fits(&backup, &restoring.installation)?;
    }
    let folder = &restoring.installation.home;
    let earlier = sign(folder)?;
    if earlier.is_none() && !is_empty(folder)? {
        return Err(NotEmpty::Home(folder.clone()).into());
    }
    let home = Home::take_to_restore(folder)?;
    let attempt = Attempt { restoring, backup: &backup, home: &home, earlier };
    let (lines, reached) = attempt.run().await?;
    let same = lines.iter().all(|line| line.verdict == super::Verdict::Same);
    if same {
        let sign = home.file(RESTORING);
        fs::remove_file(&sign).with_context(|| format!("remove {}", sign.display()))?;
    }
    Ok(Restored {
        backup: backup.described(bytes),
        begun_again: attempt.earlier.is_some(),
        lines,
        same,
        reached,
        root_key: root_key(&backup, &home),
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// What the home says of an earlier attempt.
fn sign(home: &Path) -> Result<Option<Sign>> {
    let file = home.join(RESTORING);
    match fs::read(&file) {
        Ok(text) => {
            let sign = serde_json::from_slice(&text);
            Ok(Some(sign.with_context(|| format!("understand {}", file.display()))?))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}

const NEW_SIGN: &str = "restoring.new";

/// The lock is what taking a home leaves in it, and the other what a kill leaves right after.
fn is_empty(home: &Path) -> Result<bool> {
    match fs::read_dir(home) {
        Ok(entries) => {
            let names: std::io::Result<Vec<_>> = entries.map(|e| Ok(e?.file_name())).collect();
            let names = names.with_context(|| format!("read {}", home.display()))?;
            Ok(names.iter().all(|name| name == "nexus.pid" || name == NEW_SIGN))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("read {}", home.display())),
    }
}

struct Attempt<'a> {
    restoring: &'a Restoring,
    backup: &'a Backup,
    home: &'a Home,
    earlier: Option<Sign>,
}

impl Attempt<'_> {
    async fn run(&self) -> Result<(Vec<Line>, Option<Reached>)> {
        let mut sign = self.earlier.clone().unwrap_or_default();
        sign.backup.clone_from(&self.backup.id);
        self.mark(&sign)?;
        for folder in ["blobs", "key-value", FILES] {
            let folder = self.home.file(folder);
            if folder.exists() {
                let gone = fs::remove_dir_all(&folder);
                gone.with_context(|| format!("clear {}", folder.display()))?;
            }
        }
        let (store, address) = self.store()?;
        store.ready().await?;
        if sign.store.as_ref() != Some(&address) {
            self.is_bare(store.as_ref()).await?;
        }
        sign.store = Some(address);
        self.mark(&sign)?;
        let verify = self.restoring.verify;
        let (mut lines, reached) = match &self.restoring.back {
            None => (self.database(&mut sign).await?, None),
            Some(back) => {
                let reached = recover::database(self.backup, back, self.home.folder(), verify);
                (Vec::new(), Some(reached.await?))
            }
        };
        self.objects(&store).await.context("restore the objects")?;
        self.files()?;
        if verify {
            lines.extend(verify::objects(self.backup, store.as_ref()).await?);
            lines.extend(verify::files(self.backup, &self.home.file("key-value"))?);
        }
        Ok((lines, reached))
    }

    /// By a rename: what an earlier attempt has found out must not be lost to a kill.
    fn mark(&self, sign: &Sign) -> Result<()> {
        let (new, file) = (self.home.file(NEW_SIGN), self.home.file(RESTORING));
        written(&new, &serde_json::to_vec(sign).context("write the sign")?)?;
        fs::rename(&new, &file).with_context(|| format!("write {}", file.display()))
    }

    async fn database(&self, sign: &mut Sign) -> Result<Vec<Line>> {
        let Some(contents) = &self.backup.contents.database else { return Ok(Vec::new()) };
        let (server, cluster) = match &self.restoring.installation.database_url {
            Some(url) => (Server::from_url(url)?, None),
            None => {
                let settings = cluster::Settings::default();
                let cluster = Cluster::start(self.home.folder(), settings).await?;
                (cluster.server(), Some(cluster))
            }
        };
        let filled = self.fill(contents, server, sign).await;
        if let Some(cluster) = cluster {
            cluster.stop().await;
        }
        filled.context("restore the database")
    }

    async fn fill(
        &self,
        contents: &DatabaseContents,
        server: Server,
        sign: &mut Sign,
    ) -> Result<Vec<Line>> {
        let target = Target::new(connect(server).await?).await?;
        let address = target.address();
        if target.owner() != contents.owner {
            bail!(
                "what is in the backup belongs to the role {}: let DATABASE_URL log in as that \
                 role, not as {}",
                contents.owner,
                target.owner()
            );
        }
        let there = target.schemas().await?;
        match there.is_empty() {
            true => {}
            // An earlier attempt found it empty, so what is there is of that attempt.
            false if sign.database.as_ref() == Some(&address) => target.clear().await?,
            false => return Err(NotEmpty::Database(there.join(", ")).into()),
        }
        sign.database = Some(address);
        self.mark(sign)?;
        let admitted: Vec<Admitted> = contents.services.iter().map(Into::into).collect();
        self.load(&target, &admitted).await?;
        target.open(&admitted).await.context("let the services in")?;
        match self.restoring.verify {
            true => Ok(verify::tables(&contents.tables, target.census().await?)),
            false => Ok(Vec::new()),
        }
    }

    async fn load(&self, target: &Target, admitted: &[Admitted]) -> Result<()> {
        let is_dump = |entry: &super::contents::Entry| entry.what == What::Database;
        let number = self.backup.contents.entries.iter().position(is_dump);
        let number = number.ok_or_else(|| super::Refusal::Missing("the dump".into()))?;
        let mut reading = self.backup.entry(number)?;
        let mut load = target.load(admitted).await?;
        while let Some(piece) = reading.next()? {
            load.write(&piece).await?;
        }
        Ok(load.finish().await?)
    }

    /// The store, and which one it is.
    fn store(&self) -> Result<(Arc<dyn Store>, String)> {
        let installation = &self.restoring.installation;
        if let Some(objects) = &installation.objects {
            let settings = assembly::s3(objects, &installation.environment)?;
            let server = objects.endpoint.as_deref().unwrap_or(&objects.region);
            let address = format!("{server}/{}", objects.bucket);
            return Ok((Arc::new(S3::new(settings).context("use S3")?), address));
        }
        // Nobody is given an URL here; the host that starts on this home signs with the same.
        let nowhere = "http://localhost".parse().context("name the host")?;
        let secret = secret::kept_in(&self.home.file("blob-secret"))?;
        let folder = Folder::open(FolderSettings {
            root: self.home.file("blobs"),
            signer: Signer::new(&secret, &nowhere),
            object_bytes_max: u64::MAX,
        });
        Ok((Arc::new(folder.context("open the object folder")?), "the home".into()))
    }

    /// Whether no bucket that is to be filled has anything in it.
    async fn is_bare(&self, store: &dyn Store) -> Result<()> {
        let entries = &self.backup.contents.entries;
        let buckets: BTreeSet<&str> = entries
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Object { bucket, .. } => Some(bucket.as_str()),
                _ => None,
            })
            .collect();
        for bucket in buckets {
            let query = Query { prefix: String::new(), delimiter: None, cursor: None, limit: 1 };
            if !store.list(&BucketName::new(bucket)?, query).await?.entries.is_empty() {
                return Err(NotEmpty::Bucket(bucket.to_owned()).into());
            }
        }
        Ok(())
    }

    async fn objects(&self, store: &Arc<dyn Store>) -> Result<()> {
        for (number, entry) in self.backup.contents.entries.iter().enumerate() {
            let What::Object { bucket, key, content_type, metadata } = &entry.what else {
                continue;
            };
            let place = Place { bucket: BucketName::new(bucket)?, key: Key::new(key)? };
            let sha256 = super::unhex(&entry.sha256).and_then(|sum| sum.try_into().ok());
            let put = Put {
                attributes: Attributes {
                    content_type: content_type.clone(),
                    metadata: metadata.clone(),
                },
                size: Some(entry.bytes),
                expected: Checksums { crc32c: None, sha256 },
                condition: None,
            };
            let body = Objects::body(self.backup.entry(number)?);
            let stored = store.put(&place, put, body.boxed()).await;
            stored.with_context(|| format!("restore {bucket}/{key}"))?;
        }
        Ok(())
    }

    fn files(&self) -> Result<()> {
        let folder = self.home.file(FILES);
        let key_value = self.home.file("key-value");
        for folder in [&folder, &key_value] {
            private(folder)?;
        }
        for (number, entry) in self.backup.contents.entries.iter().enumerate() {
            let own = self.backup.contents.configuration.root_key_is_of_the_home;
            let file = match &entry.what {
                What::Database | What::Object { .. } | What::Base | What::Wal { .. } => continue,
                What::KeyValue { name } if sound(name) => key_value.join(name),
                What::KeyValue { name } => bail!("{name} is no name of a file"),
                What::Manifest => folder.join("spin.toml"),
                What::RootKey if own => self.home.file(OWN_ROOT_KEY),
                What::RootKey => folder.join("root-key"),
            };
            let mut reading = self.backup.entry(number)?;
            let mut bytes = Vec::new();
            while let Some(piece) = reading.next()? {
                bytes.extend(piece);
            }
            if entry.what == What::RootKey && !own {
                use base64::Engine as _;
                bytes = base64::engine::general_purpose::STANDARD.encode(&bytes).into_bytes();
            }
            written(&file, &bytes)?;
        }
        let configuration = serde_json::to_vec_pretty(&self.backup.contents.configuration);
        written(&folder.join("configuration.json"), &configuration.context("write it down")?)
    }
}

/// Nothing that leads out of its folder.
fn sound(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !name.starts_with('.')
}

fn private(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("make {}", folder.display()))
}

/// What is needed before the secrets in the database can be read.
fn root_key(backup: &Backup, home: &Home) -> String {
    let configuration = &backup.contents.configuration;
    let included = backup.contents.entries.iter().any(|entry| entry.what == What::RootKey);
    let own = home.file(OWN_ROOT_KEY);
    match (&configuration.root_key, included, configuration.root_key_is_of_the_home) {
        (None, _, _) => "the installation had no root key: no secret is encrypted under one".into(),
        (Some(key), true, true) => format!("the root key {key} was restored: {}", own.display()),
        (Some(key), true, false) => format!(
            "the root key {key} was restored: start the host with NEXUS_ROOT_KEY_FILE={}",
            home.file(FILES).join("root-key").display()
        ),
        (Some(key), false, true) => format!(
            "secrets in the database can only be read with the root key {key}, which is not in the \
             backup: put the file {OWN_ROOT_KEY} of the old home at {} before a host starts, or \
             the host makes another",
            own.display()
        ),
        (Some(key), false, false) => format!(
            "secrets in the database can only be read with the root key {key}, which is not in the \
             backup: start the host with that key in NEXUS_ROOT_KEY_FILE"
        ),
    }
}
