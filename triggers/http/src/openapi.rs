//! One OpenAPI document for the whole suite: every active component's own, merged. Names of
//! schemas stay as they are until two components mean different things by one; then the later one
//! (by component name) gets its component as a prefix, and its references follow.

use crate::backend::Backend;
use crate::table::Table;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Limited};
use nexus_runtime::{Call, ComponentId, Principal, full};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Largest document one component may hand in.
const DOCUMENT_BYTES_MAX: usize = 4 << 20;
/// Components asked at once: this must not push real requests aside.
const ASKED_AT_ONCE: usize = 4;
/// Longest wait for one component.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a document stands that misses components: they may have been starting.
const INCOMPLETE_FOR: Duration = Duration::from_secs(10);

/// The merged document of one generation.
#[derive(Clone)]
pub(crate) struct Merged {
    generation: u64,
    /// Ask again after this, if components were missing.
    until: Option<Instant>,
    pub(crate) json: Bytes,
    pub(crate) etag: String,
}

/// The document all shards share.
#[derive(Default)]
pub(crate) struct OpenApi(Mutex<Option<Merged>>);

impl OpenApi {
    /// The document of the table's generation; made at most once at a time.
    pub(crate) async fn get<B: Backend>(
        &self,
        backend: &B,
        table: &Table,
        server: &str,
        tenant: Uuid,
    ) -> Merged {
        let generation = table.generation.unwrap_or(0);
        let mut cached = self.0.lock().await;
        if let Some(merged) = &*cached
            && merged.generation == generation
            && merged.until.is_none_or(|until| Instant::now() < until)
        {
            return merged.clone();
        }
        let mut documents = Vec::new();
        let mut missing = Vec::new();
        let anonymous = Arc::new(Principal::anonymous(tenant));
        let mut asked = Vec::new();
        for id in &table.active {
            let url = format!("{server}/api/{id}/openapi.json");
            asked.push(fetch(backend.clone(), id.clone(), url, anonymous.clone()).boxed());
        }
        let mut answers = futures::stream::iter(asked).buffered(ASKED_AT_ONCE);
        while let Some((id, answer)) = answers.next().await {
            match answer {
                Answer::Document(document) => documents.push((id, document)),
                Answer::None => {}
                Answer::Failed => missing.push(id),
            }
        }
        let title = format!("{} API", table.application);
        let mut merged = merge(&title, &table.version, server, documents);
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(ComponentId::as_str).collect();
            merged["x-nexus-missing"] = json!(names);
        }
        let json = Bytes::from(merged.to_string());
        let etag = format!("\"{:x}\"", Sha256::digest(&json));
        let until = (!missing.is_empty()).then(|| Instant::now() + INCOMPLETE_FOR);
        let merged = Merged { generation, until, json, etag };
        *cached = Some(merged.clone());
        merged
    }
}

enum Answer {
    Document(Value),
    /// The component has no API to describe.
    None,
    Failed,
}

async fn fetch<B: Backend>(
    backend: B,
    id: ComponentId,
    url: String,
    anonymous: Arc<Principal>,
) -> (ComponentId, Answer) {
    let asked = async {
        let request = http::Request::builder()
            .uri(url)
            .header("accept", "application/json")
            .body(full(""))
            .ok()?;
        let call = Call::new(crate::identity::new_request_id(), anonymous);
        let response = backend.call(&id, request, call).await.ok()?;
        if response.status() == http::StatusCode::NOT_FOUND {
            return Some(Answer::None);
        }
        if response.status() != http::StatusCode::OK {
            return None;
        }
        let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await.ok()?;
        serde_json::from_slice(&body.to_bytes()).ok().map(Answer::Document)
    };
    let answer = tokio::time::timeout(ANSWER_MAX, asked).await.ok().flatten();
    if answer.is_none() {
        tracing::warn!(component = %id, "no OpenAPI document");
    }
    (id, answer.unwrap_or(Answer::Failed))
}

