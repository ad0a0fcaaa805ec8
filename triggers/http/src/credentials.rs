//! Where credentials stand in a request, and their removal before a component sees it: a component
//! is told who is asking, and needs nobody's secret. Refuses to know whether a credential is any
//! good.

use crate::fields::{Fields, Names};
use crate::problems;
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use nexus_runtime::Problem;

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown<'a> {
    Nothing,
    Token(&'a str, Scheme),
    ApiKey(&'a str),
    /// None when there are several, which somebody else has planted: it is no session.
    Session(Option<&'a str>),
}

/// How a token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Bearer,
    /// RFC 9449.
    Dpop,
}

pub(crate) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
/// Clients of HashiCorp Vault send whatever credential they have here.
const VAULT_TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
/// Where those clients ask.
const VAULT_PATHS: &str = "/v1/";

/// Over TLS: a browser takes it from this very host alone (RFC 6265bis section 4.1.3.2).
pub(crate) const SECURE_COOKIE: &str = "__Host-nexus-session";
pub(crate) const PLAIN_COOKIE: &str = "nexus-session";

/// What a component has given out for routes of its own (RFC 7592), to be sent as bearer by the
/// protocol: it knows them, and they are nobody's credential here.
const OF_COMPONENTS: &str = "nxm_";

/// Longer tokens are refused unseen; real ones stay below 2 KiB.
const TOKEN_BYTES_MAX: usize = 8 << 10;
/// `nxs_` and 32 bytes; some room for what is to come.
const SECRET_BYTES_MAX: usize = 256;

/// The credential of a request: a token before a key, either before a cookie. Other schemes than
/// `Bearer` and `DPoP` are the component's own affair.
pub(crate) fn shown<'a>(
    fields: Fields<'a>,
    path: &str,
    secure: bool,
) -> Result<Shown<'a>, Problem> {
    if let Some(key) = one(fields, &API_KEY)? {
        return of_key(key);
    }
    if path.starts_with(VAULT_PATHS)
        && let Some(token) = one(fields, &VAULT_TOKEN)?
    {
        return of_token(token, Scheme::Bearer);
    }
    if let Some(value) = one(fields, &AUTHORIZATION)?
        && let Some((scheme, token)) = value.split_once(' ')
        && let Some(scheme) = Scheme::named(scheme)
    {
        return of_token(token.trim_matches(' '), scheme);
    }
    Ok(of_cookies(fields, if secure { SECURE_COOKIE } else { PLAIN_COOKIE }))
}

impl Scheme {
    fn named(word: &str) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("bearer") {
            return Some(Self::Bearer);
        }
        is("dpop").then_some(Self::Dpop)
    }
}

/// The only value of a field; a second one would make it somebody's guess which of them counts.
fn one<'a>(fields: Fields<'a>, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut sent = fields.get_all(name);
    match (sent.next(), sent.next()) {
        (Some(_), Some(_)) => Err(problems::INVALID_TOKEN.detail(format!("{name} is repeated"))),
        // What is not visible ASCII is no scheme and no credential of ours.
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default())),
        (None, _) => Ok(None),
    }
}

fn of_token(token: &str, scheme: Scheme) -> Result<Shown<'_>, Problem> {
    if token.starts_with(OF_COMPONENTS) {
        return Ok(Shown::Nothing);
    }
    // API keys may also come as bearer; their prefix tells them from a JWT.
    if token.starts_with("nx_") {
        return of_key(token);
    }
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(problems::INVALID_TOKEN.detail("the token is malformed"));
    }
    Ok(Shown::Token(token, scheme))
}

fn of_key(key: &str) -> Result<Shown<'_>, Problem> {
    match key.starts_with("nx_") && is_secret(key) {
        true => Ok(Shown::ApiKey(key)),
        false => Err(problems::INVALID_API_KEY),
    }
}

/// Letters, digits, `_` and `-`, and not many: whatever else comes was never made here, and needs
/// no lookup.
fn is_secret(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    text.len() <= SECRET_BYTES_MAX && text.bytes().all(word)
}

