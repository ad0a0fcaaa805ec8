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
            Self::Text(text) => return crate::lines::write_text(out, text),
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
pub(crate) struct Fields {
    all: Vec<(&'static str, Value)>,
    /// Each is told once, so that nobody has to look for an earlier value.
    first: bool,
}

/// What most calls say: their fields are asked for room once.
const USUAL: usize = 16;

impl Fields {
    /// Those of an event or of a new span, which tell each once.
    pub(crate) fn of(tell: impl FnOnce(&mut Self)) -> Self {
        let mut fields = Self { all: Vec::with_capacity(USUAL), first: true };
        tell(&mut fields);
        fields.first = false;
        fields
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.all.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_text).filter(|text| !text.is_empty())
    }

    /// What a span of these is called.
    pub(crate) fn name(&self) -> Option<CompactString> {
        call_name(self.text("otel.name"), self.text("http.request.method"), self.text("http.route"))
    }

    /// Takes a text out, for whoever keeps it: what is left is empty, which is as if unsaid.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<CompactString> {
        let (_, value) = self.all.iter_mut().find(|(n, _)| *n == name)?;
        match value {
            Value::Text(text) => Some(std::mem::take(text)).filter(|text| !text.is_empty()),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.all.iter().map(|(name, value)| (*name, value))
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = (&'static str, Value)> {
        self.all.into_iter()
    }

    pub(crate) fn extend(&mut self, told: impl IntoIterator<Item = (&'static str, Value)>) {
        self.all.extend(told);
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let slot = match self.first {
            true => None,
            false => self.all.iter_mut().find(|(other, _)| *other == name),
        };
        match slot {
            Some(slot) => slot.1 = value,
            None => self.all.push((name, value)),
        }
    }
}

/// What a span is called: method and route, where nothing else is said. A request that no route was
/// found for has a method only.
pub(crate) fn call_name(
    own: Option<&str>,
    method: Option<&str>,
    route: Option<&str>,
) -> Option<CompactString> {
    match (own, method, route) {
        (Some(name), ..) | (None, Some(name), None) => Some(name.into()),
        (None, Some(method), Some(route)) => {
            let mut name = CompactString::with_capacity(method.len() + 1 + route.len());
            for part in [method, " ", route] {
                name.push_str(part);
            }
            Some(name)
        }
        (None, None, _) => None,
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
