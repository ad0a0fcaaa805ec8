//! A value in PostgreSQL's binary format, as a guest's `db-value`. What the interface has no case
//! for comes as text where its text is short and clear, and as its raw bytes otherwise.
//!
//! Formats: the `*_send` functions of PostgreSQL's source. Refuses to know rows and columns.

use crate::calendar::{EPOCH_DAYS, MICROS_PER_DAY, date_of, time_of};
use crate::decimal::decimal;
use crate::host::spin::postgres::postgres::{DbDataType, DbValue, Interval, RangeBoundKind};
use crate::text::text;
use nexus_storage::tokio_postgres::types::{FromSql, Kind, Type};

/// Why a value cannot be handed over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value of type {name} is not as the server describes it")]
pub struct Malformed {
    name: String,
}

/// A column's bytes, whatever its type.
pub(crate) struct Raw<'a>(pub(crate) Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// How a type is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    Binary,
    Date,
    Time,
    Datetime,
    Uuid,
    Json,
    Jsonb,
    Decimal,
    Interval,
    Inet,
    Oid,
    Void,
    RangeInt32,
    RangeInt64,
    RangeDecimal,
    RangeText,
    ArrayInt32,
    ArrayInt64,
    ArrayDecimal,
    ArrayText,
    Opaque,
}

pub(crate) fn shape(of: &Type) -> Shape {
    match *of {
        Type::BOOL => Shape::Bool,
        Type::CHAR => Shape::Int8,
        Type::INT2 => Shape::Int16,
        Type::INT4 => Shape::Int32,
        Type::INT8 => Shape::Int64,
        Type::FLOAT4 => Shape::Float32,
        Type::FLOAT8 => Shape::Float64,
        Type::BYTEA => Shape::Binary,
        Type::DATE => Shape::Date,
        Type::TIME => Shape::Time,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => Shape::Datetime,
        Type::UUID => Shape::Uuid,
        Type::JSON => Shape::Json,
        Type::JSONB => Shape::Jsonb,
        Type::NUMERIC => Shape::Decimal,
        Type::INTERVAL => Shape::Interval,
        Type::INET | Type::CIDR => Shape::Inet,
        Type::OID => Shape::Oid,
        Type::VOID => Shape::Void,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML => {
            Shape::Text
        }
        _ => shape_of_kind(of),
    }
}

fn shape_of_kind(of: &Type) -> Shape {
    match of.kind() {
        Kind::Enum(_) => Shape::Text,
        Kind::Domain(of) => shape(of),
        // An extension's type whose binary form is its text.
        Kind::Simple if of.name() == "citext" => Shape::Text,
        Kind::Array(of) => match shape(of) {
            Shape::Int16 | Shape::Int32 => Shape::ArrayInt32,
            Shape::Int64 | Shape::Oid => Shape::ArrayInt64,
            Shape::Decimal => Shape::ArrayDecimal,
            inner if is_scalar(inner) => Shape::ArrayText,
            _ => Shape::Opaque,
        },
        Kind::Range(of) => match shape(of) {
            Shape::Int32 => Shape::RangeInt32,
            Shape::Int64 => Shape::RangeInt64,
            Shape::Decimal => Shape::RangeDecimal,
            inner if is_scalar(inner) => Shape::RangeText,
            _ => Shape::Opaque,
        },
        _ => Shape::Opaque,
    }
}

/// Whether [`text`] can write it.
fn is_scalar(shape: Shape) -> bool {
    use Shape::*;
    matches!(
        shape,
        Bool | Int8
            | Int16
            | Int32
            | Int64
            | Float32
            | Float64
            | Text
            | Date
            | Time
            | Datetime
            | Uuid
            | Json
            | Jsonb
            | Decimal
            | Inet
            | Oid
    )
}

