//! `order`: has a guest count the calls of its functions (`nexus_layout::calls`) and prints their
//! names in the order in which they are to stand: what any service does, from its start to the
//! answer of a few bytes, before what is done for documents and rows; in both, most called first.
//!
//! Knows how counters are found in the host's process: by their mark, in the memory of each
//! instance.

use crate::Wanted;
use crate::database::Database;
use crate::ours::{Home, Part, SERVICE};
use crate::process::{Process, asked};
use crate::rows::TABLE;
use crate::soak::{load, mix};
use anyhow::{Context as _, Result, ensure};
use nexus_layout::calls::{Counting, MARK, counting};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// Requests for a few bytes.
const SIMPLE: usize = 200;

/// How long all kinds of requests are sent.
const MIXED: Duration = Duration::from_secs(10);

/// # Errors
/// When the host does not start, or cannot be asked.
pub fn run(wanted: &Wanted) -> Result<()> {
    let guest = wanted.guest.as_ref().context("say whose calls are counted: --guest")?;
    let counting =
        counting(&fs::read(guest).with_context(|| format!("read {}", guest.display()))?)?;
    let database = Database::start()?;
    let home = Home::make(wanted, &database, &[])?;
    let source = home.folder().join("counting.wasm");
    fs::write(&source, &counting.guest).context("write the guest that counts")?;
    home.rewrite(&[Part { id: SERVICE.to_owned(), source, route: "/...".into(), lines: "" }])?;
    let host = home.start()?;
    database.run(TABLE).context("make the service's table")?;
    for _ in 0..SIMPLE {
        let answer = asked(host.address, "/hello")?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "hello was answered {answer}");
    }
    let simple = counted(&host, &counting)?;
    let mix = mix(host.address)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("start a runtime")?;
    let told = runtime.block_on(load(host.address, &mix, f64::INFINITY, MIXED))?;
    ensure!(told.failed.is_empty(), "a request failed: {}", told.failed[0]);
    for name in order(&counting.functions, &simple, &counted(&host, &counting)?) {
        println!("{name}");
    }
    Ok(())
}

/// How often each function was called, by all instances that are there.
fn counted(host: &Process, counting: &Counting) -> Result<Vec<u64>> {
    let process = format!("/proc/{}", host.id());
    let memory = File::open(format!("{process}/mem")).context("look into the host")?;
    let maps = fs::read_to_string(format!("{process}/maps")).context("read the host's maps")?;
    let mut calls = vec![0; counting.functions.len()];
    let mut instances = 0;
    let mut counters = vec![0; counting.functions.len() * 4];
    // A guest's memory begins as its compiled file has it, the mark included.
    for (begin, end) in maps.lines().filter(|line| line.ends_with(".cwasm")).filter_map(writable) {
        for page in (begin..end).step_by(4096) {
            let mut mark = [0; MARK.len()];
            memory.read_exact_at(&mut mark, page).context("look for counters")?;
            if mark != MARK {
                continue;
            }
            memory
                .read_exact_at(&mut counters, page + MARK.len() as u64)
                .context("read counters")?;
            for (all, counter) in calls.iter_mut().zip(counters.as_chunks().0) {
                *all += u64::from(u32::from_le_bytes(*counter));
            }
            instances += 1;
        }
    }
    ensure!(instances > 0, "no instance counts");
    Ok(calls)
}

/// The addresses of a mapping that can be written to, from a line of `/proc/<pid>/maps` (proc(5)).
fn writable(line: &str) -> Option<(u64, u64)> {
    let (addresses, rest) = line.split_once(' ')?;
    let (begin, end) = addresses.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    rest.starts_with("rw").then_some((address(begin)?, address(end)?))
}

/// Names of functions that were called. What stands under one name is counted together.
fn order<'f>(functions: &'f [String], simple: &[u64], all: &[u64]) -> Vec<&'f str> {
    let mut calls = HashMap::<&str, (u64, u64)>::new();
    for (name, counts) in functions.iter().zip(simple.iter().zip(all)) {
        let (of_simple, of_all) = calls.entry(name).or_default();
        *of_simple += counts.0;
        *of_all += counts.1;
    }
    let mut called: Vec<_> = calls.into_iter().filter(|(_, (_, all))| *all > 0).collect();
    called.sort_by_key(|(name, (simple, all))| {
        let often = if *simple > 0 { *simple } else { *all };
        (*simple == 0, Reverse(often), *name)
    });
    called.into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn what_every_service_does_comes_first_and_what_nobody_calls_not_at_all() {
    let functions = ["rows", "start", "unused", "hello", "rows"].map(str::to_owned);
    let order = order(&functions, &[0, 1, 0, 200, 0], &[500, 4, 0, 900, 700]);
    assert_eq!(order, ["hello", "start", "rows"]);
}

#[test]
fn only_memory_that_can_be_written_to_is_looked_at() {
    let line = "77b744120000-77b744121000 rw-p 002ed000 fe:00 1018 /srv/compiled/a.cwasm";
    assert_eq!(writable(line), Some((0x77b7_4412_0000, 0x77b7_4412_1000)));
    assert_eq!(writable(&line.replace("rw-p", "r-xp")), None);
}
