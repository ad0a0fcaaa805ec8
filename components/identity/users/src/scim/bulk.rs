//! Bulks (RFC 7644 §3.7): many operations in one request, each by itself. What an operation has
//! made can be named by the later ones (`bulkId:…`); what names something later is refused.

use super::answer::{Scim, told};
use super::patch::member;
use super::{groups, users};
use nexus_sdk::axum::extract::OptionalFromRequestParts;
use nexus_sdk::axum::http::Request;
use nexus_sdk::prelude::*;
use serde_json::Value;
use std::collections::HashMap;

nexus_sdk::refusals! {
    ScimBulkOperations = 413, "a bulk takes at most 100 operations";
    ScimBulkPath = 400, "an operation is about /Users or /Groups, or one of them by its id";
    ScimBulkMethod = 400, "an operation has a method of POST, PUT, PATCH or DELETE, and its data";
    ScimBulkId = 400, "a POST has a bulkId, and a bulkId names an earlier operation"
}

/// Each is a transaction of its own, and the request has seconds.
pub const OPERATIONS_MAX: usize = 100;
/// What the host takes for a body.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Ids by the names that a client gave to what it made.
type Made = HashMap<String, String>;

pub async fn run(by: &Ctx, body: &Value) -> Result<Scim> {
    let operations = member(body, "Operations").and_then(Value::as_array);
    let operations = operations.ok_or(super::answer::ScimSyntax)?;
    if operations.len() > OPERATIONS_MAX {
        return Err(ScimBulkOperations.into());
    }
    let failures_max = member(body, "failOnErrors").and_then(Value::as_u64).unwrap_or(u64::MAX);
    let (mut made, mut failures, mut results) = (Made::new(), 0, Vec::new());
    for operation in operations {
        if failures >= failures_max {
            break;
        }
        let scim = told(one(by, operation, &made).await)?;
        if scim.status.is_client_error() {
            failures += 1;
        }
        results.push(result_of(operation, scim, &mut made));
    }
    Ok(Scim::ok(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],
        "Operations": results,
    })))
}

/// What became of an operation; remembers what it made.
fn result_of(operation: &Value, scim: Scim, made: &mut Made) -> Value {
    let text = |name| member(operation, name).and_then(Value::as_str).map(str::to_owned);
    let mut result = json!({ "status": scim.status.as_u16().to_string() });
    if let Some(method) = text("method") {
        result["method"] = method.into();
    }
    if let Some(bulk_id) = text("bulkId") {
        let id = scim.body.as_ref().and_then(|body| body["id"].as_str());
        if let Some(id) = id.filter(|_| scim.status == StatusCode::CREATED) {
            made.insert(bulk_id.clone(), id.to_owned());
        }
        result["bulkId"] = bulk_id.into();
    }
    if let Some(location) = scim.location {
        result["location"] = location.into();
    }
    if let Some(etag) = scim.etag {
        result["version"] = etag.to_string().into();
    }
    if scim.status.is_client_error() {
        result["response"] = scim.body.unwrap_or_default();
    }
    result
}

/// One operation, as the request of its own that it could have been.
async fn one(by: &Ctx, operation: &Value, made: &Made) -> Result<Scim> {
    let text = |name| member(operation, name).and_then(Value::as_str);
    let path = text("path").unwrap_or_default();
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (endpoint, id) = (parts.next().unwrap_or_default(), parts.next());
    let id = id.map(|id| resolved(id, made)).transpose()?;
    let data = member(operation, "data").cloned().map(|data| named(data, made)).transpose()?;
    let version = match text("version") {
        Some(tag) => version_of(tag).await?,
        None => None,
    };
    let method = text("method").unwrap_or_default().to_ascii_uppercase();
    if method == "POST" && text("bulkId").is_none() {
        return Err(ScimBulkId.into());
    }
    match (endpoint, method.as_str(), id, data) {
        ("Users", "POST", None, Some(data)) => users::create(by, &data).await,
        ("Users", "PUT", Some(id), Some(data)) => users::replace(by, &id, version, &data).await,
        ("Users", "PATCH", Some(id), Some(data)) => users::modify(by, &id, version, &data).await,
        ("Users", "DELETE", Some(id), _) => users::remove(by, &id, version).await,
        ("Groups", "POST", None, Some(data)) => groups::create(by, &data).await,
        ("Groups", "PUT", Some(id), Some(data)) => groups::replace(by, &id, version, &data).await,
        ("Groups", "PATCH", Some(id), Some(data)) => groups::modify(by, &id, version, &data).await,
        ("Groups", "DELETE", Some(id), _) => groups::remove(by, &id, version).await,
        ("Users" | "Groups", _, _, _) => Err(ScimBulkMethod.into()),
        _ => Err(ScimBulkPath.into()),
    }
}

/// The version that an operation names, as `if-match` would.
async fn version_of(tag: &str) -> Result<Option<IfMatch>> {
    let request = Request::builder().header(header::IF_MATCH, tag).body(());
    let (mut parts, ()) = request.map_err(|_| standard::PreconditionFailed)?.into_parts();
    <IfMatch as OptionalFromRequestParts<()>>::from_request_parts(&mut parts, &()).await
}

fn resolved(id: &str, made: &Made) -> Result<String, Refusal> {
    match id.strip_prefix("bulkId:") {
        None => Ok(id.to_owned()),
        Some(name) => made
            .get(name)
            .cloned()
            .ok_or_else(|| ScimBulkId.because(format!("no earlier operation has made {name}"))),
    }
}

/// The data with what earlier operations made in place of their names.
fn named(data: Value, made: &Made) -> Result<Value, Refusal> {
    Ok(match data {
        Value::String(text) => Value::String(resolved(&text, made)?),
        Value::Array(values) => {
            values.into_iter().map(|value| named(value, made)).collect::<Result<_, _>>()?
        }
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, value)| Ok((key, named(value, made)?)));
            Value::Object(members.collect::<Result<_, Refusal>>()?)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_operation_made_is_named_by_its_bulk_id() {
        let made = Made::from([("ada".to_owned(), "id-7".to_owned())]);
        let data = json!({ "members": [{ "value": "bulkId:ada" }], "displayName": "G" });
        let expected = json!({ "members": [{ "value": "id-7" }], "displayName": "G" });
        assert_eq!(named(data, &made), Ok(expected));
        assert!(named(json!({ "value": "bulkId:eve" }), &made).is_err());
        assert!(resolved("bulkId:eve", &made).is_err());
    }
}
