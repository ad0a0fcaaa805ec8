//! Programs of others, started on a free port and ended by their process.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a program to its end and gives what it printed; `why` explains a failure.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}\n{errors}", output.status);
    output.stdout
}

/// Debian's docker-registry, on a folder of its own.
pub(crate) struct DockerRegistry {
    child: Child,
    pub(crate) host: String,
    _folder: tempfile::TempDir,
}

/// bcrypt of `opensesame`, as `htpasswd -B` writes it.
const ANN: &str = "ann:$2y$05$abcdefghijklmnopqrstuuQbLfdQZSxZ9gjhA5V9o8Tyc6aQRO0Qi\n";

impl DockerRegistry {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// One with `auth` in its configuration, where `@` is its folder, with ann in `htpasswd`.
    pub(crate) fn with(auth: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let auth = auth.replace('@', &at.to_string());
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {at}/kept}}\n  \
             delete: {{enabled: true}}\n\
             http: {{addr: '127.0.0.1:0'}}\n{auth}"
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        std::fs::write(folder.path().join("htpasswd"), ANN).unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
        // Collectors of traces are not this test's.
        command.env("OTEL_TRACES_EXPORTER", "none");
        let child = command.spawn();
        let mut child = child.expect("docker-registry is missing: run cargo xtask doctor");
        let host = listening(&mut child);
        Self { child, host, _folder: folder }
    }

    /// A place in it.
    pub(crate) fn place(&self, rest: &str) -> nexus_artifact::Reference {
        format!("{}/{rest}", self.host).parse().unwrap()
    }
}

/// The address that the registry says it listens on.
fn listening(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = String::new();
    let host = loop {
        let line = lines.next().unwrap_or_else(|| panic!("docker-registry ended:\n{seen}"));
        let line = line.unwrap();
        if let Some((_, rest)) = line.split_once("listening on ") {
            let end = rest.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':'));
            break rest[..end.unwrap_or(rest.len())].to_owned();
        }
        seen += &line;
        assert!(Instant::now() < deadline, "docker-registry does not listen:\n{seen}");
    };
    // Whoever does not read a pipe stops the writer.
    std::thread::spawn(move || lines.for_each(drop));
    host
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // A process that is gone already is as good.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// skopeo, which speaks plain HTTP to this registry and asks for no policy.
pub(crate) fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy"]).args(arguments);
    run(&mut command)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
