//! One PostgreSQL for everybody: durable, as the host's own is.

use anyhow::{Context as _, Result};
use nexus_storage::cluster::{Cluster, Settings};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// A server; ended when dropped.
pub struct Database {
    runtime: Runtime,
    cluster: Option<Cluster>,
    home: TempDir,
}

impl Database {
    /// Makes and starts one, in a folder that goes with it.
    ///
    /// # Errors
    /// When this machine has no PostgreSQL 15.
    pub fn start() -> Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().context("start a runtime")?;
        let home = TempDir::with_prefix("nx-").context("make a temporary folder")?;
        // The server's user passes through.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711))
            .context("let the server's user pass")?;
        let cluster = runtime.block_on(Cluster::start(home.path(), Settings::default()));
        let cluster = Some(cluster.context("start PostgreSQL")?);
        Ok(Self { runtime, cluster, home })
    }

    /// The folder of its socket.
    pub fn socket(&self) -> PathBuf {
        self.home.path().join("pg/run")
    }

    /// As `DATABASE_URL` takes it.
    pub fn url(&self) -> String {
        format!("host={} user=nexus dbname=nexus", self.socket().display())
    }

    /// As a URL, which is all that sqlx takes.
    pub fn whole_url(&self) -> String {
        format!("postgres://nexus@localhost/nexus?host={}", self.socket().display())
    }

    /// Its first process, whose children serve.
    pub fn process_id(&self) -> Option<i32> {
        self.cluster.as_ref().map(Cluster::process_id)
    }

    /// Runs SQL as the owner.
    ///
    /// # Errors
    /// What the server says.
    pub fn run(&self, sql: &str) -> Result<()> {
        self.runtime.block_on(async {
            let url = self.url();
            let (client, connection) =
                tokio_postgres::connect(&url, NoTls).await.context("connect")?;
            let connection = tokio::spawn(connection);
            client.batch_execute(sql).await.context("run SQL")?;
            connection.abort();
            Ok(())
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            self.runtime.block_on(cluster.stop());
        }
    }
}
