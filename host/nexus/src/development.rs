//! What a host makes for itself so that a newcomer has nothing to configure: a key that signs
//! tokens, the root key, the variables of the installation. Knows when that is allowed: while the
//! public URL is this machine's own, and nowhere else.

use crate::assembly;
use crate::dev_tokens::{self, DevKey};
use crate::home::Home;
use crate::secret;
use crate::settings::{Settings, Tokens};
use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use nexus_runtime::PrincipalKind;

/// Whether this installation is known to nobody but this machine. What is made for convenience is
/// accepted here and refused everywhere else.
pub(crate) fn is_development(public_url: &Uri) -> bool {
    let host = public_url.host().unwrap_or_default().trim_matches(['[', ']']);
    let local = |ip: std::net::IpAddr| ip.is_loopback();
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(local)
}

/// The variables that the host answers by itself where nobody has set them. Returns the key of
/// playback tokens, where a component makes some.
pub(crate) fn own_variables(
    settings: &mut Settings,
    public_url: &Uri,
    home: &Home,
) -> Result<Option<[u8; 32]>> {
    let mut own = vec![("NEXUS_VARIABLE_PUBLIC_URL".to_owned(), assembly::origin(public_url))];
    let declared = |name| settings.manifest.variables.contains_key(name);
    let plays = declared(PLAYBACK_KEY);
    let wanted = plays || declared(ROOT_KEY);
    let root = match &settings.root_key {
        Some(given) => Some(secret::root_key(given)?),
        None if wanted && is_development(public_url) => {
            let file = home.file("dev-root-key");
            let key = secret::kept_in(&file)?;
            tracing::warn!(
                key = %file.display(),
                "development: what is encrypted is encrypted under a key in the home folder; set \
                 NEXUS_ROOT_KEY_FILE elsewhere"
            );
            Some(STANDARD.encode(key))
        }
        None => None,
    };
    if root.is_none() && wanted {
        tracing::error!("there is no root key: set NEXUS_ROOT_KEY_FILE (32 bytes as base64)");
    }
    let playback = root.as_deref().filter(|_| plays).map(secret::playback_key).transpose()?;
    let shown = playback.map(|key| STANDARD.encode(key));
    own.extend(shown.map(|key| ("NEXUS_VARIABLE_PLAYBACK_KEY".to_owned(), key)));
    own.extend(root.map(|key| ("NEXUS_VARIABLE_ROOT_KEY".to_owned(), key)));
    settings.environment.splice(0..0, own);
    Ok(playback)
}

/// The variable under which the component that keeps keys asks for the key of all keys.
const ROOT_KEY: &str = "root_key";

/// The variable under which the component that admits viewers asks for the key of its tokens.
const PLAYBACK_KEY: &str = "playback_key";

/// The development key, where one is wanted, and its token in the home.
pub(crate) fn key(settings: &Settings, public_url: &Uri, home: &Home) -> Result<Option<DevKey>> {
    if settings.tokens == Tokens::None || !is_development(public_url) {
        return Ok(None);
    }
    let key = DevKey::kept_in(home.folder())?;
    let claims = dev_tokens::Claims {
        subject: "operator".into(),
        kind: PrincipalKind::Operator,
        permissions: vec!["*".into()],
        tenant: nexus_runtime::DEFAULT_TENANT,
        lifetime: dev_tokens::LIFETIME,
    };
    let issuer = assembly::origin(public_url);
    dev_tokens::keep_issuer(home.folder(), &issuer)?;
    dev_tokens::keep(home.folder(), &key.mint(&issuer, &claims)?)?;
    let (key_file, token) = (home.file(dev_tokens::KEY_FILE), home.file(dev_tokens::TOKEN_FILE));
    tracing::warn!(
        key = %key_file.display(),
        token = %token.display(),
        "development: tokens signed with the development key are accepted, and whoever reads \
         that file is an operator"
    );
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_development() {
        for url in ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:80"] {
            assert!(is_development(&url.parse().unwrap()), "{url}");
        }
        for url in ["https://nexus.example", "http://10.0.0.1", "http://localhost.example"] {
            assert!(!is_development(&url.parse().unwrap()), "{url}");
        }
    }
}
