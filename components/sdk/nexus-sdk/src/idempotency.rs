//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a changing request may be
//! sent again, and the second answer is the first one.
//!
//! Knows the protocol around a request; the key is claimed inside `commit`, in the same
//! transaction as the change, so a request that changed nothing may simply run again. Refuses
//! to keep anything itself: the `platform` schema does.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::commit::{Errand, ErrandKind};
use crate::ctx::Origin;
use crate::db::Db;
use crate::extract::Json;
use crate::field;
use crate::principal::Principal;
use crate::problem::{Error, Failure, Result, log_failure, standard};
use crate::session;
use crate::sql;
use crate::sql::Scope;

const KEY_CHARS_MAX: usize = 255;
/// A request with a key is held in memory, because its fingerprint covers the body.
const REQUEST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A larger answer is not kept; sending its request again is refused, not run twice.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// The key of a changing request, if it brings one.
pub(crate) fn key_of(request: &Request) -> Option<HeaderValue> {
    match *request.method() {
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
            request.headers().get(&field::IDEMPOTENCY_KEY).cloned()
        }
        _ => None,
    }
}

/// What was kept of a first answer; without a status, that answer is not there yet.
#[derive(Debug, Deserialize)]
struct Kept {
    fingerprint: String,
    status: Option<i32>,
    headers: Option<Map<String, Value>>,
    body: Option<Vec<u8>>,
}

/// Runs `answer` for a request with a key, or gives the answer it had before.
pub(crate) async fn around(
    key: HeaderValue,
    origin: Origin,
    request: Request,
    answer: impl AsyncFnOnce(Request, Origin) -> Response<Body>,
) -> Response<Body> {
    match prepare(&key, &origin, request).await {
        Ok(Prepared::Again(response)) => response,
        Ok(Prepared::First(request, keeper)) => {
            let response = answer(request, keeper.origin.clone()).await;
            keeper.keep(response).await
        }
        Err(error) => error.into_response(),
    }
}

enum Prepared {
    First(Request, Box<Keeper>),
    Again(Response<Body>),
}

/// Who keeps the answer of a first request.
struct Keeper {
    db: Db,
    errand: Arc<Errand>,
    origin: Origin,
}

async fn prepare(key: &HeaderValue, origin: &Origin, request: Request) -> Result<Prepared> {
    let key = parse(key).ok_or(standard::IdempotencyKeyInvalid)?;
    let principal = Principal::of_request(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, REQUEST_BYTES_MAX).await.map_err(|_| standard::TooLarge)?;
    let fingerprint = fingerprint(&parts.method, &parts.uri.to_string(), &body);
    let db = Db::new(Some(principal.tenant));
    let subject = principal.subject;
    let kept: Option<Kept> = db
        .optional(sql!(
            "select fingerprint, status, headers, body
             from platform.idempotency_find({tenant}, {subject}, {key})"
        ))
        .await?;
    if let Some(kept) = kept {
        return kept.replay(&fingerprint).map(Prepared::Again);
    }
    let errand = Arc::new(Errand::new(ErrandKind::Key { subject, key, fingerprint }));
    let origin = Origin { errand: Some(errand.clone()), ..origin.clone() };
    let request = Request::from_parts(parts, Body::from(body));
    Ok(Prepared::First(request, Box::new(Keeper { db, errand, origin })))
}

/// The key, with or without the quotes of a structured field (RFC 8941 §3.3.3).
fn parse(header: &HeaderValue) -> Option<String> {
    let text = header.to_str().ok()?.trim();
    let key = text.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(text);
    let fits = (1..=KEY_CHARS_MAX).contains(&key.len());
    (fits && key.bytes().all(|byte| byte.is_ascii_graphic())).then(|| key.to_owned())
}

