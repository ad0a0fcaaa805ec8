//! `nexus dev` as somebody uses it who writes a component: a real guest, a real compiler, and a
//! client who asks all the time.

use super::{Up, folder, nexus, repository};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A first build compiles what the guest depends on, on a busy machine.
const LINE_MAX: Duration = Duration::from_secs(420);
/// A host that swaps holds nobody up as long.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// A new component in a folder of its own.
fn component(place: &Path) -> PathBuf {
    let into = place.join("greeting");
    let init = nexus(place).args(["init", "shop/greeting", "--into"]).arg(&into).output().unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    into
}

/// What the guests of such tests depend on is compiled once.
fn dev(home: &Path, folder: &Path) -> Up {
    let mut command = nexus(home);
    command.arg("dev").arg(folder).args(["--listen", "127.0.0.1:0"]);
    command.args(["--admin-listen", "127.0.0.1:0"]);
    command.arg("--migrations").arg(repository().join("migrations"));
    command.arg("--target-dir").arg(repository().join("target/dev-guests"));
    Up::run(command)
}

impl Up {
    /// Reads on to the line with this message; what came before it, as text, comes along.
    fn until(&mut self, message: &str) -> (String, serde_json::Value) {
        let end = Instant::now() + LINE_MAX;
        let mut before = String::new();
        loop {
            let line = self.lines.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("no line {message:?}: {error}"));
            if line["message"] == message {
                return (before, line);
            }
            before += line.as_str().unwrap_or_default();
            before.push('\n');
        }
    }
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.write_all(
        b"GET /api/greeting/v1/hello?name=Ada HTTP/1.1\r\nhost: localhost\r\n\
          connection: close\r\n\r\n",
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Asks all the time, and keeps what is no answer of the component.
struct Client {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    thread: JoinHandle<Vec<String>>,
}

impl Client {
    fn begin(address: SocketAddr) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (stopped, count) = (stop.clone(), asked.clone());
        let thread = std::thread::spawn(move || {
            let mut wrong = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let answer = ask(address).unwrap_or_else(|error| error.to_string());
                if !answer.starts_with("HTTP/1.1 200") || !answer.contains("Ada!") {
                    wrong.push(answer);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            wrong
        });
        Self { stop, asked, thread }
    }

    /// How often it has asked, and every answer that was none.
    fn end(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let wrong = self.thread.join().unwrap();
        (self.asked.load(Ordering::Relaxed), wrong)
    }
}

#[test]
fn a_change_is_swapped_in_and_one_that_does_not_build_changes_nothing() {
    let place = folder();
    let folder = component(place.path());
    let source = folder.join("src/greeting.rs");
    let first = std::fs::read_to_string(&source).unwrap();
    let mut dev = dev(&place.path().join("home"), &folder);
    let (_, ready) = dev.until("ready");
    let url = ready["urls"].as_str().unwrap().strip_prefix("http://").unwrap();
    let address: SocketAddr = url.parse().unwrap();
    dev.until("watching; Ctrl-C stops");
    assert!(ask(address).unwrap().contains("Hello, Ada!"));

    let client = Client::begin(address);
    std::fs::write(&source, first.replace("Hello, {name}", "Good day, {name}")).unwrap();
    let (_, swapped) = dev.until("swapped");
    assert_eq!(swapped["component"], "greeting");
    assert!(ask(address).unwrap().contains("Good day, Ada!"));
    eprintln!("swapped {} ms after the build", swapped["ms"]);

    std::fs::write(&source, first.replace("Hello, {name}", "{nobody}")).unwrap();
    let (words, _) = dev.until("it does not build: the revision before stays");
    assert!(words.contains("cannot find value `nobody`"), "the compiler's words: {words}");
    assert!(ask(address).unwrap().contains("Good day, Ada!"));

    std::fs::write(&source, first.replace("Hello, {name}", "Welcome, {name}")).unwrap();
    dev.until("swapped");
    assert!(ask(address).unwrap().contains("Welcome, Ada!"));
    let (asked, wrong) = client.end();
    assert!(asked > 10, "the client has asked {asked} times only");
    assert!(wrong.is_empty(), "{} of {asked} failed: {:?}", wrong.len(), wrong.first());
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn a_folder_without_a_component_is_refused_with_what_to_do() {
    let place = folder();
    let output = nexus(place.path()).arg("dev").arg(place.path()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("nexus init"), "{words}");
}
