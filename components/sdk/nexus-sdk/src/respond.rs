//! What a handler gives back: `Created`, `Accepted`, `NoContent`; `Json` and `Page` stand
//! where they are read.
//!
//! Knows statuses. The `location` of a created thing is completed in `service.rs`, which
//! knows the path that was asked for.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::extract::Json;

/// 201 with the thing as JSON and, from its `id` (or its `key`, where people choose the name),
/// `location: <path asked for>/<id>`.
#[derive(Debug)]
pub struct Created<T>(pub T);

/// 202 with a body: the work goes on after the answer.
#[derive(Debug)]
pub struct Accepted<T>(pub T);

/// 204: it is done and there is nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoContent;

/// The id of the thing created, on its way to the `location` header.
#[derive(Clone)]
pub(crate) struct CreatedId(pub(crate) String);

/// An answer that holds a secret: nobody keeps it, neither a cache nor, for a request with an
/// idempotency key, the database. Sending such a request again is refused.
#[derive(Debug)]
pub struct Secret<T>(pub T);

impl<T: IntoResponse> IntoResponse for Secret<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        let never = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
        response
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let value = serde_json::to_value(&self.0).ok();
        let id = value.and_then(|value| match value.get("id").or_else(|| value.get("key"))? {
            serde_json::Value::String(id) => Some(id.clone()),
            serde_json::Value::Number(id) => Some(id.to_string()),
            _ => None,
        });
        let mut response = (StatusCode::CREATED, Json(self.0)).into_response();
        if let Some(id) = id {
            response.extensions_mut().insert(CreatedId(id));
        }
        response
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
