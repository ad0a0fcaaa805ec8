//! `http`: a few bytes, a JSON document there and back, 100 KiB in pieces, fifty events of a
//! stream, and what another service says, by our host with default settings, by our host that
//! proves a token and counts its bearer's requests, by our host without limits of computing (as
//! the peers are), and by the peers. `serve` in ratios is the better of `wasmtime serve` as it is
//! and tuned. Both are started anew for each kind of request: the tuned one answers `hello` half as
//! often once it was asked for events and long bodies, and is asked at its best.

use crate::Wanted;
use crate::database::Database;
use crate::load::{Load, Request, Turn};
use crate::ours::{Home, Part, SECOND, SERVICE, probe_file};
use crate::process::{Process, asked, posted};
use crate::servers::{self, Reuse, ensure_body};
use crate::told::{self, Better, ratio, sample};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;

pub const PERSON: &str =
    r#"{"name":"Ada Lovelace","email":"ada@example.org","age":36,"tags":["a","b","c"]}"#;

/// People who take turns where requests are counted: one may send 1200 a minute.
const PEOPLE: usize = 400;

/// In HTTP/2, as a proxy in front of a host would: 64 requests at once.
const H2_CONNECTIONS: u32 = 4;
const H2_STREAMS: u32 = 16;

const CASES: [&str; 5] = ["hello", "echo", "stream", "events", AT_ROOT];

/// The one that only what stands at the root of a server is asked for.
const AT_ROOT: &str = "chain";

/// Somebody who is asked.
struct Server {
    name: &'static str,
    /// Which of the processes.
    process: usize,
    /// Before each path.
    prefix: &'static str,
    clients: Vec<Vec<(&'static str, String)>>,
}

/// Everybody, and the processes they are in.
#[derive(Default)]
struct Field {
    servers: Vec<Server>,
    processes: Vec<Process>,
}

impl Field {
    fn add(&mut self, name: &'static str, process: Process) {
        self.processes.push(process);
        self.part(name, "", Vec::new());
    }