/// Merges documents, in the order of their components.
fn merge(title: &str, version: &str, server: &str, documents: Vec<(ComponentId, Value)>) -> Value {
    let mut paths = Map::new();
    let mut components = Map::new();
    let mut tags = Vec::new();
    let mut names = HashSet::new();
    for (id, mut document) in documents {
        let renamed = rename_clashes(&id, &mut document, &components);
        for (from, to) in &renamed {
            redirect(&mut document, from, to);
        }
        let described = document["info"]["description"].as_str().unwrap_or_default();
        tags.push(json!({ "name": id.as_str(), "description": described }));
        for (section, entries) in take(&mut document, "components") {
            let Value::Object(entries) = entries else {
                continue;
            };
            let merged = components.entry(section).or_insert_with(|| json!({}));
            if let Value::Object(merged) = merged {
                merged.extend(entries);
            }
        }
        for (path, item) in take(&mut document, "paths") {
            let item = complete(&path, item);
            paths.entry(path).or_insert_with(|| tagged(item, &id, &mut names));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version },
        "servers": [{ "url": server }],
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

fn take(document: &mut Value, member: &str) -> Map<String, Value> {
    match document.get_mut(member).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Declares the parts of a path that an operation does not use: the specification wants each said.
fn complete(path: &str, mut item: Value) -> Value {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for part in parts {
        for operation in METHODS {
            let Some(Value::Object(operation)) = item.get_mut(operation) else { continue };
            let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
            let Value::Array(parameters) = parameters else { continue };
            if parameters.iter().all(|it| it["in"] != "path" || it["name"] != part) {
                let schema = json!({ "type": "string" });
                let declared =
                    json!({ "name": part, "in": "path", "required": true, "schema": schema });
                parameters.push(declared);
            }
        }
    }
    item
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Operations are grouped by component, and named so that no two have one name: generators of
/// clients make a function of each.
fn tagged(mut item: Value, id: &ComponentId, names: &mut HashSet<String>) -> Value {
    for method in METHODS {
        if let Some(Value::Object(operation)) = item.get_mut(method) {
            operation.insert("tags".into(), json!([id.as_str()]));
            if let Some(name) = operation.get("operationId").and_then(Value::as_str) {
                let name = unique(format!("{id}.{}", name.replace("::", ".")), method, names);
                operation.insert("operationId".into(), name.into());
            }
        }
    }
    item
}

/// One function may stand behind several methods and paths.
fn unique(name: String, method: &str, names: &mut HashSet<String>) -> String {
    let mut candidate = name.clone();
    let mut number = 1;
    while !names.insert(candidate.clone()) {
        candidate = match number {
            1 => format!("{name}.{method}"),
            number => format!("{name}.{method}{number}"),
        };
        number += 1;
    }
    candidate
}

/// Renames what the merged document already has under the same name with another meaning; returns
/// the references that must follow, old to new.
fn rename_clashes(
    id: &ComponentId,
    document: &mut Value,
    merged: &Map<String, Value>,
) -> Vec<(String, String)> {
    let mut renamed = Vec::new();
    let Some(Value::Object(sections)) = document.get_mut("components") else {
        return renamed;
    };
    for (section, entries) in sections {
        let (Value::Object(entries), Some(taken)) = (entries, merged.get(section)) else {
            continue;
        };
        let clashes: Vec<String> = entries
            .iter()
            .filter(|(name, meaning)| taken.get(name.as_str()).is_some_and(|m| m != *meaning))
            .map(|(name, _)| name.clone())
            .collect();
        for name in clashes {
            let to = format!("{id}.{name}");
            if let Some(meaning) = entries.remove(&name) {
                entries.insert(to.clone(), meaning);
            }
            let pointer = |name: &str| format!("#/components/{section}/{name}");
            renamed.push((pointer(&name), pointer(&to)));
        }
    }
    renamed
}

/// Points every reference from one place to another.
fn redirect(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if key == "$ref" && text == from => *text = to.into(),
                    value => redirect(value, from, to),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: &str, schema: Value) -> (ComponentId, Value) {
        let reference = json!({ "schema": { "$ref": "#/components/schemas/Thing" } });
        let answer = json!({ "content": { "application/json": reference } });
        let path = format!("/api/{id}/v1/things");
        let document = json!({
            "openapi": "3.1.0",
            "info": { "title": id, "description": format!("What {id} does.") },
            "paths": { path: {
                "get": { "operationId": "things::list", "responses": { "200": answer } },
                "put": { "operationId": "things::list" },
            } },
            "components": { "schemas": { "Thing": schema, "Same": { "type": "string" } } },
        });
        (ComponentId::new(id).unwrap(), document)
    }

    fn reference(merged: &Value, id: &str) -> String {
        let operation = &merged["paths"][format!("/api/{id}/v1/things")]["get"];
        let content = &operation["responses"]["200"]["content"]["application/json"];
        content["schema"]["$ref"].as_str().unwrap().to_owned()
    }

    #[test]
    fn equal_names_with_other_meanings_are_told_apart() {
        let documents = vec![
            document("catalog", json!({ "type": "object" })),
            document("stock", json!({ "type": "integer" })),
        ];
        let merged = merge("Nexus API", "1", "https://a.example", documents);
        let schemas = &merged["components"]["schemas"];
        assert_eq!(schemas["Thing"]["type"], "object");
        assert_eq!(schemas["stock.Thing"]["type"], "integer");
        assert_eq!(schemas.as_object().unwrap().len(), 3, "what is the same stays one");
        assert_eq!(reference(&merged, "catalog"), "#/components/schemas/Thing");
        assert_eq!(reference(&merged, "stock"), "#/components/schemas/stock.Thing");
        assert_eq!(merged["servers"][0]["url"], "https://a.example");
        let operation = &merged["paths"]["/api/stock/v1/things"]["get"];
        assert_eq!(operation["tags"], json!(["stock"]));
        assert_eq!(operation["operationId"], "stock.things.list");
        let other = &merged["paths"]["/api/stock/v1/things"]["put"];
        assert_eq!(other["operationId"], "stock.things.list.put", "no two have one name");
        assert_eq!(merged["tags"][1]["description"], "What stock does.");
    }

    #[test]
    fn every_part_of_a_path_is_declared_once() {
        let declared = json!({ "name": "id", "in": "path", "required": true });
        let item = json!({ "get": { "parameters": [declared] }, "put": {} });
        let item = complete("/things/{id}/{rest}", item);
        let names = |method: &str| {
            let all = item[method]["parameters"].as_array().unwrap();
            all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("get"), ["id", "rest"]);
        assert_eq!(names("put"), ["id", "rest"]);
    }

    #[test]
    fn strange_documents_do_no_harm() {
        let id = |name| ComponentId::new(name).unwrap();
        let strange =
            [json!(null), json!([]), json!({ "paths": 1, "components": { "schemas": 2 } })];
        for (n, document) in strange.into_iter().enumerate() {
            let good = super::tests::document("catalog", json!({}));
            let merged = merge("t", "1", "s", vec![(id("a"), document), good]);
            assert_eq!(merged["paths"].as_object().unwrap().len(), 1, "{n}");
        }
    }
}
