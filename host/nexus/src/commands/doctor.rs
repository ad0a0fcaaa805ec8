//! `nexus doctor`: asks a host that runs, looks at everything, and prints the matrix.

use super::Failure;
use super::host_api::HostApi;
use super::table::{say, say_json};
use crate::config::{DoctorOptions, HostOptions, Looked, UpOptions};
use crate::doctor::{self, Answers, Ground, Outcome, Row};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// What a host is asked, under `/api/v1/`.
const QUESTIONS: [(&str, Option<&str>); 11] = [
    ("host", None),
    ("components", None),
    ("health-matrix", None),
    ("hosts", None),
    ("rollouts", Some("100")),
    ("freezes", None),
    ("audit/verify", None),
    ("configuration/_", None),
    ("queues", Some("1000")),
    ("schedules", Some("1000")),
    ("jobs", Some("200")),
];

/// Time for the page of metrics.
const METRICS_MAX: Duration = Duration::from_secs(5);
const METRICS_BYTES_MAX: u64 = 16 << 20;

/// Its own exit codes: what it finds is no failure of the command.
pub(super) fn run(options: DoctorOptions) -> Result<ExitCode, Failure> {
    let DoctorOptions { up, only, backups, all, json, .. } = options;
    let home = up.home.home.clone();
    let answers = match only {
        Some(Looked::Before) => None,
        _ => answers(&up),
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = environment.collect();
    let settings = up.settings().map_err(|error| format!("{error:#}"));
    let mut ground = Ground::new(home, settings, environment);
    ground.backups = backups;
    ground.answers = answers;
    let threads = tokio::runtime::Runtime::new().context("start threads")?;
    let rows = threads.block_on(async {
        let mut rows = Vec::new();
        if only != Some(Looked::Running) {
            rows.extend(doctor::run(doctor::before(), &ground).await);
        }
        if only != Some(Looked::Before) {
            rows.extend(doctor::run(doctor::while_running(), &ground).await);
        }
        rows
    });
    // A connection that hangs must not keep the command.
    threads.shutdown_background();
    show(&rows, all, json)?;
    Ok(ExitCode::from(doctor::exit_code(&rows)))
}

/// What a host says that listens where this one would; None when none does.
fn answers(up: &UpOptions) -> Option<Answers> {
    let address = up.admin.admin_listen;
    let api = HostApi::new(&HostOptions {
        admin: address.to_string(),
        admin_token: up.admin.admin_token.clone(),
        home: up.home.home.clone(),
        json: true,
        by: "doctor".into(),
    });
    let mut answers = Answers::new();
    let api = api.ok()?;
    for (path, limit) in QUESTIONS {
        let segments: Vec<&str> = path.split('/').collect();
        let query = [("limit", limit.map(str::to_owned))];
        let answer = match api.get(&segments, &query) {
            Ok(answer) => answer,
            // The first tells whether there is a host at all.
            Err(_) if path == "host" => return None,
            Err(failure) => json!({ "unanswered": failure.words() }),
        };
        answers.insert(path, answer);
    }
    let page = match metrics(address) {
        Ok(page) => json!({ "page": page }),
        Err(error) => json!({ "unanswered": error.to_string() }),
    };
    answers.insert("metrics", page);
    Some(answers)
}

/// The page of metrics, as a scraper on this machine gets it.
fn metrics(address: SocketAddr) -> std::io::Result<String> {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&address, METRICS_MAX)?;
    stream.set_read_timeout(Some(METRICS_MAX))?;
    let request = format!("GET /metrics HTTP/1.0\r\nhost: localhost:{}\r\n\r\n", address.port());
    stream.write_all(request.as_bytes())?;
    let mut page = String::new();
    stream.take(METRICS_BYTES_MAX).read_to_string(&mut page)?;
    Ok(page)
}

fn show(rows: &[Row], all: bool, json: bool) -> Result<(), Failure> {
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let [failed, odd, well, skipped] =
        [Outcome::Fail, Outcome::Warn, Outcome::Ok, Outcome::Skipped].map(count);
    if json {
        let rows = serde_json::to_value(rows).context("write the matrix")?;
        let sums: Value = json!({ "fail": failed, "warn": odd, "ok": well, "skipped": skipped });
        return say_json(&json!({ "checks": rows, "sums": sums }));
    }
    let mut text = String::new();
    for row in rows.iter().filter(|row| all || row.outcome >= Outcome::Warn) {
        let (word, place) = (row.outcome.word(), format!("{}: {}", row.area, row.check));
        text += &format!("{word:<8} {place:<34} {}\n", plain(&row.found));
        if !row.todo.is_empty() {
            text += &format!("{:<8} {:<34} -> {}\n", "", "", plain(&row.todo));
        }
    }
    say(&text)?;
    say(&format!("{failed} wrong, {odd} odd, {well} well, {skipped} skipped\n"))
}

/// In one line, and nothing in it that steers a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