    /// Somebody in the process that was added last.
    fn part(
        &mut self,
        name: &'static str,
        prefix: &'static str,
        clients: Vec<Vec<(&'static str, String)>>,
    ) {
        let process = self.processes.len() - 1;
        self.servers.push(Server { name, process, prefix, clients });
    }

    /// Starts `wasmtime serve` again, as whoever measures it would for each kind of request.
    fn renew(&mut self, wanted: &Wanted, logs: &Path) -> Result<()> {
        for (name, reuse) in SERVES {
            if let Some(server) = self.servers.iter().find(|server| server.name == name)
                && let Some(process) = servers::serve(wanted, logs, reuse)?
            {
                self.processes[server.process] = process;
            }
        }
        Ok(())
    }
}

/// `wasmtime serve` as it comes, and at its best.
const SERVES: [(&str, Reuse); 2] = [("serve", Reuse::Default), ("serve_tuned", Reuse::Tuned)];

pub fn run(wanted: &Wanted) -> Result<()> {
    let database = Database::start()?;
    let logs = servers::logs()?;
    let [own, second, third] = homes(wanted, &database)?;
    let mut field = Field::default();
    if wanted.server("ours") {
        field.add("ours", own.start()?);
    }
    if wanted.server("unlimited") {
        field.add("unlimited", third.start_with(&[("NEXUS_CPU_LIMITS", "off")])?);
    }
    if wanted.server("guarded") || wanted.server("plain") {
        field.processes.push(second.start()?);
        field.part("plain", "/plain", Vec::new());
        if wanted.server("guarded") {
            field.part("guarded", "/guarded", people(&second)?);
        }
    }
    add_peers(wanted, &mut field, logs.path())?;
    for server in &field.servers {
        check(server, &field.processes[server.process])?;
    }
    let load = Load::new(wanted.seconds)?;
    for _ in 0..wanted.rounds {
        for case in CASES.into_iter().filter(|case| wanted.case(case)) {
            field.renew(wanted, logs.path())?;
            for &connections in &wanted.connections {
                round(&load, &field, case, connections)?;
            }
        }
    }
    field.renew(wanted, logs.path())?;
    http2(wanted, &load, &field)?;
    for server in field.servers.iter().filter(|server| server.prefix.is_empty()) {
        let (all, anonymous) = field.processes[server.process].resident()?;
        sample(&format!("resident_{}", server.name), "MiB", all);
        sample(&format!("resident_anonymous_{}", server.name), "MiB", anonymous);
    }
    Ok(())
}

/// The host with what it is asked for and whom that asks, one for the rest, and the first again for
/// other settings.
fn homes(wanted: &Wanted, database: &Database) -> Result<[Home; 3]> {
    let (id, source) = (SERVICE.to_owned(), probe_file("measured")?);
    let own = Part { id, source, route: "/...".into(), lines: "" };
    let own = [own, Part::of(SECOND, "measured", "")?];
    let others =
        [Part::of("guarded", "measured", "rate = \"default\"")?, Part::of("plain", "plain", "")?];
    let home = |parts: &[Part]| Home::make(wanted, database, parts);
    Ok([home(&own)?, home(&others)?, home(&own)?])
}

/// As many requests at once as over the most connections of HTTP/1.1, over few that share them.
fn http2(wanted: &Wanted, load: &Load, field: &Field) -> Result<()> {
    let hello = |server: &Server| Request::get(format!("{}/hello", server.prefix));
    let echo = |server: &Server| Request::post(format!("{}/echo", server.prefix), PERSON);
    let ask = |server: &Server, request: &Request| {
        let process = &field.processes[server.process];
        load.ask_h2(process, request, H2_CONNECTIONS, H2_STREAMS)
    };
    let anonymous = field.servers.iter().filter(|server| server.clients.is_empty());
    let (speak, mute): (Vec<_>, Vec<_>) =
        anonymous.partition(|server| ask(server, &hello(server)).is_ok());
    for server in mute {
        told::word(&format!("{} speaks no HTTP/2 without TLS: it is left out there", server.name));
    }
    for _ in 0..wanted.rounds {
        for case in ["hello", "echo"].into_iter().filter(|case| wanted.case(case)) {
            let asked = load.in_turns(&speak, |_, server| {
                let request = if case == "hello" { hello(server) } else { echo(server) };
                ask(server, &request)
            })?;
            let turns: BTreeMap<_, _> = speak.iter().map(|server| server.name).zip(asked).collect();
            for (name, turn) in &turns {
                tell(&format!("{case}_h2_{name}"), turn);
            }
            compare(&turns, &format!("{case}_h2"));
        }
    }
    Ok(())
}

fn add_peers(wanted: &Wanted, field: &mut Field, logs: &Path) -> Result<()> {
    if wanted.server("twin") {
        field.add("twin", servers::twin(logs, None)?);
    }
    for (name, reuse) in SERVES {
        if wanted.server(name)
            && let Some(process) = servers::serve(wanted, logs, reuse)?
        {
            field.add(name, process);
        }
    }
    if wanted.server("express")
        && let Some(process) = servers::express(wanted, logs, None)?
    {
        field.add("express", process);
    }
    Ok(())
}

/// Tokens of people at addresses of their own.
fn people(home: &Home) -> Result<Vec<Vec<(&'static str, String)>>> {
    let person = |number: usize| {
        let subject = uuid::Uuid::now_v7().to_string();
        let token = home.token(&subject)?;
        let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
        let token = format!("Bearer {token}");
        Ok(vec![("authorization", token), ("x-forwarded-for", address)])
    };
    (0..PEOPLE).map(person).collect()
}

fn check(server: &Server, process: &Process) -> Result<()> {
    let hello = asked(process.address, &format!("{}/hello", server.prefix))?;
    if server.clients.is_empty() {
        ensure_body(server.name, &hello, "hello")?;
        let echo = posted(process.address, &format!("{}/echo", server.prefix), PERSON)?;
        ensure_body(server.name, &echo, PERSON)?;
    }
    if server.prefix.is_empty() {
        ensure_body(server.name, &asked(process.address, "/events")?, "{\"event\":49}")?;
        ensure_body(
            server.name,
            &asked(process.address, &path(server, process, AT_ROOT))?,
            "hello",
        )?;
    }
    Ok(())
}

/// A peer asks itself, as it would ask another process; ours knows whom it asks.
fn path(server: &Server, process: &Process, case: &str) -> String {
    let path = format!("{}/{case}", server.prefix);
    if case == AT_ROOT { format!("{path}?host={}", process.address) } else { path }
}

fn round(load: &Load, field: &Field, case: &str, connections: u32) -> Result<()> {
    let are_asked = |it: &&Server| it.prefix.is_empty() || case != AT_ROOT;
    let servers: Vec<_> = field.servers.iter().filter(are_asked).collect();
    let asked = load.in_turns(&servers, |load, server| {
        let process = &field.processes[server.process];
        let path = path(server, process, case);
        let mut request = match case {
            "echo" => Request::post(path, PERSON),
            _ => Request::get(path),
        };
        request.clients = server.clients.clone();
        let turn = load.ask(process, &request, connections);
        turn.with_context(|| format!("ask {} for {case}", server.name))
    })?;
    let turns: BTreeMap<_, _> = servers.iter().map(|server| server.name).zip(asked).collect();
    for (name, turn) in &turns {
        tell(&format!("{case}_{connections}_{name}"), turn);
    }
    compare(&turns, &format!("{case}_{connections}"));
    Ok(())
}

/// What one did in one turn.
pub fn tell(name: &str, turn: &Turn) {
    sample(name, "/s", turn.per_second);
    sample(&format!("{name}_cpu"), "us", turn.cpu);
    sample(&format!("{name}_p50"), "ms", turn.p50);
    sample(&format!("{name}_p99"), "ms", turn.p99);
    sample(&format!("{name}_p999"), "ms", turn.p999);
}

fn compare(turns: &BTreeMap<&str, Turn>, name: &str) {
    let best = turns.get("serve").map(|first| {
        let tuned = turns.get("serve_tuned").unwrap_or(first);
        Turn {
            per_second: first.per_second.max(tuned.per_second),
            cpu: first.cpu.min(tuned.cpu),
            p99: first.p99.min(tuned.p99),
            ..*first
        }
    });
    let others = [("serve", best.as_ref()), ("twin", turns.get("twin"))];
    let others = others.into_iter().chain([("express", turns.get("express"))]);
    for (other, theirs) in others.filter_map(|(other, theirs)| Some((other, theirs?))) {
        for own in ["ours", "guarded", "plain", "unlimited"] {
            let Some(ours) = turns.get(own) else { continue };
            let pair = format!("{name}_{own}_over_{other}");
            ratio(&pair, ours.per_second, theirs.per_second, Better::More);
            ratio(&format!("{pair}_cpu"), ours.cpu, theirs.cpu, Better::Less);
            if other == "serve" {
                ratio(&format!("{pair}_p99"), ours.p99, theirs.p99, Better::Less);
            }
        }
    }
}
