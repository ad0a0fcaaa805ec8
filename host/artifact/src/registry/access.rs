//! How a registry wants to be asked: the challenge of its 401, and the token that its service
//! gives for our credentials. Refuses to send credentials in the clear to another machine.
//! Sources: RFC 7235 for challenges; the token specification of the distribution project.

use super::credentials::Login;
use super::wire::{Ask, Wire};
use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use url::Url;
use zeroize::Zeroizing;

/// What a 401 asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// Reads a `WWW-Authenticate` header; the first challenge that we can meet.
    pub(crate) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        let realm = parameters.remove("realm")?;
        let (service, scope) = (parameters.remove("service"), parameters.remove("scope"));
        Some(Self::Bearer { realm, service, scope })
    }
}

/// `name="value"`, separated by commas; a value may hold commas.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name, value.trim().to_owned());
        rest = after;
    }
    found
}

/// Tokens are a few kilobytes of JWT.
const TOKEN_BYTES_MAX: u64 = 256 << 10;

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Asks the token service. The answer is the value of an `Authorization` header.
pub(crate) async fn token(
    wire: &Wire,
    realm: &str,
    query: &[(&str, &str)],
    login: Option<&Login>,
    plain_allowed: bool,
) -> Result<Zeroizing<String>, String> {
    let mut url = Url::parse(realm).map_err(|_| "its token service has no URL".to_owned())?;
    if url.scheme() != "https" && !plain_allowed {
        return Err("its token service is not on https".into());
    }
    let identity = login.and_then(|login| login.identity_token.as_ref());
    let mut ask = if let Some(refresh) = identity {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(query).append_pair("grant_type", "refresh_token");
        form.append_pair("client_id", "nexus").append_pair("refresh_token", refresh);
        let mut ask = Ask::new(Method::POST, url);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        ask.headers.insert(CONTENT_TYPE, kind);
        ask.body = Bytes::from(form.finish());
        ask
    } else {
        url.query_pairs_mut().extend_pairs(query);
        let mut ask = Ask::new(Method::GET, url);
        if let Some(login) = login {
            ask.headers.insert(AUTHORIZATION, secret(&login.basic())?);
        }
        ask
    };
    ask.bytes_max = TOKEN_BYTES_MAX;
    let answer = wire.ask(&ask).await.map_err(|words| format!("its token service: {words}"))?;
    if !answer.status.is_success() {
        return Err(format!("its token service: {}", answer.complaint()));
    }
    let token: Token = serde_json::from_slice(&answer.body)
        .map_err(|_| "its token service answers with no token".to_owned())?;
    let token = token.token.or(token.access_token).map(Zeroizing::new);
    let token = token.ok_or("its token service answers with no token")?;
    Ok(Zeroizing::new(format!("Bearer {}", *token)))
}

/// A header that is not shown.
pub(crate) fn secret(value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| "its credentials hold what no header can".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = Challenge::read(
            "Bearer realm=\"https://auth.example/token\",service=\"registry\",\
             scope=\"repository:a/b:pull,push\"",
        );
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("registry".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(bearer, Some(expected));
        assert_eq!(Challenge::read("basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::read("Bearer service=x"), None, "there is nobody to ask");
        assert_eq!(Challenge::read("Negotiate"), None);
        let bare = Challenge::read("bearer Realm=https://a.example, service=s");
        let Some(Challenge::Bearer { realm, service, .. }) = bare else { panic!("{bare:?}") };
        assert_eq!((realm.as_str(), service.as_deref()), ("https://a.example", Some("s")));
    }
}
