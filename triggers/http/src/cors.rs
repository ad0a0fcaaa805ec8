//! Which web pages may call this host (Fetch standard, CORS protocol). Same origin only unless
//! configured; preflights are answered here and never reach a component.

use crate::fields::Fields;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Uri};
use std::collections::HashSet;
use std::time::Duration;

/// Origins beside our own.
#[derive(Debug, Clone)]
pub struct CorsConfig {
    /// As browsers send them: scheme, host and, unless it is the default, port.
    pub origins: HashSet<String>,
    /// Also any port of `localhost`, `127.0.0.1` and `[::1]`: for development.
    pub localhost: bool,
    /// How long a browser may remember a preflight.
    pub max_age: Duration,
}

impl Default for CorsConfig {
    fn default() -> Self {
        // Two hours is the most that Chromium honours.
        Self { origins: HashSet::new(), localhost: false, max_age: Duration::from_secs(7200) }
    }
}

/// What a request's origin means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No page, or a page of our own.
    Own,
    /// A page that may read the answer.
    Allowed(HeaderValue),
    /// A page that may not.
    Foreign,
}

/// The methods a page may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// The response fields a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "etag, link, location, retry-after, ratelimit, ratelimit-policy, x-request-id, \
     idempotency-key",
);

/// The compiled rules.
pub(crate) struct Cors {
    config: CorsConfig,
    public: String,
    max_age: HeaderValue,
}

impl Cors {
    pub(crate) fn new(config: CorsConfig, public_url: &Uri) -> Self {
        let scheme = public_url.scheme_str().unwrap_or("http");
        let authority = public_url.authority().map_or("", |a| a.as_str());
        let max_age = HeaderValue::from(config.max_age.as_secs());
        Self { config, public: format!("{scheme}://{authority}"), max_age }
    }

    /// Whether answers may differ by origin.
    pub(crate) fn varies(&self) -> bool {
        self.config.localhost || !self.config.origins.is_empty()
    }

    pub(crate) fn judge(&self, fields: Fields<'_>, scheme: &str, host: &str) -> Origin {
        let Some(value) = fields.get(&ORIGIN) else {
            return Origin::Own;
        };
        let Ok(origin) = value.to_str() else {
            return Origin::Foreign;
        };
        let same = origin.split_once("://").is_some_and(|(s, h)| s == scheme && h == host);
        if same || origin == self.public {
            return Origin::Own;
        }
        let listed = self.config.origins.contains(origin);
        if listed || self.config.localhost && is_localhost(origin) {
            return Origin::Allowed(value.clone());
        }
        Origin::Foreign
    }

    /// Lets the page read the answer, unless the component has said more about it.
    pub(crate) fn mark(&self, origin: &Origin, headers: &mut HeaderMap) {
        if self.varies() {
            headers.append(VARY, HeaderValue::from_static("origin"));
        }
        let Origin::Allowed(origin) = origin else {
            return;
        };
        if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// What a preflight of an allowed page is told; credentials exclude the wildcard, so the
    /// fields that were asked for are named.
    pub(crate) fn preflight(&self, asked: &HeaderMap, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        if let Some(fields) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, fields.clone());
        }
        let fields = "access-control-request-method, access-control-request-headers";
        headers.append(VARY, HeaderValue::from_static(fields));
    }
}

pub(crate) fn is_preflight(method: &Method, fields: Fields<'_>) -> bool {
    method == Method::OPTIONS && fields.has(&ORIGIN) && fields.has(&ACCESS_CONTROL_REQUEST_METHOD)
}

fn is_localhost(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else {
        return false;
    };
    let host = match rest.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => rest,
    };
    matches!(scheme, "http" | "https") && matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(config: CorsConfig, origin: &'static str) -> Origin {
        let cors = Cors::new(config, &Uri::from_static("https://nexus.example"));
        let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
        cors.judge(Fields::from(&headers), "http", "10.0.0.1:8080")
    }

    #[test]
    fn only_our_own_pages_are_ours() {
        let strict = CorsConfig::default;
        assert_eq!(judge(strict(), "https://nexus.example"), Origin::Own);
        assert_eq!(judge(strict(), "http://10.0.0.1:8080"), Origin::Own);
        for foreign in [
            "http://nexus.example",
            "https://nexus.example.evil.example",
            "https://10.0.0.1:8080",
            "http://localhost:3000",
            "null",
        ] {
            assert_eq!(judge(strict(), foreign), Origin::Foreign, "{foreign}");
        }
    }

    #[test]
    fn listed_origins_and_in_development_localhost_are_allowed() {
        let origins = HashSet::from(["https://app.example".to_owned()]);
        let config = CorsConfig { origins, localhost: true, ..CorsConfig::default() };
        for allowed in ["https://app.example", "http://localhost:3000", "http://[::1]:80"] {
            let origin = judge(config.clone(), allowed);
            assert_eq!(origin, Origin::Allowed(HeaderValue::from_static(allowed)));
        }
        for foreign in [
            "http://app.example",
            "https://app.example:444",
            "http://localhost.evil.example",
            "http://localhost:80:evil.example",
            "file://localhost",
        ] {
            assert_eq!(judge(config.clone(), foreign), Origin::Foreign, "{foreign}");
        }
    }
}
