//! A guest's `parameter-value`, as PostgreSQL reads it: in binary where the statement wants just
//! that type, as text otherwise, so that the server converts (`'…'` for a uuid, an integer for a
//! numeric) and says itself what it cannot.
//!
//! Refuses to know statements.

use crate::calendar::{date_of, time_of, year_and_era};
use crate::error::BadParameter;
use crate::host::spin::postgres::postgres::{Interval, ParameterValue, RangeBoundKind};
use bytes::{BufMut as _, BytesMut};
use nexus_storage::tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};
use std::error::Error;
use std::fmt::Write as _;

/// One parameter.
#[derive(Debug)]
pub(crate) struct Param(pub(crate) ParameterValue);

impl Param {
    /// Whether the value's own binary form is what the statement expects.
    fn is_native(&self, ty: &Type) -> bool {
        use ParameterValue as P;
        matches!(
            (&self.0, ty),
            (P::Boolean(_), &Type::BOOL)
                | (P::Int8(_), &Type::CHAR)
                | (P::Int16(_), &Type::INT2)
                | (P::Int32(_), &Type::INT4)
                | (P::Int64(_), &Type::INT8)
                | (P::Floating32(_), &Type::FLOAT4)
                | (P::Floating64(_), &Type::FLOAT8)
                | (P::Binary(_), &Type::BYTEA)
                | (P::Interval(_), &Type::INTERVAL)
        )
    }

    fn binary(&self, out: &mut BytesMut) {
        use ParameterValue as P;
        match &self.0 {
            P::Boolean(v) => out.put_u8(u8::from(*v)),
            P::Int8(v) => out.put_i8(*v),
            P::Int16(v) => out.put_i16(*v),
            P::Int32(v) => out.put_i32(*v),
            P::Int64(v) => out.put_i64(*v),
            P::Floating32(v) => out.put_f32(*v),
            P::Floating64(v) => out.put_f64(*v),
            P::Binary(v) => out.put_slice(v),
            P::Interval(v) => {
                out.put_i64(v.micros);
                out.put_i32(v.days);
                out.put_i32(v.months);
            }
            _ => unreachable!("is_native names the cases above"),
        }
    }

    fn text(&self, ty: &Type) -> Result<String, String> {
        use ParameterValue as P;
        Ok(match &self.0 {
            P::Boolean(v) => v.to_string(),
            P::Int8(v) => v.to_string(),
            P::Int16(v) => v.to_string(),
            P::Int32(v) => v.to_string(),
            P::Int64(v) => v.to_string(),
            P::Floating32(v) => v.to_string(),
            P::Floating64(v) => v.to_string(),
            P::Str(v) | P::Uuid(v) | P::Decimal(v) => v.clone(),
            P::Binary(_) => return Err(format!("binary data is not a {}", ty.name())),
            P::Date(v) => date(*v)?,
            P::Time(v) => time(*v)?,
            P::Datetime((year, month, day, hour, minute, second, nanos)) => {
                datetime((*year, *month, *day), (*hour, *minute, *second, *nanos))?
            }
            P::Timestamp(seconds) => timestamp(*seconds, ty)?,
            P::Jsonb(v) => String::from_utf8(v.clone()).map_err(|e| e.to_string())?,
            P::RangeInt32(v) => range(&v.0, &v.1),
            P::RangeInt64(v) => range(&v.0, &v.1),
            P::RangeDecimal(v) => range(&v.0, &v.1),
            P::ArrayInt32(v) => array(v),
            P::ArrayInt64(v) => array(v),
            P::ArrayDecimal(v) | P::ArrayStr(v) => array(v),
            P::Interval(v) => interval(*v),
            P::DbNull => unreachable!("NULL has no text"),
        })
    }
}

impl ToSql for Param {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if matches!(self.0, ParameterValue::DbNull) {
            return Ok(IsNull::Yes);
        }
        if self.is_native(ty) {
            self.binary(out);
            return Ok(IsNull::No);
        }
        // A zero byte ends a text for the server: what stands after it would be dropped.
        let text = self.text(ty).map_err(BadParameter)?;
        if text.contains('\0') {
            return Err(BadParameter("a text cannot hold a zero byte".into()).into());
        }
        out.put_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, ty: &Type) -> Format {
        if self.is_native(ty) { Format::Binary } else { Format::Text }
    }

    to_sql_checked!();
}

