//! The server's decimals in binary. Refuses to calculate.

use std::fmt::Write as _;

/// `numeric_send`: digits in base 10000, the power of the first, sign, digits after the point.
pub(crate) fn decimal(raw: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u16::from_be_bytes(raw.get(2 * at..2 * at + 2)?.try_into().ok()?));
    let (digits, weight) = (usize::from(word(0)?), i32::from(word(1)?.cast_signed()));
    let (sign, scale) = (word(2)?, usize::from(word(3)?));
    match sign {
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => {}
    }
    let group = |power: i32| -> Option<u16> {
        match usize::try_from(weight - power) {
            Ok(at) if at < digits => word(4 + at),
            _ => Some(0),
        }
    };
    let mut out = String::from(if sign == 0x4000 { "-" } else { "" });
    let start = out.len();
    for power in (0..=weight.max(0)).rev() {
        let group = group(power)?;
        if out.len() == start && power > 0 {
            if group != 0 {
                write!(out, "{group}").ok()?;
            }
        } else if out.len() == start {
            write!(out, "{group}").ok()?;
        } else {
            write!(out, "{group:04}").ok()?;
        }
    }
    if scale > 0 {
        out.push('.');
        let end = out.len() + scale;
        let mut power = -1;
        while out.len() < end {
            write!(out, "{:04}", group(power)?).ok()?;
            power -= 1;
        }
        out.truncate(end);
    }
    Some(out)
}
