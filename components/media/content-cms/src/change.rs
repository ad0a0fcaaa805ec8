//! A change of what a title says, by RFC 7396. Pure.

use crate::content::Content;
use nexus_sdk::prelude::*;
use nexus_sdk::schemars::{Schema, SchemaGenerator};
use nexus_sdk::serde_json::{Map, Value};
use std::borrow::Cow;

/// A change of what is said, as RFC 7396 has it: what is absent stays, null clears.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Change(pub Map<String, Value>);

impl JsonSchema for Change {
    fn schema_name() -> Cow<'static, str> {
        "TitleChange".into()
    }

    /// As the content, but that null stands for what is not there.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Content::json_schema(generator);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            if let Some(one) = properties["localisations"].get_mut("additionalProperties") {
                // Each of them is merged, too.
                let text = json!({ "type": ["string", "null"] });
                *one = or_null(json!({
                    "type": "object", "additionalProperties": false,
                    "properties": { "name": text, "synopsis": text },
                }));
            }
            properties.values_mut().for_each(|property| *property = or_null(property.take()));
        }
        schema
    }
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

impl Change {
    /// # Errors
    /// 422 `invalid-body` where what comes out is no content of a title.
    pub fn onto(&self, content: &Content) -> Result<Content> {
        let mut whole = serde_json::to_value(content).context("write what a title says")?;
        merge(&mut whole, &Value::Object(self.0.clone()));
        let merged = serde_json::from_value(whole);
        Ok(merged.map_err(|why| standard::InvalidBody.because(why.to_string()))?)
    }
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(name)),
            value => merge(target.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}
