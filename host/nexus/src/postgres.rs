//! The way to a PostgreSQL that is ready to work: found or started, migrated, with a role for each
//! component. A server that is away is waited for; a setting that is wrong is said at once.

use crate::backup::Archive;
use crate::settings::Database as Choice;
use nexus_admin::{Condition, Conditions};
use nexus_storage::cluster::{self, Cluster};
use nexus_storage::{Database, Error, Limits, Migrations, Server};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The condition's name on the readiness board.
pub(crate) const CONDITION: &str = "postgresql";

/// Pauses between attempts: short at first, because a server that starts beside us is there soon.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Between two looks at a server that works.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// One look; a server that takes longer is of no use to a request either.
const LOOK_MAX: Duration = Duration::from_secs(3);

/// What the host needs of it.
pub(crate) struct Wanted {
    pub(crate) choice: Choice,
    /// Where the log of a private server goes.
    pub(crate) archive: Option<Archive>,
    pub(crate) home: PathBuf,
    pub(crate) connections_max: usize,
    pub(crate) migrations: Option<PathBuf>,
    /// Components, each of which gets a role and a schema.
    pub(crate) services: Vec<String>,
}

/// A server that works.
pub(crate) struct Working {
    pub(crate) database: Database,
    /// Set when the server is the host's own.
    pub(crate) cluster: Option<Cluster>,
}

/// Waits until the server works; `told` hears why it does not yet, once per reason.
///
/// Fails when waiting cannot help: no PostgreSQL on this machine, a version too old, an address or
/// a migration that is wrong.
pub(crate) async fn working(
    wanted: Wanted,
    conditions: &Conditions,
    mut told: impl FnMut(&Error),
) -> Result<Option<Working>, Error> {
    let limits = Limits { connections_max: wanted.connections_max, ..Limits::default() };
    let (server, cluster) = match &wanted.choice {
        Choice::None => return Ok(None),
        Choice::Open(database) => {
            let errand = Errand::Prepare(database.clone());
            let database = retried(conditions, &mut told, &wanted, errand).await?;
            return Ok(Some(Working { database, cluster: None }));
        }
        Choice::Private => {
            let cluster = private(&wanted.home, wanted.archive.clone()).await?;
            (cluster.server(), Some(cluster))
        }
        Choice::Url(url) => (Server::from_url(url)?, None),
    };
    let errand = Errand::Open(server, limits);
    let database = retried(conditions, &mut told, &wanted, errand).await?;
    Ok(Some(Working { database, cluster }))
}

/// The cluster in `home`, and, where there is an archive, its log on the way there for as long as
/// this process runs.
async fn private(home: &Path, archive: Option<Archive>) -> Result<Cluster, Error> {
    cluster::archive(home, archive.as_ref().map(|archive| archive.seconds))?;
    let cluster = Cluster::start(home, cluster::Settings::default()).await?;
    if let (Some(archive), Some(spool)) = (archive, cluster::spool(home)?) {
        let folder = archive.folder.display();
        tracing::info!(%folder, seconds = archive.seconds, "the log of the database is archived");
        tokio::spawn(archive.follow(spool));
    }
    Ok(cluster)
}

/// What is tried until the server lets us.
enum Errand {
    Prepare(Database),
    Open(Server, Limits),
}

impl Errand {
    async fn run(&self, wanted: &Wanted) -> Result<Database, Error> {
        let database = match self {
            Errand::Prepare(database) => database.clone(),
            Errand::Open(server, limits) => Database::open(server.clone(), limits.clone()).await?,
        };
        prepare(wanted, &database).await?;
        Ok(database)
    }
}

/// Migrations, then roles and schemas.
async fn prepare(wanted: &Wanted, database: &Database) -> Result<(), Error> {
    let Some(folder) = &wanted.migrations else {
        tracing::warn!("there is no folder of migrations: the database stays as it is");
        return Ok(());
    };
    let applied = Migrations::read(folder)?.apply(database).await?;
    if !applied.files.is_empty() {
        tracing::info!(files = applied.files.len(), "migrations were applied");
    }
    let services: Vec<&str> = wanted.services.iter().map(String::as_str).collect();
    database.admit(&services).await
}

/// Repeats the errand while the server is away or does not let us in, which an operator may be
/// putting right at this moment.
async fn retried(
    conditions: &Conditions,
    told: &mut impl FnMut(&Error),
    wanted: &Wanted,
    errand: Errand,
) -> Result<Database, Error> {
    let (mut pause, mut last) = (PAUSE_MIN, String::new());
    loop {
        match errand.run(wanted).await {
            Err(error) if error.is_unavailable() || is_locked_out(&error) => {
                let words = error.to_string();
                if words != last {
                    tracing::warn!(%error, "PostgreSQL is waited for");
                    conditions.set(CONDITION, Condition::Waiting(words.clone()));
                    told(&error);
                    last = words;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            outcome => return outcome,
        }
    }
}

fn is_locked_out(error: &Error) -> bool {
    matches!(error, Error::Credentials { .. })
}

/// Keeps the readiness board true while the host runs; never returns.
pub(crate) async fn watch(database: Database, conditions: Conditions) {
    loop {
        let looked = tokio::time::timeout(LOOK_MAX, look(&database)).await;
        let condition = match looked {
            Ok(Ok(version)) => Condition::Met(format!("version {version}")),
            Ok(Err(error)) => Condition::Waiting(error.to_string()),
            Err(_) => Condition::Waiting(format!("no answer within {LOOK_MAX:?}")),
        };
        let before = conditions.set(CONDITION, condition.clone());
        match (before, &condition) {
            (Some(Condition::Met(_)), Condition::Waiting(reason)) => {
                tracing::warn!(reason, "PostgreSQL is away");
            }
            (Some(Condition::Waiting(_)), Condition::Met(_)) => {
                tracing::info!("PostgreSQL is there");
            }
            _ => {}
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(database: &Database) -> Result<String, Error> {
    let session = database.host().await?;
    let rows = session.query("select current_setting('server_version')", &[]).await?;
    Ok(rows[0].try_get(0)?)
}

/// The services that get a role: components and the folders of migrations are one list.
pub(crate) fn services(manifest: &nexus_runtime::Manifest) -> Vec<String> {
    manifest.components.iter().map(|component| component.id.to_string()).collect()
}