/// The type of a column, as a guest is told.
pub(crate) fn data_type(of: &Type) -> DbDataType {
    match shape(of) {
        Shape::Bool => DbDataType::Boolean,
        Shape::Int8 => DbDataType::Int8,
        Shape::Int16 => DbDataType::Int16,
        Shape::Int32 => DbDataType::Int32,
        Shape::Int64 | Shape::Oid => DbDataType::Int64,
        Shape::Float32 => DbDataType::Floating32,
        Shape::Float64 => DbDataType::Floating64,
        Shape::Text | Shape::Inet | Shape::RangeText => DbDataType::Str,
        Shape::Binary => DbDataType::Binary,
        Shape::Date => DbDataType::Date,
        Shape::Time => DbDataType::Time,
        Shape::Datetime => DbDataType::Datetime,
        Shape::Uuid => DbDataType::Uuid,
        Shape::Json | Shape::Jsonb => DbDataType::Jsonb,
        Shape::Decimal => DbDataType::Decimal,
        Shape::Interval => DbDataType::Interval,
        Shape::RangeInt32 => DbDataType::RangeInt32,
        Shape::RangeInt64 => DbDataType::RangeInt64,
        Shape::RangeDecimal => DbDataType::RangeDecimal,
        Shape::ArrayInt32 => DbDataType::ArrayInt32,
        Shape::ArrayInt64 => DbDataType::ArrayInt64,
        Shape::ArrayDecimal => DbDataType::ArrayDecimal,
        Shape::ArrayText => DbDataType::ArrayStr,
        Shape::Void | Shape::Opaque => DbDataType::Other(of.name().to_owned()),
    }
}

/// One value.
pub(crate) fn value(of: &Type, raw: Option<&[u8]>) -> Result<DbValue, Malformed> {
    let Some(raw) = raw else { return Ok(DbValue::DbNull) };
    decode(of, raw).ok_or_else(|| Malformed { name: of.name().to_owned() })
}

pub(crate) fn decode(of: &Type, raw: &[u8]) -> Option<DbValue> {
    Some(match shape(of) {
        Shape::Bool => DbValue::Boolean(raw.first()? != &0),
        Shape::Int8 => DbValue::Int8(raw.first()?.cast_signed()),
        Shape::Int16 => DbValue::Int16(i16::from_be_bytes(raw.try_into().ok()?)),
        Shape::Int32 => DbValue::Int32(int32(raw)?),
        Shape::Int64 => DbValue::Int64(int64(raw)?),
        Shape::Oid => DbValue::Int64(i64::from(int32(raw)?.cast_unsigned())),
        Shape::Float32 => DbValue::Floating32(f32::from_be_bytes(raw.try_into().ok()?)),
        Shape::Float64 => DbValue::Floating64(f64::from_be_bytes(raw.try_into().ok()?)),
        Shape::Text | Shape::Inet | Shape::RangeText => DbValue::Str(text(of, raw)?),
        Shape::Binary => DbValue::Binary(raw.to_vec()),
        Shape::Date => match date(int32(raw)?) {
            Some(date) => DbValue::Date(date),
            None => DbValue::Unsupported(raw.to_vec()),
        },
        Shape::Time => DbValue::Time(time_of(int64(raw)?)),
        Shape::Datetime => match datetime(int64(raw)?) {
            Some(datetime) => DbValue::Datetime(datetime),
            None => DbValue::Unsupported(raw.to_vec()),
        },
        Shape::Uuid => DbValue::Uuid(text(of, raw)?),
        Shape::Json => DbValue::Jsonb(raw.to_vec()),
        Shape::Jsonb => DbValue::Jsonb(raw.strip_prefix(&[1])?.to_vec()),
        Shape::Decimal => DbValue::Decimal(decimal(raw)?),
        Shape::Interval => DbValue::Interval(interval(raw)?),
        Shape::Void => DbValue::DbNull,
        Shape::RangeInt32 => DbValue::RangeInt32(range(raw, int32, 0)?),
        Shape::RangeInt64 => DbValue::RangeInt64(range(raw, int64, 0)?),
        Shape::RangeDecimal => DbValue::RangeDecimal(range(raw, decimal, "0".to_owned())?),
        Shape::ArrayInt32 => DbValue::ArrayInt32(array(raw, |raw| match raw.len() {
            2 => Some(i32::from(i16::from_be_bytes(raw.try_into().ok()?))),
            _ => int32(raw),
        })?),
        Shape::ArrayInt64 => DbValue::ArrayInt64(array(raw, |raw| match raw.len() {
            4 => Some(i64::from(int32(raw)?.cast_unsigned())),
            _ => int64(raw),
        })?),
        Shape::ArrayDecimal => DbValue::ArrayDecimal(array(raw, decimal)?),
        Shape::ArrayText => {
            let element = element(of)?;
            DbValue::ArrayStr(array(raw, |raw| text(element, raw))?)
        }
        Shape::Opaque => DbValue::Unsupported(raw.to_vec()),
    })
}

pub(crate) fn int32(raw: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(raw.try_into().ok()?))
}

pub(crate) fn int64(raw: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(raw.try_into().ok()?))
}

