//! One service: what it is for, and every operation with what it takes and gives.

use super::overview::count;
use super::{frame, outline};
use crate::document::{Document, Operation, kind};
use crate::services::Entry;
use crate::versions::{Stage, Version};
use maud::{Markup, html};
use nexus_sdk::serde_json::Value;
use std::collections::BTreeMap;

pub fn page(
    services: &[Entry],
    service: &Entry,
    document: &Document,
    ending: &[Version],
    server: &str,
) -> Markup {
    let operations = document.operations();
    let mut groups: BTreeMap<&str, Vec<Operation<'_>>> = BTreeMap::new();
    for operation in &operations {
        groups.entry(operation.group()).or_default().push(*operation);
    }
    let content = html! {
        section.hero.slim {
            p.crumb { a href="/docs" { "API reference" } " / " (service.domain) }
            h1 { (service.name) }
            p.lead { (service.duty) }
            p.chips {
                @if let Some(version) = &service.version { span.badge { "version " (version) } }
                span.badge { (count(operations.len(), "operation")) }
                @for base in &service.bases { code.badge { (base) } }
                @for alias in &service.aliases { span.badge.quiet { "also “" (alias) "”" } }
            }
            @for version in ending { (notice(version)) }
            p.links {
                a href={ "/api/" (service.name) "/openapi.json" } { "OpenAPI document" }
                a href={ "/services/" (service.name) "/health" } { "Health" }
            }
        }
        @if groups.len() > 1 {
            nav.jump aria-label="On this page" {
                @for group in groups.keys() { a href={ "#g-" (group) } { (group) } }
            }
        }
        @for (group, operations) in &groups {
            section.group {
                h2 id={ "g-" (group) } { (group) }
                @for operation in operations { (shown(document, operation, server)) }
            }
        }
        @if operations.is_empty() { p.hint { "This service offers pages, and no operations." } }
    };
    frame::page(&service.name, services, Some(&service.name), "", &content)
}

fn notice(version: &Version) -> Markup {
    let day = |at: Option<nexus_sdk::Time>| at.map(|at| at.format("%-d %B %Y").to_string());
    html! {
        p.notice role="note" {
            strong {
                @match version.stage {
                    Stage::Sunset => { (version.version) " has ended." }
                    Stage::Deprecated => { (version.version) " is deprecated." }
                    Stage::Current => { (version.version) " will be deprecated." }
                }
            }
            @if let Some(day) = day(version.deprecated_at) { " Deprecated from " (day) "." }
            @if let Some(day) = day(version.sunset_at) { " It ends on " (day) "." }
            @if let Some(successor) = &version.successor { " Go to " code { (successor) } "." }
            @if let Some(url) = &version.notice_url { " " a href=(url) { "Read more" } "." }
        }
    }
}

fn shown(document: &Document, operation: &Operation<'_>, server: &str) -> Markup {
    html! {
        details.operation {
            summary {
                span class={ "method " (operation.method) } { (operation.method.to_uppercase()) }
                code.path { (operation.path) }
                span.what { (operation.title()) }
                @if let Some(permission) = operation.permission() {
                    span.badge { (permission) }
                } @else if operation.door() == "signed-in" {
                    span.badge { "signed in" }
                } @else {
                    span.badge.open { "open" }
                }
            }
            div.body id=(operation.anchor()) {
                @if let Some(words) = operation.value["description"].as_str() { p { (words) } }
                p.who { (who(operation)) }
                (example(operation, server))
                (parameters(document, operation))
                @if let Some(body) = operation.value.get("requestBody") {
                    h4 { "Request" }
                    (content(document, document.resolve(body)))
                }
                @if let Some(responses) = operation.value["responses"].as_object() {
                    h4 { "Answers" }
                    @for (status, response) in responses {
                        (answer(document, status, document.resolve(response)))
                    }
                }
            }
        }
    }
}

fn who(operation: &Operation<'_>) -> Markup {
    html! {
        @match (operation.door(), operation.permission()) {
            (_, Some(permission)) => { "Needs the permission " code { (permission) } "." }
            ("signed-in", _) => { "For whoever is signed in, about what is their own." }
            _ => { "For everybody; no credential is needed." }
        }
    }
}

