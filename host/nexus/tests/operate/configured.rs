//! Configuring a component of a running host: by file, by command, by the API; what the guest gets,
//! and what nobody gets to see.

use nexus_artifact::{Artifact, Parts};
use nexus_harness::prelude::*;
use std::path::Path;

const SECRET: &str = "a-secret-of-the-guest";

fn manifest() -> String {
    format!(
        r#"
spin_manifest_version = 2
[application]
name = "guests"
version = "0.0.0"
[variables]
greeting = {{ default = "good day" }}
colour = {{ default = "blue" }}
api_key = {{ required = true, secret = true }}
[[trigger.http]]
route = "/..."
component = "spin"
[component.spin]
source = "{}"
key_value_stores = ["default"]
allowed_outbound_hosts = ["redis://nexus.internal", "postgres://nexus.internal"]
[component.spin.variables]
pg_url = "{{{{ pg_url }}}}"
greeting = "{{{{ greeting }}}}, guest"
colour = "{{{{ colour }}}}"
key = "{{{{ api_key }}}}"
"#,
        probe("spin").display()
    )
}

/// A host that reads `file`.
async fn host(file: &Path) -> Nexus {
    let line = ("NEXUS_CONFIGURATION_FILE".to_owned(), file.to_str().unwrap().to_owned());
    let setup = Nexus::setup().manifest(manifest());
    setup.settings(move |settings| settings.environment.push(line)).start().await
}

fn write(file: &Path, text: &str) {
    let part = file.with_extension("part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, file).unwrap();
}

/// Runs the binary against the host; what it prints, and its exit code.
async fn run(nexus: &Nexus, arguments: &[&str]) -> (i32, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nexus"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NEXUS_") {
            command.env_remove(&name);
        }
    }
    let host = nexus.host();
    command.env("USER", "ada").env("NEXUS_ADMIN_LISTEN", host.admin_address().to_string());
    command.env("NEXUS_ADMIN_TOKEN", host.admin_token()).args(arguments);
    let output = command.stdin(std::process::Stdio::null()).output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

async fn ok(nexus: &Nexus, arguments: &[&str]) -> String {
    let (code, text) = run(nexus, arguments).await;
    assert_eq!(code, 0, "{arguments:?}: {text}");
    assert!(!text.contains(SECRET), "{text}");
    text
}