pub(crate) fn element(of: &Type) -> Option<&Type> {
    match of.kind() {
        Kind::Array(inner) | Kind::Range(inner) => Some(inner),
        Kind::Domain(inner) => element(inner),
        _ => None,
    }
}

pub(crate) type Date = (i32, u8, u8);
type Datetime = (i32, u8, u8, u8, u8, u8, u32);

/// None for the infinities, which no calendar holds.
fn date(days: i32) -> Option<Date> {
    if days == i32::MAX || days == i32::MIN {
        return None;
    }
    let (year, month, day) = date_of(i64::from(days) + EPOCH_DAYS);
    Some((i32::try_from(year).ok()?, month, day))
}

fn datetime(micros: i64) -> Option<Datetime> {
    if micros == i64::MAX || micros == i64::MIN {
        return None;
    }
    let (year, month, day) = date_of(micros.div_euclid(MICROS_PER_DAY) + EPOCH_DAYS);
    let (hour, minute, second, nanos) = time_of(micros.rem_euclid(MICROS_PER_DAY));
    Some((i32::try_from(year).ok()?, month, day, hour, minute, second, nanos))
}

fn interval(raw: &[u8]) -> Option<Interval> {
    let (micros, rest) = raw.split_at_checked(8)?;
    let (days, months) = rest.split_at_checked(4)?;
    Some(Interval { micros: int64(micros)?, days: int32(days)?, months: int32(months)? })
}

pub(crate) type Bound<T> = Option<(T, RangeBoundKind)>;

/// `range_send`: flags, then each finite bound with its length. The empty range, for which the
/// interface has no case, is (0, 0): nothing lies between a number and itself.
pub(crate) fn range<T: Clone>(
    raw: &[u8],
    bound: impl Fn(&[u8]) -> Option<T>,
    zero: T,
) -> Option<(Bound<T>, Bound<T>)> {
    const EMPTY: u8 = 0x01;
    let (flags, mut rest) = raw.split_first()?;
    if flags & EMPTY != 0 {
        let nothing = (zero, RangeBoundKind::Exclusive);
        return Some((Some(nothing.clone()), Some(nothing)));
    }
    let mut next = |infinite: u8, inclusive: u8| -> Option<Bound<T>> {
        if flags & infinite != 0 {
            return Some(None);
        }
        let kind = match flags & inclusive != 0 {
            true => RangeBoundKind::Inclusive,
            false => RangeBoundKind::Exclusive,
        };
        Some(Some((bound(sized(&mut rest)??)?, kind)))
    };
    Some((next(0x08, 0x02)?, next(0x10, 0x04)?))
}

/// A length and as many bytes; a negative length is NULL.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (length, after) = rest.split_at_checked(4)?;
    let Ok(length) = usize::try_from(int32(length)?) else {
        *rest = after;
        return Some(None);
    };
    let (bytes, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(Some(bytes))
}

/// `array_send`. Arrays of several dimensions come as one list, row by row.
fn array<T>(raw: &[u8], item: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<Option<T>>> {
    let dimensions = usize::try_from(int32(raw.get(..4)?)?).ok()?;
    let mut count = usize::from(dimensions > 0);
    for n in 0..dimensions {
        let at = 12 + 8 * n;
        count = count.checked_mul(usize::try_from(int32(raw.get(at..at + 4)?)?).ok()?)?;
    }
    let mut rest = raw.get(12 + 8 * dimensions..)?;
    // Each item has a length of four bytes: what claims more items than that lies.
    if count > rest.len() / 4 {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(match sized(&mut rest)? {
            Some(bytes) => Some(item(bytes)?),
            None => None,
        });
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            for of in [
                Type::BOOL, Type::INT4, Type::NUMERIC, Type::DATE, Type::TIME, Type::TIMESTAMPTZ,
                Type::UUID, Type::JSONB, Type::INTERVAL, Type::INET, Type::INT4_RANGE,
                Type::NUM_RANGE, Type::TS_RANGE, Type::INT4_ARRAY, Type::NUMERIC_ARRAY,
                Type::TEXT_ARRAY, Type::UUID_ARRAY, Type::DATE_ARRAY, Type::VOID, Type::POINT,
            ] {
                drop(value(&of, Some(&raw)));
            }
        }
    }

    #[test]
    fn an_array_that_claims_more_than_it_holds_is_malformed() {
        let mut raw = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23];
        raw.extend([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]);
        assert!(value(&Type::INT4_ARRAY, Some(&raw)).is_err());
    }
}
