//! What goes wrong, in three words: refused (the caller's mistake), failed (ours),
//! unavailable (a dependency's).
//!
//! Knows RFC 9457 and what a client may learn: a refusal is told in full, a failure only by
//! its request id. Refuses to know routes: the service's name and the request id are added
//! where the response leaves, in `service.rs`.

use std::fmt::{self, Display};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::field::Text;

/// Our own fault, with its chain of causes; each context is a verb phrase ("read the price").
pub type Failure = anyhow::Error;

/// What fallible service code returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The caller's mistake. `refusals!` declares them as constants; their names are API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The constant's own name, `TitleLength`; the problem type ends in `title-length`.
    pub name: &'static str,
    /// HTTP status, 400 to 499.
    pub status: u16,
    /// What is true of every occurrence, for a person.
    pub sentence: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
}

/// One field that is wrong, as in RFC 9457 §3: where, and what is the matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// JSON pointer into the body, as a fragment: `#/lines/0/quantity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the path or query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl Refusal {
    #[doc(hidden)]
    pub const fn new(name: &'static str, status: u16, sentence: &'static str) -> Refusal {
        assert!(status >= 400 && status < 500, "a refusal is the caller's mistake: 400 to 499");
        Refusal { name, status, sentence, detail: None, errors: Vec::new() }
    }

    /// The same refusal with words about this occurrence instead of the sentence.
    pub fn because(mut self, detail: impl Into<String>) -> Refusal {
        self.detail = Some(detail.into());
        self
    }

    /// The same refusal, pointing at a field of the body, `lines/0/quantity`.
    pub fn at(self, field: impl Display) -> Refusal {
        let detail = self.sentence.to_owned();
        self.with(FieldError { pointer: Some(format!("#/{field}")), parameter: None, detail })
    }

    pub(crate) fn with(mut self, error: FieldError) -> Refusal {
        self.errors.push(error);
        self
    }
}

/// The refusals that the SDK itself answers with; services may use them too.
pub mod standard {
    crate::refusals! {
        Unauthenticated = 401, "this needs a credential";
        Forbidden = 403, "this credential does not permit it";
        PeopleOnly = 403, "only people may do this, and this is a credential of a program";
        CredentialLimited = 403, "this credential may do less than its owner, and has no say here";
        StepUpRequired = 403, "sign in again: this needs a recent proof of who you are";
        NotFound = 404, "there is nothing here that you may see";
        MethodNotAllowed = 405, "this path does not take this method";
        Conflict = 409, "it has changed, or is not in a state that allows this";
        PreconditionFailed = 412, "it is no longer the version you named";
        TooLarge = 413, "the body is larger than this path takes";
        UnsupportedMediaType = 415, "this content type is not understood here";
        PreconditionRequired = 428, "say which version you mean with if-match";
        MalformedBody = 400, "the body cannot be read";
        InvalidBody = 422, "the body does not have the expected form";
        InvalidPath = 400, "a part of the path does not have the expected form";
        InvalidQuery = 400, "the query does not have the expected form";
        InvalidCursor = 400, "this cursor does not belong to this list; start without one";
        IdempotencyKeyInvalid = 400, "an idempotency key is 1 to 255 visible characters";
        IdempotencyKeyReused = 422, "this idempotency key was used for another request";
        IdempotencyKeyInUse = 409, "a request with this idempotency key is not finished";
    }
}

/// Why a request is not answered as hoped.
pub enum Error {
    /// The caller's mistake, told in full.
    Refused(Refusal),
    /// Ours: logged once with the request id; the client gets 500 and that id.
    Failed(Failure),
    /// A dependency is away: 503 with `retry-after`, and logged like a failure.
    Unavailable {
        /// What is away, for the log.
        failure: Failure,
        /// When to try again, in seconds.
        retry_after_seconds: u32,
    },
}

impl Error {
    /// A dependency that is away for what is probably a moment.
    pub fn unavailable(failure: Failure) -> Error {
        Error::Unavailable { failure, retry_after_seconds: 1 }
    }

    /// Whether this is `refusal`, whatever its details.
    pub fn is(&self, refusal: &Refusal) -> bool {
        matches!(self, Error::Refused(own) if own.name == refusal.name)
    }

