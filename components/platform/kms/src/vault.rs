//! The tenant's keys as Vault's transit engine: paths, bodies and answers of its HTTP API, for
//! clients that were written for it. Knows that protocol alone: what is done, and who may, is as
//! everywhere else in here.
//! Source: the transit engine's HTTP API, as documented for Vault 1.18.

mod keys;
mod questions;
mod work;

use crate::store;
use crate::tenant_key::{self, TenantKey};
use nexus_sdk::Operation as Description;
use nexus_sdk::Output;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::Value;

pub fn router() -> Router {
    Router::new()
        .route("/v1/sys/health", get(health))
        .merge(keys::router())
        .merge(work::router())
        .merge(questions::router())
}

/// An answer as Vault gives it.
pub enum Answer {
    Data(Value),
    /// A batch of which a part went wrong.
    Partly(StatusCode, Value),
    Nothing,
    /// What is refused, in Vault's words for it: `{"errors": ["…"]}`.
    Refused(StatusCode, String),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Data(data) => Secret(Json(enveloped(data))).into_response(),
            Self::Partly(status, data) => (status, Secret(Json(enveloped(data)))).into_response(),
            Self::Nothing => StatusCode::NO_CONTENT.into_response(),
            Self::Refused(status, why) => {
                (status, Json(json!({ "errors": [why] }))).into_response()
            }
        }
    }
}

impl Output for Answer {
    fn describe(operation: &mut Description) {
        operation.response(StatusCode::OK, "application/json", json!({ "type": "object" }));
        operation.empty_response(StatusCode::NO_CONTENT);
        operation.errors("application/json", errors());
    }
}

/// A batch of which a part went wrong is an answer of the usual form.
fn errors() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let wrong = json!({ "required": ["errors"], "properties": { "errors": texts } });
    json!({ "type": "object", "anyOf": [wrong, { "required": ["data"] }] })
}

fn enveloped(data: Value) -> Value {
    json!({
        "request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0,
        "data": data, "wrap_info": null, "warnings": null, "auth": null,
    })
}

/// Vault knows few statuses: what is wrong with a request is 400.
pub fn told(result: Result<Answer>) -> Result<Answer> {
    match result {
        Err(Error::Refused(refusal)) => {
            let status = match refusal.status {
                403 => StatusCode::FORBIDDEN,
                404 => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_REQUEST,
            };
            Ok(Answer::Refused(status, Error::from(refusal).to_string()))
        }
        other => other,
    }
}

/// A period as Vault takes it: seconds, or a number with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Period(pub i64);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || serde::de::Error::custom("expected seconds, or a number with s, m, h or d");
        match Value::deserialize(deserializer)? {
            Value::Number(seconds) => seconds.as_i64().map(Period).ok_or_else(wrong),
            Value::String(text) => period(&text).map(Period).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }
}

fn period(text: &str) -> Option<i64> {
    let (number, unit) =
        text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

/// Sealed is what Vault calls it when there is no root key, or not the one that wraps what is here.
async fn health(by: Public) -> Result<Response> {
    let tenant = by.tenant().into();
    let kept = store::tenant_keys::find(by.db(), tenant).await?;
    let opened = match (tenant_key::root(&by).await, kept) {
        (Ok(root), Some(row)) => TenantKey::unwrap(&root, tenant, &row.root, &row.wrapped).is_ok(),
        (root, _) => root.is_ok(),
    };
    let sealed = !opened;
    let body = json!({
        "initialized": true, "sealed": sealed, "standby": false, "performance_standby": false,
        "replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
        "server_time_utc": by.now().timestamp(), "version": env!("CARGO_PKG_VERSION"),
        "cluster_name": "nexus",
    });
    let status = if sealed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok((status, Json(body)).into_response())
}

#[test]
fn a_period_is_seconds_or_a_number_with_a_unit() {
    for (text, seconds) in [
        ("3600", Some(3_600)),
        ("90s", Some(90)),
        ("24h", Some(86_400)),
        ("30d", Some(2_592_000)),
        ("h", None),
        ("1w", None),
        ("-1h", None),
    ] {
        assert_eq!(period(text), seconds, "{text}");
    }
}
