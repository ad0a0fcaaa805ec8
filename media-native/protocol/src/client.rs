//! The calls of the protocol, one method each. Knows statuses and patience; refuses to know when a
//! call is to be made, or made again.

use crate::error::Error;
use crate::http::Http;
use crate::wire::{
    CheckpointRequest, ClaimReply, ClaimRequest, Claimed, FinishRequest, HeartbeatReply,
    HeartbeatRequest, Problem, UrlsReply, UrlsRequest,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// How long an answer may take, beside the time that a claim asks the host to wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// The workers' bearer token; never printed.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// # Errors
    ///
    /// [`Error::Setting`] when it cannot stand in a header.
    pub fn new(token: &str) -> Result<Self, Error> {
        let token = token.trim();
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        match value {
            Ok(mut value) if !token.is_empty() => {
                value.set_sensitive(true);
                Ok(Self(value))
            }
            _ => Err(Error::Setting { name: "the worker token", reason: "is no token".into() }),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A way to one host. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) http: Http,
    origin: String,
    token: Token,
    /// Of the attempt that the calls are about.
    trace: Option<HeaderValue>,
}

impl Client {
    /// `host` is the operators' address, such as `http://127.0.0.1:8081`.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`].
    pub fn new(host: &str, token: Token) -> Result<Self, Error> {
        let origin = host.trim_end_matches('/').to_owned();
        let url = origin.parse::<Uri>().ok();
        let whole = url.is_some_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https")) && url.authority().is_some()
        });
        if !whole {
            let reason = format!("{host} is no http:// or https:// address");
            return Err(Error::Setting { name: "the host", reason });
        }
        Ok(Self { http: Http::new()?, origin, token, trace: None })
    }

    /// The same way, for calls about one attempt: each says which span it belongs to.
    #[must_use]
    pub(crate) fn within(&self, claimed: &Claimed) -> Self {
        let trace = claimed.traceparent.as_deref();
        let trace = trace.and_then(|trace| HeaderValue::from_str(trace).ok());
        Self { trace, ..self.clone() }
    }

    pub async fn claim(&self, request: &ClaimRequest) -> Result<ClaimReply, Error> {
        let patience = PATIENCE + Duration::from_millis(request.wait_ms);
        read(self.call("/worker/v1/claim".into(), request, patience).await?)
    }

    pub async fn heartbeat(
        &self,
        job: Uuid,
        request: &HeartbeatRequest,
    ) -> Result<HeartbeatReply, Error> {
        read(self.about(job, "heartbeat", request).await?)
    }

    pub async fn checkpoint(&self, job: Uuid, request: &CheckpointRequest) -> Result<(), Error> {
        self.about(job, "checkpoint", request).await.map(|_| ())
    }

    pub async fn urls(&self, job: Uuid, request: &UrlsRequest) -> Result<UrlsReply, Error> {
        read(self.about(job, "urls", request).await?)
    }

    pub async fn finish(&self, job: Uuid, request: &FinishRequest) -> Result<(), Error> {
        self.about(job, "finish", request).await.map(|_| ())
    }

    async fn about(&self, job: Uuid, verb: &str, body: &impl Serialize) -> Result<Answer, Error> {
        self.call(format!("/worker/v1/jobs/{job}/{verb}"), body, PATIENCE).await
    }

    fn head(&self) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(AUTHORIZATION, self.token.0.clone());
        if let Some(trace) = &self.trace {
            head.insert("traceparent", trace.clone());
        }
        head
    }

    async fn call(
        &self,
        path: String,
        body: &impl Serialize,
        patience: Duration,
    ) -> Result<Answer, Error> {
        let unreadable = |reason: String| Error::Unreadable { url: path.clone(), reason };
        let json = serde_json::to_vec(body).map_err(|error| unreadable(error.to_string()))?;
        let url: Uri = format!("{}{path}", self.origin)
            .parse()
            .map_err(|error: http::uri::InvalidUri| unreadable(error.to_string()))?;
        let (status, bytes) = self.http.post(&url, &self.head(), json, patience).await?;
        if status.is_success() {
            return Ok(Answer { path, bytes });
        }
        let problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
        let reason = match problem.detail.is_empty() {
            true => problem.title,
            false => problem.detail,
        };
        if status == StatusCode::CONFLICT {
            return Err(Error::Stale(reason));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Error::Away { url: path, reason: format!("{status}: {reason}") });
        }
        Err(Error::Refused { path, status: status.as_u16(), reason })
    }
}

struct Answer {
    path: String,
    bytes: bytes::Bytes,
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.bytes)
        .map_err(|error| Error::Unreadable { url: answer.path, reason: error.to_string() })
}