    fn status(&self) -> StatusCode {
        match self {
            Error::Refused(refusal) => StatusCode::from_u16(refusal.status)
                .expect("a refusal is made with a status between 400 and 499"),
            Error::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(refusal)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Failed(failure)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Refused(refusal) => {
                let detail = refusal.detail.as_deref().unwrap_or(refusal.sentence);
                write!(f, "refused ({}): {detail}", kebab(refusal.name))
            }
            Error::Failed(failure) => write!(f, "failed: {failure:#}"),
            Error::Unavailable { failure, .. } => write!(f, "unavailable: {failure:#}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// An error travelling as an empty response until its service writes it out.
#[derive(Clone)]
struct Untold(Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response<Body> {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Untold(Arc::new(self)));
        response
    }
}

/// RFC 9457 problem details, as every error body of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `/problems/<service>/<name>`: stable, for programs.
    pub r#type: String,
    /// The name in words.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// What is the matter, for a person; a problem may have nothing to add to its title.
    #[serde(default)]
    pub detail: String,
    /// The request id.
    #[serde(default)]
    pub instance: String,
    /// The fields that are wrong, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// Writes out the error in `response`, if it carries one, and logs it when it is not the
/// caller's. Every other response passes untouched.
pub(crate) fn tell(response: &mut Response<Body>, service: &str, request_id: &Text) {
    let Some(Untold(error)) = response.extensions_mut().remove::<Untold>() else {
        return;
    };
    if let Error::Failed(failure) | Error::Unavailable { failure, .. } = &*error {
        log_failure(service, request_id, failure);
    }
    let problem = problem_of(&error, service, request_id);
    let json = serde_json::to_vec(&problem).expect("strings and numbers always serialize");
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(header::CONTENT_LENGTH);
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Error::Unavailable { retry_after_seconds, .. } = &*error {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
    }
    *response.body_mut() = Body::from(json);
}

fn problem_of(error: &Error, service: &str, request_id: &str) -> Problem {
    let (name, detail, errors) = match error {
        Error::Refused(refusal) => (
            kebab(refusal.name),
            refusal.detail.clone().unwrap_or_else(|| refusal.sentence.to_owned()),
            refusal.errors.clone(),
        ),
        Error::Failed(_) => ("failure".into(), OUR_FAULT.to_owned(), Vec::new()),
        Error::Unavailable { .. } => ("unavailable".into(), AWAY.to_owned(), Vec::new()),
    };
    let mut title = name.replace('-', " ");
    title[..1].make_ascii_uppercase();
    Problem {
        r#type: format!("/problems/{service}/{name}"),
        title,
        status: error.status().as_u16(),
        detail,
        instance: request_id.to_owned(),
        errors,
    }
}

const OUR_FAULT: &str = "this is our fault; quote the request id when you report it";
const AWAY: &str = "something this service needs is away for the moment; try again";

/// One JSON line on stderr, which the host files under the request.
pub(crate) fn log_failure(service: &str, request_id: &str, failure: &Failure) {
    let line = serde_json::json!({
        "level": "error", "service": service, "request_id": request_id,
        "message": format!("{failure:#}"),
    });
    eprintln!("{line}");
}

/// Ignoring an error in the open: `store.set(..).await.or_log("remember the choice")`.
pub trait OrLog {
    /// What there is when all is well.
    type Value;

    /// The value, or a warning on stderr that says what was being done.
    fn or_log(self, doing: &str) -> Option<Self::Value>;
}

impl<T, E: Display> OrLog for std::result::Result<T, E> {
    type Value = T;

    fn or_log(self, doing: &str) -> Option<T> {
        self.map_err(|error| {
            let message = format!("could not {doing}: {error:#}");
            eprintln!("{}", serde_json::json!({ "level": "warn", "message": message }));
        })
        .ok()
    }
}

/// `TitleLength` as it stands in a problem type: `title-length`.
pub(crate) fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: Error) -> (Response<Body>, Problem) {
        let problem = problem_of(&error, "catalog", "r-1");
        let mut response = error.into_response();
        tell(&mut response, "catalog", &Text::from("r-1".to_owned()));
        (response, problem)
    }

    #[test]
    fn a_refusal_is_told_in_full() {
        let (response, problem) = told(standard::InvalidBody.at("title").into());
        assert_eq!(response.status(), 422);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(problem.r#type, "/problems/catalog/invalid-body");
        assert_eq!(problem.title, "Invalid body");
        assert_eq!(problem.instance, "r-1");
        assert_eq!(problem.errors[0].pointer.as_deref(), Some("#/title"));
    }

    #[test]
    fn a_failure_tells_the_client_nothing_but_the_request_id() {
        let secret = Failure::msg("password of the database").context("read the price");
        let (response, problem) = told(secret.into());
        assert_eq!(response.status(), 500);
        assert_eq!(problem.r#type, "/problems/catalog/failure");
        assert!(!serde_json::to_string(&problem).unwrap().contains("password"));
    }

    #[test]
    fn a_dependency_that_is_away_is_503_with_a_time_to_come_back() {
        let (response, _) = told(Error::unavailable(Failure::msg("no connection")));
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "1");
    }

    #[test]
    fn who_brings_no_credential_is_told_which_kind_to_bring() {
        let (response, _) = told(standard::Unauthenticated.into());
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }

    #[test]
    fn a_response_that_is_no_error_passes_untouched() {
        let mut response = (StatusCode::IM_A_TEAPOT, "short").into_response();
        tell(&mut response, "catalog", &Text::from("r".to_owned()));
        assert_eq!(response.status(), 418);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    }

    #[test]
    fn a_refusal_keeps_its_identity_whatever_its_details() {
        let detailed = Error::from(standard::Conflict.because("already shipped"));
        assert!(detailed.is(&standard::Conflict));
        assert!(!detailed.is(&standard::NotFound));
        assert_ne!(standard::Conflict.because("x"), standard::Conflict);
    }
}
