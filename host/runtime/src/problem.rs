//! The host's own table of problems (RFC 9457): what a caller sees when the answer is ours and not
//! a component's. `type` is `/problems/host/<name>`, so a caller can tell a limit from a bug.

use crate::body::{Response, full};
use crate::call::CallError;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use std::borrow::Cow;

/// One problem, ready to be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Last segment of `type`; part of the API, never reused.
    pub name: &'static str,
    pub status: StatusCode,
    pub title: &'static str,
    pub detail: Cow<'static, str>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
}

impl Problem {
    pub const fn new(name: &'static str, status: StatusCode, title: &'static str) -> Self {
        Self { name, status, title, detail: Cow::Borrowed(""), retry_after: None }
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The response, with `instance` = request id.
    pub fn into_response(self, request_id: &str) -> Response {
        let mut body = serde_json::json!({
            "type": format!("/problems/host/{}", self.name),
            "title": self.title,
            "status": self.status.as_u16(),
            "instance": request_id,
        });
        if !self.detail.is_empty() {
            body["detail"] = self.detail.as_ref().into();
        }
        let mut response = http::Response::new(full(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<&CallError> for Problem {
    fn from(error: &CallError) -> Self {
        use StatusCode as S;
        match error {
            CallError::NoSuchComponent(_) => {
                Self::new("no-such-component", S::NOT_FOUND, "no component answers here")
            }
            CallError::NotActive { reason, .. } => {
                Self::new("not-active", S::SERVICE_UNAVAILABLE, "the component is not active")
                    .detail(reason.to_string())
                    .retry_after(5)
            }
            CallError::NoSuchRevision { component, number } => {
                Self::new("no-such-revision", S::NOT_FOUND, "the revision is not served")
                    .detail(format!("{component} has no revision {number} in service"))
            }
            CallError::Withdrawn => {
                Self::new("withdrawn", S::SERVICE_UNAVAILABLE, "the revision was taken away")
                    .retry_after(1)
            }
            CallError::Saturated { .. } => {
                Self::new("saturated", S::TOO_MANY_REQUESTS, "the component is saturated")
                    .retry_after(1)
            }
            CallError::NoCapacity => {
                Self::new("no-capacity", S::SERVICE_UNAVAILABLE, "the host has no free instance")
                    .retry_after(1)
            }
            CallError::FirstByteTimeout { limit } => {
                Self::new("first-byte-timeout", S::GATEWAY_TIMEOUT, "no response began in time")
                    .detail(format!("first_byte_ms is {}", limit.as_millis()))
            }
            CallError::WallTimeout { limit } => {
                Self::new("wall-timeout", S::GATEWAY_TIMEOUT, "the call took too long")
                    .detail(format!("wall_ms is {}", limit.as_millis()))
            }
            CallError::CpuExceeded { limit } => {
                Self::new("cpu-limit", S::GATEWAY_TIMEOUT, "the call used too much CPU time")
                    .detail(format!("cpu_ms is {}", limit.as_millis()))
            }
            CallError::MemoryExceeded { limit_mib } => {
                Self::new("memory-limit", S::INTERNAL_SERVER_ERROR, "the call needed more memory")
                    .detail(format!("memory_mib is {limit_mib}"))
            }
            CallError::BodyTooLarge { limit } => {
                Self::new("body-too-large", S::PAYLOAD_TOO_LARGE, "the request body is too large")
                    .detail(format!("body_in_bytes is {limit}"))
            }
            CallError::Trapped(_) => {
                Self::new("trapped", S::INTERNAL_SERVER_ERROR, "the component failed")
            }
            CallError::InstanceLost => {
                Self::new("instance-lost", S::SERVICE_UNAVAILABLE, "the instance was discarded")
                    .retry_after(1)
            }
            CallError::Refused(_) => {
                Self::new("component-error", S::BAD_GATEWAY, "the component gave no response")
            }
            CallError::Instantiation(_) => {
                Self::new("no-instance", S::INTERNAL_SERVER_ERROR, "the component did not start")
            }
            CallError::TooDeep(_) => {
                Self::new("call-loop", S::LOOP_DETECTED, "components call each other in a loop")
            }
            CallError::ShuttingDown => {
                Self::new("shutting-down", S::SERVICE_UNAVAILABLE, "the host is shutting down")
                    .retry_after(1)
            }
        }
    }
}
