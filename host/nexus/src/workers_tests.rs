//! The supervision of workers, shown on a program that only waits.

use super::*;

#[test]
fn a_listener_on_every_address_is_reached_on_loopback() {
    let to = |text: &str| from_here(text.parse().unwrap()).to_string();
    assert_eq!(to("0.0.0.0:8081"), "127.0.0.1:8081");
    assert_eq!(to("[::]:8081"), "[::1]:8081");
    assert_eq!(to("10.0.0.5:80"), "10.0.0.5:80");
}

/// A program that writes its number and its arguments and does what `then` says.
fn program(folder: &Path, then: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let file = folder.join("program");
    let told = folder.join("told").display().to_string();
    let script = format!(
        "#!/bin/sh\necho \"$$ $NEXUS_WORKER_TOKEN ${{DATABASE_URL:-none}} $*\" >> {told}\n{then}\n"
    );
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn spawn(program: PathBuf) -> Spawn {
    Spawn {
        program,
        host: "http://127.0.0.1:1".into(),
        token: "t-0123456789abcdef".into(),
        scratch: "/nowhere".into(),
        mail: Vec::new(),
    }
}

async fn told(folder: &Path, lines: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = std::fs::read_to_string(folder.join("told")).unwrap_or_default();
        let found: Vec<String> = text.lines().map(str::to_owned).collect();
        if found.len() >= lines {
            return found;
        }
        assert!(Instant::now() < deadline, "never told: {found:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_worker_that_ends_is_started_again_and_the_last_one_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let once = folder.path().join("once").display().to_string();
    let then = format!(
        "[ -e {once} ] || {{ touch {once}; exit 3; }}\n\
         trap 'echo stopped >> {}; exit 0' TERM\nwhile :; do sleep 0.05; done",
        folder.path().join("told").display()
    );
    let spawn = spawn(program(folder.path(), &then));
    let (stop, shutdown) = Shutdown::channel();
    let running = tokio::spawn(keep_running(spawn, shutdown));
    let lines = told(folder.path(), 2).await;
    for line in &lines {
        let words: Vec<_> = line.split(' ').skip(1).collect();
        assert_eq!(words[..3], ["t-0123456789abcdef", "none", "run"], "{line}");
    }
    stop.shut_down();
    running.await.unwrap();
    assert_eq!(told(folder.path(), 3).await[2], "stopped");
}

#[tokio::test]
async fn a_program_says_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), "echo probe; echo transcode");
    assert_eq!(known_kinds(&program).await, ["probe", "transcode"]);
}

#[test]
fn mail_goes_where_the_environment_says_and_otherwise_into_the_home() {
    let home = Path::new("/state");
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let secret = line("DATABASE_URL", "postgres://u:p@h/d");
    let folder = line("NEXUS_MAIL", "maildir:/state/mail");
    assert_eq!(mail(std::slice::from_ref(&secret), home), [folder.clone()]);
    assert_eq!(mail(&[line("NEXUS_SMTP_URL", "")], home).last(), Some(&folder));
    let server = line("NEXUS_SMTP_URL", "smtps://u:p@mail.example");
    assert_eq!(mail(&[secret, server.clone()], home), [server]);
}