async fn told(nexus: &Nexus, name: &str) -> String {
    nexus.anonymous().get(&format!("/variables/{name}")).await.ok().text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_gets_what_operators_set_once_it_is_applied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    write(&file, &format!("api_key = \"{SECRET}\"\n[spin]\ncolour = \"red\"\n"));
    let nexus = host(&file).await;
    assert_eq!(told(&nexus, "key").await, SECRET);
    assert_eq!(told(&nexus, "colour").await, "red");
    assert_eq!(told(&nexus, "greeting").await, "good day, guest");

    let said = ok(&nexus, &["config", "set", "spin", "greeting", "moin", "--reason", "fair"]).await;
    assert!(said.contains("greeting is set in version 1"), "{said}");
    assert_eq!(told(&nexus, "greeting").await, "good day, guest", "not yet applied");
    let said = ok(&nexus, &["config", "diff", "spin"]).await;
    assert!(said.contains("greeting  added"), "{said}");
    ok(&nexus, &["config", "apply", "spin", "--reason", "fair"]).await;
    let applied = async || told(&nexus, "greeting").await == "moin, guest";
    eventually("the new revision serves", seconds(60), applied).await;

    let said = ok(&nexus, &["config", "ls", "spin"]).await;
    for line in ["set by root (ada)", "nexus.toml", "‹secret›"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let said = ok(&nexus, &["config", "get", "spin", "colour"]).await;
    assert_eq!(said, "red\n");
    let (code, said) = run(&nexus, &["config", "get", "spin", "api_key"]).await;
    assert!(code == 3 && !said.contains(SECRET), "{said}");
    let said = ok(&nexus, &["config", "versions", "spin"]).await;
    assert!(said.contains("fair"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_reaches_the_guest_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    write(&file, &format!("api_key = \"{SECRET}\"\n"));
    let nexus = host(&file).await;
    write(&file, &format!("api_key = \"{SECRET}\"\ngreeting = \"servus\"\n"));
    let turned = async || told(&nexus, "greeting").await == "servus, guest";
    eventually("the guest is told", seconds(60), turned).await;
    assert_eq!(told(&nexus, "key").await, SECRET);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_written_and_never_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    write(&file, "api_key = \"for-the-start\"\n");
    let nexus = host(&file).await;
    let secret = folder.path().join("secret");
    write(&secret, &format!("{SECRET}\n"));
    let secret = secret.to_str().unwrap();
    let said = ok(&nexus, &["secret", "set", "spin", "api_key", "--file", secret]).await;
    assert!(said.contains("api_key is set in version 1"), "{said}");
    let said = ok(&nexus, &["secret", "ls", "spin"]).await;
    assert!(said.contains("api_key"), "{said}");
    let admin = nexus.admin();
    for path in ["", "/versions", "/diff?from=0"] {
        let answer = admin.get(&format!("/api/v1/configuration/spin{path}")).await.ok();
        assert!(!answer.text().contains(SECRET), "{path}");
    }
    let said = ok(&nexus, &["secret", "rotate"]).await;
    assert_eq!(said, "0 secrets were put under the current key\n");
    ok(&nexus, &["secret", "unset", "spin", "api_key"]).await;
    let set = ["secret", "set", "spin", "api_key", "--file", secret];
    let (code, said) = run(&nexus, &[&set[..], &["--wait"]].concat()).await;
    assert!(code == 2 && said.contains("--apply"), "{said}");
    let wait = ["--apply", "--wait", "--timeout", "60", "--json"];
    let said = ok(&nexus, &[&set[..], &wait].concat()).await;
    // The answer, and what happened meanwhile.
    let mut told = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let applied = told.next().unwrap().unwrap();
    assert_eq!(applied["applied"][0]["configuration"], 3, "{said}");
    let said = ok(&nexus, &["config", "ls", "spin"]).await;
    assert!(!said.contains("puts 3 in force"), "{said}");
    // What is no variable, or would be read by everybody, is refused.
    let (code, said) = run(&nexus, &["config", "set", "spin", "shape", "round"]).await;
    assert!(code == 3 && said.contains("api_key, colour, greeting"), "{said}");
    let (code, said) = run(&nexus, &["config", "set", "spin", "api_key", "open"]).await;
    assert!(code == 4 && said.contains("nexus secret set"), "{said}");
    let (code, _) = run(&nexus, &["config", "ls", "nobody"]).await;
    assert_eq!(code, 3);
}

/// The probe as an artifact of its own, in a file.
fn artifact(folder: &Path) -> String {
    let whole = manifest();
    let fragment = whole.split_once("[[trigger.http]]").unwrap().1;
    let fragment = format!("[[trigger.http]]{fragment}").replace(
        "[component.spin.variables]",
        "environment = { RELEASE = \"2\" }\n[component.spin.variables]",
    );
    let parts = Parts {
        component: "spin",
        version: Some("2.0.0"),
        created: None,
        wasm: std::fs::read(probe("spin")).unwrap().into(),
        fragment: Some(&fragment),
        migrations: Vec::new(),
    };
    let file = folder.join("spin.oci.tar");
    std::fs::write(&file, Artifact::build(parts).unwrap().archive()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_serves_what_was_configured_then() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    write(&file, &format!("api_key = \"{SECRET}\"\n"));
    let nexus = host(&file).await;
    ok(&nexus, &["config", "set", "spin", "greeting", "moin"]).await;
    let said = ok(&nexus, &["config", "apply", "spin", "--dry-run"]).await;
    assert!(said.contains("greeting  added"), "{said}");
    assert_eq!(told(&nexus, "greeting").await, "good day, guest", "nothing was applied");
    // Whoever waits finds it served.
    let said = ok(&nexus, &["config", "apply", "spin", "--wait"]).await;
    assert!(said.contains("revision 2 with configuration 1"), "{said}");
    assert_eq!(told(&nexus, "greeting").await, "moin, guest");
    let release = artifact(folder.path());
    ok(&nexus, &["deploy", &release, "--strategy", "instant", "--wait"]).await;
    assert_eq!(told(&nexus, "greeting").await, "moin, guest", "a deploy keeps it");
    let set = ["config", "set", "spin", "greeting", "servus", "--apply", "--wait"];
    let said = ok(&nexus, &set).await;
    assert!(said.contains("greeting is set in version 2\nspin: revision 4"), "{said}");
    assert_eq!(told(&nexus, "greeting").await, "servus, guest");
    // Twice is no other revision: there is nothing to wait for.
    ok(&nexus, &["config", "apply", "spin", "--wait"]).await;

    let said = ok(&nexus, &["rollback", "spin", "--dry-run"]).await;
    assert!(said.contains("revision 3 of spin would have all calls"), "{said}");
    assert!(said.contains("~ configuration 2 \u{2192} 1"), "{said}");
    assert_eq!(told(&nexus, "greeting").await, "servus, guest", "nothing was put back");
    ok(&nexus, &["rollback", "spin", "--wait"]).await;
    assert_eq!(told(&nexus, "greeting").await, "moin, guest");
    let said = ok(&nexus, &["config", "ls", "spin"]).await;
    assert!(said.contains("it runs with version 1"), "{said}");
    ok(&nexus, &["rollback", "spin", "--to", "1", "--wait"]).await;
    assert_eq!(told(&nexus, "greeting").await, "good day, guest");
    assert_eq!(told(&nexus, "key").await, SECRET);

    let said = ok(&nexus, &["traffic", "spin", "1=50", "3=50", "--dry-run"]).await;
    assert!(said.contains("100%") && said.contains("50%"), "{said}");
    let weights = async || {
        let said = ok(&nexus, &["traffic", "spin", "--json"]).await;
        serde_json::from_str::<Value>(&said).unwrap()["weights"].clone()
    };
    assert_eq!(weights().await, json!({ "1": 10_000 }), "nothing was set");
    ok(&nexus, &["traffic", "spin", "3=100", "--wait"]).await;
    assert_eq!(told(&nexus, "greeting").await, "moin, guest");
}
