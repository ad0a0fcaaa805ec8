//! Fields that come with most requests: their names, parsed once, and their text.
//!
//! Knows which names those are. Refuses to know what is said under them.

use std::ops::Deref;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

macro_rules! names {
    (
        asked { $($(#[$doc:meta])* $name:ident = $asked:literal;)* }
        received { $($text:literal)* }
    ) => {
        $($(#[$doc])* pub(crate) static $name: HeaderName = HeaderName::from_static($asked);)*

        /// The name that `bytes` are, where it is one of these: to compare is a fifth of what it
        /// takes to parse and to copy it.
        pub(crate) fn known(bytes: &[u8]) -> Option<HeaderName> {
            $(if bytes == $asked.as_bytes() {
                return Some(const { HeaderName::from_static($asked) });
            })*
            $(if bytes == $text.as_bytes() {
                return Some(const { HeaderName::from_static($text) });
            })*
            None
        }

        #[cfg(test)]
        const KNOWN: &[&str] = &[$($asked,)* $($text),*];
    };
}

names! {
    asked {
        /// Who asks, as the host proved it.
        PRINCIPAL = "nexus-principal";
        REQUEST_ID = "x-request-id";
        TRACEPARENT = "traceparent";
        /// Set by the host on in-process calls only; it strips every other copy.
        CALLER = "nexus-caller";
        /// A test's clock (RFC 3339), set by the host only.
        NOW = "nexus-now";
        IDEMPOTENCY_KEY = "idempotency-key";
    }
    received {
        "spin-full-url" "spin-client-addr" "tracestate" "accept" "accept-encoding"
        "accept-language" "content-length" "content-type" "cookie" "user-agent"
    }
}

/// The first value under `name`, where it is text.
pub(crate) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(text_of)
}

/// As [`HeaderValue::to_str`], for a quarter of it: a value has no control characters, so what is
/// ASCII is text.
pub(crate) fn text_of(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    if bytes.is_ascii() { std::str::from_utf8(bytes).ok() } else { None }
}

/// Text that stands in a field and stays there, or somebody's own.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// By [`Text::of`] alone, so it is text.
    Field(HeaderValue),
    Own(Arc<str>),
}

impl Text {
    /// As [`text`].
    pub(crate) fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Text> {
        let value = headers.get(name)?;
        value.as_bytes().is_ascii().then(|| Text::Field(value.clone()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text::Own(text.into())
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Field(value) => text_of(value).unwrap_or_default(),
            Text::Own(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_what_it_is_parsed_to() {
        for text in KNOWN {
            let parsed = HeaderName::from_bytes(text.as_bytes()).unwrap();
            let name = known(text.as_bytes()).unwrap();
            assert_eq!((name.as_str(), &name), (*text, &parsed));
        }
        for other in ["", "x-request-i", "x-request-ids", "Accept", "nexus-Principal"] {
            assert_eq!(known(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn a_value_is_text_where_http_says_so() {
        let values = (0..=255_u8).flat_map(|byte| [vec![byte], [b"0123456", &[byte][..]].concat()]);
        for value in values.filter_map(|bytes| HeaderValue::from_bytes(&bytes).ok()) {
            assert_eq!(text_of(&value), value.to_str().ok(), "{value:?}");
            let headers = HeaderMap::from_iter([(NOW.clone(), value.clone())]);
            assert_eq!(text(&headers, &NOW), value.to_str().ok());
            assert_eq!(Text::of(&headers, &NOW).as_deref(), value.to_str().ok());
        }
        assert_eq!(&*Text::from("é".to_owned()), "é");
        assert_eq!(text_of(&HeaderValue::from_static("")), Some(""));
    }
}
