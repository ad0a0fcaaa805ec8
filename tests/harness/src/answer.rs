//! A whole answer, and what a scenario claims about it. A claim that fails prints the answer.

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;

/// What came back.
pub struct Answer {
    asked: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A resource that was made.
#[derive(Debug)]
pub struct Created {
    /// Where it is, from `location`.
    pub url: String,
    /// Its representation; null when the answer had none.
    pub json: Value,
}

/// A problem (RFC 9457).
#[derive(Debug, Deserialize)]
pub struct ProblemBody {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    #[serde(default)]
    pub detail: String,
    /// The request's id.
    pub instance: String,
    #[serde(default)]
    pub errors: Vec<Value>,
}

impl Answer {
    pub(crate) fn new(asked: String, head: Parts, body: Bytes) -> Self {
        Self { asked, status: head.status, headers: head.headers, body }
    }

    /// Claims 200.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.status(200)
    }

    /// Claims 201 with a `location`.
    #[track_caller]
    pub fn created(self) -> Created {
        let answer = self.status(201);
        let Some(url) = answer.header("location") else { panic!("no location: {answer:?}") };
        let url = url.to_owned();
        let json = if answer.body.is_empty() { Value::Null } else { answer.json() };
        Created { url, json }
    }

    /// Claims 204.
    #[track_caller]
    pub fn no_content(self) -> Self {
        self.status(204)
    }

    /// Claims a status.
    #[track_caller]
    pub fn status(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// Claims a problem whose `type` ends in `/<name>`, complete as RFC 9457 and our own rules
    /// want it.
    #[track_caller]
    pub fn problem(self, status: u16, name: &str) -> ProblemBody {
        let answer = self.status(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
        let problem: ProblemBody = answer.json();
        assert_eq!(problem.status, status, "status of {answer:?}");
        assert_eq!(problem.r#type.rsplit('/').next(), Some(name), "type of {answer:?}");
        assert!(problem.r#type.starts_with("/problems/"), "type of {answer:?}");
        assert!(!problem.title.is_empty(), "title of {answer:?}");
        let id = answer.header("x-request-id");
        assert_eq!(id, Some(problem.instance.as_str()), "instance of {answer:?}");
        problem
    }

    /// The body as JSON of a type.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error}: {self:?}"),
        }
    }

    /// The body as text; bytes that are none are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        // A page of an answer explains enough.
        let shown: String = text.chars().take(2_000).collect();
        writeln!(f, "{} -> {}", self.asked, self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", value.to_str().unwrap_or("(bytes)"))?;
        }
        write!(f, "\n{shown}")
    }
}
