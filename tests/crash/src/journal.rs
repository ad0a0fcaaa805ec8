//! The guest that does the work: the probe `journal`, which writes an entry and its event in one
//! commit, files each entry it is told of, and counts the runs of its schedule.

use crate::ground::{Ground, repository};
use anyhow::{Context as _, Result, ensure};
use std::path::PathBuf;

/// The component, which is also its service.
pub const SERVICE: &str = "probe-journal";

/// Where entries are posted.
pub const ENTRIES: &str = "/api/probe-journal/v1/entries";

/// The topic of an entry, which is also the name of its own subscription.
pub const TOPIC: &str = "probe.entry.written.v1";

/// Both of the probe's subscriptions.
pub const BOTH: &str = r#"subscribe = ["probe.entry.written.v1", "probe.**"]"#;

/// The tables that the probe's migration would make. No key where the inbox is what is tried: a
/// second filing of an entry must be seen, not refused.
const TABLES: &str = "
    create table if not exists probe_journal.entry (
      tenant_id uuid, id uuid, mood text not null, primary key (tenant_id, id));
    create table if not exists probe_journal.filed (
      tenant_id uuid, entry_id uuid, chapter text not null,
      at timestamptz not null default clock_timestamp());
    create table if not exists probe_journal.heard (
      tenant_id uuid, entry_id uuid, topic text not null);
    create table if not exists probe_journal.counted (nominal timestamptz, at timestamptz);
    create index if not exists filed_entry on probe_journal.filed (entry_id);
    create index if not exists heard_entry on probe_journal.heard (entry_id);";

/// Makes the probe's role, schema and tables.
///
/// # Errors
///
/// What the server says.
pub async fn furnish(ground: &Ground) -> Result<()> {
    ground.database().admit(&[SERVICE]).await.context("admit the probe")?;
    ground.run(TABLES).await.context("make the probe's tables")
}

/// Writes a manifest of the probe alone, with these lines in its `[component.X.tool.nexus]` table.
///
/// # Errors
///
/// When the probe is not staged.
pub fn manifest(ground: &Ground, lines: &str) -> Result<PathBuf> {
    let source = repository().join(".nexus/probes/journal.wasm");
    let shown = source.display();
    ensure!(source.is_file(), "{shown} is missing: run cargo xtask build --probes");
    let text = format!(
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
source = "{shown}"
variables = {{ pg_url = "{{{{ pg_url }}}}" }}
key_value_stores = ["default"]
[component.probe-journal.tool.nexus]
{lines}
"#
    );
    let file = ground.folder().join("spin.toml");
    std::fs::write(&file, text).context("write the manifest")?;
    Ok(file)
}
