//! A second process that writes to a store, so that it can be killed or starved. It is this very
//! test binary, asked for one test by name; without the variable that test has nothing to do.

use capability_key_value::{Backend as _, Embedded, EmbeddedSettings};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

const FOLDER: &str = "KEY_VALUE_CHILD_FOLDER";

/// Marks the child's lines among those of the test runner.
const MARK: char = '@';

/// The process; killed when dropped.
pub struct Writer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Starts writing `key-0`, `key-1`, … into `folder`, after running `prepare` in a shell.
    pub fn start(folder: &Path, prepare: &str) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{prepare} exec \"$0\" --exact child::writes --nocapture")])
            .arg(std::env::current_exe().unwrap())
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the child reports next: `written <n>` or `refused <why>`; none when it is dead.
    pub fn next(&mut self) -> Option<String> {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines.find_map(|line| Some(line.split_once(MARK)?.1.to_string()))
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn writes() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let settings = EmbeddedSettings { compact_bytes_min: 40_000, ..Default::default() };
    let store = Embedded::open(Path::new(&folder), &settings).unwrap();
    let mut out = std::io::stdout();
    for n in 0.. {
        let outcome = store.set("default", &format!("key-{n}"), vec![b'x'; 100].into()).await;
        let line = match outcome {
            Ok(()) => format!("{MARK}written {n}"),
            Err(error) => {
                // Reads must go on, and a loop without a pause would fill the pipe.
                assert!(store.exists("default", "key-0").await.unwrap());
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                format!("{MARK}refused {error}")
            }
        };
        writeln!(out, "{line}").unwrap();
    }
}
