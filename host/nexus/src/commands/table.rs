//! Answers for people: columns that line up, ages in words. What stands in a message may come from
//! anybody, so nothing of it reaches a terminal as a command.

use super::Failure;
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde_json::Value;
use std::io::{ErrorKind, Write as _};

/// Cells of prose are cut here; `--json` has all of it.
const CELL_CHARS_MAX: usize = 60;

/// Columns with a head each; numbers stand at the right.
pub(super) struct Table {
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns by name; those that begin with `#` are numbers.
    pub(super) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('#') {
            Some(name) => (name, true),
            None => (*name, false),
        };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| shown(cell, CELL_CHARS_MAX)).collect());
    }

    pub(super) fn render(&self) -> String {
        let heads = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        let lines: Vec<&Vec<String>> = std::iter::once(&heads).chain(&self.rows).collect();
        let width = |at: usize| {
            let cells = lines.iter().filter_map(|line| line.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in lines {
            let cells = line.iter().zip(&widths).zip(&self.columns);
            let cells = cells.map(|((cell, width), (_, number))| match number {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

/// Names and values, one a line.
pub(super) fn pairs(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<width$}  {}\n", shown(value, usize::MAX))).collect()
}

/// One line of text, whatever is in it.
pub(super) fn line(text: &str) -> String {
    shown(text, usize::MAX)
}

/// Without line ends and control characters, and cut.
fn shown(text: &str, most: usize) -> String {
    let plain = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    let plain = plain.map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut cut: String = plain.clone().take(most).collect();
    if plain.count() > most {
        cut.pop();
        cut.push('…');
    }
    cut
}

/// A cell: text as it is, numbers in digits, nothing for null.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How long ago an instant was, or how far it is ahead.
pub(super) fn age(instant: &Value, now: Timestamp) -> String {
    let Some(at) = instant.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return String::new();
    };
    let seconds = now.as_second() - at.as_second();
    match seconds {
        ..0 => format!("in {}", span(seconds.unsigned_abs())),
        _ => format!("{} ago", span(seconds.unsigned_abs())),
    }
}

/// Seconds in the largest unit that tells something.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// An instant as the API wants it, from one or from an age such as `15m`.
pub(super) fn instant(text: &str, now: Timestamp) -> Result<String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.to_string());
    }
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let unit = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => bail!("{text} is no instant: write 2027-01-31T03:15:00Z, or an age such as 15m or 7d"),
    };
    let number: i64 = number.parse().with_context(|| format!("{text} is no age"))?;
    let at = number.checked_mul(unit).and_then(|ago| now.as_second().checked_sub(ago));
    let at = at.and_then(|second| Timestamp::from_second(second).ok());
    Ok(at.with_context(|| format!("{text} is too long ago"))?.to_string())
}

/// As [`instant`], for an option.
pub(super) fn instant_of(
    option: Option<&String>,
    now: Timestamp,
) -> Result<Option<String>, Failure> {
    option.map(|text| instant(text, now)).transpose().map_err(Failure::Setting)
}

/// Writes an answer. Whoever stops reading has read enough.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Other(anyhow::Error::new(error).context("write the answer")))
        }
        _ => Ok(()),
    }
}

/// The answer of the API itself.
pub(super) fn say_json(value: &Value) -> Result<(), Failure> {
    say(&format!("{value:#}\n"))
}

/// A list: the table, or a word when it is empty, and how to see more.
pub(super) fn say_list(table: &Table, nothing: &str, cursor: &Value) -> Result<(), Failure> {
    if table.rows.is_empty() {
        eprintln!("{nothing}");
    } else {
        say(&table.render())?;
    }
    if let Some(cursor) = cursor.as_str() {
        eprintln!("more: --cursor '{}'", shown(cursor, usize::MAX));
    }
    Ok(())
}

/// The entries of a list of the API; none where it is no list.
pub(super) fn list_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_at_the_right() {
        let mut table = Table::new(&["QUEUE", "#READY", "STATE"]);
        table.row(vec!["catalog".into(), "7".into(), "paused".into()]);
        table.row(vec!["a".into(), "1200".into(), String::new()]);
        let lines = "QUEUE    READY  STATE\ncatalog      7  paused\na         1200\n";
        assert_eq!(table.render(), lines);
    }

    #[test]
    fn nothing_in_a_message_steers_a_terminal() {
        let mut table = Table::new(&["REASON"]);
        table.row(vec!["\u{1b}[2Jgone\r\n\u{9b}31m".into()]);
        table.row(vec!["x".repeat(100)]);
        let text = table.render();
        assert!(text.contains("\u{fffd}[2Jgone  \u{fffd}31m\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= CELL_CHARS_MAX));
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn ages_are_words() {
        let now: Timestamp = "2027-01-31T03:15:00Z".parse().unwrap();
        for (at, words) in [
            ("2027-01-31T03:15:00Z", "0 s ago"),
            ("2027-01-31T03:13:30.5Z", "90 s ago"),
            ("2027-01-31T03:00:00Z", "15 min ago"),
            ("2027-01-30T03:15:00Z", "24 h ago"),
            ("2027-01-01T03:15:00Z", "30 days ago"),
            ("2027-01-31T03:20:00Z", "in 5 min"),
            ("never", ""),
        ] {
            assert_eq!(age(&at.into(), now), words, "{at}");
        }
    }

    #[test]
    fn an_instant_is_also_an_age() {
        let now: Timestamp = "2027-01-31T03:15:00Z".parse().unwrap();
        assert_eq!(instant("2h", now).unwrap(), "2027-01-31T01:15:00Z");
        assert_eq!(instant("7d", now).unwrap(), "2027-01-24T03:15:00Z");
        assert_eq!(instant("2027-01-31T04:15:00+01:00", now).unwrap(), "2027-01-31T03:15:00Z");
        for wrong in ["", "yesterday", "7", "d", "7w", "9223372036854775807d", "2027-01-31"] {
            assert!(instant(wrong, now).is_err(), "{wrong}");
        }
    }
}
