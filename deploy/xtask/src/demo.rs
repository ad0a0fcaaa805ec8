//! `cargo xtask demo`: from a fresh clone to real answers, each step shown as the `curl` that
//! would do it, and to a film that plays. Knows the public routes of the services on the way; stops
//! at the first surprise, and says where that was.

mod creator;
mod film;
mod journey;

use self::creator::Creator;
use self::journey::{Stage, Told};
use crate::doctor::{self, Purpose};
use crate::http::{self, Reply, Request};
use crate::manifest;
use crate::progress;
use crate::stage::{self, Wanted};
use crate::up::{self, Up};
use crate::workspace::{Workspace, read};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

const FLAGS: &str = "/api/core-os/v1/flags";

/// Longer answers are cut: the walk should fit a few screens.
const LINES_SHOWN_MAX: usize = 18;

/// Prepares the machine, builds, starts the host, walks through the first service, and takes a
/// film, `video` or one that is made, from an upload to a stream.
pub fn run(ws: &Workspace, video: Option<&Path>) -> Result<()> {
    let began = Instant::now();
    let film = film::prepare(ws, video).context(Stage::Film)?;
    // What only tests start, such as Redis, is not waited for.
    doctor::ensure(ws, Purpose::Run)?;
    stage::build(ws, &Wanted::default())?;
    manifest::run(ws, false)?;
    if up::running(ws).is_some() {
        // It may run an older build, and the walk should show this one.
        up::down(ws)?;
    }
    let start = up::start_detached(ws, &Up::default())?;
    let token_file = ws.home().join("dev-token");
    let token = read(&token_file).context("the host writes a development token at its start")?;
    // As it can be typed in the repository, wherever NEXUS_HOME is.
    let shown = token_file.strip_prefix(&ws.root).unwrap_or(&token_file).display().to_string();
    let walk =
        Walk { address: up::public_address()?, token: token.trim().to_owned(), token_file: shown };
    walk.first_service()?;
    println!("\n# A creator uploads a film; it is processed, published and played");
    let creator =
        progress::stage("let a creator in", || Creator::enter(ws, walk.address, &walk.token));
    let creator = creator.context(Stage::Account)?;
    let told = journey::go(&creator, &film)?;
    let origin = public_url(walk.address);
    of_film(&origin, &creator, &told);
    summary(ws, walk.address, start, began.elapsed())
}

fn of_film(origin: &str, creator: &Creator, told: &Told) {
    let tracks = told.seen.tracks.join(", ");
    println!("\nThe film plays: {tracks}; {:.1} s, as ffprobe reads it.\n", told.seen.seconds);
    for (what, took) in &told.took {
        println!("  {what:<26} {}", spoken(*took));
    }
    println!("\n  watch it        {origin}/watch/{}", told.title);
    println!("  all titles      {origin}/tv");
    println!("  the studio      {origin}/creator/videos/{}", told.asset);
    println!("  sign in as      {}", creator.email);
    println!("  password        {}", creator.password);
}

fn summary(ws: &Workspace, address: SocketAddr, start: Duration, whole: Duration) -> Result<()> {
    let admin = up::admin_address()?;
    println!("\nEverything answered. The host was ready {} after its start;", spoken(start));
    println!("all of this took {}. It goes on running:\n", spoken(whole));
    println!("  front page      {}/", public_url(address));
    // Written once the host has seen that nobody administers it yet.
    if let Ok(link) = read(&ws.home().join("setup-link")) {
        println!("  administrator   {}", link.trim());
    }
    println!("  suite           http://{address}/health");
    println!("  first service   http://{address}/api/core-os/openapi.json");
    println!("  operator        http://{admin}/metrics");
    println!("  log             {}", up::log_file(ws).display());
    println!("  token           {}", ws.home().join("dev-token").display());
    println!("\nStop it with `cargo xtask down`.");
    Ok(())
}

/// The origin that links name; the host's own default.
fn public_url(address: SocketAddr) -> String {
    let named = std::env::var("NEXUS_PUBLIC_URL").ok();
    named.unwrap_or_else(|| format!("http://localhost:{}", address.port()))
}

fn spoken(time: Duration) -> String {
    progress::spoken(time)
}

struct Walk {
    address: SocketAddr,
    token: String,
    /// Where the token is read from.
    token_file: String,
}

