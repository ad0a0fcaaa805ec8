//! A secret that the host makes for itself once and keeps in its home.

use anyhow::{Context as _, Result, ensure};
use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// As long as the keys of HMAC-SHA-256 should be (RFC 2104 section 3).
const BYTES: usize = 32;

/// The secret in `file`, made (mode 0600) when it is not there.
pub(crate) fn kept_in(file: &Path) -> Result<Vec<u8>> {
    let mut secret = vec![0; BYTES];
    OsRng.fill_bytes(&mut secret);
    let mut options = fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut new) => {
            let written = new.write_all(&secret).and_then(|()| new.sync_all());
            written.with_context(|| format!("write {}", file.display()))?;
            Ok(secret)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let kept = fs::read(file).with_context(|| format!("read {}", file.display()))?;
            ensure!(kept.len() >= BYTES, "{} is damaged: remove it", file.display());
            Ok(kept)
        }
        Err(error) => Err(error).with_context(|| format!("create {}", file.display())),
    }
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
