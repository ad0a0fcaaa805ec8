//! Fields of events and spans as values that can be written later.

use compact_str::{CompactString, format_compact};
use std::borrow::Cow;
use std::fmt;
use tracing::field::{Field, Visit};

/// A field's value, as `tracing` hands it over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Most are short, and need no memory of their own.
    Text(CompactString),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
}

impl Value {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As [`Value::to_json`] would be written.
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        // Writing into memory does not fail.
        let _written = match self {
            Self::Text(text) => serde_json::to_writer(out, text),
            Self::Signed(n) => serde_json::to_writer(out, n),
            Self::Unsigned(n) => serde_json::to_writer(out, n),
            Self::Float(n) => serde_json::to_writer(out, n),
            Self::Bool(b) => serde_json::to_writer(out, b),
        };
    }

    pub(crate) fn into_json(self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.into_string().into(),
            other => other.to_json(),
        }
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Signed(n) => (*n).into(),
            Self::Unsigned(n) => (*n).into(),
            Self::Float(n) => (*n).into(),
            Self::Bool(b) => (*b).into(),
        }
    }
}

/// The fields of one span or event, in the order they were recorded; a later value replaces.
#[derive(Debug, Clone)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

/// What most calls say: their fields are asked for room once.
const USUAL: usize = 16;

impl Default for Fields {
    fn default() -> Self {
        Self(Vec::with_capacity(USUAL))
    }
}

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_text).filter(|text| !text.is_empty())
    }

    /// What a span of these is called: method and route, where nothing else is said. A request that
    /// no route was found for has a method only.
    pub(crate) fn name(&self) -> Option<CompactString> {
        let text = |name| self.text(name);
        match (text("otel.name"), text("http.request.method"), text("http.route")) {
            (Some(name), ..) | (None, Some(name), None) => Some(name.into()),
            (None, Some(method), Some(route)) => Some(format_compact!("{method} {route}")),
            (None, None, _) => None,
        }
    }

    /// Takes a text out, for whoever keeps it: what is left is empty, which is as if unsaid.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<CompactString> {
        let (_, value) = self.0.iter_mut().find(|(n, _)| *n == name)?;
        match value {
            Value::Text(text) => Some(std::mem::take(text)).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = (&'static str, Value)> {
        self.0.into_iter()
    }

    fn put(&mut self, field: &Field, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some(slot) => slot.1 = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::Text(unsecret(format_compact!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(crate::masks::masked(value).into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    /// With its causes: the last one usually is the reason.
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = format_compact!("{value}");
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&format_compact!("{cause}"));
            source = cause.source();
        }
        self.put(field, Value::Text(unsecret(text)));
    }
}

/// The text without the values of secrets.
fn unsecret(text: CompactString) -> CompactString {
    match crate::masks::masked(&text) {
        Cow::Owned(masked) => masked.into(),
        Cow::Borrowed(_) => text,
    }
}
