//! How a page leaves: its status, its cookies, and what the browser may do with it.
//!
//! Knows the content security policy: nothing but our own files, no script within the page, no
//! frame around it. Refuses to set cookies of its own; those are passed on from services.

use crate::trouble::Trouble;
use maud::Markup;
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;

/// What a page's function gives: a page, or the page that says why not.
pub type Answer = Result<Response, Trouble>;

/// Nothing is allowed that a page of ours does not use: our style sheet, typeface and scripts, our
/// pictures and those that stand in the page (QR codes), forms to ourselves.
const STRICT: [(&str, &str); 8] = [
    ("default-src", "'none'"),
    ("style-src", "'self'"),
    ("font-src", "'self'"),
    ("img-src", "'self' data:"),
    ("script-src", "'self'"),
    ("form-action", "'self'"),
    ("frame-ancestors", "'none'"),
    ("base-uri", "'none'"),
];

/// What the browser may load and ask for on a page (Content Security Policy Level 3).
#[derive(Debug, Clone)]
pub struct Policy(Vec<(&'static str, String)>);

impl Policy {
    /// What every page is given.
    pub fn strict() -> Policy {
        Policy(STRICT.iter().map(|(what, from)| (*what, (*from).to_owned())).collect())
    }

    /// The same with one more source: `allow("media-src", "blob:")` for a player.
    #[must_use]
    pub fn allow(mut self, what: &'static str, from: &str) -> Policy {
        match self.0.iter_mut().find(|(there, _)| *there == what) {
            Some((_, sources)) => *sources = format!("{sources} {from}"),
            None => self.0.push((what, from.to_owned())),
        }
        self
    }

    fn header(&self) -> HeaderValue {
        let lines: Vec<_> = self.0.iter().map(|(what, from)| format!("{what} {from}")).collect();
        let value = HeaderValue::from_str(&lines.join("; "));
        value.expect("directives and sources are written in the code, in visible ASCII")
    }
}

/// Of the powerful features only passkeys, and those only for us.
const FEATURE_POLICY: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), \
publickey-credentials-create=(self), publickey-credentials-get=(self)";

/// A whole page.
pub fn page(status: StatusCode, markup: Markup) -> Response {
    page_allowing(status, markup, &Policy::strict())
}

/// A whole page that may do more than others.
pub fn page_allowing(status: StatusCode, markup: Markup, policy: &Policy) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`: browsers then send `origin: null` with our own forms. Nothing of an
        // address, which may hold a mailed token, goes to others.
        (header::REFERRER_POLICY, "same-origin"),
        // Pages are about one person; the back button asks again.
        (header::CACHE_CONTROL, "no-store"),
    ];
    let more = [
        ("permissions-policy", FEATURE_POLICY),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    let policy = [(header::CONTENT_SECURITY_POLICY, policy.header())];
    (status, headers, more, policy, markup.into_string()).into_response()
}

/// On to another of our pages, with GET.
pub fn go(location: &str) -> Response {
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store")];
    // A location is one of ours, or passed `return_to`: always visible ASCII.
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The same answer with what services said to the browser.
pub fn with_cookies(mut response: Response, cookies: &[HeaderValue]) -> Response {
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use maud::html;

    #[test]
    fn a_page_may_run_nothing_that_stands_in_it_and_be_framed_by_nobody() {
        let response = page(StatusCode::OK, html! { p { "hello" } });
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }

    #[test]
    fn a_page_that_may_do_more_may_do_that_alone() {
        let policy = Policy::strict().allow("media-src", "blob:").allow("img-src", "blob:");
        let response = page_allowing(StatusCode::OK, html! {}, &policy);
        let said = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(said.contains("img-src 'self' data: blob:; "), "{said}");
        assert!(said.ends_with("; media-src blob:"), "{said}");
        assert_eq!(said.matches("img-src").count(), 1, "a browser reads the first alone: {said}");
    }

    #[test]
    fn every_cookie_of_a_service_reaches_the_browser() {
        let cookies = ["a=1", "b=2"].map(HeaderValue::from_static);
        let response = with_cookies(go("/account"), &cookies);
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers().get_all(header::SET_COOKIE).iter().count(), 2);
    }
}
