//! From a Rust value to a PostgreSQL parameter.
//!
//! Knows which of the host's parameter kinds each Rust type is; the column must have exactly
//! that type (`i32` is `int4`, `i64` is `int8`), because nothing is converted on the way.

use chrono::{Datelike, Timelike};
use serde::Serialize;
use spin_sdk::pg::ParameterValue;
use uuid::Uuid;

use crate::extract::Json;
use crate::id::Id;
use crate::problem::Failure;
use crate::time::{Date, Time};

/// A parameter, or why there is none.
pub type Param = Result<ParameterValue, Failure>;

/// A value that a `{placeholder}` of `sql!` can bind.
pub trait ToParam {
    /// The parameter.
    ///
    /// # Errors
    /// A value that cannot be written, such as JSON with keys that are no strings.
    fn to_param(&self) -> Param;
}

/// The word by which serde writes a value, as `text`: one spelling for JSON and SQL.
/// Enums use it: `impl ToParam for State { fn to_param(&self) -> Param { word(self) } }`.
pub fn word<T: Serialize>(value: &T) -> Param {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(ParameterValue::Str(word)),
        Ok(other) => Err(Failure::msg(format!("write a word: serde wrote {other}"))),
        Err(reason) => Err(Failure::new(reason).context("write a word")),
    }
}

macro_rules! to_param {
    ($($rust:ty => |$value:ident| $param:expr),* $(,)?) => {$(
        impl ToParam for $rust {
            fn to_param(&self) -> Param {
                let $value = self;
                Ok($param)
            }
        }
    )*};
}

to_param! {
    bool => |v| ParameterValue::Boolean(*v),
    i16 => |v| ParameterValue::Int16(*v),
    i32 => |v| ParameterValue::Int32(*v),
    i64 => |v| ParameterValue::Int64(*v),
    f32 => |v| ParameterValue::Floating32(*v),
    f64 => |v| ParameterValue::Floating64(*v),
    str => |v| ParameterValue::Str(v.to_owned()),
    String => |v| ParameterValue::Str(v.clone()),
    Uuid => |v| ParameterValue::Uuid(v.to_string()),
    // `timestamptz` and `timestamp` alike: the host treats the tuple as UTC.
    Time => |v| ParameterValue::Datetime((
        v.year(), v.month() as u8, v.day() as u8,
        v.hour() as u8, v.minute() as u8, v.second() as u8, v.nanosecond(),
    )),
    Date => |v| ParameterValue::Date((v.year(), v.month() as u8, v.day() as u8)),
    [u8] => |v| ParameterValue::Binary(v.to_vec()),
    Vec<u8> => |v| ParameterValue::Binary(v.clone()),
    Vec<i32> => |v| ParameterValue::ArrayInt32(v.iter().copied().map(Some).collect()),
    Vec<i64> => |v| ParameterValue::ArrayInt64(v.iter().copied().map(Some).collect()),
    [String] => |v| ParameterValue::ArrayStr(v.iter().cloned().map(Some).collect()),
    Vec<String> => |v| ParameterValue::ArrayStr(v.iter().cloned().map(Some).collect()),
}

/// Ids travel as `text[]`, for want of a uuid array: write `= any({ids}::text[]::uuid[])`.
impl<I: Id> ToParam for Vec<I> {
    fn to_param(&self) -> Param {
        Ok(ParameterValue::ArrayStr(self.iter().map(|id| Some(id.to_string())).collect()))
    }
}

impl<T: ToParam + ?Sized> ToParam for &T {
    fn to_param(&self) -> Param {
        (**self).to_param()
    }
}

impl<T: ToParam> ToParam for Option<T> {
    fn to_param(&self) -> Param {
        self.as_ref().map_or(Ok(ParameterValue::DbNull), ToParam::to_param)
    }
}

/// `jsonb`.
impl<T: Serialize> ToParam for Json<T> {
    fn to_param(&self) -> Param {
        let json = serde_json::to_vec(&self.0);
        json.map(ParameterValue::Jsonb).map_err(|why| Failure::new(why).context("write jsonb"))
    }
}

/// `jsonb`.
impl ToParam for serde_json::Value {
    fn to_param(&self) -> Param {
        Json(self).to_param()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TenantId;

    fn shown(value: impl ToParam) -> String {
        format!("{:?}", value.to_param().unwrap())
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        InReview,
    }

    #[test]
    fn a_rust_type_is_one_kind_of_parameter() {
        let id: TenantId = Uuid::from_u128(1).into();
        for (shown, expected) in [
            (shown(true), "ParameterValue::Boolean(true)"),
            (shown(7_i32), "ParameterValue::Int32(7)"),
            (shown(7_i64), "ParameterValue::Int64(7)"),
            (shown("a"), "ParameterValue::Str(\"a\")"),
            (shown(Some("a".to_owned())), "ParameterValue::Str(\"a\")"),
            (shown(None::<i64>), "ParameterValue::DbNull"),
            (shown(vec!["a".to_owned()]), "ParameterValue::ArrayStr([Some(\"a\")])"),
            (shown(id), "ParameterValue::Uuid(\"00000000-0000-0000-0000-000000000001\")"),
            (shown(Json(vec![1])), "ParameterValue::Jsonb([91, 49, 93])"),
        ] {
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn a_time_is_bound_in_utc_to_the_microsecond() {
        let time: Time = "2026-03-01T23:30:00.5-02:00".parse().unwrap();
        assert_eq!(shown(time), "ParameterValue::Datetime((2026, 3, 2, 1, 30, 0, 500000000))");
    }

    #[test]
    fn an_enum_is_bound_by_the_word_serde_writes_and_only_by_a_word() {
        assert_eq!(format!("{:?}", word(&State::InReview).unwrap()), shown("in_review"));
        assert!(word(&7).is_err());
    }
}
