//! Who looks at a page, and what their browser said.
//!
//! Knows the principal, the query, the address and the way back. Refuses to judge what somebody
//! may do: the services that are asked know that.

use crate::return_to;
use crate::trouble::Trouble;
use nexus_sdk::axum::extract::FromRequestParts;
use nexus_sdk::axum::http::request::Parts;
use nexus_sdk::axum::http::{HeaderValue, Method};
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation, Principal};

/// Somebody at a browser, signed in or not.
#[derive(Debug)]
pub struct Visitor {
    by: Public,
    query: Vec<(String, String)>,
    back: String,
    /// Of the client: `ip:port`, as the host saw it.
    address: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    cookies: Option<HeaderValue>,
}

impl Visitor {
    /// Whom the host has recognised.
    pub fn principal(&self) -> &Principal {
        self.by.principal()
    }

    /// The instant of this request.
    pub fn now(&self) -> Time {
        self.by.now()
    }

    /// The id under which this request is logged.
    pub fn request_id(&self) -> &str {
        self.by.request_id()
    }

    /// Whether there is a session.
    pub fn is_signed_in(&self) -> bool {
        self.principal().is_authenticated()
    }

    /// Lets only those pass who are signed in; the others come back after signing in.
    pub fn signed_in(&self) -> Result<(), Trouble> {
        match self.is_signed_in() {
            true => Ok(()),
            false => Err(Trouble::SignIn(self.back.clone())),
        }
    }

    /// A parameter of the query; empty when absent.
    pub fn query(&self, name: &str) -> &str {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Where to be after a detour: this page, or the one whose form was sent.
    pub fn back(&self) -> &str {
        &self.back
    }

    pub(crate) fn address(&self) -> Option<&HeaderValue> {
        self.address.as_ref()
    }

    pub(crate) fn agent(&self) -> Option<&HeaderValue> {
        self.agent.as_ref()
    }

    /// The cookies of the browser, without the session's, which the host takes: for a service that
    /// has set one.
    pub fn cookies(&self) -> Option<&HeaderValue> {
        self.cookies.as_ref()
    }

    /// Our own origin, without a slash at the end.
    pub async fn public_url(&self) -> Result<String, Trouble> {
        let url = self.by.variable("public_url").await;
        url.map_err(|error| Trouble::failed(error, self.request_id()))
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let by = Public::from_request_parts(parts, state).await;
        let by = by.map_err(|error| Trouble::failed(error, ""))?;
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        Ok(Visitor {
            by,
            query: form_urlencoded::parse(query).into_owned().collect(),
            back: back(parts),
            address: parts.headers.get("spin-client-addr").cloned(),
            agent: parts.headers.get(header::USER_AGENT).cloned(),
            cookies: parts.headers.get(header::COOKIE).cloned(),
        })
    }
}

impl Input for Visitor {
    fn describe(operation: &mut Operation) {
        Public::describe(operation);
    }
}

/// A page is come back to; a form is not sent again by itself, so its page is.
fn back(parts: &Parts) -> String {
    let here = match parts.method {
        Method::GET | Method::HEAD => {
            parts.uri.path_and_query().map(|path| without_notice(path.as_str()))
        }
        _ => referring_path(&parts.headers),
    };
    return_to::or_home(&here.unwrap_or_default()).to_owned()
}

/// The path of the page that sent a form. `same-origin` keeps other sites' addresses out of it,
/// and of ours only the path is used.
fn referring_path(headers: &HeaderMap) -> Option<String> {
    let whole = headers.get(header::REFERER)?.to_str().ok()?;
    let (_, after) = whole.split_once("://")?;
    let start = after.find('/')?;
    Some(without_notice(&after[start..]))
}

/// A notice is said once.
fn without_notice(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("notice=")).collect();
    match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::axum::http::Request;

    fn back_of(method: &str, uri: &str, referer: Option<&str>) -> String {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(referer) = referer {
            request = request.header("referer", referer);
        }
        back(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_page_is_come_back_to_without_its_notice() {
        assert_eq!(back_of("GET", "/account/keys?notice=key-revoked", None), "/account/keys");
        let kept = back_of("GET", "/account/keys?cursor=a&notice=b", None);
        assert_eq!(kept, "/account/keys?cursor=a");
    }

    #[test]
    fn a_form_is_come_back_to_by_the_page_that_held_it() {
        let referer = Some("https://nexus.example/account/security?notice=totp-off");
        assert_eq!(back_of("POST", "/account/security/password", referer), "/account/security");
        for other in [None, Some("https://evil.example//evil.example/x"), Some("garbage")] {
            assert_eq!(back_of("POST", "/account/security/password", other), "/account");
        }
    }
}
