//! openssl says yes to our signatures, and we to those that it makes.

use crate::catalog;
use crate::peers::{run, text};
use nexus_artifact::{KeyRing, Policy, PublicKey, Signature, SigningKey, State};
use std::process::Command;

#[test]
fn openssl_verifies_what_we_have_signed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let artifact = catalog("one");
    let key = SigningKey::generate();
    std::fs::write(at("key.pem"), key.public().to_pem()).unwrap();
    std::fs::write(at("manifest.json"), artifact.manifest()).unwrap();
    std::fs::write(at("manifest.sig"), key.sign(artifact.manifest()).bytes).unwrap();
    let verify = |manifest: &str| {
        let mut openssl = Command::new("openssl");
        openssl.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", text(&at("key.pem"))]);
        openssl.args(["-in", text(&at(manifest)), "-sigfile", text(&at("manifest.sig"))]);
        openssl.output().unwrap()
    };
    let said = verify("manifest.json");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    std::fs::write(at("other.json"), catalog("two").manifest()).unwrap();
    assert!(!verify("other.json").status.success(), "another manifest is not signed");
}

#[test]
fn what_openssl_has_made_and_signed_is_accepted_here() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut artifact = catalog("one");
    std::fs::write(at("manifest.json"), artifact.manifest()).unwrap();
    let openssl = |arguments: &[&str]| run(Command::new("openssl").args(arguments));
    let (key, public) = (at("key.pem"), at("pub.pem"));
    let (manifest, signature) = (at("manifest.json"), at("manifest.sig"));
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", text(&key)]);
    openssl(&["pkey", "-in", text(&key), "-pubout", "-out", text(&public)]);
    let signed = ["pkeyutl", "-sign", "-rawin", "-inkey", text(&key)];
    openssl(&[&signed[..], &["-in", text(&manifest), "-out", text(&signature)]].concat());
    let keys = PublicKey::read_all(&at("pub.pem")).unwrap();
    let bytes = std::fs::read(at("manifest.sig")).unwrap();
    artifact.attach(Signature::new(keys[0].id(), &bytes).unwrap());
    let verdict = KeyRing::new(Policy::Required, keys).judge(&artifact);
    assert_eq!(verdict.state, State::Valid);
    // And its private key signs here, with the same bytes: ed25519 has no chance in it.
    let key = SigningKey::read(&at("key.pem")).unwrap();
    assert_eq!(key.sign(artifact.manifest()).bytes[..], bytes[..]);
}

#[test]
fn openssl_reads_the_private_keys_that_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    let key = SigningKey::generate();
    std::fs::write(&file, key.to_pem().as_bytes()).unwrap();
    let public = run(Command::new("openssl").args(["pkey", "-pubout", "-in", text(&file)]));
    assert_eq!(String::from_utf8(public).unwrap(), key.public().to_pem());
}
