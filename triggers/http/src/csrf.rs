//! Requests that a browser sends with somebody's cookie because another site told it to. Only what
//! the browser itself says about the page behind a request is believed, or the session's own token,
//! which another site cannot read. Refuses to know sessions; credentials that a page must add by
//! hand need no such defence.

use crate::cors::Origin;
use crate::fields::Fields;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use http::Method;
use http::header::{HeaderName, ORIGIN};
use sha2::Sha256;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// What a session's token signs, with the digest of its secret as the key: the service that makes
/// sessions computes the same, and nobody keeps it.
const SIGNED: &[u8] = b"nexus-csrf";

/// Methods that change nothing (RFC 9110 section 9.2.1), so that nobody gains by forging one.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether the session's own pages have sent the request, `origin` being what they are by the rules
/// of CORS.
pub(crate) fn is_own(fields: Fields<'_>, origin: &Origin, secret_digest: &[u8; 32]) -> bool {
    let site = fields.get(&FETCH_SITE).map(http::HeaderValue::as_bytes);
    let by_browser = match site {
        Some(site) => matches!(site, b"same-origin" | b"none"),
        // Before 2023 not all browsers sent it; all have sent an origin with unsafe methods.
        None => fields.has(&ORIGIN) && *origin == Origin::Own,
    };
    by_browser || has_token(fields, secret_digest)
}

fn has_token(fields: Fields<'_>, secret_digest: &[u8; 32]) -> bool {
    let Some(Ok(token)) = fields.get(&TOKEN).map(|token| URL_SAFE_NO_PAD.decode(token)) else {
        return false;
    };
    let mac = Hmac::<Sha256>::new_from_slice(secret_digest).expect("HMAC takes any key");
    // In constant time.
    mac.chain_update(SIGNED).verify_slice(&token).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::digest;
    use http::HeaderValue;

    /// Of the session `nxs_test`, computed with OpenSSL.
    const CSRF: &str = "cd9SjIcHhWsNRRQfaJIo800_bWwk8jZXA-wWUwyFF0A";

    fn own(fields: &[(&'static str, &'static str)], origin: &Origin) -> bool {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let headers = fields.iter().map(pair).collect();
        is_own(Fields::from(&headers), origin, &digest("nxs_test"))
    }

    #[test]
    fn what_the_browser_says_about_the_page_decides() {
        let allowed = Origin::Allowed(HeaderValue::from_static("https://app.example"));
        for (fields, origin, is) in [
            (&[("sec-fetch-site", "same-origin")][..], &Origin::Own, true),
            (&[("sec-fetch-site", "none")], &Origin::Own, true),
            (&[("sec-fetch-site", "same-site")], &Origin::Own, false),
            (&[("sec-fetch-site", "cross-site")], &Origin::Own, false),
            (&[("sec-fetch-site", "nonsense")], &Origin::Own, false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "x")], &allowed, false),
            (&[("origin", "https://nexus.example")], &Origin::Own, true),
            (&[("origin", "https://app.example")], &allowed, false),
            (&[("origin", "null")], &Origin::Foreign, false),
            (&[], &Origin::Own, false),
        ] {
            assert_eq!(own(fields, origin), is, "{fields:?}");
        }
    }

    #[test]
    fn the_token_of_the_session_opens_what_the_browser_would_not() {
        let site = ("sec-fetch-site", "cross-site");
        assert!(own(&[site, ("x-csrf-token", CSRF)], &Origin::Foreign));
        for wrong in ["", "AAAA", "cd9SjIcHhWsNRRQfaJIo800_bWwk8jZXA-wWUwyFF0B", "nxs_test"] {
            assert!(!own(&[site, ("x-csrf-token", wrong)], &Origin::Foreign), "{wrong}");
        }
    }
}