/// What makes two requests the same: method, path with query, body.
fn fingerprint(method: &Method, uri: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    // The length keeps a path that ends like a body apart from a body.
    hash.update(format!("{method} {} {uri}\n", uri.len()));
    hash.update(body);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Kept {
    fn replay(self, fingerprint: &str) -> Result<Response<Body>> {
        if self.fingerprint != fingerprint {
            return Err(standard::IdempotencyKeyReused.into());
        }
        let Some(status) = self.status else {
            return Err(standard::IdempotencyKeyInUse.into());
        };
        let status = u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or_else(|| Failure::msg("replay an answer: an odd status"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers.unwrap_or_default() {
            let name = HeaderName::try_from(name);
            let value = HeaderValue::try_from(value.as_str().unwrap_or_default());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok((status, headers, self.body.unwrap_or_default()).into_response())
    }
}

impl Keeper {
    /// Keeps the answer when the request has changed something. If that fails the answer is
    /// still true; only sending the request again will be refused.
    async fn keep(self, response: Response<Body>) -> Response<Body> {
        if !self.errand.is_done() {
            return response;
        }
        // What is shown once must not lie in the database for a day.
        if is_secret(response.headers()) {
            return response;
        }
        let (parts, body) = response.into_parts();
        if body.size_hint().exact().is_none_or(|bytes| bytes > RESPONSE_BYTES_MAX as u64) {
            self.log(Failure::msg("keep an answer: it is streamed or larger than 1 MiB"));
            return Response::from_parts(parts, body);
        }
        let Ok(body) = to_bytes(body, RESPONSE_BYTES_MAX).await else {
            let failure = Failure::msg("keep an answer: its body broke off");
            return Error::from(failure).into_response();
        };
        if let Err(error) = self.store(parts.status, &parts.headers, &body).await {
            self.log(Failure::msg(error.to_string()).context("keep an answer"));
        }
        Response::from_parts(parts, Body::from(body))
    }

    async fn store(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<()> {
        let ErrandKind::Key { subject, key, .. } = &self.errand.kind else {
            return Ok(());
        };
        let status = i32::from(status.as_u16());
        let headers = Json(kept_headers(headers));
        let store = sql!(
            "select platform.idempotency_store(
               {tenant}, {subject}, {key}, {status}, {headers}, {body})"
        );
        let scope = Scope { tenant: self.db.tenant(), trace: None, mint: None };
        let params = store.bind(&scope)?;
        session::execute(&store, params).await?;
        Ok(())
    }

    fn log(&self, failure: Failure) {
        log_failure(self.origin.service, &self.origin.request_id, &failure);
    }
}

/// Whether nobody may keep this answer (RFC 9111 §5.2.2.5).
fn is_secret(headers: &HeaderMap) -> bool {
    let mut rules = headers.get_all(header::CACHE_CONTROL).iter();
    rules.any(|rule| rule.to_str().is_ok_and(|rule| rule.contains("no-store")))
}

/// The headers worth repeating. A cookie is a credential: it is given once.
fn kept_headers(headers: &HeaderMap) -> Map<String, Value> {
    let told = headers.iter().filter(|(name, _)| {
        **name != header::SET_COOKIE && **name != header::CONTENT_LENGTH && **name != header::DATE
    });
    told.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(fingerprint: &str, status: Option<i32>) -> Kept {
        let headers = serde_json::json!({ "location": "/x/1" });
        let headers = headers.as_object().cloned();
        Kept { fingerprint: fingerprint.into(), status, headers, body: Some(b"{}".to_vec()) }
    }

    #[test]
    fn a_key_is_one_to_255_visible_characters_quoted_or_not() {
        let parse = |text: &str| parse(&HeaderValue::from_str(text).unwrap());
        assert_eq!(parse("\"8e03978e\"").as_deref(), Some("8e03978e"));
        assert_eq!(parse("8e03978e").as_deref(), Some("8e03978e"));
        assert_eq!(parse(&"k".repeat(255)).map(|key| key.len()), Some(255));
        for odd in ["", "\"\"", "two words", &"k".repeat(256)] {
            assert_eq!(parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn the_fingerprint_covers_method_path_query_and_body() {
        let one = fingerprint(&Method::POST, "/a?b", b"c");
        assert_eq!(one, fingerprint(&Method::POST, "/a?b", b"c"));
        for other in [
            fingerprint(&Method::PUT, "/a?b", b"c"),
            fingerprint(&Method::POST, "/a", b"c"),
            fingerprint(&Method::POST, "/a?b", b""),
            fingerprint(&Method::POST, "/a?", b"bc"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn the_same_request_is_answered_again_another_one_is_refused_an_unfinished_one_must_wait() {
        let again = kept("f", Some(201)).replay("f").unwrap();
        assert_eq!(again.status(), 201);
        assert_eq!(again.headers()["location"], "/x/1");
        assert_eq!(again.headers()["idempotency-replayed"], "true");
        let reused = kept("f", Some(201)).replay("g").unwrap_err();
        assert!(reused.is(&standard::IdempotencyKeyReused));
        assert!(kept("f", None).replay("f").unwrap_err().is(&standard::IdempotencyKeyInUse));
    }

    #[test]
    fn an_answer_with_a_secret_says_that_nobody_may_keep_it() {
        let secret = crate::Secret(StatusCode::OK).into_response();
        assert!(is_secret(secret.headers()));
        let public = [(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"))];
        assert!(!is_secret(&HeaderMap::from_iter(public)));
    }

    #[test]
    fn a_cookie_is_not_kept() {
        let response = [("set-cookie", "s=1"), ("etag", "\"3\"")];
        let headers =
            response.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let kept = kept_headers(&HeaderMap::from_iter(headers));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["etag"]);
    }
}