fn of_cookies<'a>(fields: Fields<'a>, name: &str) -> Shown<'a> {
    let mut found = None;
    for value in fields.get_all(&COOKIE) {
        let Ok(value) = value.to_str() else { continue };
        for (_, secret) in pairs(value).filter(|(known, _)| *known == name) {
            match found {
                Some(other) if other != secret => return Shown::Session(None),
                _ => found = Some(secret),
            }
        }
    }
    match found {
        Some(secret) => {
            Shown::Session(Some(secret).filter(|s| s.starts_with("nxs_") && is_secret(s)))
        }
        None => Shown::Nothing,
    }
}

fn pairs(cookies: &str) -> impl Iterator<Item = (&str, &str)> {
    cookies.split(';').filter_map(|pair| pair.trim().split_once('='))
}

/// Fields that have credentials of ours in them.
const OURS: [HeaderName; 4] = [API_KEY, VAULT_TOKEN, AUTHORIZATION, COOKIE];

/// Removes every credential of ours; what remains is the component's own affair.
pub(crate) fn remove(headers: &mut HeaderMap, names: Names) {
    if !OURS.iter().any(|name| names.may_have(name)) {
        return;
    }
    headers.remove(&API_KEY);
    headers.remove(&VAULT_TOKEN);
    let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let scheme = authorization.and_then(|value| value.split(' ').next()).and_then(Scheme::named);
    let token = authorization.and_then(|value| value.split_once(' ')).map(|(_, token)| token);
    let of_component = token.is_some_and(|it| it.trim_matches(' ').starts_with(OF_COMPONENTS));
    if scheme.is_some() && !of_component {
        headers.remove(AUTHORIZATION);
    }
    // The proof belongs to the token; without one it asks for a token, which is a component's.
    if scheme == Some(Scheme::Dpop) {
        headers.remove(&DPOP);
    }
    if headers.contains_key(COOKIE) {
        remove_cookies(headers);
    }
}

fn remove_cookies(headers: &mut HeaderMap) {
    let is_ours = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        memchr::memmem::find(bytes, PLAIN_COOKIE.as_bytes()).is_some()
    };
    if !headers.get_all(COOKIE).iter().any(is_ours) {
        return;
    }
    let mut kept: Vec<&str> = Vec::new();
    for value in headers.get_all(COOKIE) {
        // A field that is not ASCII and holds our name is given up as a whole.
        let pairs = value.to_str().unwrap_or_default().split(';').map(str::trim);
        kept.extend(pairs.filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default().trim();
            !pair.is_empty() && name != PLAIN_COOKIE && name != SECURE_COOKIE
        }));
    }
    let kept = HeaderValue::from_str(&kept.join("; ")).ok().filter(|kept| !kept.is_empty());
    headers.remove(COOKIE);
    if let Some(kept) = kept {
        headers.insert(COOKIE, kept);
    }
}

/// Tells the browser to forget a session that is none.
pub(crate) fn forgetting(secure: bool) -> HeaderValue {
    HeaderValue::from_static(match secure {
        true => "__Host-nexus-session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax",
        false => "nexus-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
    })
}