fn example(operation: &Operation<'_>, server: &str) -> Markup {
    let method = operation.method.to_uppercase();
    let key = matches!(operation.door(), "allowed" | "signed-in");
    let body = operation.value.pointer("/requestBody/content").and_then(Value::as_object);
    let json = body.and_then(|body| body.keys().find(|kind| kind.ends_with("json")));
    html! {
        pre tabindex="0" {
            code {
                "curl -X " (method) " " (server) (operation.path)
                @if key { " \\\n  -H 'x-api-key: nx_live_…'" }
                @if let Some(json) = json { " \\\n  -H 'content-type: " (json) "' -d '{…}'" }
            }
        }
    }
}

fn parameters(document: &Document, operation: &Operation<'_>) -> Markup {
    let all = operation.value["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text =
        |parameter: &Value, member: &str| parameter[member].as_str().unwrap_or_default().to_owned();
    html! {
        @if !all.is_empty() {
            h4 { "Parameters" }
            ul.members {
                @for parameter in all.iter().map(|it| document.resolve(it)) {
                    li {
                        code.name { (text(parameter, "name")) }
                        " " span.kind {
                            (kind(document, &parameter["schema"])) ", in " (text(parameter, "in"))
                        }
                        @if parameter["required"] == true { " " span.needed { "required" } }
                        @if let Some(words) = parameter["schema"]["description"].as_str() {
                            p { (words) }
                        }
                    }
                }
            }
        }
    }
}

fn content(document: &Document, body: &Value) -> Markup {
    html! {
        @for (media_type, media) in body["content"].as_object().into_iter().flatten() {
            p.media { code { (media_type) } }
            @if let Some(schema) = media.get("schema") { (outline::schema(document, schema)) }
        }
    }
}

fn answer(document: &Document, status: &str, response: &Value) -> Markup {
    let words = response["description"].as_str().unwrap_or_default();
    let class = match status.as_bytes().first() {
        Some(b'2') => "status good",
        Some(b'3') => "status",
        _ => "status bad",
    };
    let shown = if status == "default" { "any other" } else { status };
    let headers = response["headers"].as_object().map(|all| all.keys().collect::<Vec<_>>());
    html! {
        div.answer {
            p { span class=(class) { (shown) } " " (words) }
            @if let Some(headers) = headers {
                p.small { "Says " @for name in headers { code { (name) } " " } }
            }
            // What a problem looks like is the same everywhere, and said on the first page.
            @if response.pointer("/content/application~1problem+json").is_none() {
                (content(document, response))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::State;
    use nexus_sdk::prelude::*;

    fn entry() -> Entry {
        Entry {
            name: "kms".into(),
            domain: "platform".into(),
            duty: "Keys <and> secrets".into(),
            modules: Vec::new(),
            aliases: vec!["pv-keys".into()],
            state: State::Running,
            version: Some("0.1.0".into()),
            bases: vec!["/api/kms/v1".into()],
            operations: 1,
            health: String::new(),
            seen_at: "2026-03-01T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn what_a_service_says_is_text_and_the_page_runs_nothing() {
        let hostile = json!({ "paths": { "/api/kms/v1/keys": { "get": {
            "operationId": "keys::<script>alert(1)</script>",
            "description": "<img src=x onerror=alert(1)>",
            "responses": { "200": { "description": "\"><b>" } },
        } } } });
        let shown = page(&[entry()], &entry(), &Document(hostile), &[], "https://a.example");
        let shown = shown.into_string();
        for banned in ["<script", "<img src=x", "<b>", "Keys <and>", " style=", " onclick="] {
            assert!(!shown.contains(banned), "{banned} in {shown}");
        }
        assert!(shown.contains("aria-current=\"page\""), "the list says where one is");
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let node = json!({ "type": "object", "properties": {
            "next": { "$ref": "#/components/schemas/Node" } } });
        let content = json!({ "application/json": { "schema": {
            "$ref": "#/components/schemas/Node" } } });
        let document = Document(json!({
            "paths": { "/api/kms/v1/nodes": { "get": { "operationId": "nodes::list",
                "responses": { "200": { "description": "OK", "content": content } } } } },
            "components": { "schemas": { "Node": node } },
        }));
        let shown = page(&[entry()], &entry(), &document, &[], "https://a.example").into_string();
        assert!(shown.matches("<code class=\"name\">next</code>").count() <= 4, "{shown}");
    }
}
