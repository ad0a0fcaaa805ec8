//! What a route takes and gives, from the types of its function, and OpenAPI 3.1 from that.
//!
//! Knows the extractors and responses of this SDK (`Input`, `Output`) and JSON Schema through
//! schemars. Refuses annotations: a description that the code does not enforce is a rumour.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use axum::response::{Html, Redirect};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::ctx::{Allowed, Public};
use crate::doors::{Called, Callers, SignedIn};
use crate::etag::{IfMatch, Tagged};
use crate::extract::{Form, Json, Path, Query};
use crate::page::{Cursor, Page};
use crate::principal::Permission;
use crate::problem::{Problem, Result};
use crate::respond::{Accepted, Created, NoContent, Secret};
use crate::router::{Door, Route};

/// One operation while its description is being gathered.
#[derive(Debug)]
pub struct Operation {
    schemas: SchemaGenerator,
    pub(crate) door: Door,
    parts: Vec<String>,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: BTreeMap<u16, Value>,
    headers: Map<String, Value>,
    errors: Map<String, Value>,
}

/// What a function may take; each says what it asks of the client.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be documented as an argument of a route",
    note = "types in `Json`, `Query`, `Form` and `Path` derive `JsonSchema`"
)]
pub trait Input {
    /// Adds what it asks for.
    fn describe(operation: &mut Operation);
}

/// What a function may return; each says what the client gets.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be documented as the answer of a route",
    note = "types in `Json`, `Created` and `Page` derive `JsonSchema`"
)]
pub trait Output {
    /// Adds what it gives.
    fn describe(operation: &mut Operation);
}

impl Operation {
    fn new(path: &str, schemas: SchemaGenerator) -> Operation {
        Operation {
            schemas,
            door: Door::Open,
            parts: variable_parts(path),
            parameters: Vec::new(),
            body: None,
            responses: BTreeMap::new(),
            headers: Map::new(),
            errors: Map::new(),
        }
    }

    /// Which door guards a route, without the rest of its description.
    pub(crate) fn door_of(describe: fn(&mut Operation)) -> Door {
        let mut operation = Operation::new("", SchemaGenerator::default());
        describe(&mut operation);
        operation.door
    }

