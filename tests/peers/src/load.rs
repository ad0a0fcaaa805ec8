//! Asks a server as fast as it answers, over so many connections, and counts: `wrk` in HTTP/1.1,
//! `h2load` in HTTP/2.

use crate::process::Process;
use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// One kind of request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub path: String,
    /// Posted as JSON; a GET without.
    pub body: Option<String>,
    /// Fields, one set for each of many clients, which take turns; empty is one client without.
    pub clients: Vec<Vec<(&'static str, String)>>,
    /// Paths that take turns, instead of the one.
    pub paths: Vec<String>,
}

impl Request {
    pub fn get(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    pub fn post(path: impl Into<String>, body: impl Into<String>) -> Self {
        Self { path: path.into(), body: Some(body.into()), ..Self::default() }
    }
}

/// What one server did in one turn.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Answers.
    pub per_second: f64,
    /// Microseconds on a CPU for each, of the server's process.
    pub cpu: f64,
    /// Milliseconds that all but so many of a thousand stayed below.
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    /// How many there were.
    pub answers: f64,
}

/// How long anybody is asked before the next one is. A machine's speed changes from one second to
/// the next; with turns this short it changes for all alike.
const TURN_SECONDS: u32 = 1;

impl Turn {
    /// Several of one server as one: percentiles are the middle one's.
    fn of(turns: &[Turn]) -> Turn {
        let answers = turns.iter().map(|turn| turn.answers).sum();
        let seconds: f64 = turns.iter().map(|turn| turn.answers / turn.per_second).sum();
        let cpu: f64 = turns.iter().map(|turn| turn.answers * turn.cpu).sum();
        let middle = |of: fn(&Turn) -> f64| {
            let mut all: Vec<f64> = turns.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
        };
        Turn {
            per_second: answers / seconds,
            cpu: cpu / answers,
            p50: middle(|turn| turn.p50),
            p99: middle(|turn| turn.p99),
            p999: middle(|turn| turn.p999),
            answers,
        }
    }
}

/// Whoever asks; its scripts are in a folder that goes with it.
pub struct Load {
    folder: TempDir,
    turns: u32,
}

#[derive(Deserialize)]
struct Summary {
    answers: f64,
    micros: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    bad: f64,
}

/// Microseconds become what `Summary` reads.
const DONE: &str = r#"
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"answers":%d,"micros":%d,"p50":%d,"p99":%d,"p999":%d,"bad":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

impl Load {
    /// Each server is asked for `seconds` in all.
    pub fn new(seconds: u32) -> Result<Self> {
        let folder = TempDir::new().context("make a temporary folder")?;
        Ok(Self { folder, turns: seconds.div_ceil(TURN_SECONDS).max(1) })
    }

    /// Has `ask` ask each of `servers` in turn, there and back again, until all had theirs.
    ///
    /// # Errors
    /// The first that there is.
    pub fn in_turns<S>(
        &self,
        servers: &[S],
        mut ask: impl FnMut(&Self, &S) -> Result<Turn>,
    ) -> Result<Vec<Turn>> {
        let mut turns = vec![Vec::new(); servers.len()];
        for turn in 0..self.turns {
            let mut order: Vec<usize> = (0..servers.len()).collect();
            if turn % 2 == 1 {
                order.reverse();
            }
            for server in order {
                turns[server].push(ask(self, &servers[server])?);
            }
        }
        Ok(turns.iter().map(|turns| Turn::of(turns)).collect())
    }

