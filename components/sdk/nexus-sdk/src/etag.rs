//! Versions over HTTP: `etag` on the way out, `if-match` and `if-none-match` on the way in.
//!
//! Knows RFC 9110 §8.8 and §13.1. Refuses to know where a version is kept: usually in a
//! `version` column, checked again by the statement that changes the row.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::problem::{Error, Failure, Result, standard};

/// A strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The tag of a row's version number.
    pub fn of_version(version: i64) -> Etag {
        Etag(format!("\"{version}\""))
    }

    /// The tag of a body that has no version number.
    pub fn of_bytes(bytes: &[u8]) -> Etag {
        let digest = Sha256::digest(bytes);
        // 128 bits: nobody gains by finding two bodies with the same tag.
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Etag(format!("\"{hex}\""))
    }
}

/// As it stands in a header, quotes included.
impl std::fmt::Display for Etag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A response with its version: 304 when the client named it in `if-none-match`.
#[derive(Debug)]
pub struct Tagged<T>(pub Etag, pub T);

impl<T: IntoResponse> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let Tagged(Etag(tag), body) = self;
        match HeaderValue::try_from(tag) {
            Ok(tag) => ([(header::ETAG, tag)], body).into_response(),
            Err(why) => Error::from(Failure::new(why).context("write the etag")).into_response(),
        }
    }
}

/// The versions a client is willing to change: 428 when it names none. As `Option<IfMatch>`
/// naming one is up to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(String);

impl IfMatch {
    /// The one version number that the client means.
    ///
    /// # Errors
    /// 412 when it names none, or several, or a tag that no version has.
    pub fn version(&self) -> Result<i64> {
        let number = self.0.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let version = number.and_then(|number| number.parse().ok());
        version.ok_or_else(|| standard::PreconditionFailed.into())
    }

    /// Passes when `current` is among the versions named, or `*` is.
    ///
    /// # Errors
    /// 412 otherwise.
    pub fn allow(&self, current: &Etag) -> Result<()> {
        // Strong comparison: a weak tag never matches (RFC 9110 §13.1.1).
        let named = self.0 == "*" || tags(&self.0).any(|tag| tag == current.0);
        if named { Ok(()) } else { Err(standard::PreconditionFailed.into()) }
    }
}

fn tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<IfMatch> {
        if_match(&parts.headers).ok_or_else(|| standard::PreconditionRequired.into())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<IfMatch>> {
        Ok(if_match(&parts.headers))
    }
}

fn if_match(headers: &HeaderMap) -> Option<IfMatch> {
    let value = headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
    (!value.is_empty()).then(|| IfMatch(value.to_owned()))
}

/// Whether the client that sent `if_none_match` already has what `etag` names.
pub(crate) fn is_known(if_none_match: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(list), Ok(etag)) = (if_none_match.to_str(), etag.to_str()) else {
        return false;
    };
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    list.trim() == "*" || tags(list).any(|tag| opaque(tag) == opaque(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(value: &str) -> Option<IfMatch> {
        if_match(&HeaderMap::from_iter([(header::IF_MATCH, value.parse().unwrap())]))
    }

    #[test]
    fn a_version_goes_out_as_a_tag_and_comes_back_as_a_number() {
        let Etag(tag) = Etag::of_version(3);
        assert_eq!(sent(&tag).unwrap().version().unwrap(), 3);
        for odd in ["*", "W/\"3\"", "\"3\", \"4\"", "\"x\"", "3"] {
            let refused = sent(odd).unwrap().version().unwrap_err();
            assert!(refused.is(&standard::PreconditionFailed), "{odd}");
        }
    }

    #[test]
    fn if_match_passes_for_a_version_it_names_and_never_for_a_weak_one() {
        let current = Etag::of_version(3);
        for (value, passes) in [
            ("\"3\"", true),
            ("\"2\", \"3\"", true),
            ("*", true),
            ("\"2\"", false),
            ("W/\"3\"", false),
        ] {
            assert_eq!(sent(value).unwrap().allow(&current).is_ok(), passes, "{value}");
        }
        assert_eq!(sent(" "), None);
    }

    #[test]
    fn a_known_version_is_known_weak_or_strong() {
        let etag = HeaderValue::from_static("\"3\"");
        for (value, known) in [("\"3\"", true), ("W/\"3\"", true), ("*", true), ("\"4\"", false)] {
            assert_eq!(is_known(&HeaderValue::from_static(value), &etag), known, "{value}");
        }
    }

    #[test]
    fn the_same_bytes_have_the_same_tag() {
        assert_eq!(Etag::of_bytes(b"a"), Etag::of_bytes(b"a"));
        assert_ne!(Etag::of_bytes(b"a"), Etag::of_bytes(b"b"));
    }
}
