//! `/services`: every service of the platform and whether it runs here; `/services/{name}/health`:
//! the health of any name, an alias of the tenant's own as well. Who is healthy, `core-os` knows.

use crate::naming::normalised;
use crate::registry::{self, State};
use crate::store;
use nexus_sdk::axum::http::HeaderMap;
use nexus_sdk::prelude::*;
use nexus_sdk::{Operation, Output};

pub fn router() -> Router {
    Router::new().route("/services", get(list)).route("/services/{name}/health", get(health))
}

/// One service of the platform.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub name: String,
    /// The bounded context it belongs to.
    pub domain: String,
    pub duty: String,
    /// Modules it is a part of.
    pub modules: Vec<String>,
    /// Other names that stand for it alone.
    pub aliases: Vec<String>,
    pub state: State,
    /// Of the revision that runs.
    pub version: Option<String>,
    /// Where its routes begin.
    pub bases: Vec<String>,
    /// How many operations it offers.
    pub operations: i32,
    pub health: String,
    /// When this was looked at.
    pub seen_at: Time,
}

/// Which services; absent: all of them.
#[derive(Deserialize, JsonSchema)]
pub struct Filter {
    pub domain: Option<String>,
    pub module: Option<String>,
    pub state: Option<State>,
    /// A part of a name, an alias or of what a service does.
    pub q: Option<String>,
}

async fn list(anyone: Public, Query(filter): Query<Filter>, cursor: Cursor) -> Result<Page<Entry>> {
    registry::ensure_fresh(&anyone).await?;
    store::services(anyone.db(), &filter, &cursor).await
}

/// How something is, as `core-os` has said it.
struct Health(Response);

impl IntoResponse for Health {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Output for Health {
    fn describe(operation: &mut Operation) {
        let part = json!({ "type": "object", "properties": { "service": { "type": "string" },
            "state": { "type": "string" }, "reason": { "type": "string" } } });
        let schema = json!({ "type": "object", "required": ["name", "status", "parts"],
            "properties": { "name": { "type": "string" }, "status": { "const": "pass" },
                "parts": { "type": "array", "items": part } } });
        operation.response(StatusCode::OK, "application/json", schema);
        operation.problem(503);
    }
}

async fn health(anyone: Public, Path(name): Path<String>) -> Result<Health> {
    let name = normalised(&name);
    let own = store::aliases::find(anyone.db(), &name).await?;
    let name = own.map_or(name, |alias| alias.service);
    if name.is_empty() {
        return Err(standard::NotFound.into());
    }
    let reply = call("core-os").get(format!("/services/{name}/health")).send().await?;
    let mut headers = HeaderMap::new();
    for name in [header::CONTENT_TYPE, header::RETRY_AFTER] {
        if let Some(value) = reply.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(Health((reply.status, headers, reply.body).into_response()))
}
