//! What can be wrong with an expression, in words that say what to write instead.

/// Longer parts are cut in messages.
const PART_CHARS_MAX: usize = 40;

/// Why an expression is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    #[error("`{part}` at character {}: {reason}; write for example `{example}`", .at + 1)]
    Expression {
        /// The piece that is wrong.
        part: String,
        /// Where it begins, in characters from 0.
        at: usize,
        reason: String,
        /// A whole expression that is right.
        example: &'static str,
    },
    #[error("`{zone}` is not a time zone; write for example `Europe/Berlin` or `UTC`")]
    Zone { zone: String },
    #[error("an expression takes at most {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the end must be after the start")]
    Bounds,
}

/// The text being read, for messages with a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) whole: &'a str,
    pub(crate) example: &'static str,
}

impl Reading<'_> {
    /// An error about `part`, which is a slice of the whole text or any other words.
    pub(crate) fn wrong(&self, part: &str, reason: impl Into<String>) -> CalendarError {
        let start = self.whole.as_ptr() as usize;
        let inside = (start..=start + self.whole.len()).contains(&(part.as_ptr() as usize));
        let bytes = if inside { crate::offset_in(self.whole, part) } else { 0 };
        let before = self.whole.get(..bytes).unwrap_or_default();
        located(part, before.chars().count(), reason, self.example)
    }
}

pub(crate) fn located(
    part: &str,
    at: usize,
    reason: impl Into<String>,
    example: &'static str,
) -> CalendarError {
    let mut shown: String = part.chars().take(PART_CHARS_MAX).collect();
    if shown.len() < part.len() {
        shown.push('…');
    }
    CalendarError::Expression { part: shown, at, reason: reason.into(), example }
}

pub(crate) fn no_zone(name: &str) -> CalendarError {
    CalendarError::Zone { zone: name.chars().take(PART_CHARS_MAX).collect() }
}
