//! A registry that we have not written, and the tool that people look into it with.

use crate::catalog;
use crate::peers::{DockerRegistry, skopeo, text};
use nexus_artifact::{Artifact, Credentials, Error, Registry, RegistryConfig, SigningKey};
use serde_json::Value;

fn registry() -> Registry {
    Registry::new(RegistryConfig::default())
}

#[tokio::test]
async fn what_is_pushed_is_pulled_with_its_digest_and_its_signatures() {
    let docker = DockerRegistry::start();
    let mut artifact = catalog("one");
    for _ in 0..2 {
        artifact.attach(SigningKey::generate().sign(artifact.manifest()));
    }
    let place = docker.place("team/catalog:1.0.0");
    let exact = registry().push(&place, &artifact).await.unwrap();
    assert_eq!(exact.digest(), Some(artifact.digest()));
    for reference in [&place, &exact, &docker.place(&format!("team/catalog@{}", artifact.digest()))]
    {
        let pulled = registry().pull(reference).await.unwrap();
        assert_eq!(pulled.archive(), artifact.archive(), "{reference}");
    }
    // Again, with one signature more: nothing is lost and nothing is there twice.
    artifact.attach(SigningKey::generate().sign(artifact.manifest()));
    registry().push(&place, &artifact).await.unwrap();
    assert_eq!(registry().pull(&place).await.unwrap().signatures(), artifact.signatures());
    let missing = registry().pull(&docker.place("team/catalog:2")).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)), "{missing}");
}

#[tokio::test]
async fn skopeo_sees_and_copies_what_we_have_pushed() {
    let docker = DockerRegistry::start();
    let artifact = catalog("one");
    let place = docker.place("catalog:1.0.0");
    registry().push(&place, &artifact).await.unwrap();
    let from = format!("docker://{place}");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &from]);
    assert_eq!(raw, artifact.manifest()[..]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copied.tar");
    let to = format!("oci-archive:{}", text(&file));
    skopeo(&["copy", "--src-tls-verify=false", &from, &to]);
    let copied = Artifact::read_archive(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(copied.digest(), artifact.digest());
    assert_eq!(copied.migrations(), artifact.migrations());
}

#[tokio::test]
async fn what_skopeo_pushes_of_our_archive_is_pulled_here() {
    let docker = DockerRegistry::start();
    let folder = tempfile::tempdir().unwrap();
    for signed in [false, true] {
        let mut artifact = catalog(if signed { "signed" } else { "plain" });
        if signed {
            artifact.attach(SigningKey::generate().sign(artifact.manifest()));
        }
        let file = folder.path().join("catalog.oci.tar");
        std::fs::write(&file, artifact.archive()).unwrap();
        // A signature is a second entry of the index; then skopeo wants to know which is meant.
        let tag = if signed { ":1.0.0" } else { "" };
        let from = format!("oci-archive:{}{tag}", text(&file));
        let place = docker.place("by-skopeo/catalog:2");
        skopeo(&["copy", "--dest-tls-verify=false", &from, &format!("docker://{place}")]);
        let pulled = registry().pull(&place).await.unwrap();
        assert_eq!(pulled.digest(), artifact.digest());
        assert_eq!(pulled.wasm(), artifact.wasm());
    }
}

#[tokio::test]
async fn a_signature_is_found_by_the_tag_of_registries_without_referrers() {
    let docker = DockerRegistry::start();
    let mut artifact = catalog("one");
    artifact.attach(SigningKey::generate().sign(artifact.manifest()));
    registry().push(&docker.place("catalog:1"), &artifact).await.unwrap();
    let tag = artifact.digest().to_string().replace(':', "-");
    let list = format!("docker://{}", docker.place(&format!("catalog:{tag}")));
    let index: Value =
        serde_json::from_slice(&skopeo(&["inspect", "--raw", "--tls-verify=false", &list]))
            .unwrap();
    let kind = "application/vnd.nexus.signature.v1";
    assert_eq!(index["manifests"][0]["artifactType"], kind);
    let referrer = index["manifests"][0]["digest"].as_str().unwrap();
    let referrer = format!("docker://{}", docker.place(&format!("catalog@{referrer}")));
    let manifest: Value =
        serde_json::from_slice(&skopeo(&["inspect", "--raw", "--tls-verify=false", &referrer]))
            .unwrap();
    assert_eq!(manifest["subject"]["digest"], artifact.digest().to_string());
}

#[tokio::test]
async fn a_tag_that_moves_after_it_was_resolved_changes_nothing() {
    let docker = DockerRegistry::start();
    let (one, two) = (catalog("one"), catalog("two"));
    let place = docker.place("catalog:latest");
    registry().push(&place, &one).await.unwrap();
    let resolved = place.at(registry().resolve(&place).await.unwrap());
    registry().push(&place, &two).await.unwrap();
    assert_eq!(registry().pull(&resolved).await.unwrap().digest(), one.digest());
    assert_eq!(registry().pull(&place).await.unwrap().digest(), two.digest());
}

#[tokio::test]
async fn a_registry_with_a_password_is_met_with_the_users_login_only() {
    let docker = DockerRegistry::with("auth: {htpasswd: {realm: tests, path: @/htpasswd}}\n");
    let artifact = catalog("one");
    let place = docker.place("catalog:1");
    let with = |credentials| Registry::new(RegistryConfig { credentials, insecure: false });
    let refused = with(Credentials::none()).push(&place, &artifact).await.unwrap_err();
    assert!(refused.to_string().contains("401") && refused.to_string().contains("skopeo login"));
    let wrong = with(Credentials::login(&docker.host, "ann", "guess"));
    assert!(wrong.push(&place, &artifact).await.is_err());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    let login = ["login", "--tls-verify=false", "-u", "ann", "-p", "opensesame"];
    skopeo(&[&login[..], &["--authfile", text(&file), &docker.host]].concat());
    let ann = with(Credentials::read(&file).unwrap());
    ann.push(&place, &artifact).await.unwrap();
    assert_eq!(ann.pull(&place).await.unwrap().digest(), artifact.digest());
}
