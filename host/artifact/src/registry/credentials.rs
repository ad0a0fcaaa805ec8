//! Who we are to a registry: what `docker login` and `skopeo login` have kept. Refuses to start
//! the programs that some desktops keep passwords with.
//! Source: `containers-auth.json(5)` and Docker's `config.json`.

use crate::error::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Logins by the registries that they are for.
#[derive(Clone, Default)]
pub struct Credentials {
    logins: BTreeMap<String, Login>,
    /// Registries whose logins are kept by a program.
    helpers: BTreeMap<String, String>,
    helper: Option<String>,
}

/// One login.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) password: Zeroizing<String>,
    /// Instead of a password, for the registry's token service.
    pub(crate) identity_token: Option<Zeroizing<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Credentials {
    /// None at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// One login for one registry.
    pub fn login(host: &str, name: &str, password: &str) -> Self {
        let login = Login {
            name: name.into(),
            password: Zeroizing::new(password.into()),
            identity_token: None,
        };
        Self { logins: [(host.to_owned(), login)].into(), ..Self::default() }
    }

    /// Of this user: `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json` or
    /// `~/.docker/config.json`, the first that is there.
    pub fn of_user() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let files = [
            variable("REGISTRY_AUTH_FILE"),
            variable("DOCKER_CONFIG").map(|folder| folder.join("config.json")),
            variable("HOME").map(|home| home.join(".docker/config.json")),
        ];
        match files.into_iter().flatten().find(|file| file.is_file()) {
            Some(file) => Self::read(&file),
            None => Ok(Self::none()),
        }
    }

    /// From a file in Docker's format.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let unreadable = |reason: String| Error::Unreadable { path: file.into(), reason };
        let text = std::fs::read_to_string(file).map_err(|e| unreadable(e.to_string()))?;
        let text = Zeroizing::new(text);
        // serde's message would quote what it does not understand.
        let read: File = serde_json::from_str(&text)
            .map_err(|e| unreadable(format!("no credentials at line {}", e.line())))?;
        let mut found = Self { helper: read.creds_store, ..Self::default() };
        for (place, entry) in read.auths {
            let host = host_of(&place);
            if let Some(login) = entry.login(&host)? {
                found.logins.insert(host, login);
            }
        }
        found.helpers.extend(read.cred_helpers.into_iter().map(|(it, by)| (host_of(&it), by)));
        Ok(found)
    }

    /// For a registry; a login that a program keeps is an error, since going on without it would
    /// only show a refusal later.
    pub(crate) fn of(&self, host: &str) -> Result<Option<&Login>, Error> {
        if let Some(login) = self.logins.get(host) {
            return Ok(Some(login));
        }
        let Some(helper) = self.helpers.get(host).or(self.helper.as_ref()) else {
            return Ok(None);
        };
        let reason = format!(
            "they are kept by docker-credential-{helper}; log in with a file instead \
             (REGISTRY_AUTH_FILE)"
        );
        Err(Error::Credentials { host: host.into(), reason })
    }
}

impl Entry {
    fn login(self, host: &str) -> Result<Option<Login>, Error> {
        let wrong = || Error::Credentials {
            host: host.into(),
            reason: "they are not base64 of `name:password`".into(),
        };
        let pair = match (self.auth, self.username, self.password) {
            (Some(auth), _, _) if !auth.is_empty() => {
                let both = BASE64.decode(auth.trim()).map_err(|_| wrong())?;
                let both = Zeroizing::new(String::from_utf8(both).map_err(|_| wrong())?);
                let (name, password) = both.split_once(':').ok_or_else(wrong)?;
                Some((name.to_owned(), Zeroizing::new(password.trim_matches('\0').to_owned())))
            }
            (_, Some(name), Some(password)) => Some((name, Zeroizing::new(password))),
            _ => None,
        };
        let identity_token = self.identitytoken.filter(|it| !it.is_empty()).map(Zeroizing::new);
        if pair.is_none() && identity_token.is_none() {
            return Ok(None);
        }
        let (name, password) = pair.unwrap_or_default();
        Ok(Some(Login { name, password, identity_token }))
    }
}

/// Old files have URLs where new ones have hosts.
fn host_of(place: &str) -> String {
    let rest = place.split_once("://").map_or(place, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}

impl Login {
    /// The value of an `Authorization` header; a secret.
    pub(crate) fn basic(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new(format!("{}:{}", self.name, *self.password));
        Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.logins.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Credentials, Error> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        Credentials::read(&file)
    }

    #[test]
    fn what_docker_login_has_kept_is_understood() {
        let found = read(
            r#"{"auths": {
                "https://registry.example/v1/": {"auth": "YW5uOnNlY3JldDp4"},
                "localhost:5000": {"username": "bob", "password": "b"},
                "tokens.example": {"identitytoken": "t"},
                "nothing.example": {}
            }, "credHelpers": {"desk.example": "desktop"}, "HttpHeaders": {}}"#,
        )
        .unwrap();
        let ann = found.of("registry.example").unwrap().unwrap();
        assert_eq!((ann.name.as_str(), ann.password.as_str()), ("ann", "secret:x"));
        assert_eq!(ann.basic().as_str(), "Basic YW5uOnNlY3JldDp4");
        assert_eq!(found.of("localhost:5000").unwrap().unwrap().name, "bob");
        assert!(found.of("tokens.example").unwrap().unwrap().identity_token.is_some());
        assert!(found.of("nothing.example").unwrap().is_none());
        let told = found.of("desk.example").err().unwrap().to_string();
        assert!(told.contains("docker-credential-desktop"), "{told}");
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn a_broken_file_is_told_without_what_is_in_it() {
        let told = read(r#"{"auths": {"a.example": {"auth": 12345secret}}}"#).unwrap_err();
        assert!(!told.to_string().contains("secret"), "{told}");
        assert!(read(r#"{"auths": {"a.example": {"auth": "c2VjcmV0"}}}"#).is_err(), "no colon");
    }
}
