//! Keys and tokens: there, strong, apart from one another, and of artifacts' signatures.

use super::{Check, Finding, Ground};
use crate::development::is_development;
use crate::secret;
use nexus_admin::Token;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(super) const CHECKS: &[Check] = &[
    Check::plain("keys", "root key", root_key),
    Check::plain("keys", "root key's file", |ground| match ground.set("NEXUS_ROOT_KEY_FILE") {
        Some(file) => closed(Path::new(file)),
        None => Finding::skip("NEXUS_ROOT_KEY_FILE is not set"),
    }),
    Check::plain("keys", "former root key", |ground| {
        former(ground.set("NEXUS_VARIABLE_ROOT_KEY_PREVIOUS"))
    }),
    Check::plain("keys", "operators' token", |ground| {
        token(ground.settings.as_ref().ok().and_then(|s| s.admin_token.as_deref()))
    }),
    Check::plain("keys", "workers' token", |ground| {
        token(ground.settings.as_ref().ok().and_then(|s| s.worker_token.as_deref()))
    }),
    Check::plain("keys", "tokens apart", |ground| match &ground.settings {
        Ok(settings) => apart(settings.admin_token.as_deref(), settings.worker_token.as_deref()),
        Err(_) => Finding::skip("the settings are wrong"),
    }),
    Check::plain("keys", "signature policy", |ground| {
        policy(ground.set("NEXUS_SIGNATURES"), ground.set("NEXUS_SIGNATURE_KEYS").is_some())
    }),
    Check::plain("keys", "signature keys", |ground| match ground.set("NEXUS_SIGNATURE_KEYS") {
        Some(place) => signature_keys(Path::new(place)),
        None => Finding::skip("NEXUS_SIGNATURE_KEYS is not set"),
    }),
];

fn root_key(ground: &Ground) -> Finding {
    let Ok(settings) = &ground.settings else { return Finding::skip("the settings are wrong") };
    let todo = "`openssl rand -base64 32` makes one: name its file in NEXUS_ROOT_KEY_FILE";
    match &settings.root_key {
        Some(given) => match secret::root_key(given) {
            Ok(_) => Finding::ok("32 bytes, given"),
            Err(error) => Finding::fail(format!("{error:#}"), todo),
        },
        None if settings.public_url.as_ref().is_none_or(is_development) => {
            Finding::ok("the home's own, for development")
        }
        None => Finding::fail("there is none: keys and secrets cannot be kept", todo),
    }
}

fn closed(file: &Path) -> Finding {
    let shown = file.display();
    match std::fs::metadata(file).map(|is| is.permissions().mode()) {
        Ok(mode) if mode & 0o007 == 0 => Finding::ok(format!("mode {:03o}", mode & 0o777)),
        Ok(mode) => Finding::fail(
            format!("everybody may read it: mode {:03o}", mode & 0o777),
            format!("`chmod 600 {shown}`"),
        ),
        Err(error) => Finding::fail(format!("{shown}: {error}"), "correct NEXUS_ROOT_KEY_FILE"),
    }
}

fn former(key: Option<&str>) -> Finding {
    match key.map(secret::root_key) {
        None => Finding::ok("none: no rotation is under way"),
        Some(Ok(_)) => Finding::warn(
            "a rotation is under way",
            "when `nexus secret rotate` and kms/rewrap are done, take it away",
        ),
        Some(Err(error)) => Finding::fail(
            format!("{error:#}"),
            "correct NEXUS_VARIABLE_ROOT_KEY_PREVIOUS, or take it away",
        ),
    }
}

fn token(given: Option<&str>) -> Finding {
    match given.map(Token::given) {
        None => Finding::ok("made in the home"),
        Some(Ok(_)) => Finding::ok("given, long enough"),
        Some(Err(error)) => Finding::fail(error.to_string(), "`openssl rand -hex 32` makes one"),
    }
}