    /// A reference to the schema of `T`.
    pub fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }

    /// The schema of `T` itself, for taking it apart.
    fn inline_schema<T: JsonSchema>(&mut self) -> Value {
        let schema = self.schema::<T>();
        let name =
            schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
        name.and_then(|name| self.schemas.definitions().get(name)).cloned().unwrap_or(schema)
    }

    /// Adds a parameter: `place` is `path`, `query` or `header`.
    pub fn parameter(&mut self, name: &str, place: &str, required: bool, schema: Value) {
        self.parameters.push(json!({
            "name": name, "in": place, "required": required, "schema": schema,
        }));
    }

    /// Sets the body that the client sends.
    pub fn request_body(&mut self, media_type: &str, schema: Value) {
        self.body = Some(json!({
            "required": true, "content": { media_type: { "schema": schema } },
        }));
    }

    /// Adds an answer with a body.
    pub fn response(&mut self, status: StatusCode, media_type: &str, schema: Value) {
        let content = json!({ media_type: { "schema": schema } });
        let response = json!({ "description": reason(status), "content": content });
        self.responses.insert(status.as_u16(), response);
    }

    /// Adds an answer without a body.
    pub fn empty_response(&mut self, status: StatusCode) {
        self.responses.insert(status.as_u16(), json!({ "description": reason(status) }));
    }

    /// Adds a header to the answers with a 2xx status.
    pub fn response_header(&mut self, name: &str) {
        self.headers.insert(name.to_owned(), json!({ "schema": { "type": "string" } }));
    }

    /// Adds a problem as an answer.
    pub fn problem(&mut self, status: u16) {
        self.responses.entry(status).or_insert_with(problem);
    }

    /// Says how another protocol writes its errors; what stands before the function, and the host,
    /// still answer with problems.
    pub fn errors(&mut self, media_type: &str, schema: Value) {
        self.errors.insert(media_type.to_owned(), json!({ "schema": schema }));
    }

    /// A problem, or what another protocol has instead.
    fn error(&self) -> Value {
        if self.errors.is_empty() {
            return problem();
        }
        let mut content = self.errors.clone();
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        content.insert(PROBLEM.into(), json!({ "schema": schema }));
        json!({ "description": WRONG, "content": content })
    }

    /// The OpenAPI operation object, and the schemas gathered so far.
    fn finish(mut self, route: &Route) -> (Value, SchemaGenerator) {
        if route.method != "GET" {
            let key = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
            self.parameter("idempotency-key", "header", false, key);
        }
        let text = json!({ "type": "string" });
        // What the function does not look at is part of the path all the same.
        for name in std::mem::take(&mut self.parts) {
            self.parameter(&name, "path", true, text.clone());
        }
        let error = self.error();
        let mut responses = Map::new();
        for (status, mut response) in self.responses {
            if (200..300).contains(&status) && !self.headers.is_empty() {
                response["headers"] = Value::Object(self.headers.clone());
            }
            let response = if response == problem() { error.clone() } else { response };
            responses.insert(status.to_string(), response);
        }
        responses.insert("default".into(), error);
        let mut operation = json!({
            "operationId": route.name, "parameters": self.parameters, "responses": responses,
            "security": [], "x-nexus-door": self.door.word(),
        });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        if matches!(self.door, Door::Allowed(_) | Door::SignedIn) {
            operation["security"] = json!([{ "bearer": [] }, { "api_key": [] }]);
        }
        if let Door::Allowed(permission) = self.door {
            operation["x-nexus-permission"] = permission.into();
        }
        (operation, self.schemas)
    }
}

const PROBLEM: &str = "application/problem+json";
const WRONG: &str = "What went wrong (RFC 9457)";

fn problem() -> Value {
    json!({ "$ref": "#/components/responses/Problem" })
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Answer")
}

/// The names in a route's braces, in order; `{*rest}` is `rest`.
fn variable_parts(path: &str) -> Vec<String> {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    parts.map(|name| name.trim_start_matches('*').to_owned()).collect()
}

/// The OpenAPI 3.1 document of a service.
pub(crate) fn document(name: &str, version: &str, summary: &str, routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>().to_value();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    // What only components may ask is nobody else's business.
    let public = routes.iter().filter(|route| !matches!(route.door(), Door::Called(_)));
    for route in public {
        let mut operation = Operation::new(&route.path, schemas);
        (route.describe)(&mut operation);
        let (described, gathered) = operation.finish(route);
        schemas = gathered;
        let methods = paths.entry(route.path.replace("{*", "{")).or_default();
        methods.insert(route.method.to_ascii_lowercase(), described);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": name, "version": version, "description": summary },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": { "Problem": {
                "description": WRONG, "content": { PROBLEM: { "schema": problem } },
            } },
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "api_key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            },
        },
    })
}

impl<P: Permission> Input for Allowed<P> {
    fn describe(operation: &mut Operation) {
        operation.door = Door::Allowed(P::NAME);
        operation.problem(401);
        operation.problem(403);
    }
}

impl Input for SignedIn {
    fn describe(operation: &mut Operation) {
        operation.door = Door::SignedIn;
        operation.problem(401);
    }
}

impl<C: Callers> Input for Called<C> {
    fn describe(operation: &mut Operation) {
        operation.door = Door::Called(C::NAMES);
    }
}

impl Input for Public {
    fn describe(operation: &mut Operation) {
        operation.door = Door::Public;
    }
}

impl<T: JsonSchema> Input for Json<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.request_body("application/json", schema);
        [400, 413, 415, 422].into_iter().for_each(|status| operation.problem(status));
    }
}

impl<T: JsonSchema> Input for Form<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.request_body("application/x-www-form-urlencoded", schema);
        [400, 413, 415, 422].into_iter().for_each(|status| operation.problem(status));
    }
}

