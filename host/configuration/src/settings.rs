//! Where configuration comes from besides the environment and the database. Refuses to read it.

use crate::Error;
use crate::vault::VaultSettings;
use std::path::PathBuf;

/// The sources of one host, each of which may be absent.
#[derive(Clone, Default)]
pub struct Sources {
    /// `NEXUS_CONFIGURATION_FILE`.
    pub file: Option<PathBuf>,
    /// `NEXUS_CONFIGURATION_FOLDERS`, divided by `:` or `,`; a later one wins.
    pub folders: Vec<PathBuf>,
    pub vault: Option<VaultSettings>,
}

impl Sources {
    /// From the environment.
    ///
    /// # Errors
    ///
    /// [`Error::Source`] when what is set for Vault makes no sense.
    pub fn read(set: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let file = set("NEXUS_CONFIGURATION_FILE").filter(|file| !file.is_empty());
        let folders = set("NEXUS_CONFIGURATION_FOLDERS").unwrap_or_default();
        let folders = folders.split([':', ',']).filter(|folder| !folder.is_empty());
        Ok(Self {
            file: file.map(PathBuf::from),
            folders: folders.map(PathBuf::from).collect(),
            vault: VaultSettings::read(set)?,
        })
    }

    /// Whether there is anything to look at.
    pub fn is_empty(&self) -> bool {
        self.file.is_none() && self.folders.is_empty() && self.vault.is_none()
    }
}

#[test]
fn folders_are_divided_by_colons_or_commas() {
    let set = |name: &str| match name {
        "NEXUS_CONFIGURATION_FOLDERS" => Some("/etc/nexus:/run/secrets,/mnt".to_owned()),
        _ => None,
    };
    let sources = Sources::read(set).expect("sources");
    let folders = ["/etc/nexus", "/run/secrets", "/mnt"].map(PathBuf::from);
    assert_eq!((sources.file.clone(), &sources.folders[..]), (None, &folders[..]));
    assert!(!sources.is_empty() && Sources::default().is_empty());
}
