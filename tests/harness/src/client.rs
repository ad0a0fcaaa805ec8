//! A client of the public port: one principal, one connection pool, JSON in and out.

use crate::answer::Answer;
use crate::streaming::Streaming;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use std::time::Duration;

/// Longer than any limit of the host, shorter than a test's.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Somebody who asks.
#[derive(Clone)]
pub struct Client {
    origin: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Client {
    /// Of `origin`, such as `http://127.0.0.1:8080`, with nothing to show.
    pub fn new(origin: &str) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { origin: origin.to_owned(), pool, headers: Vec::new() }
    }

    /// The same client with a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The same client, sending one more header with every request.
    ///
    /// # Panics
    ///
    /// When it is no header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("a header's name");
        self.headers.push((name, value.parse().expect("a header's value")));
        self
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path).send().await
    }

    pub async fn post(&self, path: &str, json: impl Serialize) -> Answer {
        self.request(Method::POST, path).json(json).send().await
    }

    pub async fn put(&self, path: &str, json: impl Serialize) -> Answer {
        self.request(Method::PUT, path).json(json).send().await
    }

    pub async fn patch(&self, path: &str, json: impl Serialize) -> Answer {
        self.request(Method::PATCH, path).json(json).send().await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path).send().await
    }

    /// A request to be completed; `path` may also be a whole URL of this origin.
    pub fn request(&self, method: Method, path: &str) -> RequestDraft<'_> {
        let url = match path.starts_with('/') {
            true => format!("{}{path}", self.origin),
            false => path.to_owned(),
        };
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        request.headers_mut().extend(self.headers.iter().cloned());
        RequestDraft { client: self, request }
    }
}

/// A request before it is sent.
pub struct RequestDraft<'c> {
    client: &'c Client,
    request: Request<Bytes>,
}

impl RequestDraft<'_> {
    /// Sets a header, replacing the client's own.
    ///
    /// # Panics
    ///
    /// When it is no header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.request.headers_mut().insert(name, value.parse().expect("a header's value"));
        self
    }

    /// Removes what the client would send by itself.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    /// # Panics
    ///
    /// When the value cannot be JSON.
    #[must_use]
    pub fn json(mut self, value: impl Serialize) -> Self {
        *self.request.body_mut() = serde_json::to_vec(&value).expect("JSON").into();
        self.header("content-type", "application/json")
    }

    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = bytes.into();
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Panics
    ///
    /// When the connection breaks or no answer comes.
    pub async fn send(self) -> Answer {
        let asked = self.asked();
        match self.try_send().await {
            Ok(answer) => answer,
            Err(error) => panic!("{asked}: {error:#}"),
        }
    }

    /// As [`RequestDraft::send`], for requests that may rightly have no answer.
    ///
    /// # Errors
    ///
    /// When the connection breaks, also within the body, or no answer comes in time.
    pub async fn try_send(self) -> anyhow::Result<Answer> {
        let asked = self.asked();
        let whole = async {
            let (head, body) = self.response().await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, anyhow::Error>(Answer::new(asked, head, body))
        };
        tokio::time::timeout(ANSWER_MAX, whole).await?
    }

    /// Sends it and returns with the head of the answer; the body is read piece by piece.
    ///
    /// # Panics
    ///
    /// When the connection breaks before the head.
    pub async fn stream(self) -> Streaming {
        let asked = self.asked();
        let response = tokio::time::timeout(ANSWER_MAX, self.response()).await;
        match response {
            Ok(Ok(response)) => Streaming::new(asked, response),
            Ok(Err(error)) => panic!("{asked}: {error:#}"),
            Err(_) => panic!("{asked}: no answer within {ANSWER_MAX:?}"),
        }
    }

    async fn response(self) -> anyhow::Result<Response<Incoming>> {
        Ok(self.client.pool.request(self.request.map(Full::new)).await?)
    }

    fn asked(&self) -> String {
        format!("{} {}", self.request.method(), self.request.uri())
    }
}