/// Whether a `set-cookie` of a component is about the session.
pub(crate) fn is_of_session(set_cookie: &HeaderValue) -> bool {
    let name = set_cookie.as_bytes().split(|b| *b == b'=').next().unwrap_or_default();
    let name = name.trim_ascii();
    name == PLAIN_COOKIE.as_bytes() || name == SECURE_COOKIE.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(headers: &'a HeaderMap, path: &str, secure: bool) -> Result<Shown<'a>, Problem> {
        super::shown(headers.into(), path, secure)
    }

    fn remove(headers: &mut HeaderMap) {
        let names = Names::of(headers);
        super::remove(headers, names);
    }

    fn with(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn tokens_keys_and_session_cookies_are_credentials_in_this_order() {
        for (fields, expected) in [
            (&[("accept", "*/*")][..], Shown::Nothing),
            (&[("authorization", "Basic abc")], Shown::Nothing),
            (&[("authorization", "Bearer a.b.c")], Shown::Token("a.b.c", Scheme::Bearer)),
            (&[("authorization", "bearer  a.b.c ")], Shown::Token("a.b.c", Scheme::Bearer)),
            (&[("authorization", "DPoP a.b.c")], Shown::Token("a.b.c", Scheme::Dpop)),
            (&[("authorization", "Bearer nx_live_1_2")], Shown::ApiKey("nx_live_1_2")),
            (&[("authorization", "Bearer nxm_1")], Shown::Nothing),
            (
                &[("authorization", "Bearer nxm_1"), ("cookie", "nexus-session=nxs_1")],
                Shown::Nothing,
            ),
            (&[("x-api-key", "nx_live_1_2")], Shown::ApiKey("nx_live_1_2")),
            (&[("x-vault-token", "nx_live_1_2")], Shown::Nothing),
            (&[("cookie", "a=b; nexus-session=nxs_1")], Shown::Session(Some("nxs_1"))),
            (&[("cookie", "__Host-nexus-session=nxs_1")], Shown::Nothing),
            (
                &[("cookie", "nexus-session=nxs_1"), ("authorization", "Bearer a.b.c")],
                Shown::Token("a.b.c", Scheme::Bearer),
            ),
        ] {
            assert_eq!(shown(&with(fields), "/", false).unwrap(), expected, "{fields:?}");
        }
        let vault = with(&[("x-vault-token", "nx_live_1_2")]);
        let key = Shown::ApiKey("nx_live_1_2");
        assert_eq!(shown(&vault, "/v1/transit/keys/a", false).unwrap(), key);
    }

    #[test]
    fn over_tls_only_the_cookie_counts_that_nobody_else_can_plant() {
        let both = with(&[("cookie", "nexus-session=nxs_evil; __Host-nexus-session=nxs_1")]);
        assert_eq!(shown(&both, "/", true).unwrap(), Shown::Session(Some("nxs_1")));
        let planted = with(&[("cookie", "nexus-session=nxs_evil")]);
        assert_eq!(shown(&planted, "/", true).unwrap(), Shown::Nothing);
    }

    #[test]
    fn a_cookie_that_was_never_made_here_is_a_session_that_is_none() {
        for cookies in [
            &[("cookie", "nexus-session=nxs_1; nexus-session=nxs_2")][..],
            &[("cookie", "nexus-session=nxs_1"), ("cookie", "nexus-session=nxs_2")],
            &[("cookie", "nexus-session=")],
            &[("cookie", "nexus-session=abc")],
            &[("cookie", "nexus-session=nxs_'or 1=1")],
        ] {
            assert_eq!(shown(&with(cookies), "/", false).unwrap(), Shown::Session(None));
        }
        let twice = with(&[("cookie", "nexus-session=nxs_1; nexus-session=nxs_1")]);
        assert_eq!(shown(&twice, "/", false).unwrap(), Shown::Session(Some("nxs_1")));
    }

    #[test]
    fn repeated_and_malformed_credentials_are_refused() {
        let long: &'static str = Box::leak(format!("Bearer {}", "a".repeat(9000)).into());
        for fields in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")][..],
            &[("x-api-key", "nx_live_1_2"), ("x-api-key", "nx_live_1_3")],
            &[("authorization", "Bearer ")],
            &[("authorization", long)],
            &[("x-api-key", "secret")],
            &[("x-api-key", "nx_' or 1=1 --")],
        ] {
            assert!(shown(&with(fields), "/", false).is_err(), "{fields:?}");
        }
    }

    #[test]
    fn a_component_sees_no_credential_of_ours_and_all_of_its_own() {
        for (name, sent, left) in [
            ("authorization", "Bearer a.b.c", None),
            ("authorization", "dpop a.b.c", None),
            ("authorization", "Basic abc", Some("Basic abc")),
            ("authorization", "Bearer nxm_1", Some("Bearer nxm_1")),
            ("authorization", "Bearer", None),
            ("x-api-key", "nx_live_1_2", None),
            ("x-vault-token", "hvs.1", None),
            ("cookie", "nexus-session=nxs_1", None),
            ("cookie", "a=b; __Host-nexus-session=nxs_1;c=d", Some("a=b; c=d")),
            ("cookie", "nexus-session =nxs_1; a=b", Some("a=b")),
            ("cookie", "nexus-session-hint=1; a=b", Some("nexus-session-hint=1; a=b")),
            ("cookie", "theme=dark", Some("theme=dark")),
            ("dpop", "a proof for a token yet to come", Some("a proof for a token yet to come")),
        ] {
            let mut headers = with(&[(name, sent)]);
            remove(&mut headers);
            let found = headers.get(name).map(|value| value.to_str().unwrap());
            assert_eq!(found, left, "{name}: {sent}");
        }
        let mut bound = with(&[("authorization", "DPoP a.b.c"), ("dpop", "proof")]);
        remove(&mut bound);
        assert!(bound.is_empty());
    }
}