fn apart(admin: Option<&str>, worker: Option<&str>) -> Finding {
    match (admin, worker) {
        (Some(admin), Some(worker)) if admin == worker => Finding::fail(
            "workers can do what operators can",
            "give NEXUS_WORKER_TOKEN a value of its own",
        ),
        _ => Finding::ok("operators and workers have different ones"),
    }
}

fn policy(word: Option<&str>, has_keys: bool) -> Finding {
    match word {
        None => Finding::ok("by the public URL: off on this machine, else warn"),
        Some("required") if !has_keys => Finding::fail(
            "signatures are required and no key is known",
            "name the keys in NEXUS_SIGNATURE_KEYS: nothing can be deployed",
        ),
        Some(word @ ("required" | "warn" | "off")) => Finding::ok(word),
        Some(word) => Finding::fail(
            format!("{word} is no policy"),
            "NEXUS_SIGNATURES is required, warn or off",
        ),
    }
}

/// PEM of public ed25519 keys: in one file, or in every file of a folder.
fn signature_keys(place: &Path) -> Finding {
    let files: Vec<PathBuf> = match std::fs::read_dir(place) {
        Ok(entries) => {
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect()
        }
        Err(_) => vec![place.to_owned()],
    };
    let mut keys = 0;
    for file in &files {
        match std::fs::read_to_string(file) {
            Ok(text) => keys += text.matches("-----BEGIN PUBLIC KEY-----").count(),
            Err(error) => {
                let found = format!("{}: {error}", file.display());
                return Finding::fail(found, "correct NEXUS_SIGNATURE_KEYS");
            }
        }
    }
    match keys {
        0 => Finding::fail(
            format!("{} has no public key", place.display()),
            "put PEM files of public keys there: `openssl pkey -in key.pem -pubout`",
        ),
        keys => Finding::ok(format!("{keys} keys")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Warn};
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn a_root_key_is_needed_where_others_can_reach_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = Ground::bare(folder.path());
        assert_eq!(root_key(&ground).outcome, Ok);
        let settings = ground.settings.as_mut().unwrap();
        settings.public_url = Some("https://nexus.example".parse().unwrap());
        assert_eq!(root_key(&ground).outcome, Fail);
        let right = STANDARD.encode([7; 32]);
        ground.settings.as_mut().unwrap().root_key = Some(right.clone());
        assert_eq!(root_key(&ground).outcome, Ok);
        ground.settings.as_mut().unwrap().root_key = Some("short".into());
        assert_eq!(root_key(&ground).outcome, Fail);
        let at = |key| former(key).outcome;
        assert_eq!((at(None), at(Some(&right)), at(Some("x"))), (Ok, Warn, Fail));
    }

    #[test]
    fn a_key_file_that_everybody_reads_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root-key");
        assert_eq!(closed(&file).outcome, Fail);
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(closed(&file).outcome, Ok);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(closed(&file).outcome, Fail);
    }

    #[test]
    fn tokens_are_long_and_of_two_kinds() {
        assert_eq!((token(None).outcome, token(Some("short")).outcome), (Ok, Fail));
        let (one, other) = ("0123456789abcdef", "fedcba9876543210");
        assert_eq!(token(Some(one)).outcome, Ok);
        assert_eq!(
            (apart(Some(one), Some(one)).outcome, apart(Some(one), Some(other)).outcome),
            (Fail, Ok)
        );
    }

    #[test]
    fn a_policy_needs_its_keys() {
        let at = |word, has_keys| policy(word, has_keys).outcome;
        assert_eq!((at(None, false), at(Some("warn"), false)), (Ok, Ok));
        assert_eq!((at(Some("required"), false), at(Some("required"), true)), (Fail, Ok));
        assert_eq!(at(Some("perhaps"), true), Fail);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(signature_keys(folder.path()).outcome, Fail);
        let pem = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n";
        std::fs::write(folder.path().join("a.pem"), pem).unwrap();
        assert_eq!(signature_keys(folder.path()).outcome, Ok);
        assert_eq!(signature_keys(&folder.path().join("none.pem")).outcome, Fail);
    }
}
