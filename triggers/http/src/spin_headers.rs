//! The `spin-*` fields that Spin's HTTP trigger gives a component (Spin 4,
//! `trigger-http/src/headers.rs`): what belongs to a route is made once, the rest per request. Each
//! field costs its guest two allocations and the host two calls of the guest, so a component that
//! is written for this host gets those alone that say what the request itself does not.

use crate::router::Matched;
use http::header::{HeaderMap, HeaderName, HeaderValue};

const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");

/// What a component is told of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// All that Spin would tell.
    All,
    /// What was asked for, and by whom: the whole URL and the client's address.
    Asked,
}

/// The fields of one route.
pub(crate) struct RouteHeaders {
    told: Told,
    raw: HeaderValue,
    prefix: HeaderValue,
    names: Vec<HeaderName>,
}

impl RouteHeaders {
    /// `names` are the pattern's own, in order. None if the pattern is no header value.
    pub(crate) fn new(pattern: &str, names: &[String], told: Told) -> Option<Self> {
        let prefix = pattern.strip_suffix("/...").unwrap_or(pattern);
        let names = names.iter().map(|name| format!("spin-path-match-{name}").parse());
        Some(Self {
            told,
            raw: HeaderValue::from_str(pattern).ok()?,
            prefix: HeaderValue::from_str(prefix).ok()?,
            names: names.collect::<Result<_, _>>().ok()?,
        })
    }

    /// The pattern as it stands in the manifest.
    pub(crate) fn pattern(&self) -> &str {
        self.raw.to_str().unwrap_or_default()
    }

    /// Adds the fields; whatever the client sent under these names is gone by now.
    pub(crate) fn add(
        &self,
        headers: &mut HeaderMap,
        matched: &Matched<'_>,
        full_url: HeaderValue,
        client: HeaderValue,
    ) {
        headers.insert(FULL_URL, full_url);
        headers.insert(CLIENT_ADDR, client);
        if self.told == Told::Asked {
            return;
        }
        headers.reserve(5 + self.names.len());
        headers.insert(PATH_INFO, visible(matched.tail));
        headers.insert(MATCHED_ROUTE, self.raw.clone());
        headers.insert(BASE_PATH, HeaderValue::from_static("/"));
        headers.insert(RAW_COMPONENT_ROUTE, self.raw.clone());
        headers.insert(COMPONENT_ROUTE, self.prefix.clone());
        for (name, value) in self.names.iter().zip(&matched.captured) {
            headers.insert(name, visible(value));
        }
    }
}

/// Part of a path; the path was checked to be visible ASCII.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::Router;

    fn headers(pattern: &str, path: &str, told: Told) -> HeaderMap {
        let mut router = Router::default();
        let (names, _) = router.add(pattern, 0).unwrap();
        let route = RouteHeaders::new(pattern, &names, told).unwrap();
        let mut headers = HeaderMap::new();
        let url = HeaderValue::from_str(&format!("https://a.example{path}")).unwrap();
        let client = HeaderValue::from_static("127.0.0.1:8777");
        route.add(&mut headers, &router.find(path).unwrap(), url, client);
        headers
    }

    #[test]
    fn a_component_learns_what_spin_would_tell_it() {
        let headers = headers("/foo/:UserId/...", "/foo/42/bar", Told::All);
        for (name, value) in [
            ("spin-full-url", "https://a.example/foo/42/bar"),
            ("spin-path-info", "/bar"),
            ("spin-matched-route", "/foo/:UserId/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/foo/:UserId/..."),
            ("spin-component-route", "/foo/:UserId"),
            ("spin-client-addr", "127.0.0.1:8777"),
            ("spin-path-match-userid", "42"),
        ] {
            assert_eq!(headers.get(name).unwrap(), value, "{name}");
        }
        assert_eq!(headers.len(), 8);
    }

    #[test]
    fn a_component_of_this_host_learns_what_the_request_does_not_say() {
        let headers = headers("/foo/:UserId/...", "/foo/42/bar", Told::Asked);
        assert_eq!(headers["spin-full-url"], "https://a.example/foo/42/bar");
        assert_eq!(headers["spin-client-addr"], "127.0.0.1:8777");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn an_exact_route_has_no_path_info() {
        let headers = headers("/foo", "/foo", Told::All);
        assert_eq!(headers["spin-path-info"], "");
        assert_eq!(headers["spin-component-route"], "/foo");
    }
}
