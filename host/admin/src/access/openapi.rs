//! The OpenAPI 3.1 description of `/api/v1`, written from the table of routes. Refuses to know
//! anything that the table does not.

use super::table::{Answers, ROUTES, Route, Sends};
use serde_json::{Map, Value, json};

/// `version` is the host's.
pub(crate) fn document(version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(format!("/api/v1/{}", route.path)).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus COS: operators' API",
            "version": version,
            "summary": "Deploy, watch and roll back components; operate queues, schedules, jobs",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "tags": tags(),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "NEXUS_ADMIN_TOKEN, or the token of an operator",
                },
            },
            "schemas": { "Problem": problem() },
            "responses": {
                "Problem": {
                    "description": "What is wrong (RFC 9457)",
                    "content": { "application/problem+json": {
                        "schema": { "$ref": "#/components/schemas/Problem" },
                    } },
                },
            },
        },
    })
}

fn tags() -> Value {
    let mut names: Vec<&str> = ROUTES.iter().map(tag).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn tag(route: &Route) -> &'static str {
    route.path.split('/').next().unwrap_or_default()
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "instance"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "instance": { "type": "string" },
        },
    })
}

fn operation(route: &Route) -> Value {
    let (status, answer) = match route.answers {
        Answers::Json(status) => (
            status,
            json!({
                "description": "Done", "content": { "application/json": { "schema": {
                    "type": "object" } } },
            }),
        ),
        Answers::Nothing => (204, json!({ "description": "Done" })),
        Answers::Media(kind) => (
            200,
            json!({
                "description": "Done", "content": { kind: { "schema": { "type": "string" } } },
            }),
        ),
    };
    let mut operation = json!({
        "operationId": id(route),
        "summary": route.says,
        "description": format!("For the role {} and those above.", route.role.as_str()),
        "tags": [tag(route)],
        "parameters": parameters(route),
        "responses": {
            status.to_string(): answer,
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if let Some(body) = body(route) {
        operation["requestBody"] = body;
    }
    operation
}

/// `post_components_id_deploy`.
fn id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_"))
}

fn parameters(route: &Route) -> Value {
    let pieces = route.path.split('/').filter(|piece| piece.starts_with('{'));
    let in_path = pieces.map(|piece| {
        let name = piece.trim_matches(['{', '}']);
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = route.query.iter().map(|word| {
        let (name, required, schema) = member(word);
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn body(route: &Route) -> Option<Value> {
    match route.sends {
        Sends::Nothing => None,
        Sends::Json(words) => {
            let members: Vec<_> = words.iter().map(|word| member(word)).collect();
            let required: Vec<&str> =
                members.iter().filter(|(_, required, _)| *required).map(|(n, _, _)| *n).collect();
            let properties: Map<String, Value> =
                members.iter().map(|(name, _, s)| ((*name).to_owned(), s.clone())).collect();
            let mut schema = json!({
                "type": "object", "properties": properties, "additionalProperties": false,
            });
            let is_required = !required.is_empty();
            if is_required {
                schema["required"] = required.into();
            }
            Some(json!({
                "required": is_required,
                "content": { "application/json": { "schema": schema } },
            }))
        }
        Sends::Bytes(kinds, _) => {
            let content: Map<String, Value> =
                kinds.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect();
            Some(json!({ "required": true, "content": content }))
        }
    }
}

/// `name!:type` of the table.
fn member(word: &'static str) -> (&'static str, bool, Value) {
    let (name, kind) = word.split_once(':').unwrap_or((word, "any"));
    let schema = if kind == "any" { json!({}) } else { json!({ "type": kind }) };
    match name.strip_suffix('!') {
        Some(name) => (name, true, schema),
        None => (name, false, schema),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_an_operation_of_its_own_name_and_there_is_no_other() {
        let document = document("1.2.3");
        let mut ids = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let below = path.strip_prefix("/api/v1/").unwrap();
                let route = super::super::table::find(&method.to_uppercase(), below).unwrap();
                assert_eq!((route.path, operation["summary"].as_str()), (below, Some(route.says)));
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(ids.len(), ROUTES.len());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ROUTES.len(), "an operation's id names one operation");
    }

    #[test]
    fn what_must_be_sent_is_said_to_be_required() {
        let document = document("1.2.3");
        let send = &document["paths"]["/api/v1/queues/{service}/{queue}/send"]["post"];
        let schema = &send["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(schema["required"], json!(["payload"]));
        assert_eq!(schema["properties"]["topic"], json!({ "type": "string" }));
        let names: Vec<&str> = send["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["service", "queue"]);
    }
}
