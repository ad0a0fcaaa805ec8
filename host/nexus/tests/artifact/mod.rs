//! Artifacts by command: keys made and used beside openssl, an archive's way to a registry that we
//! have not written and back, and to a host.

#[path = "../../../artifact/tests/artifact/peers.rs"]
mod peers;

use super::{nexus, repository};
use nexus_artifact::{Artifact, Grants, Interface, Parts, check};
use nexus_harness::prelude::*;
use nexus_runtime::Capability as _;
use peers::{DockerRegistry, run, skopeo, text};
use std::path::{Path, PathBuf};
use std::process::Command;

const FRAGMENT: &str = "[component.hello]\nsource = \"hello.wasm\"\n";

/// The archive of the probe `hello`, in `folder`.
fn archive(folder: &Path) -> PathBuf {
    let wasm = std::fs::read(repository().join(".nexus/probes/hello.wasm")).unwrap();
    let artifact = Artifact::build(Parts {
        component: "hello",
        version: Some("1.2.0"),
        created: None,
        wasm: wasm.into(),
        fragment: Some(FRAGMENT),
        migrations: Vec::new(),
    });
    let file = folder.join("hello.oci.tar");
    std::fs::write(&file, artifact.unwrap().archive()).unwrap();
    file
}

/// What a command says that must not fail.
fn said(home: &Path, arguments: &[&str]) -> Value {
    let mut command = nexus(home);
    command.args(arguments).arg("--json");
    let out = run(&mut command);
    serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{arguments:?} prints no JSON"))
}

fn refused(home: &Path, arguments: &[&str]) -> (i32, String) {
    let output = nexus(home).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// What each capability of the host says that it provides.
fn provided() -> Vec<&'static str> {
    [
        capability_blob::Blob::INTERFACES,
        capability_jobs::Jobs::INTERFACES,
        capability_key_value::KeyValue::INTERFACES,
        capability_outbound_http::OutboundHttp::INTERFACES,
        capability_password::Password::INTERFACES,
        capability_postgres::Postgres::INTERFACES,
        capability_redis::Redis::INTERFACES,
        capability_rsa::Rsa::INTERFACES,
        capability_schedules::Schedules::INTERFACES,
        capability_variables::Variables::INTERFACES,
    ]
    .concat()
}

#[test]
fn a_check_before_the_deployment_knows_every_capability_of_the_host() {
    let grants = Grants::read(FRAGMENT, None).unwrap();
    for prefix in provided() {
        let import = if prefix.ends_with('@') {
            format!("{prefix}9.9.9")
        } else {
            format!("{prefix}any@9.9.9")
        };
        let exports = vec!["wasi:http/handler@0.3.0".to_owned()];
        let interface = Interface { imports: vec![import], exports };
        let differences = check(&interface, &grants);
        // It may want a grant; it may not be unknown.
        assert!(differences.iter().all(|it| it.line.is_some()), "{differences:?}");
    }
}

#[test]
fn keys_are_made_used_and_checked_and_openssl_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let at = |name: &str| home.join(name);
    let file = archive(home);
    let (key, public) = (at("release.pem"), at("release.pub"));
    let made = said(home, &["keys", "new", text(&key)]);
    assert_eq!(refused(home, &["keys", "new", text(&key)]).0, 2, "no key is overwritten");
    let (code, told) = refused(home, &["keys", "verify", text(&file), "--keys", text(&public)]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("not signed"), "{told}");
    let signed = said(home, &["keys", "sign", text(&file), "--key", text(&key)]);
    assert_eq!(signed["key_id"], made["key_id"]);
    let verified = said(home, &["keys", "verify", text(&file), "--keys", text(&public)]);
    assert_eq!(verified["signature"], json!({ "state": "valid", "key_id": made["key_id"] }));
    // The same by openssl, whose signature is the same bytes: added, it is there already.
    let mut bytes = nexus(home);
    std::fs::write(at("m.json"), run(bytes.args(["keys", "bytes", text(&file)]))).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-sign", "-rawin", "-inkey", "release.pem", "-in", "m.json"]);
    run(openssl.args(["-out", "m.sig"]).current_dir(home));
    let before = std::fs::read(&file).unwrap();
    let by_hand = ["keys", "sign", text(&file), "--key", text(&public), "--signature"];
    said(home, &[&by_hand[..], &[text(&at("m.sig"))]].concat());
    assert_eq!(std::fs::read(&file).unwrap(), before);
    std::fs::write(at("m.sig"), [7; 64]).unwrap();
    let (code, told) = refused(home, &[&by_hand[..], &[text(&at("m.sig"))]].concat());
    assert!(code == 4 && told.contains("is not the signature"), "{code} {told}");
}

#[test]
fn an_artifact_travels_by_a_registry_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let at = |name: &str| home.join(name);
    let file = archive(home);
    let docker = DockerRegistry::start();
    let place = docker.place("team/hello:1.2.0").to_string();
    let key = at("release.pem");
    said(home, &["keys", "new", text(&key)]);
    let dry = said(home, &["push", text(&file), &place, "--sign", text(&key), "--dry-run"]);
    let (code, _) = refused(home, &["pull", &place, "-o", text(&at("no.tar"))]);
    assert_eq!(code, 3, "a dry run sends nothing");
    let pushed = said(home, &["push", text(&file), &place, "--sign", text(&key)]);
    assert_eq!(pushed["digest"], dry["digest"]);
    let exact = pushed["reference"].as_str().unwrap();
    assert!(exact.ends_with(pushed["digest"].as_str().unwrap()), "{exact}");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{place}")]);
    let mut bytes = nexus(home);
    assert_eq!(raw, run(bytes.args(["keys", "bytes", text(&file)])));
    let pulled = said(home, &["pull", exact, "-o", text(&at("pulled.oci.tar"))]);
    assert_eq!(pulled["signed_by"], pushed["signed_by"]);
    let public = at("release.pub");
    said(home, &["keys", "verify", text(&at("pulled.oci.tar")), "--keys", text(&public)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_takes_an_artifact_from_a_file_and_from_a_registry_and_gives_it_back() {
    let host = Nexus::with_components(&[probe("hello")]).await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let file = archive(home);
    let key = home.join("release.pem");
    said(home, &["keys", "new", text(&key)]);
    let told = |arguments: &[&str]| {
        let mut command = nexus(home);
        command.env("NEXUS_ADMIN_LISTEN", host.host().admin_address().to_string());
        command.env("NEXUS_ADMIN_TOKEN", host.host().admin_token());
        let out = run(command.args(arguments).arg("--json"));
        serde_json::from_slice::<Value>(&out).unwrap()
    };
    let stored = told(&["push", text(&file), "--sign", text(&key)]);
    assert_eq!((&stored["component"], &stored["version"]), (&json!("hello"), &json!("1.2.0")));
    assert_eq!(stored["signature"]["state"], "untrusted", "the host knows no key");
    let digest = stored["digest"].as_str().unwrap();
    let back = home.join("back.oci.tar");
    told(&["pull", digest, "-o", text(&back)]);
    let read = |file: &Path| Artifact::read_archive(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(read(&back).digest(), read(&file).digest());
    assert_eq!(read(&back).signatures().len(), 1);
    let docker = DockerRegistry::start();
    let place = docker.place("hello:1").to_string();
    told(&["push", text(&file), &place]);
    let order = json!({ "reference": place });
    let pulled: Value = host.admin().post("/api/v1/artifacts/pull", order).await.ok().json();
    assert_eq!(pulled["digest"], digest);
    assert_eq!(pulled["existed"], true);
}
