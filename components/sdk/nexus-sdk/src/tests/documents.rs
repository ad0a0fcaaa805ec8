//! What a service says about itself.

use serde_json::Value;

use super::catalog::{ask, nobody, service};
use crate::prelude::*;
use crate::{Door, Operation, Output};

fn operation(path: &str, method: &str) -> Value {
    let document = service().openapi();
    let operation = document["paths"][path][method].clone();
    assert!(!operation.is_null(), "{method} {path} in {document:#}");
    operation
}

#[test]
fn every_route_is_a_fact_with_its_door() {
    let service = service();
    let facts = |method: &str, path: &str| {
        let mut routes = service.routes().iter();
        routes
            .find(|it| it.method == method && it.path == path)
            .map(|it| (it.name.clone(), it.door()))
    };
    let create = facts("POST", "/api/catalog/v1/products").unwrap();
    assert!(create.0.ends_with("catalog::create"), "{}", create.0);
    assert_eq!(create.1, Door::Allowed("catalog:edit"));
    assert_eq!(facts("GET", "/api/catalog/v1/failure").unwrap().1, Door::Public);
    assert_eq!(facts("GET", "/.well-known/catalog").unwrap().1, Door::Open);
    assert_eq!(service.routes().len(), 10);
}

#[test]
fn a_change_documents_its_body_its_answers_and_its_permission() {
    let create = operation("/api/catalog/v1/products", "post");
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/Draft");
    let created = &create["responses"]["201"];
    let schema = &created["content"]["application/json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/Product");
    assert!(created["headers"]["location"].is_object());
    for status in ["400", "401", "403", "413", "415", "422", "default"] {
        let problem = &create["responses"][status]["$ref"];
        assert_eq!(problem, "#/components/responses/Problem", "{status}");
    }
    assert_eq!(create["x-nexus-permission"], "catalog:edit");
    assert_eq!(create["security"], json!([{ "bearer": [] }, { "api_key": [] }]));
    assert_eq!(create["parameters"][0]["name"], "idempotency-key");
}

#[test]
fn parameters_of_path_query_and_header_are_documented_with_their_schemas() {
    let rename = operation("/api/catalog/v1/products/{id}", "put");
    let parameter = |name: &str| {
        let all = rename["parameters"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(parameter("id")["in"], "path");
    assert_eq!(parameter("id")["required"], true);
    assert_eq!(parameter("if-match")["in"], "header");
    let list = operation("/api/catalog/v1/products", "get");
    let names: Vec<&Value> =
        list["parameters"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["cursor", "limit", "title"]);
    let echo = operation("/api/catalog/v1/echo/{rest}", "get");
    assert_eq!(echo["parameters"][0]["name"], "rest");
}

#[test]
fn a_part_of_the_path_that_no_function_reads_and_an_error_of_another_protocol_are_described() {
    fn gone(_by: crate::Public) -> std::future::Ready<Gone> {
        std::future::ready(Gone)
    }
    let http = Router::new().route("/gone/{*rest}", get(gone));
    let facts = crate::Facts {
        name: "past",
        version: "1",
        description: "What was.",
        topics: &[],
        crons: &[],
    };
    let document = crate::Service::new(facts, http, Router::new()).openapi();
    let gone = &document["paths"]["/api/past/v1/gone/{rest}"]["get"];
    let part = json!({
        "name": "rest", "in": "path", "required": true, "schema": { "type": "string" },
    });
    assert_eq!(gone["parameters"], json!([part]));
    for status in ["410", "default"] {
        let content = gone["responses"][status]["content"].as_object().unwrap();
        let kinds: Vec<&String> = content.keys().collect();
        assert_eq!(kinds, ["application/gone+json", "application/problem+json"], "{status}");
    }
}

struct Gone;

impl IntoResponse for Gone {
    fn into_response(self) -> Response<Body> {
        StatusCode::GONE.into_response()
    }
}

impl Output for Gone {
    fn describe(operation: &mut Operation) {
        operation.problem(410);
        operation.errors("application/gone+json", json!({ "type": "object" }));
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                Value::String(path) if name == "$ref" => found.push(path.clone()),
                value => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = service().openapi();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for path in found {
        assert!(document.pointer(&path[1..]).is_some(), "{path}");
    }
    assert_eq!(document["openapi"], "3.1.0");
    let id = &document["components"]["schemas"]["Product"]["properties"]["id"];
    assert_eq!(id["format"], "uuid");
}

#[tokio::test]
async fn the_document_is_served_beside_the_service() {
    let answer = ask(&nobody(), "GET", "/api/catalog/openapi.json").answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.read::<Value>(), service().openapi());
}
