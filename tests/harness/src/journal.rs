//! A host of one guest with all three triggers: the probe `journal`, and the tables that a
//! service's own migration would make.

use crate::database::TestDatabase;
use crate::nexus::Nexus;
use crate::staged::probe;

const TABLES: &str = "
    create table probe_journal.entry (
      tenant_id uuid, id uuid, mood text not null, primary key (tenant_id, id));
    create table probe_journal.filed (tenant_id uuid, entry_id uuid, chapter text not null);
    create table probe_journal.heard (tenant_id uuid, entry_id uuid, topic text not null);
    create table probe_journal.counted (nominal timestamptz, at timestamptz);";

/// Starts a host of the probe alone, with these lines in its `[component.X.tool.nexus]` table.
///
/// # Panics
///
/// When the probe is not staged, or the host does not become ready.
pub async fn journal(lines: &str) -> Nexus {
    let manifest = format!(
        r#"
spin_manifest_version = 2
[application]
name = "journal"
version = "0.0.0"
[variables.pg_url]
required = true
secret = true
[[trigger.http]]
route = "/api/probe-journal/..."
component = "probe-journal"
[component.probe-journal]
source = "{}"
variables = {{ pg_url = "{{{{ pg_url }}}}" }}
key_value_stores = ["default"]
[component.probe-journal.tool.nexus]
{lines}
"#,
        probe("journal").display()
    );
    // As a migration would: a schedule may run as soon as the host is ready.
    let created = TestDatabase::create().await;
    let database = created.database();
    database.admit(&["probe-journal"]).await.expect("admit the probe");
    let session = database.host().await.expect("connect to the tests' PostgreSQL");
    session.batch(TABLES).await.expect("make the probe's tables");
    Nexus::setup().manifest(manifest).database(database.clone()).start().await
}