    /// Has `server` answer for one turn.
    ///
    /// # Errors
    /// When an answer is no success, or a connection breaks.
    pub fn ask(&self, server: &Process, request: &Request, connections: u32) -> Result<Turn> {
        let script = self.script(request)?;
        let before = server.cpu()?;
        let mut wrk = Command::new("wrk");
        wrk.args(["-t", "1", "-c", &connections.to_string(), "-d", &format!("{TURN_SECONDS}s")]);
        wrk.args(["--timeout", "20s", "-s"]).arg(script);
        let output = wrk.arg(format!("http://{}{}", server.address, request.path)).output();
        let output = output.context("run wrk: apt-get install wrk")?;
        let cpu = server.cpu()? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().rfind(|line| line.starts_with('{'));
        let line = line
            .with_context(|| format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
        let done: Summary = serde_json::from_str(line).context("read what wrk has counted")?;
        let (path, bad) = (&request.path, done.bad);
        ensure!(bad == 0.0 && done.answers > 0.0, "{path}: {bad} went wrong\n{text}");
        Ok(Turn {
            per_second: done.answers * 1e6 / done.micros,
            cpu: cpu * 1e6 / done.answers,
            p50: done.p50 / 1e3,
            p99: done.p99 / 1e3,
            p999: done.p999 / 1e3,
            answers: done.answers,
        })
    }

    /// As [`Load::ask`], in HTTP/2 without TLS: over few connections, each with `streams` requests
    /// at once.
    ///
    /// # Errors
    /// As [`Load::ask`], and when the server speaks no HTTP/2.
    pub fn ask_h2(
        &self,
        server: &Process,
        request: &Request,
        connections: u32,
        streams: u32,
    ) -> Result<Turn> {
        let told = self.folder.path().join("requests.tsv");
        let _none_before = std::fs::remove_file(&told);
        let mut h2load = Command::new("h2load");
        h2load.args(["-t", "1", "-c", &connections.to_string(), "-m", &streams.to_string()]);
        h2load.args(["-D", &TURN_SECONDS.to_string(), "--log-file"]).arg(&told);
        if let Some(body) = &request.body {
            let file = self.folder.path().join("body.json");
            std::fs::write(&file, body).context("write a body")?;
            h2load.args(["-H", "content-type: application/json", "-d"]).arg(file);
        }
        let before = server.cpu()?;
        let output = h2load.arg(format!("http://{}{}", server.address, request.path)).output();
        let output = output.context("run h2load: apt-get install nghttp2-client")?;
        let cpu = server.cpu()? - before;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = std::fs::read_to_string(&told).context("read what h2load has counted")?;
        // Microseconds since the epoch, status, microseconds until the answer was there.
        let mut micros = Vec::new();
        for line in lines.lines() {
            let mut columns = line.split('\t').skip(1);
            let status = columns.next().unwrap_or_default();
            ensure!(status.starts_with('2'), "{} was answered {status}\n{text}", request.path);
            micros.push(columns.next().unwrap_or_default().parse().context("read a time")?);
        }
        ensure!(!micros.is_empty(), "{} was not answered\n{text}", request.path);
        micros.sort_by(f64::total_cmp);
        let below = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize] / 1e3;
        let answers = micros.len() as f64;
        Ok(Turn {
            per_second: answers / f64::from(TURN_SECONDS),
            cpu: cpu * 1e6 / answers,
            p50: below(0.5),
            p99: below(0.99),
            p999: below(0.999),
            answers,
        })
    }

    /// Requests are made before the first is sent: what wrk does takes from the server's time.
    fn script(&self, request: &Request) -> Result<PathBuf> {
        let mut text = String::new();
        if let Some(body) = &request.body {
            text += "wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\n";
            text += &format!("wrk.body = [[{body}]]\n");
        }
        if !request.clients.is_empty() || !request.paths.is_empty() {
            text += "local all, at = {}, 0\nlocal made = {\n";
            for client in &request.clients {
                let fields = client.iter().map(|(name, value)| format!("['{name}']='{value}'"));
                text += &format!("{{nil,{{{}}}}},\n", fields.collect::<Vec<_>>().join(","));
            }
            for path in &request.paths {
                text += &format!("{{'{path}',{{}}}},\n");
            }
            text += "}\n";
            text += TURNS;
        }
        text += DONE;
        let file = self.folder.path().join("script.lua");
        std::fs::write(&file, text).context("write wrk's script")?;
        Ok(file)
    }
}

const TURNS: &str = "
init = function()
  for _, one in ipairs(made) do
    local headers = {}
    for name, value in pairs(wrk.headers) do headers[name] = value end
    for name, value in pairs(one[2]) do headers[name] = value end
    table.insert(all, wrk.format(nil, one[1], headers))
  end
end
request = function()
  at = at % #all + 1
  return all[at]
end
";
