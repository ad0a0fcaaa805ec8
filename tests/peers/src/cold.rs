//! `cold`: a host of 77 components that nobody has asked for anything yet. Each is a copy of one
//! guest that differs by a byte, so that each has compiled code of its own, as 77 services have.

use crate::Wanted;
use crate::database::Database;
use crate::ours::{Home, Part, probe_file};
use crate::process::Process;
use crate::servers;
use crate::told::{Better, ratio, sample};
use anyhow::{Context as _, Result, ensure};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// As many as the suite has services.
const COMPONENTS: usize = 77;

/// Processes of Express that are started; the rest would be like them.
const EXPRESSES: usize = 5;

pub fn run(wanted: &Wanted) -> Result<()> {
    let database = Database::start()?;
    let home = Home::make(wanted, &database, &[])?;
    let mut parts = Vec::new();
    let guest = std::fs::read(probe_file("measured")?).context("read the guest")?;
    for number in 0..COMPONENTS {
        let id = format!("c{number}");
        let source = home.folder().join(format!("{id}.wasm"));
        std::fs::write(&source, marked(&guest, number)).context("write a copy of the guest")?;
        parts.push(Part { route: format!("/{id}/..."), id, source, lines: "" });
    }
    home.rewrite(&parts)?;
    // Compiles them, gives each its schema, and is not measured.
    home.start()?.stop()?;
    let mut held = 0.0;
    for _ in 0..wanted.rounds {
        let began = Instant::now();
        let host = home.start()?;
        sample("ready", "ms", millis(began.elapsed()));
        sample("resident_ready", "MiB", host.resident()?.0);
        let mut waits = Vec::new();
        for number in 0..COMPONENTS {
            waits.push(millis(first_answer(&host, number)?));
        }
        waits.sort_by(f64::total_cmp);
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share).round() as usize];
        sample("first_request_p50", "ms", at(0.5));
        sample("first_request_p99", "ms", at(0.99));
        let (all, anonymous) = host.resident()?;
        held = all;
        sample("resident_warm", "MiB", all);
        sample("resident_anonymous_warm", "MiB", anonymous);
        sample("resident_of_a_component", "MiB", all / COMPONENTS as f64);
        host.stop()?;
    }
    beside_node(wanted, held)
}

/// What as many Express processes would hold, from the mean of a few.
fn beside_node(wanted: &Wanted, held: f64) -> Result<()> {
    let logs = servers::logs()?;
    let mut all = Vec::new();
    for _ in 0..EXPRESSES {
        let Some(express) = servers::express(wanted, logs.path(), None)? else { return Ok(()) };
        all.push(express);
    }
    let sizes = all.iter().map(|express| Ok(express.resident()?.0));
    let mean = sizes.sum::<Result<f64>>()? / EXPRESSES as f64;
    sample("resident_express", "MiB", mean);
    sample("resident_77_expresses", "MiB", mean * COMPONENTS as f64);
    ratio("resident_over_expresses", held, mean * COMPONENTS as f64, Better::Less);
    Ok(())
}

/// The guest with a custom section at its end (Component Model, Binary.md: an id of zero, a length,
/// a name with its length, then anything).
fn marked(guest: &[u8], number: usize) -> Vec<u8> {
    let text = format!("copy{number:04}");
    let length = u8::try_from(text.len()).expect("a few letters");
    let mut copy = guest.to_vec();
    copy.extend([0, length + 1, length]);
    copy.extend(text.as_bytes());
    copy
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// From the request's last byte until the answer's, over a connection that is open.
fn first_answer(host: &Process, number: usize) -> Result<Duration> {
    let mut stream = TcpStream::connect(host.address).context("connect to the host")?;
    stream.set_nodelay(true).context("send at once")?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).context("limit the wait")?;
    let request = format!("GET /c{number}/hello HTTP/1.1\r\nhost: peers\r\n\r\n");
    let began = Instant::now();
    stream.write_all(request.as_bytes()).context("ask the host")?;
    let (mut heard, mut part) = (Vec::new(), [0; 4096]);
    while !heard.ends_with(b"hello") {
        let length = stream.read(&mut part).context("hear the host")?;
        let text = String::from_utf8_lossy(&heard);
        ensure!(length > 0 && heard.len() < 4096, "c{number} answers: {text}");
        heard.extend_from_slice(&part[..length]);
    }
    let took = began.elapsed();
    ensure!(heard.starts_with(b"HTTP/1.1 200"), "c{number}: {}", String::from_utf8_lossy(&heard));
    Ok(took)
}

#[test]
fn a_marked_copy_differs_from_the_others_and_names_its_length() {
    let (first, second) = (marked(b"guest", 1), marked(b"guest", 2));
    assert_ne!(first, second);
    assert_eq!(&first[5..], b"\0\x09\x08copy0001");
}
