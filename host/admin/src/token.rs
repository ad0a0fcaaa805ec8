//! A bearer token, the operators' or the workers': given by the environment, or made once and kept
//! in a file that only the host's user can read.

use crate::Error;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use nexus_storage::private_file;
use std::fmt;
use std::hint::black_box;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Fewer characters can be guessed over a network.
const LENGTH_MIN: usize = 16;
/// As long as a header may reasonably be.
const LENGTH_MAX: usize = 512;

/// The token; never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// An operator's own token.
    ///
    /// # Errors
    ///
    /// [`Error::WeakToken`] when it is shorter than 16 characters or not visible ASCII.
    pub fn given(token: &str) -> Result<Self, Error> {
        if token.len() < LENGTH_MIN {
            return Err(Error::WeakToken { reason: "has fewer than 16 characters" });
        }
        if token.len() > LENGTH_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::WeakToken { reason: "is not 16 to 512 visible ASCII characters" });
        }
        Ok(Self(token.to_owned()))
    }

    /// The token in `file`, which is made (mode 0600, 256 random bits) when it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::TokenFile`], [`Error::WeakToken`].
    pub fn kept_in(file: &Path) -> Result<Self, Error> {
        let fail = |source| Error::TokenFile { path: file.to_owned(), source };
        let token = fresh(file);
        if private_file::make_once(file, format!("{token}\n").as_bytes()).map_err(fail)? {
            return Ok(Self(token));
        }
        let mode = std::fs::metadata(file).map_err(fail)?.permissions().mode();
        if mode & 0o077 != 0 {
            let strict = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(file, strict).map_err(fail)?;
            tracing::warn!(file = %file.display(), "others could read this token");
        }
        Self::given(std::fs::read_to_string(file).map_err(fail)?.trim())
    }

    /// The text, for whoever has to show it to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that depends on the length of `offered` alone.
    pub(crate) fn is(&self, offered: &str) -> bool {
        let (own, offered) = (self.0.as_bytes(), offered.as_bytes());
        let mut difference = own.len() ^ offered.len();
        for (index, byte) in offered.iter().enumerate() {
            difference |= usize::from(own[index % own.len()] ^ byte);
            difference = black_box(difference);
        }
        difference == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The credential of a request: one header, of the scheme `bearer`.
pub(crate) fn offered(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// `nx-admin-…` in the file `admin-token`: whoever finds one knows what it is.
fn fresh(file: &Path) -> String {
    let bits: [u128; 2] = rand::random();
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let whose = name.strip_suffix("-token").unwrap_or("host");
    format!("nx-{whose}-{:032x}{:032x}", bits[0], bits[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_equals_itself_and_nothing_else() {
        let token = Token::given("0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef"));
        let longer = "0123456789abcdef0123456789abcdef";
        for other in ["", "0", "0123456789abcdeF", "0123456789abcde", longer] {
            assert!(!token.is(other), "{other}");
        }
    }

    #[test]
    fn a_token_that_could_be_guessed_is_refused() {
        assert!(Token::given("secret").is_err());
        assert!(Token::given("with a space in it").is_err());
    }

    #[test]
    fn the_file_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin-token");
        let first = Token::kept_in(&file).unwrap();
        let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let second = Token::kept_in(&file).unwrap();
        assert_eq!(first.reveal(), second.reveal());
        assert_eq!(mode(&file), 0o600, "loose permissions are tightened");
        assert!(first.reveal().starts_with("nx-admin-"));
        assert_ne!(fresh(&file), fresh(&file));
    }
}
