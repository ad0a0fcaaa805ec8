//! The tutorials, as somebody follows them: every line of their `sh` blocks is run by one shell, in
//! a new folder, and what it prints is held against the `text` block that follows. A block marked
//! `sh until` is repeated until it prints that. Only the addresses differ from what is written: a
//! test has ports of its own.

use nexus_harness::repository;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A line may build a component with all it depends on, on a busy machine.
const LINE_MAX: Duration = Duration::from_secs(420);
/// A first start makes a database cluster.
const UNTIL_MAX: Duration = Duration::from_secs(240);
/// Between two tries of what is repeated.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// What stands in the page for the host's own addresses.
const PUBLIC: &str = "127.0.0.1:8080";

/// A block of commands with what they print.
#[derive(Debug, PartialEq)]
struct Step {
    lines: Vec<String>,
    repeated: bool,
    prints: Vec<String>,
}

/// The steps of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut open: Option<(&str, Vec<String>)> = None;
    for line in page.lines() {
        match (&mut open, line) {
            (None, line) => {
                if let Some(kind) = line.strip_prefix("```") {
                    open = Some((kind, Vec::new()));
                }
            }
            (Some(_), "```") => {
                let (kind, lines) = open.take().unwrap();
                match (kind, steps.last_mut()) {
                    ("sh" | "sh until", _) => {
                        steps.push(Step { lines, repeated: kind != "sh", prints: Vec::new() });
                    }
                    ("text", Some(last)) => last.prints = lines,
                    _ => {}
                }
            }
            (Some((_, lines)), line) => lines.push(line.to_owned()),
        }
    }
    assert!(open.is_none(), "a block does not end");
    steps
}

/// Whether each pattern is found, in this order; `…` stands for anything within a line.
fn prints(output: &str, patterns: &[String]) -> Result<(), String> {
    let mut lines = output.lines();
    for pattern in patterns {
        if !lines.any(|line| fits(line, pattern)) {
            return Err(format!("no line is {pattern:?}"));
        }
    }
    Ok(())
}

fn fits(line: &str, pattern: &str) -> bool {
    let pieces: Vec<&str> = pattern.split('…').collect();
    let [first, rest @ ..] = pieces.as_slice() else { return false };
    let Some(mut left) = line.strip_prefix(first) else { return false };
    let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
    for piece in middle {
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// A shell that is told line after line.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    lines: u32,
}

impl Shell {
    fn start(folder: &Path, environment: &[(&str, String)]) -> Shell {
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["NEXUS_", "OTEL_", "SPIN_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.env_remove("DATABASE_URL").env_remove("REDIS_URL").env("USER", "ada");
        command.envs(environment.iter().map(|(name, value)| (*name, value)));
        command.args(["--noprofile", "--norc"]).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (sender, output) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "exec 2>&1").unwrap();
        Shell { child, input, output, lines: 0 }
    }

    /// What a line prints, and its exit code. Nothing but the line may read what the shell reads.
    fn run(&mut self, line: &str) -> (String, i32) {
        self.lines += 1;
        let mark = format!("--- line {} ended with ", self.lines);
        // What goes into the background takes no end of its own.
        let redirected = if line.ends_with('&') { String::new() } else { " < /dev/null".into() };
        writeln!(self.input, "{{ {line}\n}}{redirected}; printf '\\n%s%d\\n' '{mark}' $?").unwrap();
        let end = Instant::now() + LINE_MAX;
        let mut said = String::new();
        loop {
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(text) => match text.strip_prefix(&mark) {
                    Some(code) => return (said.trim_end().to_owned(), code.parse().unwrap()),
                    None => said = said + &text + "\n",
                },
                Err(RecvTimeoutError::Timeout) => panic!("{line}: no end in sight\n{said}"),
                Err(RecvTimeoutError::Disconnected) => panic!("{line}: the shell ended\n{said}"),
            }
        }
    }

    fn follow(&mut self, step: &Step) {
        let end = Instant::now() + UNTIL_MAX;
        loop {
            let mut all = String::new();
            let mut wrong = Ok(());
            for line in &step.lines {
                let (said, code) = self.run(line);
                eprintln!("$ {line}\n{said}");
                all = all + &said + "\n";
                if code != 0 {
                    wrong = Err(format!("{line}: exit code {code}"));
                    break;
                }
            }
            let Err(reason) = wrong.and_then(|()| prints(&all, &step.prints)) else { return };
            assert!(step.repeated && Instant::now() < end, "{reason}\n{all}");
            std::thread::sleep(TRY_EVERY);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // After a failed test the host would go on, and its database with it.
        let _ended = writeln!(self.input, "kill %1; wait; exit");
        let _ended = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

#[test]
fn the_first_ten_minutes_go_as_they_are_written() {
    let page = repository().join("deploy/docs/tutorials/first-ten-minutes.md");
    let (public, operators) = (free_address(), free_address());
    let page = std::fs::read_to_string(page).unwrap().replace(PUBLIC, &public.to_string());
    let steps = steps(&page);
    assert!(steps.len() > 15, "only {} steps were found", steps.len());
    let programs = repository().join(".nexus/bin");
    assert!(programs.join("nexus").is_file(), "nexus is missing: run cargo xtask build");
    let folder = tempfile::TempDir::with_prefix("nx-").unwrap();
    // The database server's user passes through.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Shell::start(
        folder.path(),
        &[
            ("PATH", format!("{}:{path}", programs.display())),
            ("NEXUS_LISTEN", public.to_string()),
            ("NEXUS_ADMIN_LISTEN", operators.to_string()),
            // What guests depend on is compiled once for all tests of this kind.
            ("NEXUS_BUILD_TARGET", repository().join("target/dev-guests").display().to_string()),
        ],
    );
    for step in &steps {
        shell.follow(step);
    }
}

#[test]
fn steps_and_what_they_print_are_found() {
    let page = "a\n```sh\nx 1\nx 2\n```\n\nb\n```text\n…1\n2\n```\n```console\n$ no\n```\n\
                ```sh until\ny\n```\n";
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        steps(page),
        [
            Step {
                lines: strings(&["x 1", "x 2"]),
                repeated: false,
                prints: strings(&["…1", "2"])
            },
            Step { lines: strings(&["y"]), repeated: true, prints: Vec::new() },
        ]
    );
    assert!(prints("a 1\nb\n2\n", &strings(&["…1", "2"])).is_ok());
    assert!(prints("2\na 1\n", &strings(&["…1", "2"])).is_err());
    for (line, pattern, fit) in [
        ("abc", "abc", true),
        ("abc", "ab", false),
        ("abc", "…b…", true),
        ("abc", "a…c", true),
        ("abc", "…b", false),
        ("abc", "c…", false),
    ] {
        assert_eq!(fits(line, pattern), fit, "{line} {pattern}");
    }
}
