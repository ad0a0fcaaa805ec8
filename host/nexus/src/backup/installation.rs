//! Where an installation keeps what it has: its home, its database, its store, its manifest. Opens
//! the database whether a host runs or not; refuses to know what is done with it.

use super::contents::Configuration;
use super::hex;
use crate::home::Home;
use crate::secret;
use crate::settings::Objects;
use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_runtime::Manifest;
use nexus_storage::cluster::{self, Cluster};
use nexus_storage::{Database, Limits, Server};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The root key that a host makes for itself (32 bytes, not base64).
pub(super) const OWN_ROOT_KEY: &str = "dev-root-key";

/// What the command line and the environment say of an installation.
pub struct Installation {
    pub home: PathBuf,
    /// None is the private cluster in the home.
    pub database_url: Option<String>,
    /// None is the folder in the home.
    pub objects: Option<Objects>,
    /// As base64.
    pub root_key: Option<String>,
    pub environment: Vec<(String, String)>,
}

/// A database that is open, and what has to be held for it.
pub(super) struct Open {
    pub(super) database: Database,
    /// Set when no host runs: then the server is ours for the time.
    own: Option<(Cluster, Home)>,
}

impl Open {
    pub(super) async fn close(self) {
        drop(self.database);
        if let Some((cluster, _home)) = self.own {
            cluster.stop().await;
        }
    }
}

impl Installation {
    /// The database as it is: of a running host, or started for the time of the backup.
    pub(super) async fn open(&self) -> Result<Open> {
        if let Some(url) = &self.database_url {
            return Ok(Open { database: connect(Server::from_url(url)?).await?, own: None });
        }
        let home = self.home.display();
        if !cluster::is_in(&self.home) {
            bail!("there is no installation in {home}: name its home with NEXUS_HOME");
        }
        if let Some(server) = cluster::running(&self.home).await? {
            return Ok(Open { database: connect(server).await?, own: None });
        }
        let held = Home::take(&self.home)?;
        let cluster = Cluster::start(held.folder(), cluster::Settings::default()).await?;
        let database = connect(cluster.server()).await?;
        Ok(Open { database, own: Some((cluster, held)) })
    }

    /// The root key in use, and whether the host made it itself.
    pub(super) fn root_key(&self) -> Result<Option<(Zeroizing<Vec<u8>>, bool)>> {
        if let Some(given) = &self.root_key {
            let bytes = STANDARD.decode(secret::root_key(given)?).context("read the root key")?;
            return Ok(Some((Zeroizing::new(bytes), false)));
        }
        let file = self.home.join(OWN_ROOT_KEY);
        match fs::read(&file) {
            Ok(bytes) => Ok(Some((Zeroizing::new(bytes), true))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
        }
    }

    /// What is no secret of how it is set up.
    pub(super) fn configuration(&self, manifest: &Manifest) -> Result<Configuration> {
        let mut configuration = Configuration::default();
        for component in &manifest.components {
            let digest = fs::read(&component.source).ok().map(|code| hex(&Sha256::digest(code)));
            configuration.components.insert(component.id.to_string(), digest);
        }
        for (name, declared) in &manifest.variables {
            let Some(value) = self.variable(name) else { continue };
            match declared.secret {
                true => configuration.secrets.push(name.clone()),
                false => drop(configuration.variables.insert(name.clone(), value)),
            }
        }
        let key = self.root_key()?;
        configuration.root_key = key.as_ref().map(|(key, _)| fingerprint(key));
        configuration.root_key_is_of_the_home = key.is_some_and(|(_, own)| own);
        Ok(configuration)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let upper = name.to_ascii_uppercase();
        let names = [format!("NEXUS_VARIABLE_{upper}"), format!("SPIN_VARIABLE_{upper}")];
        let of = |name: &String| self.environment.iter().rev().find(|(known, _)| known == name);
        names.iter().find_map(of).map(|(_, value)| value.clone())
    }
}

pub(super) async fn connect(server: Server) -> Result<Database> {
    let limits = Limits { connections_max: 8, ..Limits::default() };
    Ok(Database::open(server, limits).await?)
}

/// By which people tell root keys apart. The key is random, so nobody learns it from this.
pub(super) fn fingerprint(key: &[u8]) -> String {
    hex(&Sha256::digest([b"nexus root key\0", key].concat())[..8])
}

/// Writes a file that only its owner reads, and brings it to the disk.
pub(super) fn written(file: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(file);
    let done = opened.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    done.with_context(|| format!("write {}", file.display()))
}
