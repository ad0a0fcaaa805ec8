//! `soak`: a day in miniature. A service is asked for what services are asked for, at half of what
//! the machine can give, while it is deployed again and again; what fails, what grows and what
//! becomes slow is told. Two minutes a round.
//!
//! A request has its time in advance, so that one which had to wait for another counts its wait.

use crate::Wanted;
use crate::database::Database;
use crate::http::PERSON;
use crate::ours::{Home, Part, SERVICE, probe_file};
use crate::process::{Process, posted};
use crate::rows::TABLE;
use crate::told::{Better, ratio, sample, word};
use anyhow::{Context as _, Result, bail, ensure};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const CONNECTIONS: u32 = 32;

/// How long the machine is asked for what it can give.
const TRIAL: Duration = Duration::from_secs(10);

const ROUND: Duration = Duration::from_secs(120);

const DEPLOY_EVERY: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Whose slowest answers are compared with those of the end.
const WINDOW: Duration = Duration::from_secs(60);

const WRITES: &str = "/api/probe-measured/v1/entries";

/// # Errors
/// When a server does not start, or cannot be asked at all.
pub fn run(wanted: &Wanted) -> Result<()> {
    let database = Database::start()?;
    let source = probe_file("measured")?;
    let part = Part { id: SERVICE.to_owned(), source, route: "/...".into(), lines: "" };
    let home = Home::make(wanted, &database, &[part])?;
    let host = home.start()?;
    database.run(TABLE).context("make the service's table")?;
    let mix = mix(host.address)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("start a runtime")?;
    let asked = |rate, lasts| runtime.block_on(load(host.address, &mix, rate, lasts));
    let most = asked(f64::INFINITY, TRIAL)?;
    ensure!(most.failed.is_empty(), "before it began: {}", most.failed[0]);
    let rate = most.answers.len() as f64 / TRIAL.as_secs_f64() / 2.0;
    sample("rate", "/s", rate);
    let releases = releases(&home)?;
    let over = AtomicBool::new(false);
    let (told, deploys, resident) = std::thread::scope(|scope| {
        let deploys = scope.spawn(|| deploy(&home, &releases, &over));
        let resident = scope.spawn(|| watch(&host, &over));
        let told = asked(rate, ROUND * wanted.rounds.max(1));
        over.store(true, Relaxed);
        let deploys = deploys.join().expect("deploying does not panic");
        (told, deploys, resident.join().expect("watching does not panic"))
    });
    let (told, deploys, resident) = (told?, deploys?, resident?);
    for (at, error) in told.failed.iter().enumerate().take(10) {
        word(&format!("failure {}: {error}", at + 1));
    }
    if !told.failed.is_empty() {
        word(&format!("the host's own words:\n{}", host.complaints()));
    }
    sample("answers", "", told.answers.len() as f64);
    sample("failed", "", told.failed.len() as f64);
    sample("deploys", "", deploys as f64);
    let (first, last) = told.slowest_of_ends();
    sample("p99_first_minute", "ms", first);
    sample("p99_last_minute", "ms", last);
    ratio("p99_drift", last, first, Better::Less);
    sample("resident_growth", "MiB/min", slope(&resident));
    sample("resident", "MiB", resident.last().map_or(0.0, |(_, mib)| *mib));
    Ok(())
}

