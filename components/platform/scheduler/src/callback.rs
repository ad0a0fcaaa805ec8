//! A callback: what is sent to a user's machine. Pure; where it may go in the end is the host's to
//! decide, since only the host knows which address a name stands for.

use nexus_sdk::axum::http::{self, HeaderName, HeaderValue, Uri};
use nexus_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

nexus_sdk::refusals! {
    CallbackUrl = 422, "a URL is http or https, has a host and no credentials, 2048 bytes at most";
    CallbackHost = 422, "this host is not outside: callbacks go to machines of your own";
    CallbackHeader = 422, "up to 20 headers of 8 KiB; none that belong to HTTP or to the signature";
    CallbackBody = 422, "a body takes at most 64 KiB of JSON, and GET and DELETE take none";
    CallbackTimeout = 422, "a callback may take 1 to 60 seconds"
}

const URL_BYTES_MAX: usize = 2048;
const HEADERS_MAX: usize = 20;
const HEADER_BYTES_MAX: usize = 8 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The queue's deadline for a delivery is twice as long.
pub const TIMEOUT_SECONDS_MAX: i32 = 60;

/// Names of the installation itself.
const OURS: [&str; 2] = ["spin.internal", "self.alt"];

/// Headers that HTTP, the host or the signature own, and beginnings of names that do.
const OWNED: [&str; 12] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
];
const OWNED_BEGINNINGS: [&str; 4] = ["webhook-", "scheduler-", "nexus-", "proxy-"];

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
    Get,
    Delete,
}

/// Where and how to call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Callback {
    #[serde(default)]
    pub method: Method,
    pub url: String,
    /// Shown to whoever may see the schedule or queue.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Of a schedule: sent instead of a description of the run. A job sends its payload.
    #[serde(default)]
    pub body: Option<Value>,
    #[serde(default = "usual_timeout")]
    pub timeout_seconds: i32,
}

fn usual_timeout() -> i32 {
    30
}

impl Method {
    pub fn of_http(self) -> http::Method {
        match self {
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Get => http::Method::GET,
            Method::Delete => http::Method::DELETE,
        }
    }

    /// Whether it carries a body.
    pub fn has_body(self) -> bool {
        !matches!(self, Method::Get | Method::Delete)
    }
}

impl Callback {
    /// Refuses what can never be sent; `place` is where it stands in the body of the request.
    pub fn check(&self, place: &str) -> Result<(), Refusal> {
        self.check_url().map_err(|refusal| refusal.at(format_args!("{place}/url")))?;
        let mut bytes = 0;
        for (name, value) in &self.headers {
            bytes += name.len() + value.len();
            if !is_theirs(name) || HeaderValue::from_str(value).is_err() {
                return Err(CallbackHeader.at(format_args!("{place}/headers/{name}")));
            }
        }
        if self.headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
            return Err(CallbackHeader.at(format_args!("{place}/headers")));
        }
        let body_bytes = self.body.as_ref().map_or(0, |body| body.to_string().len());
        if body_bytes > BODY_BYTES_MAX || (body_bytes > 0 && !self.method.has_body()) {
            return Err(CallbackBody.at(format_args!("{place}/body")));
        }
        if !(1..=TIMEOUT_SECONDS_MAX).contains(&self.timeout_seconds) {
            return Err(CallbackTimeout.at(format_args!("{place}/timeout_seconds")));
        }
        Ok(())
    }

    fn check_url(&self) -> Result<(), Refusal> {
        let uri: Uri = match self.url.parse() {
            Ok(uri) if self.url.len() <= URL_BYTES_MAX => uri,
            _ => return Err(CallbackUrl),
        };
        let authority = uri.authority().ok_or(CallbackUrl)?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        // An escape would spell a name that this check does not see.
        let is_plain = !authority.as_str().contains(['@', '%']);
        let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
        if !is_web || !is_plain || host.is_empty() {
            return Err(CallbackUrl);
        }
        let is_ours = |name: &&str| host == **name || host.ends_with(&format!(".{name}"));
        if OURS.iter().any(|name| is_ours(&name)) { Err(CallbackHost) } else { Ok(()) }
    }
}

/// Whether users may set this header.
fn is_theirs(name: &str) -> bool {
    let Ok(name) = name.parse::<HeaderName>() else { return false };
    let name = name.as_str();
    !OWNED.contains(&name) && !OWNED_BEGINNINGS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(json: Value) -> Callback {
        serde_json::from_value(json).unwrap()
    }

    fn refused(json: Value) -> Option<&'static str> {
        callback(json).check("target/callback").err().map(|refusal| refusal.name)
    }

    #[test]
    fn a_url_of_ones_own_machine_is_taken() {
        for url in [
            "https://example.com/hook",
            "http://example.com:8080/a?b=c",
            "https://[2001:db8::1]/",
            "https://spin.internal.example.com/",
        ] {
            assert_eq!(refused(json!({ "url": url })), None, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_or_not_outside_is_refused() {
        for (url, name) in [
            ("example.com/hook", "CallbackUrl"),
            ("/hook", "CallbackUrl"),
            ("ftp://example.com/", "CallbackUrl"),
            ("https://user:pass@example.com/", "CallbackUrl"),
            ("https://core-os%2Espin.internal/", "CallbackUrl"),
            ("http://core-os.spin.internal/api", "CallbackHost"),
            ("http://CORE-OS.Spin.Internal./api", "CallbackHost"),
            ("http://self.alt/", "CallbackHost"),
        ] {
            assert_eq!(refused(json!({ "url": url })), Some(name), "{url}");
        }
        let long = format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(refused(json!({ "url": long })), Some("CallbackUrl"));
    }

    #[test]
    fn headers_that_are_not_the_users_are_refused() {
        let with = |name: &str, value: &str| {
            refused(json!({ "url": "https://example.com/", "headers": { name: value } }))
        };
        assert_eq!(with("authorization", "Bearer x"), None);
        for name in ["Host", "webhook-signature", "Content-Length", "nexus-principal", "a b", ""] {
            assert_eq!(with(name, "x"), Some("CallbackHeader"), "{name}");
        }
        assert_eq!(with("x-team", "a\nb"), Some("CallbackHeader"));
        assert_eq!(with("x-team", &"a".repeat(HEADER_BYTES_MAX)), Some("CallbackHeader"));
    }

    #[test]
    fn a_body_needs_a_method_that_has_one() {
        let with = |method: &str, body: Value| {
            refused(json!({ "url": "https://example.com/", "method": method, "body": body }))
        };
        assert_eq!(with("PUT", json!({ "a": 1 })), None);
        assert_eq!(with("GET", Value::Null), None);
        assert_eq!(with("GET", json!({ "a": 1 })), Some("CallbackBody"));
        assert_eq!(with("POST", json!("a".repeat(BODY_BYTES_MAX))), Some("CallbackBody"));
        let slow = json!({ "url": "https://example.com/", "timeout_seconds": 61 });
        assert_eq!(refused(slow), Some("CallbackTimeout"));
    }
}
