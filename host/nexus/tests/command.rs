//! The binary as operators run it: exit codes, the ready line, signals, two hosts on one home.

mod artifact;
mod backup;
mod dev;
mod operate;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A first start makes a database cluster and may compile, on a busy machine.
const READY_MAX: Duration = Duration::from_secs(120);
const STOP_MAX: Duration = Duration::from_secs(60);

fn nexus(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    // Nothing of the developer's own set-up may leak into the test.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["NEXUS_", "OTEL_", "SPIN_"].iter().any(|prefix| text.starts_with(prefix));
        if ours || text == "DATABASE_URL" || text == "REDIS_URL" {
            command.env_remove(&name);
        }
    }
    command.env("NEXUS_HOME", home).env("NEXUS_LOG_FORMAT", "json").stdin(Stdio::null());
    command
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn manifest(folder: &Path) -> PathBuf {
    let probe = repository().join(".nexus/probes/hello.wasm");
    let shown = probe.display();
    assert!(probe.is_file(), "{shown} is missing: run cargo xtask build --probes");
    let text = format!(
        "spin_manifest_version = 2\n[application]\nname = \"t\"\nversion = \"0\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"hello\"\n\
         [component.hello]\nsource = \"{shown}\"\n"
    );
    let file = folder.join("spin.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// A running `nexus up`; killed when dropped.
struct Up {
    child: Child,
    lines: std::sync::mpsc::Receiver<serde_json::Value>,
}

impl Up {
    fn start(home: &Path, manifest: &Path) -> Self {
        let mut command = nexus(home);
        command
            .args(["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "-f"])
            .arg(manifest)
            .args(["--migrations".as_ref(), repository().join("migrations").as_os_str()]);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{line}");
                let line = serde_json::from_str(&line).unwrap_or(serde_json::Value::String(line));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for the line with this message.
    fn line(&mut self, message: &str) -> serde_json::Value {
        let end = Instant::now() + READY_MAX;
        loop {
            let wait = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(wait);
            let line = line.unwrap_or_else(|error| panic!("no line {message:?}: {error}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    /// Asks it to stop and returns its exit code; None when it does not stop in time.
    fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let end = Instant::now() + STOP_MAX;
        while asked.success() && Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // After a failed test: in order, or its PostgreSQL would be left behind.
        if matches!(self.child.try_wait(), Ok(None)) && self.terminate().is_none() {
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}

/// A folder that PostgreSQL's user may pass through, too.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

fn get(url: &str, path: &str, token: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        stream,
        // HTTP/1.0 knows no chunks, so the body stands there as it is.
        "GET {path} HTTP/1.0\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn mistakes_on_the_command_line_exit_with_2_and_name_the_option() {
    let home = folder();
    for (arguments, word) in [
        (vec!["up", "--unknown"], "--unknown"),
        (vec!["up", "-f", "registry.example/app:v1"], "NEXUS_MANIFEST"),
        (vec!["up", "--log", "a=b=c"], "log filter"),
        (vec!["fly"], "fly"),
    ] {
        let output = nexus(home.path()).args(&arguments).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
        assert!(words.contains(word), "{arguments:?}: {words}");
    }
    let version = nexus(home.path()).arg("version").output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("nexus "));
    let token = nexus(home.path()).args(["token", "mint"]).output().unwrap();
    assert_eq!(token.status.code(), Some(1), "there is no key to sign with");
}

#[test]
fn up_serves_with_a_database_of_its_own_until_it_is_told_to_stop() {
    let home = folder();
    let manifest = manifest(home.path());
    let mut up = Up::start(home.path(), &manifest);
    let ready = up.line("ready");
    let (url, admin) = (ready["urls"].as_str().unwrap(), ready["admin"].as_str().unwrap());
    let token = std::fs::read_to_string(home.path().join("dev-token")).unwrap();
    let answer = get(url, "/", token.trim());
    assert!(answer.contains(" 200 OK") && answer.ends_with("hello"), "{answer}");
    let minted = nexus(home.path()).args(["token", "mint", "--kind", "user"]).output().unwrap();
    let minted = String::from_utf8(minted.stdout).unwrap();
    assert!(get(url, "/", minted.trim()).contains(" 200 OK"));
    let admin_token = std::fs::read_to_string(home.path().join("admin-token")).unwrap();
    let host = get(admin, "/api/v1/host", admin_token.trim());
    assert!(host.contains("\"postgresql\"") && host.contains("\"up\":true"), "{host}");

    let second = nexus(home.path()).args(["up", "-f"]).arg(&manifest).output().unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{words}");
    assert!(words.contains("NEXUS_HOME"), "{words}");

    assert_eq!(up.terminate(), Some(0));
    assert!(TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err());

    let mut again = Up::start(home.path(), &manifest);
    let ready = again.line("ready");
    let ms = ready["ms"].as_u64().unwrap();
    assert!(ms < 30_000, "a second start takes {ms} ms");
    assert_eq!(again.terminate(), Some(0));
}

#[test]
fn compile_fills_the_cache_that_up_uses() {
    let home = folder();
    let manifest = manifest(home.path());
    let compile = || {
        let output = nexus(home.path()).args(["compile", "-f"]).arg(&manifest).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(compile().contains("1 compiled, 0 known"));
    assert!(compile().contains("0 compiled, 1 known"));
}
