//! How the first administrator of an installation comes in: by a link that works once and for a
//! day, in a file that only the operator reads. Nothing has a default password.

use crate::host::Host;
use crate::secret;
use anyhow::{Context as _, Result};
use nexus_runtime::DEFAULT_TENANT;
use nexus_storage::identity::Identity;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The link's file in the home folder.
pub const LINK_FILE: &str = "setup-link";

/// The component whose page the link opens.
const ACCOUNTS: &str = "user-auth";

/// Leaves a new link in the home while there is no administrator, and says where; otherwise takes
/// an old one away.
pub(crate) async fn offer(host: &Host) -> Result<Option<PathBuf>> {
    let file = host.home().join(LINK_FILE);
    let runs = |id: &str| id == ACCOUNTS;
    let components = host.runtime().map(nexus_runtime::Runtime::snapshot).unwrap_or_default();
    let accounts = components.iter().any(|c| runs(c.component.as_str()));
    let secret = match host.database().filter(|_| accounts) {
        Some(database) => {
            let made = Identity::new(database.clone()).setup_link(DEFAULT_TENANT).await;
            made.context("make a link for the first administrator")?
        }
        None => None,
    };
    let Some(secret) = secret else {
        return match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", file.display()))
            }
            _ => Ok(None),
        };
    };
    let link = format!("{}/account/setup?token={secret}", host.public_url());
    secret::shown_in(&file, &link)?;
    Ok(Some(file))
}

/// The link that a running host has left in its home, if there is one.
pub(crate) fn link(home: &Path) -> Result<Option<String>> {
    let file = home.join(LINK_FILE);
    match fs::read_to_string(&file) {
        Ok(link) => Ok(Some(link.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}
