//! A form that one of our own pages has sent.
//!
//! Knows how a form of another site is told apart, also before there is a session: somebody could
//! otherwise sign a visitor in to an account that is not theirs. Refuses bodies that are no form.

use crate::trouble::Trouble;
use crate::visitor::Visitor;
use nexus_sdk::axum::extract::{FromRequest, FromRequestParts, Request};
use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation};

/// The fields of a form, in their order.
#[derive(Debug, Default)]
pub struct Posted(Vec<(String, String)>);

impl Posted {
    /// A field as it was typed; empty when absent.
    pub fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A field without the blanks around it.
    pub fn text(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field that may be left empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a box was ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// All values of a field: the ticked boxes of a group.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, state).await?;
        let proof = match said_by_browser(&parts.headers) {
            Some(proof) => proof,
            None => is_our_origin(&parts.headers, &visitor.public_url().await?),
        };
        if !proof {
            return Err(Trouble::CrossSite);
        }
        let kind = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if !kind.unwrap_or_default().starts_with(b"application/x-www-form-urlencoded") {
            return Err(Trouble::Malformed);
        }
        let request = Request::from_parts(parts, body);
        let body = Bytes::from_request(request, state).await.map_err(|_| Trouble::Malformed)?;
        Ok(Posted(form_urlencoded::parse(&body).into_owned().collect()))
    }
}

impl Input for Posted {
    fn describe(operation: &mut Operation) {
        let form = json!({ "type": "object", "additionalProperties": { "type": "string" } });
        operation.request_body("application/x-www-form-urlencoded", form);
        operation.problem(403);
    }
}

/// What the browser itself says of where a form came from (Fetch Metadata). `none` is somebody
/// who reloads; a page cannot bring it about.
fn said_by_browser(headers: &HeaderMap) -> Option<bool> {
    let site = headers.get("sec-fetch-site")?.as_bytes();
    Some(matches!(site, b"same-origin" | b"none"))
}

/// For browsers without Fetch Metadata: they name the origin of a page that sends a form. None
/// named is none of ours.
fn is_our_origin(headers: &HeaderMap, public_url: &str) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    // What the client asked for; it cannot name another site's name in its victim's browser.
    let asked = headers.get("spin-full-url").and_then(|url| url.to_str().ok());
    origin == public_url.trim_end_matches('/')
        || asked.and_then(origin_of).is_some_and(|asked| asked == origin)
}

/// `https://host:port` of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    let end = url[host..].find('/').map_or(url.len(), |slash| host + slash);
    Some(&url[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_form_of_another_site_is_told_by_what_the_browser_says() {
        for (site, ours) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
        ] {
            assert_eq!(said_by_browser(&headers(&[("sec-fetch-site", site)])), Some(ours));
        }
        assert_eq!(said_by_browser(&headers(&[])), None);
    }

    #[test]
    fn an_older_browser_must_name_our_origin() {
        let ours = |origin, asked| {
            let fields = [("origin", origin), ("spin-full-url", asked)];
            is_our_origin(&headers(&fields), "https://nexus.example")
        };
        assert!(ours("https://nexus.example", "http://10.0.0.1:8080/account"));
        assert!(ours("http://127.0.0.1:8080", "http://127.0.0.1:8080/account/sign-in?a=b"));
        for hostile in
            ["null", "https://evil.example", "https://nexus.example.evil.example", "http://nexus"]
        {
            assert!(!ours(hostile, "https://nexus.example/account"), "{hostile}");
        }
        assert!(!is_our_origin(&headers(&[]), "https://nexus.example"), "none is none of ours");
    }

    #[test]
    fn a_field_is_found_and_a_group_of_boxes_is_whole() {
        let pairs = form_urlencoded::parse(b"email=+ada%40example.org+&p=a&p=b&remember=yes");
        let form = Posted(pairs.into_owned().collect());
        assert_eq!(form.raw("email"), " ada@example.org ");
        assert_eq!(form.text("email"), "ada@example.org");
        assert_eq!(form.optional("name"), None);
        assert!(form.is_ticked("remember") && !form.is_ticked("other"));
        assert_eq!(form.all("p").collect::<Vec<_>>(), ["a", "b"]);
    }
}