fn date((year, month, day): (i32, u8, u8)) -> Result<String, String> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(format!("{year}-{month}-{day} is no date"));
    }
    let (year, era) = year_and_era(year.into());
    Ok(format!("{year:04}-{month:02}-{day:02}{era}"))
}

fn time((hour, minute, second, nanos): (u8, u8, u8, u32)) -> Result<String, String> {
    // 24:00 is the end of a day, 60 a leap second; the server takes both.
    if hour > 24 || minute > 59 || second > 60 || nanos > 999_999_999 {
        return Err(format!("{hour}:{minute}:{second}.{nanos:09} is no time of day"));
    }
    // The server counts microseconds and would round the rest up, into the next second at worst.
    Ok(format!("{hour:02}:{minute:02}:{second:02}.{:06}", nanos / 1000))
}

/// Always UTC, and always said: a column with a zone would otherwise use the session's.
fn datetime(day: (i32, u8, u8), of_day: (u8, u8, u8, u32)) -> Result<String, String> {
    let (date, time) = (date(day)?, time(of_day)?);
    Ok(match date.split_once(' ') {
        Some((date, era)) => format!("{date} {time}+00 {era}"),
        None => format!("{date} {time}+00"),
    })
}

/// Seconds since 1970: a point in time for what holds one, the number itself for what counts.
fn timestamp(seconds: i64, ty: &Type) -> Result<String, String> {
    if !matches!(*ty, Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::DATE | Type::TIME) {
        return Ok(seconds.to_string());
    }
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let year = i32::try_from(year).map_err(|_| format!("{seconds} s is beyond any calendar"))?;
    let (hour, minute, second, _) = time_of(seconds.rem_euclid(86_400) * 1_000_000);
    datetime((year, month, day), (hour, minute, second, 0))
}

fn interval(v: Interval) -> String {
    format!("{} mons {} days {} us", v.months, v.days, v.micros)
}

type Bound<T> = Option<(T, RangeBoundKind)>;

fn range<T: ToString>(lower: &Bound<T>, upper: &Bound<T>) -> String {
    let mut out = String::new();
    match lower {
        Some((value, kind)) => {
            out.push(if *kind == RangeBoundKind::Inclusive { '[' } else { '(' });
            quote(&value.to_string(), &mut out);
        }
        None => out.push('('),
    }
    out.push(',');
    match upper {
        Some((value, kind)) => {
            quote(&value.to_string(), &mut out);
            out.push(if *kind == RangeBoundKind::Inclusive { ']' } else { ')' });
        }
        None => out.push(')'),
    }
    out
}

fn array<T: ToString>(items: &[Option<T>]) -> String {
    let mut out = String::from("{");
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        match item {
            Some(item) => quote(&item.to_string(), &mut out),
            None => out.push_str("NULL"),
        }
    }
    out.push('}');
    out
}

/// Quoted, so that no text is taken for syntax or for NULL (PostgreSQL manual, "Array Input and
/// Output Syntax", and the same rules for ranges).
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.write_char(c).expect("a String takes every character");
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_wherever_it_could_be_syntax() {
        let items = vec![Some("a,b".to_owned()), None, Some("NULL".into()), Some(r#"\"}"#.into())];
        assert_eq!(array(&items), r#"{"a,b",NULL,"NULL","\\\"}"}"#);
        let kind = RangeBoundKind::Inclusive;
        let sly = Some(("1,5),[9".to_owned(), kind));
        assert_eq!(range(&sly, &None::<(String, RangeBoundKind)>), r#"["1,5),[9",)"#);
    }

    #[test]
    fn impossible_dates_are_refused_before_the_server_sees_them() {
        assert!(date((2024, 13, 1)).is_err());
        assert!(time((25, 0, 0, 0)).is_err());
        assert_eq!(date((0, 3, 15)).unwrap(), "0001-03-15 BC");
        assert_eq!(timestamp(-1, &Type::TIMESTAMPTZ).unwrap(), "1969-12-31 23:59:59.000000+00");
    }
}
