//! `isolation`: an instance for each request, which nothing that a caller did outlives. Ours has it
//! by a line of the manifest, `wasmtime serve` by `--max-instance-reuse-count 1`.

use crate::Wanted;
use crate::database::Database;
use crate::http::tell;
use crate::load::{Load, Request};
use crate::ours::{Home, Part};
use crate::process::asked;
use crate::servers::{self, Reuse, ensure_body};
use crate::told::{Better, ratio};
use anyhow::Result;

const FRESH: &str = "isolation = \"fresh\"";

const PERSON: &str = crate::http::PERSON;

pub fn run(wanted: &Wanted) -> Result<()> {
    let database = Database::start()?;
    let logs = servers::logs()?;
    let parts = [Part::of("fresh", "measured", FRESH)?, Part::of("fresh-plain", "plain", FRESH)?];
    let home = Home::make(wanted, &database, &parts)?;
    let host = home.start()?;
    let serve = servers::serve(wanted, logs.path(), Reuse::Never)?;
    let load = Load::new(wanted.seconds)?;
    for id in ["fresh", "fresh-plain"] {
        ensure_body(id, &asked(host.address, &format!("/{id}/hello"))?, "hello")?;
    }
    for _ in 0..wanted.rounds {
        for case in ["hello", "echo"].into_iter().filter(|case| wanted.case(case)) {
            for &connections in &wanted.connections {
                let request = |prefix: &str| match case {
                    "echo" => Request::post(format!("{prefix}/echo"), PERSON),
                    _ => Request::get(format!("{prefix}/hello")),
                };
                let name = format!("{case}_{connections}");
                let own = [("ours", &host, "/fresh"), ("plain", &host, "/fresh-plain")];
                let servers: Vec<_> =
                    serve.iter().map(|serve| ("serve", serve, "")).chain(own).collect();
                let turns = load.in_turns(&servers, |load, (_, process, prefix)| {
                    load.ask(process, &request(prefix), connections)
                })?;
                let turns: Vec<_> = servers.iter().map(|(word, ..)| *word).zip(turns).collect();
                let peer = turns.iter().find(|(word, _)| *word == "serve").map(|(_, turn)| turn);
                for (word, own) in &turns {
                    tell(&format!("{name}_{word}"), own);
                    let Some(peer) = peer.filter(|_| *word != "serve") else { continue };
                    let pair = format!("{name}_{word}_over_serve");
                    ratio(&pair, own.per_second, peer.per_second, Better::More);
                    ratio(&format!("{pair}_cpu"), own.cpu, peer.cpu, Better::Less);
                }
            }
        }
    }
    Ok(())
}
