//! The pages in a real browser: what only Chromium can see (focus, contrast, overflow, the content
//! policy at work) and what only script can do (passkeys). The person at it is `browser/*.mjs`.
//!
//! `cargo xtask doctor` brings Chromium and Node. `NEXUS_PICTURES` names a folder for pictures.

use super::visitor::SERVICES;
use nexus_harness::prelude::*;
use nexus_harness::repository;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_browser_registers_adds_a_passkey_and_comes_in_with_it() {
    let (nexus, origin) = installation(&SERVICES).await;
    let mail = async |asked: &Value| {
        let address = asked["mail"].as_str()?;
        Some(json!(nexus.mail(address).await.link()))
    };
    accompany("journey.mjs", &origin, &[], mail).await;
}

/// Lets the person of a script loose on `origin`, and answers what it asks: a line of JSON in each
/// direction. The script says `{"done": true}` at the end.
pub async fn accompany(
    script: &str,
    origin: &str,
    more: &[&str],
    answer: impl AsyncFn(&Value) -> Option<Value>,
) {
    let browser = program(&BROWSERS).expect("chromium is missing: run cargo xtask doctor");
    let modules = modules().await;
    let pictures = std::env::var("NEXUS_PICTURES").unwrap_or_default();
    let mut person = Command::new("node")
        .arg(repository().join("tests/scenarios/web/browser").join(script))
        .args([browser.as_path(), Path::new(origin), &modules.join("axe-core/axe.js")])
        .arg(pictures)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut answers = person.stdin.take().unwrap();
    let mut lines = BufReader::new(person.stdout.take().unwrap()).lines();
    let mut done = false;
    while let Some(line) = lines.next_line().await.unwrap() {
        let said: Value = serde_json::from_str(&line).unwrap();
        done |= said["done"] == true;
        if let Some(told) = answer(&said).await {
            answers.write_all(format!("{told}\n").as_bytes()).await.unwrap();
        }
    }
    assert!(person.wait().await.unwrap().success() && done, "see what the script has said");
}

/// A port that nobody has.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A host whose pages a browser can sign in to, with its origin.
async fn installation(services: &[&str]) -> (Nexus, String) {
    let port = free_port();
    // Passkeys want a name, and cookies the one that is in mails.
    let origin = format!("http://localhost:{port}");
    (behind(services, port, &origin).await, origin)
}

/// A host that listens on `port` and is known as `origin`: what is in between is the test's.
pub async fn behind(services: &[&str], port: u16, origin: &str) -> Nexus {
    let public = origin.parse().unwrap();
    Nexus::setup()
        .services(services)
        .settings(move |settings| {
            settings.listen = vec![format!("127.0.0.1:{port}").parse().unwrap()];
            settings.public_url = Some(public);
        })
        .start()
        .await
}

/// The first of these programs that is on the path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let places = names.iter().flat_map(|name| folders.iter().map(move |it| it.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// What `package-lock.json` names, once for each list.
async fn modules() -> PathBuf {
    let source = repository().join("tests/scenarios/web/browser");
    let list = std::fs::read(source.join("package-lock.json")).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let version = list["packages"]["node_modules/axe-core"]["version"].as_str().unwrap();
    let folder = repository().join(".nexus/tests").join(format!("browser-{version}"));
    let is_there = || folder.join("node_modules/axe-core/axe.js").is_file();
    if !is_there() {
        // Beside its place: another test may be bringing the same.
        let own = folder.with_extension(std::process::id().to_string());
        std::fs::create_dir_all(&own).unwrap();
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(source.join(file), own.join(file)).unwrap();
        }
        let mut npm = Command::new("npm");
        let made = npm.args(["ci", "--silent", "--no-audit"]).current_dir(&own).status();
        assert!(made.await.unwrap().success(), "npm ci");
        let moved = std::fs::rename(&own, &folder);
        assert!(moved.is_ok() || is_there(), "{moved:?}");
    }
    folder.join("node_modules")
}
