//! `db`: one row read by its key, and one row written with its event in one transaction, all on
//! the same PostgreSQL: by our guest, by the native twin over sqlx and over connections of its own
//! with as little as can be in between, and by Express. What PostgreSQL itself spends for each is
//! told too (`…_database_cpu`).

use crate::database::Database;
use crate::http::tell;
use crate::load::{Load, Request};
use crate::ours::{Home, Part, SERVICE, probe_file};
use crate::process::{Process, asked, cpu_of_children, posted};
use crate::servers::{self, ensure_body};
use crate::told::{Better, ratio, sample};
use crate::{Wanted, told};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Rows that are read; they take turns.
const ROWS: usize = 1_000;

const DRAFT: &str = r#"{"title":"An entry of a few words"}"#;

/// The guest's table; its schema is there once it was admitted.
pub const TABLE: &str = "
    create table probe_measured.entry (
      tenant_id uuid, id uuid, title text not null, primary key (tenant_id, id));";

/// Those of the twins.
const TWINS: &str = "
    create schema twin;
    create table twin.entry (
      tenant_id uuid, id uuid, title text not null, primary key (tenant_id, id));
    create table twin.event (id uuid primary key, topic text not null, payload jsonb not null,
      at timestamptz not null default clock_timestamp());";

/// Where our service stands; the twins are at the root.
const OWN: &str = "/api/probe-measured/v1";

pub fn run(wanted: &Wanted) -> Result<()> {
    let database = Database::start()?;
    let logs = servers::logs()?;
    let (id, source) = (SERVICE.to_owned(), probe_file("measured")?);
    let part = Part { id, source, route: "/...".into(), lines: "" };
    let home = Home::make(wanted, &database, &[part])?;
    let host = home.start()?;
    database.run(TABLE).context("make the guest's table")?;
    database.run(TWINS).context("make the twins' tables")?;
    let ids: Vec<_> = (0..ROWS).map(|_| Uuid::now_v7()).collect();
    fill(&database, &host, &ids)?;
    let mut field = vec![("ours", host, OWN)];
    if wanted.server("twin") {
        field.push(("twin", servers::twin(logs.path(), Some(&database))?, ""));
    }
    if wanted.server("sqlx") {
        match servers::twin_over_sqlx(logs.path(), &database) {
            Ok(twin) => field.push(("sqlx", twin, "")),
            Err(error) => told::word(&format!("sqlx is left out: {error:#}")),
        }
    }
    if wanted.server("express")
        && let Some(express) = servers::express(wanted, logs.path(), Some(&database))?
    {
        field.push(("express", express, ""));
    }
    for (name, process, prefix) in &field {
        let one = asked(process.address, &format!("{prefix}/entries/{}", ids[0]))?;
        ensure_body(name, &one, "the first")?;
        let new = posted(process.address, &format!("{prefix}/entries"), DRAFT)?;
        ensure_body(name, &new, "An entry of a few words")?;
    }
    let load = Load::new(wanted.seconds)?;
    for _ in 0..wanted.rounds {
        for case in ["read", "commit"].into_iter().filter(|case| wanted.case(case)) {
            for &connections in &wanted.connections {
                round(&load, &database, &field, (case, &ids), connections)?;
            }
        }
    }
    Ok(())
}

/// The same rows for everybody, of the tenant that each takes for its own.
fn fill(database: &Database, host: &Process, ids: &[Uuid]) -> Result<()> {
    let new = posted(host.address, &format!("{OWN}/entries"), DRAFT)?;
    ensure_body("ours", &new, "An entry of a few words")?;
    let list = ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",");
    let rows = |tenant: &str, table: &str| {
        format!(
            "insert into {table} (tenant_id, id, title)
             select ({tenant}), id::uuid, 'the first'
             from unnest(string_to_array('{list}', ',')) id;
             analyze {table};"
        )
    };
    let ours = rows("select tenant_id from probe_measured.entry limit 1", "probe_measured.entry");
    let nobody = format!("'{}'::uuid", Uuid::nil());
    database.run(&(ours + &rows(&nobody, "twin.entry"))).context("make the rows")
}

fn round(
    load: &Load,
    database: &Database,
    field: &[(&'static str, Process, &str)],
    (case, ids): (&str, &[Uuid]),
    connections: u32,
) -> Result<()> {
    let spent = || database.process_id().map_or(0.0, cpu_of_children);
    let mut database_spent: BTreeMap<&str, f64> = BTreeMap::new();
    let asked = load.in_turns(field, |load, (name, process, prefix)| {
        let mut request = match case {
            "commit" => Request::post(format!("{prefix}/entries"), DRAFT),
            _ => Request::get(format!("{prefix}/entries/{}", ids[0])),
        };
        if case == "read" {
            request.paths = ids.iter().map(|id| format!("{prefix}/entries/{id}")).collect();
        }
        let before = spent();
        let turn = load.ask(process, &request, connections);
        *database_spent.entry(name).or_default() += spent() - before;
        turn.with_context(|| format!("ask {name} for {case}"))
    })?;
    let turns: BTreeMap<_, _> = field.iter().map(|(name, ..)| *name).zip(asked).collect();
    for (name, turn) in &turns {
        let full = format!("{case}_{connections}_{name}");
        tell(&full, turn);
        sample(&format!("{full}_database_cpu"), "us", database_spent[name] * 1e6 / turn.answers);
    }
    let Some(ours) = turns.get("ours") else { return Ok(()) };
    for other in ["twin", "sqlx", "express"] {
        let Some(theirs) = turns.get(other) else {
            told::word(&format!("{other} was not asked"));
            continue;
        };
        let pair = format!("{case}_{connections}_ours_over_{other}");
        ratio(&pair, ours.per_second, theirs.per_second, Better::More);
        ratio(&format!("{pair}_cpu"), ours.cpu, theirs.cpu, Better::Less);
    }
    Ok(())
}
