//! Login roles: what a service is called in the database, which password only the host knows,
//! and which roles may stand for a service at all. Refuses to know what a role may touch; the
//! function `platform.admit` says that.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// PostgreSQL's limit for a name, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// The count slows down who guesses passwords. These are 256 random bits, which nobody guesses;
/// PostgreSQL's default of 4096 would only cost each new connection some milliseconds, here and
/// whenever a connection of one service makes room for another's.
const SCRAM_ITERATIONS: u32 = 1;

/// Marks roles that this host made: a role of the same name that somebody else made is not ours
/// to give a password to.
pub(crate) const MARK: &str = "a service of Nexus";

/// The schema and role of a service: its name with `_` for `-`.
///
/// # Errors
///
/// [`Error::ServiceName`] when the name is not kebab-case, too long, or taken by the server.
pub fn role_of(service: &str) -> Result<String, Error> {
    let refuse = |why| Err(Error::ServiceName(service.to_owned(), why));
    let mut words = service.split('-');
    let sound = words.all(|word| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    if !sound || !service.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refuse("only lower-case letters, digits and single dashes, a letter first");
    }
    if service.len() > NAME_BYTES_MAX {
        return refuse("longer than 63 bytes");
    }
    let role = service.replace('-', "_");
    let taken = ["platform", "public", "extension", "nexus", "postgres", "none"];
    if role.starts_with("pg_") || role == "information_schema" || taken.contains(&&*role) {
        return refuse("the name belongs to the server or to the platform");
    }
    Ok(role)
}

/// The key that all hosts of one database derive the roles' passwords from.
#[derive(Clone)]
pub(crate) struct RoleKey([u8; 32]);

impl RoleKey {
    /// From a secret that hosts of the same database share.
    pub(crate) fn from_secret(secret: &[u8]) -> Self {
        Self(Sha256::digest([b"nexus role key\0", secret].concat()).into())
    }

    /// The password of a role.
    pub(crate) fn password(&self, role: &str) -> String {
        let tag = hmac(&self.0, role.as_bytes());
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the server keeps instead of the password (RFC 5803, and PostgreSQL's pg_authid). It
    /// is sent in place of the password because statements end up in logs.
    pub(crate) fn verifier(&self, role: &str) -> String {
        let salt: [u8; 16] = rand::random();
        scram_verifier(self.password(role).as_bytes(), &salt, SCRAM_ITERATIONS)
    }
}

/// RFC 5802, section 3.
fn scram_verifier(password: &[u8], salt: &[u8], iterations: u32) -> String {
    let mut block = hmac(password, &[salt, &1u32.to_be_bytes()].concat());
    let mut salted = block;
    for _ in 1..iterations {
        block = hmac(password, &block);
        salted.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    let stored = Sha256::digest(hmac(&salted, b"Client Key"));
    let (salt, stored) = (STANDARD.encode(salt), STANDARD.encode(stored));
    let server = STANDARD.encode(hmac(&salted, b"Server Key"));
    format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_the_one_of_rfc_7677() {
        // RFC 7677, section 3: user `user`, password `pencil`; the keys follow from its proof.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            scram_verifier(b"pencil", &salt, 4096),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
             wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }

    #[test]
    fn a_services_role_cannot_be_the_servers_own() {
        for (name, role) in [
            ("catalog", Some("catalog")),
            ("core-os", Some("core_os")),
            ("a1-b2", Some("a1_b2")),
            ("postgres", None),
            ("platform", None),
            ("pg-monitor", None),
            ("Core", None),
            ("a--b", None),
            ("a_b", None),
            ("1a", None),
            ("a\"; drop role b; --", None),
            ("", None),
        ] {
            assert_eq!(role_of(name).ok().as_deref(), role, "{name}");
        }
        assert!(role_of(&"a".repeat(64)).is_err());
    }

    #[test]
    fn passwords_differ_by_role_and_by_secret() {
        let (a, b) = (RoleKey::from_secret(b"a"), RoleKey::from_secret(b"b"));
        assert_ne!(a.password("catalog"), a.password("catalog2"));
        assert_ne!(a.password("catalog"), b.password("catalog"));
        assert_eq!(a.password("catalog").len(), 64);
    }
}
