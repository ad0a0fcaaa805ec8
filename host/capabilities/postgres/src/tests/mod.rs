//! The capability on a real server: who may open what, how values travel, what errors say.

mod grants;
mod streams;
mod values;

use crate::encode::Param;
use crate::host::spin::postgres::postgres::{DbValue, Error, ParameterValue};
use crate::places::{Open, State};
use crate::{Postgres, Resolve};
use nexus_runtime::{ComponentManifest, Manifest};
use nexus_storage::cluster::{Settings, SharedCluster};
use nexus_storage::{Database, Limits, Migrations};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A database with the service `alpha`, and the capability over it.
struct Fixture {
    postgres: Postgres,
    database: Database,
    first: Database,
    home: PathBuf,
    _cluster: SharedCluster,
}

/// Beside the tests' own program, below Cargo's target folder: the storage tests' server.
fn home() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).unwrap().join("tmp/nexus-storage")
}

fn resolve() -> Resolve {
    Arc::new(|_, template| match template.contains("{{ pg_host }}") {
        true => Ok(template.replace("{{ pg_host }}", "db.example.com")),
        false => Err("there is no such variable".into()),
    })
}

/// A manifest whose component `alpha` has these outbound hosts.
fn component(hosts: &[&str]) -> Arc<ComponentManifest> {
    let text = format!(
        "spin_manifest_version = 2\n[application]\nname = \"x\"\n[component.alpha]\n\
         source = \"alpha.wasm\"\nallowed_outbound_hosts = {hosts:?}\n"
    );
    Manifest::parse(&text, Path::new("spin.toml")).unwrap().components.remove(0)
}

async fn fixture() -> Fixture {
    let home = home();
    let settings = Settings { durable: false, connections_max: 100 };
    let cluster = SharedCluster::join(&home, settings).await.unwrap();
    let first = Database::open(cluster.server(), Limits::default()).await.unwrap();
    let name = format!("c_{}", uuid::Uuid::new_v4().simple());
    let database = first.create_empty(&name).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let platform = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../migrations/platform");
    std::os::unix::fs::symlink(platform, folder.path().join("platform")).unwrap();
    Migrations::read(folder.path()).unwrap().apply(&database).await.unwrap();
    database.admit(&["alpha"]).await.unwrap();
    let postgres = Postgres::new(Some(database.clone()), resolve(), Handle::current());
    Fixture { postgres, database, first, home, _cluster: cluster }
}

impl Fixture {
    async fn open(&self) -> Open {
        let state = State::new(self.postgres.clone());
        state.open(&component(&[]), "postgres://nexus.internal/alpha", None).await.unwrap()
    }

    async fn end(self) {
        self.first.drop_database(self.database.name()).await.unwrap();
    }
}

/// The one row of a query.
async fn row(open: &Open, sql: &str, params: Vec<ParameterValue>) -> Vec<DbValue> {
    match open.line.query(sql, params).await {
        Ok(mut set) => set.rows.remove(0),
        Err(error) => panic!("{sql}: {error}"),
    }
}

/// What a guest is told when a statement fails.
async fn failure(open: &Open, sql: &str, params: Vec<ParameterValue>) -> Error {
    match open.line.query(sql, params).await {
        Ok(set) => panic!("{sql}: {} rows", set.rows.len()),
        Err(error) => error.into(),
    }
}

/// Values have no equality of their own; their debug form tells all of them apart.
fn shown<T: std::fmt::Debug>(value: &T) -> String {
    format!("{value:?}")
}

#[test]
fn a_parameter_is_text_unless_its_own_type_is_wanted() {
    use nexus_storage::tokio_postgres::types::{Format, ToSql as _, Type};
    let one = Param(ParameterValue::Int32(1));
    assert!(matches!(one.encode_format(&Type::INT4), Format::Binary));
    assert!(matches!(one.encode_format(&Type::NUMERIC), Format::Text));
}
