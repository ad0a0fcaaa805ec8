//! Marks within words (`<i>`, `<b>`, `<u>`, who speaks) and where on the picture they stand. What
//! is not known is left out, so that nothing reaches a page that a page would act upon. Pure.

use super::Format;

/// Marks of WebVTT (section 3.5) that keep their name; SubRip has the first three.
const KNOWN: [&str; 8] = ["b", "i", "u", "c", "v", "lang", "ruby", "rt"];
const OF_SRT: usize = 3;
/// Characters that WebVTT writes by name.
const NAMED: [&str; 6] = ["&amp;", "&lt;", "&gt;", "&nbsp;", "&lrm;", "&rlm;"];
/// What a cue may say of its place (section 3.4).
const SETTINGS: [&str; 5] = ["vertical", "line", "position", "size", "align"];
const WORD_MAX: usize = 80;

/// Words with marks that are known and closed.
pub fn clean(text: &str, format: Format) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let read = match c {
            '<' => mark(rest, format, &mut open, &mut cleaned),
            '{' if format == Format::Srt => placed(rest),
            '&' => NAMED.iter().find(|it| rest.starts_with(**it)).map(|it| {
                cleaned.push_str(it);
                it.len()
            }),
            _ => None,
        };
        match (read, c) {
            (Some(_), _) => {}
            (None, '<') => cleaned.push_str("&lt;"),
            (None, '>') => cleaned.push_str("&gt;"),
            (None, '&') => cleaned.push_str("&amp;"),
            (None, c) => cleaned.push(c),
        }
        rest = &rest[read.unwrap_or(c.len_utf8())..];
    }
    while let Some(name) = open.pop() {
        cleaned += &format!("</{name}>");
    }
    let lines = cleaned.lines().map(str::trim).filter(|line| !line.is_empty());
    let cleaned = lines.collect::<Vec<_>>().join("\n");
    if has_words(&cleaned) { cleaned } else { String::new() }
}

/// Whether there is anything to read beside the marks.
fn has_words(text: &str) -> bool {
    let mut within = false;
    text.chars().any(|c| {
        match c {
            '<' => within = true,
            '>' => within = false,
            c if !within && !c.is_whitespace() => return true,
            _ => {}
        }
        false
    })
}

/// Takes the mark that `rest` begins with; what is no mark is none of its characters.
fn mark<'a>(
    rest: &'a str,
    format: Format,
    open: &mut Vec<&'a str>,
    cleaned: &mut String,
) -> Option<usize> {
    let end = rest.find('>')?;
    let within = &rest[1..end];
    let (closes, named) = match within.strip_prefix('/') {
        Some(named) => (true, named),
        None => (false, within),
    };
    let looks = named.starts_with(|c: char| c.is_ascii_alphanumeric()) || named.is_empty();
    if !looks || within.contains('<') {
        return None;
    }
    let parts = named.split_once([' ', '\t', '\n']).unwrap_or((named, ""));
    let (name, classes) = parts.0.split_once('.').unwrap_or((parts.0, ""));
    let known = if format == Format::Srt { &KNOWN[..OF_SRT] } else { &KNOWN[..] };
    let known = known.iter().find(|it| it.eq_ignore_ascii_case(name));
    let Some(name) = known else { return Some(end + 1) };
    if closes {
        // What was begun since is closed with it.
        if let Some(at) = open.iter().rposition(|it| it == name) {
            for name in open.drain(at..).rev() {
                *cleaned += &format!("</{name}>");
            }
        }
        return Some(end + 1);
    }
    open.push(name);
    let said = matches!(*name, "v" | "lang").then(|| spoken(parts.1)).unwrap_or_default();
    *cleaned += &format!("<{name}{}{said}>", classed(classes));
    Some(end + 1)
}

/// Classes of plain letters, as they are.
fn classed(classes: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let fits = |class: &&str| (1..=WORD_MAX).contains(&class.len()) && class.chars().all(plain);
    classes.split('.').filter(fits).map(|class| format!(".{class}")).collect()
}

/// Who speaks, or in which language.
fn spoken(annotation: &str) -> String {
    let plain = |c: &char| !matches!(c, '&' | '<' | '>' | '"' | '\n');
    let said: String = annotation.trim().chars().filter(plain).take(WORD_MAX).collect();
    let said = said.trim();
    if said.is_empty() { String::new() } else { format!(" {said}") }
}

/// `{\an8}` and the like, which SubRip has from another format.
fn placed(rest: &str) -> Option<usize> {
    let is_order = rest.starts_with("{\\");
    let end = rest.find('}').filter(|end| is_order && *end <= WORD_MAX)?;
    Some(end + 1)
}

/// Places that are known, each once.
pub fn settings(told: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for setting in told.split([' ', '\t']) {
        let Some((name, value)) = setting.split_once(':') else { continue };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ',' | '%' | '-');
        let fits = (1..=30).contains(&value.len()) && value.chars().all(plain);
        let twice = kept.iter().any(|it| it.split(':').next() == Some(name));
        if SETTINGS.contains(&name) && fits && !twice {
            kept.push(setting);
        }
    }
    kept.join(" ")
}
