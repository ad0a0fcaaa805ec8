//! A call taken apart: decoded path, strict query, strict body. Refuses to know what they mean.

use super::{PAGE, PAGE_MAX};
use crate::access::{Actor, is_question};
use crate::{body, problems};
use http::{Method, Request, StatusCode};
use http_body::Body;
use nexus_runtime::{Problem, Response};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::error::Error;

/// A call whose body has come.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) actor: Actor,
    /// Of the path after the prefix, decoded.
    pub(crate) segments: Vec<String>,
    query: String,
    body: Vec<u8>,
}

impl Asked {
    /// Takes a request apart; the body of a question is never read.
    pub(crate) async fn read<B>(
        request: Request<B>,
        prefix: &str,
        bytes_max: usize,
    ) -> Result<Self, Problem>
    where
        B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        let (mut head, body) = request.into_parts();
        // The door has put it there.
        let actor = head.extensions.remove::<Actor>().ok_or(problems::NO_CREDENTIAL)?;
        let path = head.uri.path().strip_prefix(prefix).unwrap_or_default();
        let decoded = path.split('/').map(|part| {
            let text = percent_decode_str(part).decode_utf8();
            text.map(String::from).map_err(|_| problems::NOT_FOUND)
        });
        let segments = decoded.collect::<Result<_, _>>()?;
        let body = match is_question(&head.method) {
            false => body::bytes(body, bytes_max).await?.to_vec(),
            true => Vec::new(),
        };
        let query = head.uri.query().unwrap_or_default().to_owned();
        Ok(Self { method: head.method, actor, segments, query, body })
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
    use bytes::Bytes;
    use http_body_util::Full;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Words {
        limit: Option<u32>,
    }

    async fn asked(method: &str, uri: &str, body: &'static str) -> Result<Asked, Problem> {
        let request = Request::builder().method(method).uri(uri).extension(Actor::root());
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        Asked::read(request, "/api/v1/", 16).await
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
        let large = asked("POST", "/api/v1/queues", "{\"limit\":        3}").await;
        assert_eq!(large.err().map(|problem| problem.name), Some("body-too-large"));
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
