//! A client that expects its server to be killed: every failure is an answer, none a panic.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nexus_artifact::ARCHIVE;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// A stopped process keeps its connections open and says nothing; nobody waits longer for it.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Connections to any number of hosts.
#[derive(Clone)]
pub struct Client(Pool<HttpConnector, Full<Bytes>>);

/// An answer that came to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Default for Client {
    fn default() -> Self {
        Self(Pool::builder(TokioExecutor::new()).build(HttpConnector::new()))
    }
}

impl Reply {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("read the answer as JSON")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Asks without a credential unless there is a token.
    ///
    /// # Errors
    ///
    /// When no whole answer came: then it is unknown what the request has done.
    pub async fn get(&self, to: SocketAddr, path: &str, token: &str) -> Result<Reply> {
        self.send("GET", to, path, token, Bytes::new()).await
    }

    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn post(
        &self,
        to: SocketAddr,
        path: &str,
        token: &str,
        json: &Value,
    ) -> Result<Reply> {
        self.send("POST", to, path, token, json.to_string().into()).await
    }

    /// A body of any kind, to a path that may carry its own permission.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn put(&self, to: SocketAddr, path: &str, body: Bytes) -> Result<Reply> {
        self.send("PUT", to, path, "", body).await
    }

    /// An archive of an artifact.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn push(&self, to: SocketAddr, token: &str, archive: Bytes) -> Result<Reply> {
        self.send("POST", to, "/api/v1/artifacts", token, archive).await
    }

    async fn send(
        &self,
        method: &str,
        to: SocketAddr,
        path: &str,
        token: &str,
        body: Bytes,
    ) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(format!("http://{to}{path}"));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if method == "POST" {
            let json = matches!(body.first(), None | Some(b'{' | b'['));
            let media_type = if json { "application/json" } else { ARCHIVE };
            request = request.header("content-type", media_type);
        }
        let request = request.body(Full::new(body)).context("put the request together")?;
        let exchange = async {
            let answer = self.0.request(request).await.context("send the request")?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.context("read the answer")?.to_bytes();
            Ok(Reply { status, body })
        };
        tokio::time::timeout(ANSWER_MAX, exchange).await.context("wait for the answer")?
    }
}
