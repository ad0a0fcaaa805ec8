//! Remote configuration: JSON values by scope (`global` or a service) and key. A service reads
//! its scope merged over `global` in one request, with an entity tag to poll by.

use crate::evaluation::is_key;
use crate::services::parts_of;
use crate::{Configure, View, store};
use nexus_sdk::prelude::*;
use platform_contract::ConfigChanged;
use serde_json::Value;

nexus_sdk::refusals! {
    UnknownScope = 422, "a scope is `global` or the name of a service";
    ConfigKey = 422, "a key takes 1 to 128 of a-z, 0-9, dot, dash and underscore";
    ConfigTooLarge = 422, "a value takes at most 64 KiB of JSON"
}

const VALUE_BYTES_MAX: usize = 64 * 1024;

pub fn router() -> Router {
    Router::new()
        .route("/config/{scope}", get(show))
        .route("/config/{scope}/{key}", put(set).delete(remove))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    pub scope: String,
    pub key: String,
    pub value: Value,
    pub version: i64,
    pub updated_by: String,
    pub updated_at: Time,
}

#[derive(Serialize, JsonSchema)]
struct Effective {
    scope: String,
    /// Keys of the scope, over those of `global`.
    values: serde_json::Map<String, Value>,
    entries: Vec<Entry>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    value: Value,
}

async fn show(by: Allowed<View>, Path(scope): Path<String>) -> Result<Tagged<Json<Effective>>> {
    let scope = known(scope)?;
    let entries: Vec<Entry> = store::config(by.db(), &scope).await?;
    let mut values = serde_json::Map::new();
    // `global` first, so that the scope's own values win.
    let of = |own: bool| entries.iter().filter(move |e| (e.scope != "global") == own);
    for entry in of(false).chain(of(true)) {
        values.insert(entry.key.clone(), entry.value.clone());
    }
    let effective = Effective { scope, values, entries };
    let tag = Etag::of_bytes(&serde_json::to_vec(&effective).context("write the config")?);
    Ok(Tagged(tag, Json(effective)))
}

async fn set(
    by: Allowed<Configure>,
    Path((scope, key)): Path<(String, String)>,
    version: Option<IfMatch>,
    Json(draft): Json<Draft>,
) -> Result<NoContent> {
    let scope = known(scope)?;
    if !is_key(&key) {
        return Err(ConfigKey.into());
    }
    if draft.value.to_string().len() > VALUE_BYTES_MAX {
        return Err(ConfigTooLarge.at("value").into());
    }
    let subject = &by.principal().subject;
    let write = match version {
        None => store::put_config(&scope, &key, &draft.value, subject, by.now()),
        Some(seen) => {
            let seen = seen.version()?;
            store::update_config(&scope, &key, &draft.value, subject, by.now(), seen)
                .or_refuse(standard::PreconditionFailed)
        }
    };
    by.commit([write, emit(ConfigChanged { scope, key })]).await
}

async fn remove(
    by: Allowed<Configure>,
    Path((scope, key)): Path<(String, String)>,
) -> Result<NoContent> {
    let remove = store::remove_config(&scope, &key).or_refuse(standard::NotFound);
    by.commit([remove, emit(ConfigChanged { scope, key })]).await
}

fn known(scope: String) -> Result<String> {
    let service = || parts_of(&scope).is_some_and(|parts| parts == [scope.as_str()]);
    if scope == "global" || service() { Ok(scope) } else { Err(UnknownScope.into()) }
}
