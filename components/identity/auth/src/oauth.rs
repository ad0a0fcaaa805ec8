//! What OAuth says when it refuses (RFC 6749 §5.2), and how its parameters are read. Clients of
//! this protocol expect its own errors, not problems.

use nexus_sdk::axum::http::HeaderValue;
use nexus_sdk::prelude::*;
use std::collections::BTreeMap;

/// An error of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthError {
    pub code: &'static str,
    pub description: String,
}

/// Why a request of the protocol is not granted: told in the protocol's words, or as everywhere.
pub enum Denied {
    Oauth(OauthError),
    Other(Error),
}

impl From<OauthError> for Denied {
    fn from(error: OauthError) -> Self {
        Denied::Oauth(error)
    }
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Denied::Other(error)
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Denied::Other(refusal.into())
    }
}

macro_rules! errors {
    ($($name:ident)*) => {$(
        pub fn $name(description: impl Into<String>) -> OauthError {
            OauthError { code: stringify!($name), description: description.into() }
        }
    )*};
}

errors! {
    access_denied authorization_pending consent_required expired_token invalid_client
    invalid_dpop_proof invalid_grant invalid_request invalid_scope invalid_target invalid_token
    login_required request_not_supported slow_down unauthorized_client unsupported_grant_type
    unsupported_response_type unmet_authentication_requirements
}

impl OauthError {
    fn status(&self) -> StatusCode {
        match self.code {
            "invalid_client" | "invalid_token" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.code, "error_description": self.description });
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == "invalid_client" {
            let scheme = HeaderValue::from_static("Basic realm=\"oauth2\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        if self.code == "invalid_token" {
            let scheme = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// A protocol answer: whatever is refused in its words is an answer, too.
pub fn answer<T: IntoResponse>(granted: Result<T, Denied>) -> Result<Response> {
    match granted {
        Ok(granted) => Ok(granted.into_response()),
        Err(Denied::Oauth(error)) => Ok(error.into_response()),
        Err(Denied::Other(error)) => Err(error),
    }
}

/// Longer values are no parameters but an attack on memory.
const VALUE_BYTES_MAX: usize = 4096;

/// Parameters of a query or a form, each at most once (RFC 6749 §3.1).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// # Errors
    /// `invalid_request` when one is repeated or too long.
    pub fn parse(text: &[u8]) -> Result<Self, OauthError> {
        let mut all = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if value.len() > VALUE_BYTES_MAX {
                return Err(invalid_request(format!("{name} is too long")));
            }
            // None of the protocol's values has one (RFC 6749 appendix A); databases refuse NUL.
            if name.contains(char::is_control) || value.contains(char::is_control) {
                return Err(invalid_request("a parameter holds a control character"));
            }
            // A parameter without a value counts as absent (RFC 6749 §3.1).
            if !value.is_empty() && all.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(invalid_request(format!("{name} is repeated")));
            }
        }
        Ok(Self(all))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// # Errors
    /// `invalid_request` when it is absent.
    pub fn need(&self, name: &str) -> Result<&str, OauthError> {
        self.get(name).ok_or_else(|| invalid_request(format!("{name} is missing")))
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Words of a list separated by spaces.
    pub fn words(&self, name: &str) -> Vec<&str> {
        self.get(name).unwrap_or_default().split_ascii_whitespace().collect()
    }
}

/// Reads the body of a protocol request.
///
/// # Errors
/// `invalid_request` when it is no form.
pub fn form(headers: &HeaderMap, body: &[u8]) -> Result<Parameters, OauthError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(invalid_request("send a form (application/x-www-form-urlencoded)"));
    }
    Parameters::parse(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_once_and_an_empty_one_does_not_count() {
        let parameters = Parameters::parse(b"a=1&b=x+y&c=&scope=one%20two").unwrap();
        assert_eq!((parameters.get("a"), parameters.get("b")), (Some("1"), Some("x y")));
        assert_eq!(parameters.get("c"), None);
        assert_eq!(parameters.words("scope"), ["one", "two"]);
        assert_eq!(Parameters::parse(b"a=1&a=1").unwrap_err().code, "invalid_request");
        for odd in ["a=%00", "a=b%0D%0Ac", "a%0A=b"] {
            assert_eq!(Parameters::parse(odd.as_bytes()).unwrap_err().code, "invalid_request");
        }
        let long = format!("a={}", "x".repeat(VALUE_BYTES_MAX + 1));
        assert_eq!(Parameters::parse(long.as_bytes()).unwrap_err().code, "invalid_request");
    }

    #[test]
    fn a_body_that_is_no_form_is_refused() {
        let json =
            HeaderMap::from_iter([(header::CONTENT_TYPE, "application/json".parse().unwrap())]);
        assert_eq!(form(&json, b"{}").unwrap_err().code, "invalid_request");
        let kind = "application/x-www-form-urlencoded; charset=utf-8".parse().unwrap();
        assert!(form(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind)]), b"a=1").is_ok());
    }
}