impl<T: JsonSchema> Input for Path<T> {
    fn describe(operation: &mut Operation) {
        let whole = operation.schema::<T>();
        let inline = operation.inline_schema::<T>();
        let names = std::mem::take(&mut operation.parts);
        for (at, name) in names.iter().enumerate() {
            let schema = match (&inline["properties"][name], &inline["prefixItems"][at]) {
                (Value::Null, Value::Null) => whole.clone(),
                (Value::Null, item) => item.clone(),
                (property, _) => property.clone(),
            };
            operation.parameter(name, "path", true, schema);
        }
        operation.problem(400);
        operation.problem(404);
    }
}

impl<T: JsonSchema> Input for Query<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.inline_schema::<T>();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for (name, schema) in properties {
            let required = required.iter().any(|required| *required == name);
            operation.parameter(&name, "query", required, schema);
        }
        operation.problem(400);
    }
}

impl Input for Cursor {
    fn describe(operation: &mut Operation) {
        operation.parameter("cursor", "query", false, json!({ "type": "string" }));
        let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
        operation.parameter("limit", "query", false, limit);
        operation.problem(400);
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation) {
        operation.parameter("if-match", "header", true, json!({ "type": "string" }));
        operation.problem(412);
        operation.problem(428);
    }
}

impl Input for Option<IfMatch> {
    fn describe(operation: &mut Operation) {
        operation.parameter("if-match", "header", false, json!({ "type": "string" }));
        operation.problem(412);
    }
}

impl Input for Bytes {
    fn describe(operation: &mut Operation) {
        operation.request_body("application/octet-stream", json!({}));
        operation.problem(413);
    }
}

macro_rules! undescribed_input {
    ($($input:ty),*) => {$(
        /// Says nothing about what it reads.
        impl Input for $input {
            fn describe(_operation: &mut Operation) {}
        }
    )*};
}

undescribed_input! { Request, HeaderMap, Method, Uri, Body }

impl<T: Output, E> Output for Result<T, E> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

impl<T: JsonSchema> Output for Json<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.response(StatusCode::OK, "application/json", schema);
    }
}

impl<T: JsonSchema> Output for Created<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.response(StatusCode::CREATED, "application/json", schema);
        operation.response_header("location");
    }
}

impl<T: JsonSchema> Output for Accepted<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.response(StatusCode::ACCEPTED, "application/json", schema);
    }
}

impl<T: JsonSchema> Output for Page<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<Page<T>>();
        operation.response(StatusCode::OK, "application/json", schema);
        operation.response_header("link");
    }
}

impl<T: Output> Output for Secret<T> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
        operation.response_header("cache-control");
    }
}

impl Output for NoContent {
    fn describe(operation: &mut Operation) {
        operation.empty_response(StatusCode::NO_CONTENT);
    }
}

impl<T: Output> Output for Tagged<T> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
        operation.empty_response(StatusCode::NOT_MODIFIED);
        operation.response_header("etag");
    }
}

impl<T> Output for Html<T> {
    fn describe(operation: &mut Operation) {
        operation.response(StatusCode::OK, "text/html", json!({ "type": "string" }));
    }
}

impl Output for Redirect {
    fn describe(operation: &mut Operation) {
        operation.empty_response(StatusCode::SEE_OTHER);
        operation.response_header("location");
    }
}

macro_rules! text_output {
    ($($output:ty),*) => {$(
        impl Output for $output {
            fn describe(operation: &mut Operation) {
                operation.response(StatusCode::OK, "text/plain", json!({ "type": "string" }));
            }
        }
    )*};
}

text_output! { String, &'static str }

/// A response built by hand says nothing about itself, whether it is a refusal or not.
impl Output for Response<Body> {
    fn describe(operation: &mut Operation) {
        operation.empty_response(StatusCode::OK);
        operation.errors("*/*", json!({}));
    }
}
