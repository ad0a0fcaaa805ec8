//! Subtitles as they come (SubRip or WebVTT, in whatever encoding) and as they are shown: WebVTT in
//! UTF-8, with nothing in it but cues, their places and plain marks. Pure.
//!
//! WebVTT: W3C, "The Web Video Text Tracks Format". SubRip has no standard: what is read here is
//! what players read.

mod encoding;
mod marks;
mod time;

use nexus_sdk::prelude::*;

pub use encoding::Encoding;

nexus_sdk::refusals! {
    SubtitleBroken = 422, "this is neither SubRip nor WebVTT";
    SubtitleTooLarge = 413, "subtitles take at most 1 MiB"
}

pub const BYTES_MAX: usize = 1 << 20;
/// A film of three hours has about 3,000.
const CUES_MAX: usize = 20_000;
/// Problems that are told at once.
const PROBLEMS_MAX: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// SubRip.
    Srt,
    /// WebVTT.
    Vtt,
}

impl ToParam for Format {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// Words, and when they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cue {
    start_ms: i64,
    end_ms: i64,
    /// Where on the picture, as WebVTT says it; empty for where they usually are.
    settings: String,
    text: String,
}

/// Subtitles, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtitles {
    pub format: Format,
    pub encoding: Encoding,
    cues: Vec<Cue>,
}

/// What is wrong with a line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    line: usize,
    what: &'static str,
}

const NO_TIME: &str = "a time such as 00:00:01,000 --> 00:00:02,500 is expected";
const BACKWARDS: &str = "it ends before it begins";
const NO_CUES: &str = "there is not one subtitle in it";
const TOO_MANY: &str = "there are more than 20,000 subtitles in it";
const NO_TEXT: &str = "there are bytes in it that are no text";

impl Subtitles {
    /// # Errors
    /// 413 for more than 1 MiB, 422 `subtitle-broken` with the lines that are wrong.
    pub fn read(bytes: &[u8]) -> Result<Subtitles, Refusal> {
        if bytes.len() > BYTES_MAX {
            return Err(SubtitleTooLarge);
        }
        let (text, encoding) =
            encoding::decode(bytes).ok_or_else(|| refuse(&[Problem { line: 1, what: NO_TEXT }]))?;
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines: Vec<&str> = text.split('\n').collect();
        let format = format_of(lines[0]);
        let (mut cues, mut problems) = match format {
            Format::Srt => blocks(&lines, 0, format),
            Format::Vtt => blocks(&lines, header_end(&lines), format),
        };
        if cues.is_empty() && problems.is_empty() {
            problems.push(Problem { line: 1, what: NO_CUES });
        }
        if cues.len() > CUES_MAX {
            problems.push(Problem { line: 1, what: TOO_MANY });
        }
        if !problems.is_empty() {
            return Err(refuse(&problems));
        }
        // A cue begins no earlier than the one before it (WebVTT section 4.1).
        cues.sort_by_key(|cue| (cue.start_ms, cue.end_ms));
        Ok(Subtitles { format, encoding, cues })
    }

    /// As players get it.
    pub fn vtt(&self) -> String {
        let mut vtt = String::from("WEBVTT\n");
        for Cue { start_ms, end_ms, settings, text } in &self.cues {
            let (from, to) = (time::written(*start_ms), time::written(*end_ms));
            let settings = if settings.is_empty() { String::new() } else { format!(" {settings}") };
            vtt += &format!("\n{from} --> {to}{settings}\n{text}\n");
        }
        vtt
    }

    pub fn len(&self) -> usize {
        self.cues.len()
    }

    /// When the last one ends.
    pub fn end_ms(&self) -> i64 {
        self.cues.iter().map(|cue| cue.end_ms).max().unwrap_or(0)
    }
}

fn refuse(problems: &[Problem]) -> Refusal {
    let told = |it: &Problem| format!("line {}: {}", it.line, it.what);
    let told: Vec<String> = problems.iter().take(PROBLEMS_MAX).map(told).collect();
    let refusal = SubtitleBroken.because(told.join("; "));
    let lines = problems.iter().take(PROBLEMS_MAX).map(|problem| problem.line);
    lines.fold(refusal, |refusal, line| refusal.at(format!("line/{line}")))
}

fn format_of(first: &str) -> Format {
    match first.strip_prefix("WEBVTT") {
        Some(rest) if rest.is_empty() || rest.starts_with([' ', '\t']) => Format::Vtt,
        _ => Format::Srt,
    }
}

/// The line after WebVTT's head, which ends with the first empty one.
fn header_end(lines: &[&str]) -> usize {
    lines.iter().position(|line| line.trim().is_empty()).unwrap_or(lines.len())
}

/// What stands between empty lines, from `begin` on.
fn blocks(lines: &[&str], begin: usize, format: Format) -> (Vec<Cue>, Vec<Problem>) {
    let (mut cues, mut problems) = (Vec::new(), Vec::new());
    let mut at = begin;
    while at < lines.len() {
        if lines[at].trim().is_empty() {
            at += 1;
            continue;
        }
        let length = lines[at..].iter().take_while(|line| !line.trim().is_empty()).count();
        match block(&lines[at..at + length], at + 1, format) {
            Ok(cue) => cues.extend(cue),
            Err(problem) => problems.push(problem),
        }
        at += length;
    }
    (cues, problems)
}

/// A cue; none of a comment, a style, or words that are empty.
fn block(lines: &[&str], number: usize, format: Format) -> Result<Option<Cue>, Problem> {
    let beside = ["NOTE", "STYLE", "REGION"];
    let is_word = |word: &&str| lines[0].split([' ', '\t']).next() == Some(word);
    if format == Format::Vtt && beside.iter().any(|word| is_word(&word)) {
        return Ok(None);
    }
    // Before the time stands the cue's number or name, if anything.
    let timed = lines.iter().take(2).position(|line| line.contains("-->"));
    let timed = timed.ok_or(Problem { line: number, what: NO_TIME })?;
    let line = number + timed;
    let (start_ms, end_ms, rest) =
        time::read(lines[timed]).ok_or(Problem { line, what: NO_TIME })?;
    if end_ms < start_ms {
        return Err(Problem { line, what: BACKWARDS });
    }
    let text = marks::clean(&lines[timed + 1..].join("\n"), format);
    if text.is_empty() || end_ms == start_ms {
        return Ok(None);
    }
    let settings = match format {
        Format::Vtt => marks::settings(rest),
        // Points of a picture whose size nobody knows.
        Format::Srt => String::new(),
    };
    Ok(Some(Cue { start_ms, end_ms, settings, text }))
}

#[cfg(test)]
#[path = "subtitle/tests.rs"]
mod tests;
