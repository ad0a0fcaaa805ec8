//! RFC 7396: a change as the part that changes. Pure, and the extractor for it.

use nexus_sdk::axum::extract::{FromRequest, Request};
use nexus_sdk::prelude::*;
use nexus_sdk::{Input, Operation};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::marker::PhantomData;

/// A merge patch to a `T`: what is absent stays, `null` clears.
pub struct Patch<T> {
    change: Value,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Patch<T> {
    /// The names of the members it changes.
    pub fn fields(&self) -> Vec<String> {
        self.change.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }

    /// `present` as it is after the change.
    ///
    /// # Errors
    /// 422 when that is no `T` any more.
    pub fn apply(&self, present: &T) -> Result<T> {
        let present = serde_json::to_value(present).context("write what is there")?;
        let changed = merge(present, &self.change);
        let read = serde_json::from_value(changed);
        Ok(read.map_err(|why| standard::InvalidBody.because(why.to_string()))?)
    }
}

impl<T: Send, S: Send + Sync> FromRequest<S> for Patch<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let Json(change) = Json::<Value>::from_request(request, state).await?;
        if !change.is_object() {
            return Err(standard::InvalidBody.because("a change is an object").into());
        }
        Ok(Patch { change, of: PhantomData })
    }
}

impl<T: JsonSchema> Input for Patch<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.request_body("application/merge-patch+json", schema);
        [400, 413, 415, 422].into_iter().for_each(|status| operation.problem(status));
    }
}

/// RFC 7396 §2. As deep as the JSON that was read, which is bounded.
fn merge(target: Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else { return patch.clone() };
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            let before = members.remove(name).unwrap_or(Value::Null);
            members.insert(name.clone(), merge(before, change));
        }
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7396_come_out_as_printed() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(merge(json(target), &json(patch)), json(result), "{target} {patch}");
        }
    }
}
