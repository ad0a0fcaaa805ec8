//! What a handler takes from a request: `Json`, `Path`, `Query`, `Form`.
//!
//! Knows how to say which field is wrong. Refuses to answer with anything but a problem.

use std::ops::{Deref, DerefMut};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_path_to_error::{Path as FieldPath, Segment};

use crate::beside;
use crate::parts::{self, Wrong};
use crate::problem::{Error, Failure, FieldError, Refusal, Result, standard};

const JSON: &str = "application/json";

/// A JSON body, taken or given. As a parameter of `sql!` it is `jsonb`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The variable parts of the path: one value, a tuple, or a struct by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// The query string, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<T>(pub T);

/// A form body (`application/x-www-form-urlencoded`), by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form<T>(pub T);

macro_rules! transparent {
    ($($name:ident)*) => {$(
        impl<T> Deref for $name<T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> DerefMut for $name<T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.0
            }
        }
    )*};
}

transparent! { Json Path Query Form }

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let mut response = Response::new(Body::from(json));
                let kind = HeaderValue::from_static(JSON);
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Err(why) => Error::from(Failure::new(why).context("write the body")).into_response(),
        }
    }
}

/// A `jsonb` column reads as the value itself.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Json)
    }
}

impl<T: DeserializeOwned + JsonSchema, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(standard::UnsupportedMediaType.because("send application/json").into());
        }
        let body = body_of(request, state).await?;
        if begins_as_list(&body) && !may_be_list::<T>() {
            let pointer = Some("#".to_owned());
            let detail = "expected an object, not a list".to_owned();
            let wrong = FieldError { pointer, parameter: None, detail };
            return Err(standard::InvalidBody.with(wrong).into());
        }
        let value = json_of(&body)?;
        if let Some(detail) = unstorable(&body) {
            let wrong = FieldError { pointer: None, parameter: None, detail: detail.into() };
            return Err(standard::InvalidBody.with(wrong).into());
        }
        Ok(Json(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let wanted = "application/x-www-form-urlencoded";
        if media_type(request.headers()) != wanted {
            return Err(standard::UnsupportedMediaType.because(format!("send {wanted}")).into());
        }
        let body = body_of(request, state).await?;
        pairs_of(&body).map(Form).map_err(|error| standard::InvalidBody.with(error).into())
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        query_of(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        if parts.uri.path().contains("%00") {
            return Err(refuse_path(None, NUL.into()).into());
        }
        let beside = beside::current();
        let found = beside.as_ref().and_then(|beside| beside.parts.get());
        parts::read(found).map(Path).map_err(|wrong| match wrong {
            Wrong::Part(parameter, detail) => refuse_path(parameter, detail).into(),
            Wrong::Route(_) => Failure::new(wrong).context("read the path").into(),
        })
    }
}

/// The media type without its parameters, lower case.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default().split(';').next().unwrap_or_default();
    value.trim().to_ascii_lowercase()
}

fn is_json(headers: &HeaderMap) -> bool {
    if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == JSON) {
        return true;
    }
    let media_type = media_type(headers);
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

/// The whole body, at most axum's default limit of 2 MiB (the host may set less).
async fn body_of<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        let refusal = match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => standard::TooLarge,
            _ => standard::MalformedBody.because("the body broke off"),
        };
        refusal.into()
    })
}

fn begins_as_list(json: &[u8]) -> bool {
    json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// Whether the schema of `T` takes a list. A derived `Deserialize` takes one for a struct, field by
/// field, which no schema says and nobody means. Only ever asked of a body that is a list.
fn may_be_list<T: JsonSchema>() -> bool {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>();
    match schema.get("type") {
        Some(serde_json::Value::String(only)) => only == "array",
        Some(serde_json::Value::Array(some)) => some.iter().any(|one| one == "array"),
        _ => true,
    }
}

pub(crate) fn json_of<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(body);
    // To note each step on the way to a mistake is a third of the work, so it is done for those
    // who have made one.
    let value = T::deserialize(&mut json).or_else(|_mistake| {
        json = serde_json::Deserializer::from_slice(body);
        serde_path_to_error::deserialize(&mut json)
    });
    let value = value.map_err(|error| {
        let detail = error.inner().to_string();
        if !error.inner().is_data() {
            return standard::MalformedBody.because(detail);
        }
        let pointer = Some(pointer_to(error.path()));
        standard::InvalidBody.with(FieldError { pointer, parameter: None, detail })
    })?;
    json.end().map_err(|why| standard::MalformedBody.because(why.to_string()))?;
    Ok(value)
}

/// PostgreSQL's texts and documents cannot hold it, and nobody means it.
const NUL: &str = "texts take every character but NUL";

/// PostgreSQL writes a number of a document with all its digits, and what has more than 308 of them
/// is not read as a number again.
const NUMBER_MAX: f64 = 1e300;

/// What is wrong with JSON that could be read but not be kept.
fn unstorable(json: &[u8]) -> Option<&'static str> {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'0'..=b'9')) {
        rest = &rest[at..];
        let token = if rest[0] == b'"' { string(rest) } else { number(rest) };
        if rest[0] == b'"' && has_nul(token) {
            return Some(NUL);
        }
        if rest[0] != b'"' && is_huge(token) {
            return Some("numbers are at most 1e300");
        }
        rest = &rest[token.len()..];
    }
    None
}

/// The string that JSON begins with, quotes included.
fn string(json: &[u8]) -> &[u8] {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => return &json[..=at],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json
}

