//! A call taken apart: decoded path, strict query, strict body. Refuses to know what they mean.

use super::{PAGE, PAGE_MAX};
use crate::access::Actor;
use crate::problems;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use nexus_runtime::{Problem, Response};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

const REASON_CHARS_MAX: usize = 1_000;

/// A call whose body has come.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) actor: Actor,
    /// Of the path after the prefix, decoded.
    pub(crate) segments: Vec<String>,
    /// Of the body, in lower case, without parameters.
    pub(crate) media_type: String,
    pub(crate) body: Bytes,
    query: String,
}

impl Asked {
    /// Takes a request apart, which the door has bounded; a question has no body.
    pub(crate) async fn read(request: Request<Full<Bytes>>, prefix: &str) -> Result<Self, Problem> {
        let (mut head, body) = request.into_parts();
        // The door has put it there.
        let actor = head.extensions.remove::<Actor>().ok_or(problems::NO_CREDENTIAL)?;
        let path = head.uri.path().strip_prefix(prefix).unwrap_or_default();
        let decoded = path.split('/').map(|part| {
            let text = percent_decode_str(part).decode_utf8();
            text.map(String::from).map_err(|_| problems::NOT_FOUND)
        });
        let segments = decoded.collect::<Result<_, _>>()?;
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        let media_type = head.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let media_type = media_type.and_then(|it| it.split(';').next()).unwrap_or_default();
        let media_type = media_type.trim().to_ascii_lowercase();
        let query = head.uri.query().unwrap_or_default().to_owned();
        Ok(Self { method: head.method, actor, segments, media_type, body, query })
    }

    /// The query, every word of which must be known.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_urlencoded::from_str(&self.query)
            .map_err(|error| problems::QUERY.detail(error.to_string()))
    }

    /// The body, every word of which must be known; none is `{}`.
    pub(crate) fn order<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = if self.body.is_empty() { b"{}" } else { &self.body[..] };
        serde_json::from_slice(body).map_err(|error| problems::BODY.detail(error.to_string()))
    }
}

/// Why something is ordered, in words that a journal has room for.
pub(crate) fn reason(given: Option<&str>) -> Result<&str, Problem> {
    match given.unwrap_or_default() {
        long if long.chars().count() > REASON_CHARS_MAX => {
            Err(problems::BODY.detail(format!("a reason takes {REASON_CHARS_MAX} characters")))
        }
        fitting => Ok(fitting),
    }
}

/// How many entries of a list, within bounds.
pub(crate) fn page(limit: Option<u32>) -> Result<u32, Problem> {
    page_within(limit, PAGE_MAX)
}

/// As [`page`], for entries of which fewer fit.
pub(crate) fn page_within(limit: Option<u32>, most: u32) -> Result<u32, Problem> {
    match limit {
        None => Ok(PAGE.min(most)),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(_) => Err(problems::QUERY.detail(format!("limit is 1 to {most}"))),
    }
}

/// The cursor of the next page: none when this one was not full.
pub(crate) fn cursor(rows: usize, limit: u32, last: impl FnOnce() -> String) -> Value {
    if rows < limit as usize { Value::Null } else { last().into() }
}

/// Where a page begins; what is no cursor of ours is refused.
pub(crate) fn read_cursor<'a, T>(
    text: Option<&'a str>,
    read: impl FnOnce(&'a str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let cursor = read(text).ok_or(problems::QUERY.detail("cursor is one that a list has given"))?;
    Ok(Some(cursor))
}

pub(crate) fn json(value: &Value) -> Response {
    crate::routes::json(StatusCode::OK, value)
}

/// It was taken down, and happens a little later.
pub(crate) fn accepted(value: &Value) -> Response {
    crate::routes::json(StatusCode::ACCEPTED, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Words {
        limit: Option<u32>,
    }

    async fn asked(method: &str, uri: &str, body: &'static str) -> Result<Asked, Problem> {
        let request = Request::builder().method(method).uri(uri).extension(Actor::root());
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        Asked::read(request, "/api/v1/").await
    }

    #[tokio::test]
    async fn a_path_is_decoded_piece_by_piece() {
        let asked = asked("GET", "/api/v1/queues/media-native/a%2Fb%20%7B%7D/x", "").await.unwrap();
        assert_eq!(asked.segments, ["queues", "media-native", "a/b {}", "x"]);
        assert!(self::asked("GET", "/api/v1/queues/%FF/x", "").await.is_err());
    }

    #[tokio::test]
    async fn words_that_are_not_known_are_refused() {
        for (query, refused) in [
            ("", false),
            ("limit=3", false),
            ("limits=3", true),
            ("limit=x", true),
            ("limit=1&limit=2", true),
        ] {
            let asked = asked("GET", &format!("/api/v1/queues?{query}"), "").await.unwrap();
            assert_eq!(asked.query::<Words>().is_err(), refused, "{query}");
        }
        for (body, refused) in
            [("", false), ("{}", false), ("{\"limit\":3}", false), ("{\"x\":3}", true), ("[", true)]
        {
            let asked = asked("POST", "/api/v1/queues", body).await.unwrap();
            assert_eq!(asked.order::<Words>().is_err(), refused, "{body}");
            let limit = asked.order::<Words>().ok().and_then(|words| words.limit);
            assert_eq!(limit.is_some(), body.contains("limit"), "{body}");
        }
    }

    #[test]
    fn a_page_has_its_bounds_and_only_a_full_one_has_a_next() {
        assert_eq!(page(None), Ok(100));
        assert_eq!(page_within(None, 10), Ok(10));
        assert_eq!(page(Some(1000)), Ok(1000));
        assert!(page(Some(0)).is_err() && page(Some(1001)).is_err());
        assert_eq!(cursor(9, 10, || "x".into()), Value::Null);
        assert_eq!(cursor(10, 10, || "x".into()), "x");
    }
}
