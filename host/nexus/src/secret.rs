//! A secret that the host makes for itself once and keeps in its home.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use nexus_storage::private_file;
use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use sha2::Sha256;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// As long as the keys of HMAC-SHA-256 should be (RFC 2104 section 3).
const BYTES: usize = 32;

/// The secret in `file`, made (mode 0600) when it is not there.
pub(crate) fn kept_in(file: &Path) -> Result<Vec<u8>> {
    let mut secret = vec![0; BYTES];
    OsRng.fill_bytes(&mut secret);
    let made = private_file::make_once(file, &secret);
    if made.with_context(|| format!("create {}", file.display()))? {
        return Ok(secret);
    }
    let kept = fs::read(file).with_context(|| format!("read {}", file.display()))?;
    ensure!(kept.len() >= BYTES, "{} is damaged: remove it", file.display());
    Ok(kept)
}

/// Writes a line where only the owner of `file` reads it (mode 0600), replacing an older one.
pub(crate) fn shown_in(file: &Path, line: &str) -> Result<()> {
    let part = file.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&part);
    let mut new = opened.with_context(|| format!("create {}", part.display()))?;
    writeln!(new, "{line}").with_context(|| format!("write {}", part.display()))?;
    fs::rename(&part, file).with_context(|| format!("rename to {}", file.display()))
}

/// An operator's root key, checked: 32 bytes as base64.
pub(crate) fn root_key(given: &str) -> Result<String> {
    let bytes = STANDARD.decode(given.trim()).context("read the root key as base64")?;
    ensure!(bytes.len() == BYTES, "the root key is {} bytes, not {BYTES}", bytes.len());
    Ok(given.trim().to_owned())
}

/// The key of playback tokens: follows from the root key (base64), so that all hosts of an
/// installation have the same without telling each other (one step of RFC 5869's expansion).
pub(crate) fn playback_key(root: &str) -> Result<[u8; BYTES]> {
    let root = STANDARD.decode(root).context("read the root key as base64")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&root).context("use the root key")?;
    mac.update(b"nexus playback tokens\x01");
    Ok(mac.finalize().into_bytes().into())
}

#[test]
fn the_key_of_playback_tokens_follows_from_the_root_key_and_is_another() {
    let (one, other) = (STANDARD.encode([7; 32]), STANDARD.encode([8; 32]));
    let key = playback_key(&one).expect("a key");
    assert_eq!(playback_key(&one).expect("a key"), key);
    assert_ne!(playback_key(&other).expect("a key"), key);
    assert_ne!(key, [7; 32]);
}

#[test]
fn a_root_key_is_thirty_two_bytes() {
    let right = STANDARD.encode([7; 32]);
    assert_eq!(root_key(&format!("{right}\n")).expect("a root key"), right);
    assert!(root_key(&STANDARD.encode([7; 16])).is_err());
    assert!(root_key("no base64!").is_err());
}

#[test]
fn a_secret_is_made_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("secret");
    let first = kept_in(&file).expect("a new secret");
    assert_eq!(kept_in(&file).expect("the same secret"), first);
    assert_ne!(kept_in(&folder.path().join("other")).expect("another secret"), first);
    fs::write(&file, "short").expect("a damaged file");
    assert!(kept_in(&file).is_err());
}
