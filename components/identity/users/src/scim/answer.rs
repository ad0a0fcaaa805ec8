//! Bodies and errors as SCIM writes them (RFC 7644 §3.12): the service's refusals, told in the
//! protocol's own form.

use axum::extract::{FromRequest, Request};
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation, Output, axum};
use serde_json::Value;

nexus_sdk::refusals! {
    ScimSyntax = 400, "the body is no JSON object";
    ScimTooLarge = 413, "the body is larger than this path takes"
}

const MEDIA_TYPE: &str = "application/scim+json";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// An answer of the protocol.
#[derive(Debug)]
pub struct Scim {
    pub status: StatusCode,
    pub body: Option<Value>,
    pub etag: Option<Etag>,
    pub location: Option<String>,
}

impl Scim {
    pub fn ok(body: Value) -> Scim {
        Scim { status: StatusCode::OK, body: Some(body), etag: None, location: None }
    }

    pub fn gone() -> Scim {
        Scim { status: StatusCode::NO_CONTENT, body: None, etag: None, location: None }
    }

    /// One resource with its version and place, as its `meta` says.
    pub fn resource(status: StatusCode, version: i64, body: Value) -> Scim {
        let location = body["meta"]["location"].as_str().map(str::to_owned);
        Scim { status, etag: Some(Etag::of_version(version)), location, body: Some(body) }
    }
}

impl IntoResponse for Scim {
    fn into_response(self) -> Response {
        let Scim { status, body, etag, location } = self;
        let mut response = match body {
            None => status.into_response(),
            Some(body) => {
                let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
                (status, kind, body.to_string()).into_response()
            }
        };
        let headers = response.headers_mut();
        if let Some(tag) = etag.and_then(|tag| tag.to_string().try_into().ok()) {
            headers.insert(header::ETAG, tag);
        }
        let made = status == StatusCode::CREATED || status == StatusCode::OK;
        if let Some(place) = location.filter(|_| made).and_then(|at| at.try_into().ok()) {
            headers.insert(header::LOCATION, place);
        }
        response
    }
}

impl Output for Scim {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::OK, MEDIA_TYPE, json!({ "type": "object" }));
        operation.response(StatusCode::CREATED, MEDIA_TYPE, json!({ "type": "object" }));
        operation.empty_response(StatusCode::NO_CONTENT);
        operation.response_header("etag");
        operation.errors(MEDIA_TYPE, error_schema());
    }
}

/// RFC 7644 §3.12; the status is text there.
fn error_schema() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object", "required": ["schemas", "status"],
        "properties": {
            "schemas": { "type": "array", "items": { "const": ERROR }, "minItems": 1 },
            "status": text, "scimType": text, "detail": text,
        },
    })
}

/// A body that is read where its mistakes can be told in the protocol's form.
pub struct Body(Result<Bytes, Refusal>);

impl Body {
    pub fn read(&self) -> Result<Value, Refusal> {
        let bytes = self.0.as_ref().map_err(Clone::clone)?;
        match serde_json::from_slice(bytes) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(ScimSyntax),
            Err(why) => Err(ScimSyntax.because(why.to_string())),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Body> {
        let bytes = Bytes::from_request(request, state).await;
        Ok(Body(bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ScimTooLarge,
            _ => ScimSyntax.because("the body broke off"),
        })))
    }
}

impl Input for Body {
    fn describe(operation: &mut Operation) {
        operation.request_body(MEDIA_TYPE, json!({ "type": "object" }));
    }
}

/// The word of RFC 7644 §3.12 for a refusal, where it has one.
fn scim_type(name: &str) -> Option<&'static str> {
    Some(match name {
        "ScimFilter" => "invalidFilter",
        "ScimSyntax" | "PatchSyntax" => "invalidSyntax",
        "PatchPath" => "invalidPath",
        "PatchTarget" => "noTarget",
        "PatchReadOnly" => "mutability",
        "EmailTaken"
        | "UserNameTaken"
        | "ExternalIdTaken"
        | "GroupNameTaken"
        | "GroupExternalIdTaken" => "uniqueness",
        "ScimBulkOperations" => "tooMany",
        "PatchValue" | "ScimValue" | "NoSuchAccount" | "EmailForm" | "DisplayNameForm" => {
            "invalidValue"
        }
        _ => return None,
    })
}

/// A refusal as the protocol tells it; a failure stays one.
pub fn told(result: Result<Scim>) -> Result<Scim> {
    let error = match result {
        Err(error @ Error::Refused(_)) => error,
        other => return other,
    };
    let told = error.to_string();
    let detail = told.split_once("): ").map_or(told.as_str(), |(_, detail)| detail);
    let Error::Refused(refusal) = &error else { return Err(error) };
    // The protocol knows no 422.
    let status = if refusal.status == 422 { 400 } else { refusal.status };
    let mut body = json!({ "schemas": [ERROR], "status": status.to_string(), "detail": detail });
    if let Some(word) = scim_type(refusal.name) {
        body["scimType"] = word.into();
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Ok(Scim { status, body: Some(body), etag: None, location: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_the_protocols_words() {
        let refused = crate::refused::UserNameTaken.because("ada is taken");
        let scim = told(Err(refused.into())).unwrap();
        assert_eq!(scim.status, 409);
        let body = scim.body.unwrap();
        assert_eq!(body["scimType"], "uniqueness");
        assert_eq!(body["status"], "409");
        assert_eq!(body["detail"], "ada is taken");
    }

    #[test]
    fn a_failure_stays_one() {
        assert!(told(Err(Failure::msg("broken").into())).is_err());
    }
}
