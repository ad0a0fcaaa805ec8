//! An OpenAPI document as its reader sees it: operations in groups, each with what it takes and
//! gives. Pure. What a service hands in is read leniently: a strange part is left out.

use nexus_sdk::serde_json::Value;
use std::collections::BTreeMap;

const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];

/// References that lead to references are followed so far.
const HOPS_MAX: usize = 8;

/// A service's document.
pub struct Document(pub Value);

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub value: &'a Value,
}

impl Document {
    pub fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Every operation, by path and then in the order of [`METHODS`].
    pub fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().into_iter().flatten();
        let mut all = Vec::new();
        for (path, item) in paths {
            for method in METHODS {
                if let Some(value) = item.get(method).filter(|value| value.is_object()) {
                    all.push(Operation { method, path, value });
                }
            }
        }
        all
    }

    /// What a reference stands for; anything else stands for itself.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        let mut at = value;
        for _ in 0..HOPS_MAX {
            let Some(reference) = at.get("$ref").and_then(Value::as_str) else { break };
            let Some(found) = reference.strip_prefix('#').and_then(|it| self.0.pointer(it)) else {
                break;
            };
            at = found;
        }
        at
    }
}

impl<'a> Operation<'a> {
    pub fn id(&self) -> &'a str {
        self.value["operationId"].as_str().unwrap_or_default()
    }

    /// Who may: the word of the SDK's doors.
    pub fn door(&self) -> &'a str {
        self.value["x-nexus-door"].as_str().unwrap_or("open")
    }

    pub fn permission(&self) -> Option<&'a str> {
        self.value["x-nexus-permission"].as_str()
    }

    /// What it is about: the first word of the path that is no service and no version.
    pub fn group(&self) -> &'a str {
        let mut parts = self.path.split('/').filter(|part| !part.is_empty());
        let first = match parts.next() {
            Some("api") => parts.nth(2),
            other => other,
        };
        first.filter(|part| !part.starts_with('{')).unwrap_or("general")
    }

    /// A name within a page that stays as long as the operation does.
    pub fn anchor(&self) -> String {
        let mut anchor = String::from(self.method);
        for c in self.path.chars() {
            match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => anchor.push(c),
                _ if anchor.ends_with('-') => {}
                _ => anchor.push('-'),
            }
        }
        anchor.truncate(anchor.trim_end_matches('-').len());
        anchor
    }

    /// What it does, in words: the function behind it, `policies::set_policy` is "Set policy".
    pub fn title(&self) -> String {
        title(self.id())
    }
}

/// The words of an operation's id.
pub fn title(operation_id: &str) -> String {
    let mut names = operation_id.rsplit("::");
    let verb = names.next().unwrap_or_default().replace('_', " ");
    let about = names.next().map(|about| about.replace('_', " "));
    let mut words = match about {
        // A lone verb needs to say of what.
        Some(about) if !verb.contains(' ') => format!("{verb} ({about})"),
        _ => verb,
    };
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// Where the routes of a document begin: `/api/<service>/v1`, or the first word of another path.
pub fn bases(operations: &[Operation<'_>]) -> Vec<String> {
    let mut bases: BTreeMap<String, ()> = BTreeMap::new();
    for operation in operations {
        let parts: Vec<&str> = operation.path.split('/').collect();
        let base = match parts.as_slice() {
            ["", "api", service, version, ..] if !service.starts_with('{') => {
                format!("/api/{service}/{version}")
            }
            ["", first, ..] if !first.starts_with('{') && *first != "api" => format!("/{first}"),
            _ => continue,
        };
        bases.insert(base, ());
    }
    bases.into_keys().collect()
}

/// A schema in a few words: `text (uuid)`, `list of Key`, `"on" or "off"`.
pub fn kind(document: &Document, schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let meant = document.resolve(schema);
        let choice = meant.get("oneOf").and_then(Value::as_array);
        let words = choice.is_some_and(|all| all.iter().all(|one| one.get("const").is_some()));
        if words || meant.get("enum").is_some() {
            return kind(document, meant);
        }
        return name.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = values.iter().map(ToString::to_string).collect();
        return words.join(" or ");
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        if let Some(all) = schema.get(word).and_then(Value::as_array) {
            let all: Vec<String> = all.iter().map(|one| kind(document, one)).collect();
            return all.join(if word == "allOf" { " and " } else { " or " });
        }
    }
    if let Some(items) = schema.get("items") {
        return format!("list of {}", kind(document, items));
    }
    let plain = |word: &str| match word {
        "string" => "text".to_owned(),
        other => other.to_owned(),
    };
    let kind = match &schema["type"] {
        Value::String(word) => plain(word),
        Value::Array(words) => {
            words.iter().filter_map(Value::as_str).map(plain).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".into(),
    };
    match schema.get("format").and_then(Value::as_str) {
        Some(format) => format!("{kind} ({format})"),
        None => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::serde_json::json;

    fn document() -> Document {
        let answer = json!({ "operationId": "keys::rotate", "x-nexus-door": "allowed",
            "x-nexus-permission": "kms:manage" });
        Document(json!({
            "paths": {
                "/api/kms/v1/keys/{name}/rotate": { "post": answer },
                "/v1/transit/keys/{name}": { "get": { "operationId": "vault::show" } },
                "/strange": 7,
            },
            "components": { "schemas": { "A": { "$ref": "#/components/schemas/B" },
                "B": { "type": "string", "format": "uuid" },
                "C": { "oneOf": [{ "const": "day" }, { "const": "night" }] } } },
        }))
    }

    #[test]
    fn an_operation_says_what_it_does_for_whom_and_what_about() {
        let document = document();
        let [rotate, show] = document.operations()[..] else { panic!("two operations") };
        assert_eq!((rotate.group(), show.group()), ("keys", "v1"));
        assert_eq!(rotate.title(), "Rotate (keys)");
        assert_eq!(rotate.permission(), Some("kms:manage"));
        assert_eq!(rotate.anchor(), "post-api-kms-v1-keys-name-rotate");
        assert_eq!(bases(&document.operations()), ["/api/kms/v1", "/v1"]);
        assert_eq!(title("policies::set_policy"), "Set policy");
        assert_eq!(title(""), "");
    }

    #[test]
    fn schemas_are_told_in_words() {
        let document = document();
        for (schema, words) in [
            (json!({ "type": ["string", "null"] }), "text or null"),
            (json!({ "type": "string", "format": "uuid" }), "text (uuid)"),
            (json!({ "$ref": "#/components/schemas/B" }), "B"),
            (json!({ "items": { "$ref": "#/components/schemas/B" } }), "list of B"),
            (json!({ "$ref": "#/components/schemas/C" }), "\"day\" or \"night\""),
            (json!({ "enum": ["on", "off"] }), "\"on\" or \"off\""),
            (json!({}), "anything"),
        ] {
            assert_eq!(kind(&document, &schema), words);
        }
    }

    #[test]
    fn a_reference_is_followed_and_one_to_itself_ends() {
        let document = document();
        let a = json!({ "$ref": "#/components/schemas/A" });
        assert_eq!(document.resolve(&a)["format"], "uuid");
        let own = Document(json!({ "a": { "$ref": "#/a" } }));
        assert!(own.resolve(&own.0["a"]).is_object());
        let strange = Document(json!([1]));
        assert!(strange.operations().is_empty());
    }
}