/// The digits, point and exponent that JSON begins with.
fn number(json: &[u8]) -> &[u8] {
    let end = json.iter().position(|byte| !b"0123456789.eE+-".contains(byte));
    &json[..end.unwrap_or(json.len())]
}

/// In JSON that was read, NUL is always an escape.
fn has_nul(string: &[u8]) -> bool {
    let mut rest = string;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // What follows is escaped, so a backslash there begins nothing.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

fn is_huge(number: &[u8]) -> bool {
    // Without an exponent a number is as large as it is long.
    let suspect = number.len() > 300 || number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let value = || std::str::from_utf8(number).ok()?.parse::<f64>().ok();
    suspect && value().is_some_and(|value| value > NUMBER_MAX)
}

/// A JSON pointer as a URI fragment (RFC 6901 §6): `#/lines/0/quantity`; the root is `#`.
fn pointer_to(path: &FieldPath) -> String {
    let mut pointer = String::from("#");
    for segment in path.iter() {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            Segment::Enum { variant } => variant.clone(),
            Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

/// A query string as a value.
pub(crate) fn query_of<T: DeserializeOwned>(query: &str) -> Result<T> {
    pairs_of(query.as_bytes()).map_err(|error| standard::InvalidQuery.with(error).into())
}

fn pairs_of<T: DeserializeOwned>(pairs: &[u8]) -> Result<T, FieldError> {
    let nul = form_urlencoded::parse(pairs).find(|(_, value)| value.contains('\0'));
    if let Some((name, _)) = nul {
        let parameter = Some(name.into_owned());
        return Err(FieldError { pointer: None, parameter, detail: NUL.into() });
    }
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(pairs));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let parameter = (path != ".").then_some(path);
        FieldError { pointer: None, parameter, detail: error.inner().to_string() }
    })
}

fn refuse_path(parameter: Option<String>, detail: String) -> Refusal {
    standard::InvalidPath.with(FieldError { pointer: None, parameter, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, Deserialize)]
    struct Line {
        quantity: u32,
    }

    fn refused(body: &str) -> Refusal {
        match json_of::<Order>(body.as_bytes()).unwrap_err() {
            Error::Refused(refusal) => refusal,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn a_wrong_field_is_pointed_at() {
        let refusal = refused(r#"{"lines": [{"quantity": 1}, {"quantity": "two"}]}"#);
        assert_eq!(refusal.status, 422);
        assert!(format!("{refusal:?}").contains("#/lines/1/quantity"), "{refusal:?}");
    }

    #[test]
    fn only_what_is_described_as_a_list_may_come_as_one() {
        #[derive(JsonSchema)]
        struct Named {
            #[allow(dead_code)]
            name: Option<String>,
        }
        assert!(begins_as_list(b" \n[null]") && !begins_as_list(b"{\"a\": []}"));
        assert!(!may_be_list::<Named>() && !may_be_list::<String>());
        assert!(may_be_list::<Vec<Named>>() && may_be_list::<Option<Vec<u8>>>());
        assert!(may_be_list::<serde_json::Value>(), "whatever there is");
    }

    #[test]
    fn what_is_no_json_is_400_and_so_is_what_follows_it() {
        for body in ["", "{", "{\"lines\": []} tail"] {
            assert_eq!(refused(body).status, 400, "{body:?}");
        }
    }

    #[test]
    fn only_json_is_json() {
        let is_json = |text: &str| {
            let value = text.parse().unwrap();
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        for (text, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("text/json", false),
            ("application/jsonp", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(is_json(text), json, "{text}");
        }
    }

    #[test]
    fn json_is_given_as_json_alone() {
        let response = Json([1, 2]).into_response();
        let kinds = response.headers().get_all(header::CONTENT_TYPE).iter();
        assert_eq!(kinds.collect::<Vec<_>>(), [JSON]);
        assert_eq!((response.status(), response.headers().len()), (StatusCode::OK, 1));
        let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(Json(unwritable).into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
    }

    #[test]
    fn what_can_be_read_is_read_and_what_cannot_says_where() {
        let order: Order = json_of(br#" {"lines": [{"quantity": 7}]} "#).unwrap();
        assert_eq!(order.lines[0].quantity, 7);
        let wrong = refused(r#"{"lines": [{"quantity": -1}]}"#);
        assert!(format!("{wrong:?}").contains("#/lines/0/quantity"), "{wrong:?}");
    }

    #[test]
    fn what_a_database_cannot_keep_is_found_where_it_is_meant_and_only_there() {
        let long = format!("[1{}]", "0".repeat(305));
        for (json, fits) in [
            (r#"{"a": "b\u0000c"}"#, false),
            (r#"{"\u0000": 1}"#, false),
            (r#"["\\\u0000"]"#, false),
            (r#"["\\u0000"]"#, true),
            (r#"["\"u0000", "\u0001", "\\"]"#, true),
            ("[1.7976931348623157e308]", false),
            ("[-1E301]", false),
            (&long, false),
            ("[1e300, -2.5e-308, 12345678901234567890]", true),
            (r#"["1e308", "\"1e308"]"#, true),
        ] {
            assert_eq!(unstorable(json.as_bytes()).is_none(), fits, "{json}");
        }
    }

    #[test]
    fn a_wrong_query_parameter_is_named() {
        #[derive(Debug, Deserialize)]
        struct Filter {
            #[allow(dead_code)]
            year: u16,
        }
        let refused = query_of::<Filter>("year=soon").unwrap_err();
        let Error::Refused(refusal) = refused else { panic!("{refused}") };
        assert!(format!("{refusal:?}").contains("Some(\"year\")"), "{refusal:?}");
    }
}