/// Requests as they are sent, in turn: of ten, four are for a few bytes, three for a document there
/// and back, one for a row, one writes one, and one is for 100 KiB.
pub fn mix(host: SocketAddr) -> Result<Vec<String>> {
    let written = posted(host, WRITES, r#"{"title":"one"}"#)?;
    let row = written.lines().find_map(|line| line.strip_prefix("location: "));
    let row = row.with_context(|| format!("write a row: {written}"))?.trim();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: peers\r\n\r\n");
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "POST {path} HTTP/1.1\r\nhost: peers\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let (hello, echo) = (get("/hello"), post("/echo", PERSON));
    let (read, write) = (get(row), post(WRITES, r#"{"title":"another"}"#));
    let mut all = vec![hello.clone(), echo.clone(), hello.clone(), read, echo.clone()];
    all.extend([hello.clone(), write, echo, hello, get("/stream")]);
    Ok(all)
}

/// What came of a load.
#[derive(Default)]
pub struct Told {
    /// When each was due, and how long after that it was there.
    answers: Vec<(Duration, Duration)>,
    pub failed: Vec<String>,
}

impl Told {
    /// Milliseconds that all but one of a hundred stayed below, in the first window and the last.
    fn slowest_of_ends(&self) -> (f64, f64) {
        let end = self.answers.iter().map(|(at, _)| *at).max().unwrap_or_default();
        let of = |is_in: &dyn Fn(Duration) -> bool| {
            let mut took: Vec<_> =
                self.answers.iter().filter(|(at, _)| is_in(*at)).map(|(_, took)| *took).collect();
            took.sort();
            let at = took.len().saturating_sub(1) * 99 / 100;
            took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e3)
        };
        let begins = end.saturating_sub(WINDOW);
        (of(&|at| at < WINDOW), of(&|at| at >= begins))
    }
}

/// Asks `host` for `rate` answers a second, or for as many as it gives.
pub async fn load(host: SocketAddr, mix: &[String], rate: f64, lasts: Duration) -> Result<Told> {
    let told = Rc::new(RefCell::new(Told::default()));
    let tasks = LocalSet::new();
    let began = Instant::now();
    for number in 0..CONNECTIONS {
        let (told, mix) = (told.clone(), mix.to_vec());
        let between = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
        tasks.spawn_local(async move {
            let mut due = between.mul_f64(f64::from(number) / f64::from(CONNECTIONS));
            let mut connection = None;
            let mut turn = number as usize;
            while due.max(began.elapsed()) < lasts {
                tokio::time::sleep_until((began + due).into()).await;
                // Without a rate, whatever is next is due now.
                let at = if between.is_zero() { began.elapsed() } else { due };
                match answered(host, &mut connection, &mix[turn % mix.len()]).await {
                    Ok(()) => {
                        let took = began.elapsed().saturating_sub(at);
                        told.borrow_mut().answers.push((at, took));
                    }
                    Err(error) => {
                        connection = None;
                        told.borrow_mut().failed.push(format!("{error:#} after {at:?}"));
                    }
                }
                turn += 1;
                due += between;
            }
        });
    }
    tasks.await;
    Ok(told.take())
}

/// Sends one request and reads its whole answer, which must be a success.
async fn answered(host: SocketAddr, kept: &mut Option<TcpStream>, request: &str) -> Result<()> {
    let stream = match kept {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(host).await.context("connect")?;
            stream.set_nodelay(true).context("send at once")?;
            kept.insert(stream)
        }
    };
    stream.write_all(request.as_bytes()).await.context("ask")?;
    let mut answer = Vec::with_capacity(1 << 10);
    let head = loop {
        ensure!(stream.read_buf(&mut answer).await.context("hear")? > 0, "the host hung up");
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&answer[..head]).into_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("an answer without a length")?.trim().parse()?;
    while answer.len() < head + length {
        ensure!(stream.read_buf(&mut answer).await.context("hear")? > 0, "the host hung up");
    }
    if !text.starts_with("HTTP/1.1 2") {
        let body = String::from_utf8_lossy(&answer[head..]);
        bail!("{} was answered {text}{body}", request.lines().next().unwrap_or_default());
    }
    Ok(())
}

/// The service twice: the same code, other bytes.
fn releases(home: &Home) -> Result<[PathBuf; 2]> {
    let bytes = std::fs::read(probe_file("measured")?).context("read the service")?;
    let release = |number: u8| {
        let file = home.folder().join(format!("release-{number}.wasm"));
        // A custom section: its id, its size, and a name of one byte with one byte of content.
        let section = [0, 3, 1, b'n', number];
        std::fs::write(&file, [&bytes[..], &section].concat()).context("write a release")?;
        anyhow::Ok(file)
    };
    Ok([release(0)?, release(1)?])
}

/// Deploys one after the other until it is over; how often.
fn deploy(home: &Home, releases: &[PathBuf; 2], over: &AtomicBool) -> Result<usize> {
    let mut deploys = 0;
    while !over.load(Relaxed) {
        let began = Instant::now();
        home.deploy(&releases[deploys % 2])?;
        deploys += 1;
        while began.elapsed() < DEPLOY_EVERY && !over.load(Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(deploys)
}

/// Minutes since the beginning, and MiB that are resident.
fn watch(host: &Process, over: &AtomicBool) -> Result<Vec<(f64, f64)>> {
    let (began, mut seen) = (Instant::now(), Vec::new());
    while !over.load(Relaxed) {
        seen.push((began.elapsed().as_secs_f64() / 60.0, host.resident()?.0));
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(seen)
}

/// Of a line through the second half, by least squares: until then, what is kept is being filled.
fn slope(seen: &[(f64, f64)]) -> f64 {
    let half = &seen[seen.len() / 2..];
    let count = half.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| half.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|it| it.0), mean(|it| it.1));
    let above: f64 = half.iter().map(|it| (it.0 - x) * (it.1 - y)).sum();
    let below: f64 = half.iter().map(|it| (it.0 - x).powi(2)).sum();
    if below == 0.0 { 0.0 } else { above / below }
}

#[test]
fn a_slope_is_that_of_the_second_half() {
    let seen: Vec<_> = (0..20).map(|n| (f64::from(n), f64::from(n.max(10)) * 3.0)).collect();
    assert!((slope(&seen) - 3.0).abs() < 1e-9);
    assert_eq!(slope(&[(0.0, 5.0)]), 0.0);
}
