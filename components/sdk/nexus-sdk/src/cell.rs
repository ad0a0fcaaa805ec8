//! From one value of a row to one of serde's.
//!
//! Knows every kind of value the host gives; what it cannot read is an error that says which
//! kind it was. Refuses to know which column was asked for: that is `row.rs`.

use chrono::DateTime;
use serde::de::value::SeqDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use spin_sdk::pg::{Column, DbValue};

use crate::row::RowError;

/// One value and the column it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Cell<'a> {
    pub(crate) column: &'a Column,
    pub(crate) value: &'a DbValue,
}

impl<'a> Cell<'a> {
    fn json<T>(
        bytes: &'a [u8],
        read: impl FnOnce(
            &mut serde_json::Deserializer<serde_json::de::SliceRead<'a>>,
        ) -> Result<T, serde_json::Error>,
    ) -> Result<T, RowError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        read(&mut json).map_err(|why| RowError(why.to_string()))
    }
}

impl<'de> Deserializer<'de> for Cell<'de> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.value {
            DbValue::Boolean(v) => visitor.visit_bool(*v),
            DbValue::Int8(v) => visitor.visit_i8(*v),
            DbValue::Int16(v) => visitor.visit_i16(*v),
            DbValue::Int32(v) => visitor.visit_i32(*v),
            DbValue::Int64(v) => visitor.visit_i64(*v),
            DbValue::Floating32(v) => visitor.visit_f32(*v),
            DbValue::Floating64(v) => visitor.visit_f64(*v),
            DbValue::Str(v) | DbValue::Uuid(v) | DbValue::Decimal(v) => {
                visitor.visit_borrowed_str(v)
            }
            DbValue::Binary(v) => visitor.visit_borrowed_bytes(v),
            DbValue::Date((y, m, d)) => visitor.visit_string(format!("{y:04}-{m:02}-{d:02}")),
            DbValue::Time((h, m, s, n)) => {
                visitor.visit_string(format!("{h:02}:{m:02}:{s:02}.{n:09}"))
            }
            // The host gives `timestamp` and `timestamptz` alike, as a tuple in UTC.
            DbValue::Datetime((year, month, day, h, m, s, n)) => visitor.visit_string(format!(
                "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{n:09}Z"
            )),
            DbValue::Timestamp(seconds) => match DateTime::from_timestamp(*seconds, 0) {
                Some(time) => visitor.visit_string(time.to_rfc3339()),
                None => Err(RowError(format!("{seconds} seconds is no time"))),
            },
            DbValue::Jsonb(bytes) => Cell::json(bytes, |json| json.deserialize_any(visitor)),
            DbValue::ArrayInt32(v) => {
                let number = |v: &i32| Element::Number((*v).into());
                elements(v.iter().map(|v| v.as_ref().map_or(Element::Null, number)), visitor)
            }
            DbValue::ArrayInt64(v) => {
                elements(v.iter().map(|v| v.map_or(Element::Null, Element::Number)), visitor)
            }
            DbValue::ArrayStr(v) | DbValue::ArrayDecimal(v) => {
                let text =
                    |v: &'de Option<String>| v.as_deref().map_or(Element::Null, Element::Text);
                elements(v.iter().map(text), visitor)
            }
            DbValue::DbNull => visitor.visit_unit(),
            DbValue::RangeInt32(_)
            | DbValue::RangeInt64(_)
            | DbValue::RangeDecimal(_)
            | DbValue::Interval(_)
            | DbValue::Unsupported(_) => {
                let kind = &self.column.data_type;
                Err(RowError(format!("{kind:?} is not read here; cast it in the statement")))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.value {
            DbValue::DbNull => visitor.visit_none(),
            DbValue::Jsonb(bytes) if bytes.as_slice() == b"null" => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.value {
            // `Vec<u8>` asks serde for a sequence.
            DbValue::Binary(v) => elements(v.iter().map(|v| Element::Number((*v).into())), visitor),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        match self.value {
            DbValue::Str(word) => visitor.visit_enum(word.as_str().into_deserializer()),
            DbValue::Jsonb(bytes) => {
                Cell::json(bytes, |json| json.deserialize_enum(name, variants, visitor))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

/// An element of an array.
#[derive(Clone, Copy)]
enum Element<'a> {
    Null,
    Number(i64),
    Text(&'a str),
}

fn elements<'de, V: Visitor<'de>>(
    elements: impl Iterator<Item = Element<'de>>,
    visitor: V,
) -> Result<V::Value, RowError> {
    visitor.visit_seq(SeqDeserializer::new(elements))
}

impl<'de> IntoDeserializer<'de, RowError> for Element<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Element<'de> {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self {
            Element::Null => visitor.visit_unit(),
            Element::Number(number) => visitor.visit_i64(number),
            Element::Text(text) => visitor.visit_borrowed_str(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self {
            Element::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        match self {
            Element::Text(word) => visitor.visit_enum(word.into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        seq unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}
