//! Scalars as PostgreSQL writes them, for the arrays and ranges that the interface only has for
//! text. Refuses to know which values those are.

use crate::calendar::year_and_era;
use crate::decode::{Date, Shape, decode, element, int32, int64, range, shape};
use crate::host::spin::postgres::postgres::{DbValue, RangeBoundKind};
use nexus_storage::tokio_postgres::types::Type;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A scalar as PostgreSQL would write it.
pub(crate) fn text(of: &Type, raw: &[u8]) -> Option<String> {
    Some(match decode_scalar(of, raw)? {
        DbValue::Boolean(v) => v.to_string(),
        DbValue::Int8(v) => char::from(v.cast_unsigned()).to_string(),
        DbValue::Int16(v) => v.to_string(),
        DbValue::Int32(v) => v.to_string(),
        DbValue::Int64(v) => v.to_string(),
        DbValue::Floating32(v) => v.to_string(),
        DbValue::Floating64(v) => v.to_string(),
        DbValue::Str(v) | DbValue::Decimal(v) => v,
        DbValue::Jsonb(v) => String::from_utf8(v).ok()?,
        DbValue::Date(date) => date_text(date),
        DbValue::Time(time) => time_text(time),
        DbValue::Datetime((year, month, day, hour, minute, second, nanos)) => {
            let date = date_text((year, month, day));
            let (date, era) = date.split_once(' ').unwrap_or((&date, ""));
            let zone = if *of == Type::TIMESTAMPTZ { "+00" } else { "" };
            let space = if era.is_empty() { "" } else { " " };
            format!("{date} {}{zone}{space}{era}", time_text((hour, minute, second, nanos)))
        }
        _ => return None,
    })
}

fn decode_scalar(of: &Type, raw: &[u8]) -> Option<DbValue> {
    Some(match shape(of) {
        Shape::Text => DbValue::Str(std::str::from_utf8(raw).ok()?.to_owned()),
        Shape::Uuid => DbValue::Str(uuid::Uuid::from_slice(raw).ok()?.to_string()),
        Shape::Inet => DbValue::Str(inet(raw)?),
        Shape::RangeText => DbValue::Str(range_text(element(of)?, raw)?),
        Shape::Date if int32(raw)? == i32::MAX => DbValue::Str("infinity".into()),
        Shape::Date if int32(raw)? == i32::MIN => DbValue::Str("-infinity".into()),
        Shape::Datetime if int64(raw)? == i64::MAX => DbValue::Str("infinity".into()),
        Shape::Datetime if int64(raw)? == i64::MIN => DbValue::Str("-infinity".into()),
        _ => decode(of, raw)?,
    })
}

fn date_text((year, month, day): Date) -> String {
    let (year, era) = year_and_era(year.into());
    format!("{year:04}-{month:02}-{day:02}{era}")
}

fn time_text((hour, minute, second, nanos): (u8, u8, u8, u32)) -> String {
    let whole = format!("{hour:02}:{minute:02}:{second:02}");
    if nanos == 0 {
        return whole;
    }
    let fraction = format!("{:06}", nanos / 1000);
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

fn range_text(of: &Type, raw: &[u8]) -> Option<String> {
    if raw.first()? & 0x01 != 0 {
        return Some("empty".into());
    }
    let (lower, upper) = range(raw, |raw| text(of, raw), String::new())?;
    let quoted = |bound: &str| match bound.contains([' ', ',', '"', '\\', '(', ')', '[', ']']) {
        true => format!("\"{}\"", bound.replace('\\', "\\\\").replace('"', "\"\"")),
        false => bound.to_owned(),
    };
    let opening = match &lower {
        Some((value, RangeBoundKind::Inclusive)) => format!("[{}", quoted(value)),
        Some((value, RangeBoundKind::Exclusive)) => format!("({}", quoted(value)),
        None => "(".into(),
    };
    Some(match &upper {
        Some((value, RangeBoundKind::Inclusive)) => format!("{opening},{}]", quoted(value)),
        Some((value, RangeBoundKind::Exclusive)) => format!("{opening},{})", quoted(value)),
        None => format!("{opening},)"),
    })
}

/// `network_send`: family, bits of the mask, whether it is a cidr, length, address.
fn inet(raw: &[u8]) -> Option<String> {
    let [_, bits, is_cidr, _, address @ ..] = raw else { return None };
    let (address, full) = match address.len() {
        4 => (Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(), 32),
        16 => (Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(), 128),
        _ => return None,
    };
    let masked = *is_cidr != 0 || *bits != full;
    Some(if masked { format!("{address}/{bits}") } else { address })
}
