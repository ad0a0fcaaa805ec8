//! A schema as a table that people read: names, kinds, and what stands within, to a bounded depth.

use crate::document::{Document, kind};
use maud::{Markup, html};
use nexus_sdk::serde_json::Value;

/// Deeper ones are named and not unfolded: some contain themselves.
const DEPTH_MAX: usize = 3;
/// Members of one object; what has more is a document of its own.
const MEMBERS_MAX: usize = 60;

/// What a body holds.
pub fn schema(document: &Document, schema: &Value) -> Markup {
    members(document, schema, 0)
}

fn members(document: &Document, schema: &Value, depth: usize) -> Markup {
    let resolved = document.resolve(schema);
    let listed = resolved.get("items").map(|items| document.resolve(items));
    let object = listed.unwrap_or(resolved);
    let properties = object.get("properties").and_then(Value::as_object);
    let required = object["required"].as_array().cloned().unwrap_or_default();
    html! {
        @if depth == 0 { p.kind { (kind(document, schema)) } }
        @if let Some(properties) = properties {
            ul.members {
                @for (name, member) in properties.iter().take(MEMBERS_MAX) {
                    @let needed = required.iter().any(|it| it == name);
                    li {
                        code.name { (name) }
                        " " span.kind { (kind(document, member)) }
                        @if needed { " " span.needed { "required" } }
                        @if let Some(words) = description(document, member) { p { (words) } }
                        @if depth < DEPTH_MAX && unfolds(document, member) {
                            (members(document, inner(member), depth + 1))
                        }
                    }
                }
            }
        }
    }
}

/// What may be null is shown as what it is otherwise.
fn inner(member: &Value) -> &Value {
    let all = member.get("anyOf").or_else(|| member.get("oneOf")).and_then(Value::as_array);
    all.and_then(|all| all.iter().find(|one| one["type"] != "null")).unwrap_or(member)
}

fn unfolds(document: &Document, member: &Value) -> bool {
    let resolved = document.resolve(inner(member));
    let listed = resolved.get("items").map(|items| document.resolve(items));
    listed.unwrap_or(resolved).get("properties").is_some()
}

fn description<'a>(document: &'a Document, member: &'a Value) -> Option<&'a str> {
    let own = member["description"].as_str();
    own.or_else(|| document.resolve(member)["description"].as_str())
}
