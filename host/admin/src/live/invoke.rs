//! A call by hand: an operator asks a component as a client would, with an operator's principal,
//! and gets what it answers. The call is in the ring like any other.

use crate::operate::{Asked, asked};
use crate::{Actor, Facts, problems};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::{BodyExt as _, Limited};
use nexus_observability::{TraceParent, call_span};
use nexus_runtime::{
    Call, ComponentId, DEFAULT_TENANT, Principal, PrincipalKind, Problem, Response, Runtime,
    ServedBy, TraceContext, full,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument as _;

/// Of an answer; what is larger is no answer to look at.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// An answer that streams without end is no answer to look at either.
const ANSWER_MAX: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    method: Option<String>,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    body_base64: Option<String>,
    revision: Option<u32>,
}

pub(super) async fn answer(
    facts: &Facts,
    component: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    let order: Order = asked.order()?;
    let runtime = facts.runtime().ok_or_else(|| problems::NOT_READY.retry_after(1))?;
    let component = ComponentId::new(component).map_err(|_| problems::NO_COMPONENT)?;
    let request = request(&component, &order)?;
    let mut call = by_hand(&asked.actor);
    if let Some(revision) = order.revision {
        call.pins = Some(Arc::from([(component.clone(), revision)]));
    }
    let answered = send(runtime, &component, request, call).await?;
    let (head, body) = answered.into_parts();
    let reading = Limited::new(body, ANSWER_BYTES_MAX).collect();
    let read = tokio::time::timeout(ANSWER_MAX, Box::pin(reading)).await;
    let read = read.map_err(|_| problems::INVOKE_ANSWER.detail("it did not end in time"))?;
    let bytes = read.map_err(|error| problems::INVOKE_ANSWER.detail(error.to_string()))?;
    let mut shown = json!({
        "status": head.status.as_u16(),
        "headers": described(&head.headers),
        "revision": head.extensions.get::<ServedBy>().map(|by| by.0),
    });
    match String::from_utf8(bytes.to_bytes().to_vec()) {
        Ok(text) => shown["body"] = text.into(),
        Err(error) => shown["body_base64"] = STANDARD.encode(error.as_bytes()).into(),
    }
    Ok(asked::json(&shown))
}

/// Calls a component on behalf of an operator.
///
/// # Errors
///
/// The problem that a client would have seen in place of the component's answer.
pub(super) async fn send(
    runtime: &Runtime,
    component: &ComponentId,
    request: nexus_runtime::Request,
    mut call: Call,
) -> Result<Response, Problem> {
    let own = TraceParent::root();
    call.trace = TraceContext {
        traceparent: HeaderValue::from_str(&own.to_string()).ok(),
        tracestate: None,
    };
    let span = call_span(&call.request_id, request.method().as_str(), &own, None);
    span.record("trigger", "invoke");
    span.record("component", component.as_str());
    span.record("http.route", request.uri().path());
    let answered = runtime.call(component, request, call).instrument(span.clone()).await;
    match &answered {
        Ok(response) => span.record("http.response.status_code", response.status().as_u16()),
        Err(error) => span.record("error.type", error.to_string()),
    };
    answered.map_err(|error| Problem::from(&error))
}

/// The context of a call that an operator makes.
pub(super) fn by_hand(actor: &Actor) -> Call {
    let principal = Principal {
        subject: format!("operator:{}", actor.name),
        kind: PrincipalKind::Operator,
        permissions: vec!["*".into()],
        ..Principal::anonymous(DEFAULT_TENANT)
    };
    Call::new(uuid::Uuid::now_v7().to_string(), Arc::new(principal))
}

fn request(component: &ComponentId, order: &Order) -> Result<nexus_runtime::Request, Problem> {
    let refuse = |why: String| problems::BODY.detail(why);
    if !order.path.starts_with('/') {
        return Err(refuse("path begins with a slash".into()));
    }
    let method = order.method.as_deref().unwrap_or("GET");
    let method: Method = method.parse().map_err(|_| refuse(format!("{method} is no method")))?;
    let host = format!("{component}.spin.internal");
    let uri: Uri = format!("http://{host}{}", order.path)
        .parse()
        .map_err(|error: http::uri::InvalidUri| refuse(format!("path: {error}")))?;
    let (body, is_json) = body(order)?;
    let mut request = http::Request::new(full(body));
    for (name, value) in &order.headers {
        let name: HeaderName =
            name.parse().map_err(|_| refuse(format!("{name:?} is no header")))?;
        let value = HeaderValue::from_str(value).map_err(|_| refuse(format!("value of {name}")))?;
        request.headers_mut().insert(name, value);
    }
    if is_json && !request.headers().contains_key(CONTENT_TYPE) {
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
    }
    let host = HeaderValue::from_str(&host).expect("component names are ASCII");
    request.headers_mut().insert(HOST, host);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    Ok(request)
}

/// A text as it is, any other JSON as JSON.
fn body(order: &Order) -> Result<(Bytes, bool), Problem> {
    match (&order.body, &order.body_base64) {
        (Some(_), Some(_)) => Err(problems::BODY.detail("body or body_base64, not both")),
        (None, Some(text)) => match STANDARD.decode(text) {
            Ok(bytes) => Ok((bytes.into(), false)),
            Err(error) => Err(problems::BODY.detail(format!("body_base64: {error}"))),
        },
        (Some(Value::String(text)), None) => Ok((text.clone().into(), false)),
        (Some(value), None) => Ok((value.to_string().into(), true)),
        (None, None) => Ok((Bytes::new(), false)),
    }
}

/// Several of one name are one, as HTTP joins them.
fn described(headers: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
        shown.insert(name.to_string(), values.collect::<Vec<_>>().join(", ").into());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(order: Value) -> Result<nexus_runtime::Request, Problem> {
        let order = serde_json::from_value(order).unwrap();
        request(&ComponentId::new("catalog").unwrap(), &order)
    }

    #[test]
    fn a_call_by_hand_looks_like_a_clients() {
        let order = json!({ "method": "post", "path": "/api/catalog/v1/products?x=1",
            "headers": { "accept": "text/plain" }, "body": { "title": "Lamp" } });
        let mut order = order;
        order["method"] = "POST".into();
        let request = made(order).unwrap();
        assert_eq!(request.method(), Method::POST);
        let uri = "http://catalog.spin.internal/api/catalog/v1/products?x=1";
        assert_eq!(request.uri().to_string(), uri);
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(request.headers()["accept"], "text/plain");
        assert_eq!(made(json!({ "path": "/" })).unwrap().method(), Method::GET);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for order in [
            json!({ "path": "api" }),
            json!({ "path": "/a b" }),
            json!({ "path": "/", "method": "A B" }),
            json!({ "path": "/", "headers": { "a b": "c" } }),
            json!({ "path": "/", "headers": { "a": "b\nc" } }),
            json!({ "path": "/", "body": "x", "body_base64": "eA==" }),
            json!({ "path": "/", "body_base64": "?" }),
        ] {
            assert!(made(order.clone()).is_err(), "{order}");
        }
    }
}
