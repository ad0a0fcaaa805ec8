//! What is written as lines or with commas in a form, and what services want of it. Pure: reads
//! what people write, says what it could not read.

use super::{Credit, Cue, Right};
use nexus_sdk::prelude::*;

/// "drama, sea" as a list, without blanks and repetitions.
pub fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

/// A line each: "director: A. B.".
///
/// # Errors
/// The line that has no colon.
pub fn credits(text: &str) -> Result<Vec<Credit>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (role, person) = line.split_once(':').ok_or_else(|| {
                format!("Write “{line}” as role: person, such as director: Agnès Varda.")
            })?;
            Ok(Credit { role: role.trim().to_owned(), person: person.trim().to_owned() })
        })
        .collect()
}

pub fn credits_text(credits: &[Credit]) -> String {
    lines(credits.iter().map(|credit| format!("{}: {}", credit.role, credit.person)))
}

/// A line each: "intro 0:05 0:35".
///
/// # Errors
/// The line that is none.
pub fn cues(text: &str) -> Result<Vec<Cue>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| cue(line).ok_or_else(|| format!("Write “{line}” as intro 0:05 0:35.")))
        .collect()
}

fn cue(line: &str) -> Option<Cue> {
    let mut words = line.split([' ', '\t', '-', '–']).filter(|word| !word.is_empty());
    let (kind, start, end) = (words.next()?, words.next()?, words.next()?);
    let is_known = matches!(kind, "intro" | "recap" | "credits");
    let rest = words.next().is_none();
    let (start_ms, end_ms) = (instant(start)?, instant(end)?);
    (is_known && rest && start_ms < end_ms).then(|| Cue { kind: kind.into(), start_ms, end_ms })
}

/// "1:02:03" or "2:03" or "2:03.5" in milliseconds.
fn instant(text: &str) -> Option<i64> {
    let parts: Vec<_> = text.split(':').collect();
    let (seconds, whole) = parts.split_last()?;
    let seconds: f64 = seconds.parse().ok().filter(|seconds| (0.0..60.0).contains(seconds))?;
    let mut minutes = 0_i64;
    if whole.is_empty() || whole.len() > 2 {
        return None;
    }
    for part in whole {
        let part: i64 = part.parse().ok().filter(|part| (0..1000).contains(part))?;
        minutes = minutes * 60 + part;
    }
    Some(minutes * 60_000 + (seconds * 1000.0).round() as i64)
}

pub fn cues_text(cues: &[Cue]) -> String {
    let at = |ms: i64| {
        let (seconds, rest) = (ms / 1000, ms % 1000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let rest = match rest {
            0 => String::new(),
            rest => format!(".{rest:03}").trim_end_matches('0').to_owned(),
        };
        match hours {
            0 => format!("{minutes}:{seconds:02}{rest}"),
            _ => format!("{hours}:{minutes:02}:{seconds:02}{rest}"),
        }
    };
    lines(cues.iter().map(|cue| format!("{} {} {}", cue.kind, at(cue.start_ms), at(cue.end_ms))))
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// `2026-03-12T10:00` of a browser's control, taken as UTC.
pub fn moment(text: &str) -> Result<Option<Time>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    // A control that knows seconds writes them.
    let whole = if text.len() == 16 { format!("{text}:00Z") } else { format!("{text}Z") };
    whole.parse().map(Some).map_err(|_| "That is no day and time.".to_owned())
}

/// A moment as a browser's control takes it.
pub fn moment_text(at: Option<Time>) -> String {
    at.map(|at| at.format("%Y-%m-%dT%H:%M").to_string()).unwrap_or_default()
}

/// One window of rights out of its three fields; none where nothing was written.
///
/// # Errors
/// Which day is none.
pub fn right(territories: &str, from: &str, until: &str) -> Result<Option<Right>, String> {
    let places: Vec<_> = words(&territories.replace(' ', ",")).into_iter().map(country).collect();
    if places.is_empty() && from.is_empty() && until.is_empty() {
        return Ok(None);
    }
    let everywhere = vec!["*".to_owned()];
    let territories = if places.is_empty() { everywhere } else { places };
    Ok(Some(Right { territories, from: moment(from)?, until: moment(until)? }))
}

fn country(word: String) -> String {
    match word.to_lowercase().as_str() {
        "everywhere" | "worldwide" | "world" => "*".into(),
        _ => word.to_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_with_commas_is_a_list_without_repetitions() {
        assert_eq!(words(" drama, sea ,,drama"), ["drama", "sea"]);
        assert!(words(" , ").is_empty());
    }

    #[test]
    fn credits_go_to_a_form_and_come_back() {
        let read = credits("director: A. B.\n\n  cast : C: D\n").unwrap();
        assert_eq!(credits_text(&read), "director: A. B.\ncast: C: D");
        assert!(credits("nobody").unwrap_err().contains("“nobody”"));
    }

    #[test]
    fn marks_go_to_a_form_and_come_back() {
        let text = "intro 0:05 0:35.5\ncredits 1:02:03 1:03:00";
        let read = cues(text).unwrap();
        assert_eq!((read[0].start_ms, read[0].end_ms), (5_000, 35_500));
        assert_eq!(cues_text(&read), text);
        assert_eq!(cues("intro 0:05 - 0:35").unwrap().len(), 1);
        for odd in ["intro", "intro 5 35", "intro 0:35 0:05", "outro 0:05 0:35", "intro 0:61 2:00"]
        {
            assert!(cues(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_moment_is_read_as_the_browser_writes_it() {
        let at = moment("2026-03-12T10:00").unwrap();
        assert_eq!(moment_text(at), "2026-03-12T10:00");
        assert_eq!(
            moment("2026-03-12T10:00:30").unwrap().unwrap().to_rfc3339(),
            "2026-03-12T10:00:30+00:00"
        );
        assert_eq!(moment("").unwrap(), None);
        assert!(moment("tomorrow").is_err());
    }

    #[test]
    fn rights_without_a_place_are_for_everywhere() {
        let read = right("", "2026-03-12T10:00", "").unwrap().unwrap();
        assert_eq!(read.territories, ["*"]);
        assert_eq!(right("de, at", "", "").unwrap().unwrap().territories, ["DE", "AT"]);
        assert_eq!(right("everywhere", "", "").unwrap().unwrap().territories, ["*"]);
        assert_eq!(right("", "", "").unwrap(), None);
    }
}
