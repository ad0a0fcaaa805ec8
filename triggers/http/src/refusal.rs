//! A problem on its way to a client: with the fields that belong to it, and whether the connection
//! can go on after it.

use crate::problems;
use crate::upload::Fault;
use http::StatusCode;
use http::header::{ALLOW, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use nexus_runtime::{Problem, Response};

/// An answer that is a problem.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    fields: Vec<(HeaderName, HeaderValue)>,
    /// HTTP/1 only: the rest of the request is not worth reading.
    pub(crate) close: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let fields = match problem.name {
            // RFC 9110 section 15.5.6: a 405 says what is allowed.
            name if name == problems::METHOD_NOT_ALLOWED.name => {
                vec![(ALLOW, HeaderValue::from_static(crate::inbound::ALLOWED))]
            }
            name if name == problems::INVALID_TOKEN.name => vec![challenge(&problem)],
            name if name == problems::INVALID_DPOP_PROOF.name => vec![dpop_challenge()],
            // RFC 9110 section 15.5.2: a 401 says what would be accepted.
            _ if problem.status == StatusCode::UNAUTHORIZED => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]
            }
            _ => Vec::new(),
        };
        let close = problem.name == problems::MALFORMED.name;
        Self { problem, fields, close }
    }
}

/// RFC 6750 section 3.
fn challenge(problem: &Problem) -> (HeaderName, HeaderValue) {
    let described = format!(
        "Bearer error=\"invalid_token\", error_description=\"{}\"",
        problem.detail.replace(['"', '\\'], "'")
    );
    let plain = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    (WWW_AUTHENTICATE, HeaderValue::from_str(&described).unwrap_or(plain))
}

/// RFC 9449 section 7.1.
fn dpop_challenge() -> (HeaderName, HeaderValue) {
    let challenge = "DPoP error=\"invalid_dpop_proof\", algs=\"ES256 EdDSA\"";
    (WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

impl Refusal {
    /// With one more field in the answer.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.fields.push((name, value));
        self
    }

    /// The connection ends after this answer.
    pub(crate) fn closing(problem: Problem) -> Self {
        Self { close: true, ..Self::from(problem) }
    }

    /// The answer to a body that went wrong; what is left of it is not read.
    pub(crate) fn of_body(fault: Fault, body_max: u64) -> Self {
        Self::closing(match fault {
            Fault::TooLarge => {
                problems::BODY_TOO_LARGE.detail(format!("body_in_bytes is {body_max}"))
            }
            Fault::TooSlow => problems::BODY_TIMEOUT,
            Fault::Broken => problems::MALFORMED.detail("the body is malformed or was cut off"),
        })
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response {
        let mut response = self.problem.into_response(request_id);
        response.headers_mut().extend(self.fields);
        response
    }
}
