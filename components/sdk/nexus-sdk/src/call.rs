//! Asking another service: `call("inventory").get("/api/inventory/v1/…").read().await`.
//!
//! Knows the address of a component, which the host dispatches in-process with the caller's
//! principal. Refuses retries and caches: what may be repeated is the author's to know. Replies
//! are whole and bounded; whoever wants more asks by
//! `spin_sdk::http`.

use axum::body::Bytes;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::piece;
use crate::problem::{Error, Failure, Problem, Result};

use bindings::nexus::http::asking;

#[allow(missing_docs, unreachable_pub)]
mod bindings {
    use spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-http@0.1.0",
        world: "nexus:http/client",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

/// Another service of the suite, by its name.
pub fn call(service: &str) -> Peer {
    Peer { service: service.to_owned() }
}

/// Another service.
#[derive(Debug, Clone)]
pub struct Peer {
    service: String,
}

/// A request to another service, not sent yet.
#[derive(Debug)]
#[must_use = "a question does nothing until it is sent or read"]
pub struct Question {
    service: String,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Result<Vec<u8>, Failure>,
}

/// The answer of another service, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

macro_rules! questions {
    ($($method:ident $constant:ident)*) => {
        impl Peer {
            $(
                #[doc = concat!("Asks with ", stringify!($constant), "; `path` is the whole path.")]
                pub fn $method(&self, path: impl Into<String>) -> Question {
                    Question {
                        service: self.service.clone(),
                        method: Method::$constant,
                        path: path.into(),
                        headers: HeaderMap::new(),
                        body: Ok(Vec::new()),
                    }
                }
            )*
        }
    };
}

questions! { get GET post POST put PUT patch PATCH delete DELETE }

impl Question {
    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Question {
        self.headers.insert(name, value);
        self
    }

    /// Sets a JSON body.
    pub fn json<T: Serialize>(mut self, body: &T) -> Question {
        let json = HeaderValue::from_static("application/json");
        self.body = serde_json::to_vec(body).map_err(Failure::new);
        self.header(header::CONTENT_TYPE, json)
    }

    /// Sends it and gives the answer, whatever its status.
    ///
    /// # Errors
    /// 503 when the service cannot be reached, or its answer has more than 16 MiB.
    pub async fn send(self) -> Result<Reply> {
        let asking = format!("ask {}: {} {}", self.service, self.method, self.path);
        let body = self.body.map_err(|why| why.context(asking.clone()))?;
        let target = PathAndQuery::try_from(self.path);
        let target = target.map_err(|why| Failure::new(why).context(asking.clone()))?;
        let (head_bytes, piece) = piece::piece(&self.method, target.as_str(), &self.headers, &body);
        let away = |why| Error::unavailable(Failure::msg(why).context(asking.clone()));
        let reply = asking::ask(self.service, head_bytes, piece).await.map_err(away)?;
        let none = || away("the reply is none in HTTP".to_owned());
        Ok(Reply {
            status: StatusCode::from_u16(reply.status).map_err(|_no_status| none())?,
            headers: piece::headers(reply.fields).ok_or_else(none)?,
            body: reply.body.into(),
        })
    }

    /// Sends it and reads a successful answer.
    ///
    /// # Errors
    /// 503 when the service cannot be reached or answers 502, 503 or 504; any other status
    /// that is no success, or a body that is no `T`, is a failure. Use `send` to tell them
    /// apart.
    pub async fn read<T: DeserializeOwned>(self) -> Result<T> {
        let asking = format!("ask {}: {} {}", self.service, self.method, self.path);
        self.send().await?.read(&asking)
    }
}

impl Reply {
    fn read<T: DeserializeOwned>(self, asking: &str) -> Result<T> {
        if self.status.is_success() {
            let value = serde_json::from_slice(&self.body);
            return Ok(value.map_err(|why| Failure::new(why).context(asking.to_owned()))?);
        }
        let kind = self.problem().map(|problem| problem.r#type).unwrap_or_default();
        let failure = Failure::msg(format!("{} {kind}", self.status)).context(asking.to_owned());
        match self.status.as_u16() {
            502..=504 => Err(Error::unavailable(failure)),
            _ => Err(failure.into()),
        }
    }

    /// The problem in the body, if there is one.
    pub fn problem(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &'static str) -> Result<u32> {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: HeaderMap::new(), body: Bytes::from(body) }.read("ask inventory")
    }

    #[test]
    fn a_success_is_read_and_an_absent_service_is_a_503() {
        assert_eq!(reply(200, "7").unwrap(), 7);
        assert!(matches!(reply(503, "").unwrap_err(), Error::Unavailable { .. }));
        assert!(matches!(reply(404, "{}").unwrap_err(), Error::Failed(_)));
        assert!(matches!(reply(200, "{").unwrap_err(), Error::Failed(_)));
    }
}
