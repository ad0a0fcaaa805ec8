//! One field of a cron expression: values, ranges, lists and steps, as a set of bits.

use crate::CalendarError;
use crate::error::Reading;

/// What one field may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    pub(crate) least: u32,
    pub(crate) most: u32,
    /// Names of the values from `least` on.
    pub(crate) names: &'static [&'static str],
}

pub(crate) const SECOND: Kind = Kind { word: "second", least: 0, most: 59, names: &[] };
pub(crate) const MINUTE: Kind = Kind { word: "minute", least: 0, most: 59, names: &[] };
pub(crate) const HOUR: Kind = Kind { word: "hour", least: 0, most: 23, names: &[] };
pub(crate) const DAY: Kind = Kind { word: "day of month", least: 1, most: 31, names: &[] };
pub(crate) const MONTH: Kind = Kind { word: "month", least: 1, most: 12, names: &MONTHS };
pub(crate) const WEEKDAY: Kind = Kind { word: "day of week", least: 0, most: 7, names: &WEEKDAYS };
pub(crate) const YEAR: Kind = Kind { word: "year", least: 1970, most: 2199, names: &[] };

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A set of values of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Set {
    bits: [u64; 4],
    least: u32,
    /// Whether it was written with `*`, or with a step that runs to the end.
    pub(crate) open: bool,
}

impl Set {
    pub(crate) fn none(kind: Kind) -> Self {
        Self { bits: [0; 4], least: kind.least, open: false }
    }

    pub(crate) fn only(kind: Kind, value: u32) -> Self {
        let mut set = Self::none(kind);
        set.add(value);
        set
    }

    pub(crate) fn add(&mut self, value: u32) {
        let at = (value - self.least) as usize;
        self.bits[at / 64] |= 1 << (at % 64);
    }

    pub(crate) fn has(&self, value: u32) -> bool {
        let Some(at) = value.checked_sub(self.least).map(|at| at as usize) else { return false };
        self.bits.get(at / 64).is_some_and(|bits| bits & (1 << (at % 64)) != 0)
    }

    /// The first value that is not less than `from`.
    pub(crate) fn at_least(&self, from: u32) -> Option<u32> {
        let at = from.saturating_sub(self.least) as usize;
        for (index, bits) in self.bits.iter().enumerate().skip(at / 64) {
            let wanted = if index == at / 64 { bits & (u64::MAX << (at % 64)) } else { *bits };
            if wanted != 0 {
                return Some(self.least + index as u32 * 64 + wanted.trailing_zeros());
            }
        }
        None
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = u32> {
        let mut next = self.at_least(0);
        std::iter::from_fn(move || {
            let value = next?;
            next = self.at_least(value + 1);
            Some(value)
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits == [0; 4]
    }

    /// Whether every value of the kind is in it.
    pub(crate) fn is_full(&self, kind: Kind) -> bool {
        (kind.least..=kind.most).all(|value| self.has(value))
    }
}

/// Reads a list of plain items.
pub(crate) fn list(text: &str, kind: Kind, reading: &Reading<'_>) -> Result<Set, CalendarError> {
    let mut set = Set::none(kind);
    for item in text.split(',') {
        add_item(&mut set, item, kind, reading)?;
    }
    Ok(set)
}

/// Adds `*`, `5`, `1-5`, or one of these with a step.
pub(crate) fn add_item(
    set: &mut Set,
    item: &str,
    kind: Kind,
    reading: &Reading<'_>,
) -> Result<(), CalendarError> {
    if item.is_empty() {
        return Err(reading.wrong(item, format!("a {} is missing", kind.word)));
    }
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let (from, to, open) = span(range, step.is_some(), kind, reading)?;
    let step = match step {
        None => 1,
        Some(step) => match number(step) {
            Some(value) if value >= 1 && value <= kind.most - kind.least + 1 => value,
            _ => {
                let most = kind.most - kind.least + 1;
                let reason = format!("a step of the {} is 1 to {most}", kind.word);
                return Err(reading.wrong(step, reason));
            }
        },
    };
    set.open |= open;
    (from..=to).step_by(step as usize).for_each(|value| set.add(value));
    Ok(())
}

fn span(
    range: &str,
    stepped: bool,
    kind: Kind,
    reading: &Reading<'_>,
) -> Result<(u32, u32, bool), CalendarError> {
    // Both 0 and 7 are Sunday: a star must not count it twice, a range may end with it.
    let most = if kind.word == WEEKDAY.word { 6 } else { kind.most };
    if range == "*" {
        return Ok((kind.least, most, true));
    }
    let Some((from, to)) = range.split_once('-') else {
        let from = value(range, kind, reading)?;
        let to = if stepped { most.max(from) } else { from };
        return Ok((from, to, stepped));
    };
    let first = value(from, kind, reading)?;
    let mut last = value(to, kind, reading)?;
    if kind.word == WEEKDAY.word && last == 0 && first > 0 {
        last = 7;
    }
    if last < first {
        let reason = format!("the {} range ends before it begins; write two ranges", kind.word);
        return Err(reading.wrong(range, reason));
    }
    Ok((first, last, false))
}

/// One value by number or name.
pub(crate) fn value(text: &str, kind: Kind, reading: &Reading<'_>) -> Result<u32, CalendarError> {
    let named = kind.names.iter().position(|name| text.eq_ignore_ascii_case(name));
    let found = named.map(|at| kind.least + at as u32).or_else(|| number(text));
    found.filter(|value| (kind.least..=kind.most).contains(value)).ok_or_else(|| {
        let names = match kind.names {
            [] => String::new(),
            names => format!(" or {} to {}", names[0], names[names.len() - 1]).to_uppercase(),
        };
        let names = names.replace(" OR ", " or ").replace(" TO ", " to ");
        let reason = format!("a {} is {} to {}{names}", kind.word, kind.least, kind.most);
        reading.wrong(text, reason)
    })
}

pub(crate) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