impl Walk {
    fn first_service(&self) -> Result<()> {
        self.get("Is the suite alive?", "/health", 200)?;
        self.get("Is the first service, with its database?", "/api/core-os/health", 200)?;
        self.get("Every name answers: this one runs", "/services/core-os/health", 200)?;
        self.get("This one is not built yet, and says so", "/services/v-suite/health", 503)?;
        self.get("The registry knows them all", "/api/core-os/v1/services", 200)?;
        self.without_a_token()?;
        self.flag()
    }

    fn without_a_token(&self) -> Result<()> {
        let request = Request { path: FLAGS, ..Request::default() };
        let reply = self.step("Without a token, a problem (RFC 9457)", &request, 401)?;
        match reply.header("content-type") {
            Some(kind) if kind.starts_with("application/problem+json") => Ok(()),
            other => bail!("a problem should be application/problem+json, not {other:?}"),
        }
    }

    fn flag(&self) -> Result<()> {
        // A name of its own, so that the walk can be taken again.
        let key = format!("demo-{}", std::process::id());
        let flag = json!({
            "key": key, "variants": { "on": true, "off": false },
            "default_variant": "on", "off_variant": "off",
        })
        .to_string();
        let by = Request { token: Some(&self.token), ..Request::default() };
        let create = Request { method: "POST", path: FLAGS, json: Some(&flag), ..by };
        self.step("Create a feature flag, with the development token", &create, 201)?;
        let state = format!("{FLAGS}/{key}/state");
        let switch = Request { method: "PUT", path: &state, json: Some(r#"{"state":"on"}"#), ..by };
        self.step("Switch it on", &switch, 200)?;
        let path = format!("/ofrep/v1/evaluate/flags/{key}");
        let evaluate = Request {
            method: "POST",
            path: &path,
            json: Some(r#"{"context":{"targetingKey":"visitor-1"}}"#),
            ..Request::default()
        };
        let why = "Evaluate it as any OpenFeature client would (OFREP)";
        let reply = self.step(why, &evaluate, 200)?;
        let answer: serde_json::Value = serde_json::from_str(&reply.body)?;
        if answer["value"] != true {
            bail!("the flag should evaluate to true");
        }
        Ok(())
    }

    fn get(&self, why: &str, path: &str, expected: u16) -> Result<Reply> {
        self.step(why, &Request { path, ..Request::default() }, expected)
    }

    /// Shows a request, sends it, shows the answer, and refuses any other status.
    fn step(&self, why: &str, request: &Request, expected: u16) -> Result<Reply> {
        println!("\n# {why}\n$ {}", self.curl(request));
        let began = Instant::now();
        let reply = http::send(self.address, request)?;
        let took = began.elapsed();
        println!("{}  ({:.1} ms)", reply.status, took.as_secs_f64() * 1_000.0);
        println!("{}", shown(&reply.body));
        if reply.status != expected {
            bail!(
                "{} {} answered {}, not {expected}",
                http::verb(request),
                request.path,
                reply.status
            );
        }
        Ok(reply)
    }

    fn curl(&self, request: &Request) -> String {
        let mut words = vec!["curl -i".to_owned()];
        // curl infers GET, and POST where there is a body.
        if !matches!(http::verb(request), "GET" | "POST") {
            words.push(format!("-X {}", http::verb(request)));
        }
        if request.token.is_some() {
            words.push(format!("-H \"authorization: Bearer $(cat {})\"", self.token_file));
        }
        if let Some(json) = request.json {
            words.push(format!("--json '{json}'"));
        }
        words.push(format!("'http://{}{}'", self.address, request.path));
        words.join(" ")
    }
}

/// JSON in lines, anything else as it is; cut when it is long.
fn shown(body: &str) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(body)
        .and_then(|value| serde_json::to_string_pretty(&value));
    let text = pretty.unwrap_or_else(|_| body.trim_end().to_owned());
    let mut lines: Vec<_> =
        text.lines().take(LINES_SHOWN_MAX).map(|it| format!("  {it}")).collect();
    let cut = text.lines().count().saturating_sub(LINES_SHOWN_MAX);
    if cut > 0 {
        lines.push(format!("  … and {cut} more lines"));
    }
    lines.join("\n")
}

#[test]
fn a_long_answer_is_cut_and_says_so() {
    let numbers: Vec<_> = (0..40).collect();
    let text = serde_json::to_string(&numbers).expect("numbers are JSON");
    let shown = shown(&text);
    assert_eq!(shown.lines().count(), LINES_SHOWN_MAX + 1);
    assert!(shown.ends_with("… and 24 more lines"), "{shown}");
}
