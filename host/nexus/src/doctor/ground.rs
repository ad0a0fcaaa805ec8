//! What checks look at: the settings that a start would have, and what a running host answers.

use crate::settings::{Database as Choice, Settings};
use nexus_storage::cluster;
use nexus_storage::{Database, Limits, Server, Session};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::OnceCell;

/// Answers of a running host's operators' API, by path; None where it has no such path.
pub(crate) type Answers = BTreeMap<&'static str, Value>;

/// The installation that is looked at.
pub(crate) struct Ground {
    pub(crate) home: PathBuf,
    /// Otherwise what is wrong with them.
    pub(crate) settings: Result<Settings, String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Where backups are put.
    pub(crate) backups: Option<PathBuf>,
    /// None: no host answers.
    pub(crate) answers: Option<Answers>,
    pub(super) database: OnceCell<Result<Option<Database>, String>>,
}

impl Ground {
    pub(crate) fn new(
        home: PathBuf,
        settings: Result<Settings, String>,
        environment: Vec<(String, String)>,
    ) -> Self {
        let (backups, answers, database) = (None, None, OnceCell::new());
        Self { home, settings, environment, backups, answers, database }
    }

    /// Nothing but an empty folder and the defaults.
    #[cfg(test)]
    pub(super) fn bare(home: &std::path::Path) -> Self {
        let text = "spin_manifest_version = 2\n[application]\nname = \"suite\"\n";
        let manifest = nexus_runtime::Manifest::parse(text, &home.join("spin.toml"));
        let settings = Settings::new(home.to_owned(), manifest.unwrap());
        Self::new(home.to_owned(), Ok(settings), Vec::new())
    }

    /// What the environment says, unless it is empty.
    pub(super) fn set(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// The database: the operator's, or a private one that runs already; None when it does not run.
    pub(super) async fn opened(&self) -> Result<Option<&Database>, String> {
        let opened = self.database.get_or_init(|| async {
            let settings = self.settings.as_ref().map_err(Clone::clone)?;
            let server = match &settings.database {
                Choice::Url(url) => Server::from_url(url).map(Some),
                Choice::Private => cluster::running(&self.home).await,
                Choice::Open(database) => return Ok(Some(database.clone())),
                Choice::None => return Ok(None),
            };
            let Some(server) = server.map_err(|error| error.to_string())? else { return Ok(None) };
            let limits = Limits { connections_max: 6, ..Limits::default() };
            let database = Database::open(server, limits).await;
            database.map(Some).map_err(|error| error.to_string())
        });
        opened.await.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    pub(super) async fn session(&self) -> Result<Option<Session>, String> {
        let Some(database) = self.opened().await? else { return Ok(None) };
        database.host().await.map(Some).map_err(|error| error.to_string())
    }
}
