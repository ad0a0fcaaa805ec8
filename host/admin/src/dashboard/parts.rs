//! What pages have in common: badges, times, tables in a frame, sparklines, forms that order
//! something, and the words where there is nothing or something is wrong.

use super::Visit;
use http::StatusCode;
use jiff::Timestamp;
use maud::{Markup, Render, html};
use nexus_runtime::Problem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::time::SystemTime;

/// What stays as it is in one piece of a path.
const PIECE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A name as one piece of a path.
pub(super) fn piece(name: &str) -> String {
    utf8_percent_encode(name, PIECE).to_string()
}

/// A member's text; empty when it has none.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// A member as a person reads it.
pub(super) fn cell(value: &Value, name: &str) -> String {
    match &value[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The rows of a list.
pub(super) fn rows<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How long ago, with the instant itself for whoever points at it.
pub(super) fn when(value: &Value, name: &str) -> Markup {
    let Some(at) = value[name].as_str() else { return html! { span.soft { "–" } } };
    let Ok(instant) = at.parse::<Timestamp>() else { return html! { (at) } };
    html! { time datetime=(at) title=(at) { (distance(instant, Timestamp::now())) } }
}

/// The instant by a clock of UTC.
pub(super) fn clock(at: &str) -> Markup {
    let Ok(instant) = at.parse::<Timestamp>() else { return html! { (at) } };
    html! { time datetime=(at) title=(at) { (instant.strftime("%H:%M:%S%.3f").to_string()) } }
}

/// How long a member's instant is past, in words without "ago"; None where there is none.
pub(super) fn moment(value: &Value, name: &str) -> Option<String> {
    let at: Timestamp = value[name].as_str()?.parse().ok()?;
    let words = distance(at, Timestamp::now());
    Some(if words == "now" { "a moment".into() } else { words.trim_end_matches(" ago").into() })
}

fn distance(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let words = match seconds.unsigned_abs() {
        0..=4 => return "now".into(),
        n @ 5..60 => format!("{n} s"),
        n @ 60..3_600 => format!("{} min", n / 60),
        n @ 3_600..172_800 => format!("{} h", n / 3_600),
        n => format!("{} days", n / 86_400),
    };
    if seconds >= 0 { format!("{words} ago") } else { format!("in {words}") }
}

/// The host's own clock as the pages write it.
pub(super) fn since(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or_default();
    distance(at, Timestamp::now()).trim_end_matches(" ago").to_owned()
}

/// A state in the colour that it has everywhere.
pub(super) fn badge(word: &str) -> Markup {
    let class = match word {
        "active" | "ok" | "done" | "succeeded" | "healthy" | "ready" | "valid" | "met" | "open"
        | "applied" => "good",
        "failed" | "dead" | "inactive" | "aborted" | "rolled_back" | "invalid" | "untrusted"
        | "error" | "closed" => "bad",
        "paused" | "refused" | "waiting" | "draining" | "cancelled" | "held" | "staged"
        | "missing" | "behind" | "rolling_back" | "unsigned" | "retired" => "warn",
        "running" | "leased" | "due" | "queued" | "verifying" | "compiling" | "migrating"
        | "probing" | "stepping" | "promoting" | "counting" => "plain",
        _ => "",
    };
    html! { span.badge.(class) { (word.replace('_', " ")) } }
}

/// Bytes as a person reads them.
pub(super) fn size(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.1} MiB") }
}

/// Milliseconds as a person reads them.
pub(super) fn ms(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1000.0),
    }
}

/// A line of what was, newest at the right; said in words beside it.
pub(super) fn sparkline(values: &[f64]) -> Markup {
    // A tenth of a call a second is the least that is worth a hill.
    let most = values.iter().copied().fold(0.1_f64, f64::max);
    let last = values.len().saturating_sub(1).max(1) as f64;
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            format!("{:.1},{:.1}", index as f64 / last * 118.0 + 1.0, 23.0 - value / most * 21.0)
        })
        .collect();
    html! {
        svg.spark viewBox="0 0 120 24" preserveAspectRatio="none" aria-hidden="true" {
            @if values.len() > 1 {
                polyline points=(points.join(" ")) fill="none" stroke="currentColor"
                    stroke-width="1.6" stroke-linejoin="round"
                    vector-effect="non-scaling-stroke" {}
            }
        }
    }
}

/// A table that scrolls by itself where it is too wide, also by keyboard.
pub(super) fn table(label: &str, head: &[&str], body: &Markup) -> Markup {
    html! {
        div.scroll role="group" aria-label=(label) tabindex="0" {
            table {
                thead { tr {
                    @for name in head {
                        @if let Some(name) = name.strip_prefix('#') {
                            th.n scope="col" { (name) }
                        } @else if name.is_empty() {
                            td {}
                        } @else {
                            th scope="col" { (name) }
                        }
                    }
                } }
                tbody { (body) }
            }
        }
    }
}

/// There is nothing, and that is well.
pub(super) fn nothing(words: &str) -> Markup {
    html! { p.nothing { (words) } }
}

/// Something could not be had; the page stands.
pub(super) fn trouble(problem: &Problem) -> Markup {
    let waits = problem.status == StatusCode::SERVICE_UNAVAILABLE;
    html! {
        div.notice.(if waits { "warn" } else { "bad" }) role="alert" {
            p { (problem.title) }
            @if !problem.detail.is_empty() { p { (problem.detail) } }
            @if waits { p { "This page looks again by itself." } }
        }
    }
}

/// The title of a page, what it is about, and what can be done at its right.
pub(super) fn title(title: &str, words: &str, right: Option<Markup>) -> Markup {
    html! {
        div.head {
            div { h1 { (title) } @if !words.is_empty() { p { (words) } } }
            @if let Some(right) = right { div.actions { (right) } }
        }
    }
}

/// A field that filters the rows of a list as one types.
pub(super) fn filter(list: &str) -> Markup {
    html! {
        span.small.soft #shown role="status" {}
        label.away for="filter" { "Filter the rows" }
        input #filter type="search" placeholder="Filter  /" autocomplete="off" data-filters=(list);
    }
}

/// A form that orders something: `call` is `POST jobs/…/cancel`, `fields` are its inputs and its
/// button.
pub(super) fn action(visit: &Visit<'_>, call: &str, body: &Value, fields: Markup) -> Markup {
    asking(visit, call, body, None, fields)
}

/// As [`action`], and asks once more before it is sent.
pub(super) fn asking(
    visit: &Visit<'_>,
    call: &str,
    body: &Value,
    asks: Option<&str>,
    fields: Markup,
) -> Markup {
    html! {
        form.inline method="post" action="/act" data-asks=[asks] {
            input type="hidden" name="csrf" value=(visit.seat.csrf);
            input type="hidden" name="call" value=(call);
            input type="hidden" name="body" value=(body.to_string());
            input type="hidden" name="back" value=(here(visit));
            (fields)
        }
    }
}

/// A reason, and the buttons that each order something with it: `name="call"`, and as value a call
/// of the API with its body, if it has one, after a blank.
pub(super) fn ordering(visit: &Visit<'_>, id: &str, buttons: Markup) -> Markup {
    html! {
        form.ordering method="post" action="/act" {
            input type="hidden" name="csrf" value=(visit.seat.csrf);
            input type="hidden" name="back" value=(here(visit));
            div.field {
                label for=(id) { "Reason" }
                input id=(id) name="set.reason" required maxlength="200" autocomplete="off"
                    placeholder="It stands in the journal";
            }
            div.actions { (buttons) }
        }
    }
}

/// The page itself, for coming back to it.
fn here(visit: &Visit<'_>) -> String {
    let query = serde_urlencoded::to_string(&visit.query).unwrap_or_default();
    if query.is_empty() { visit.path.clone() } else { format!("{}?{query}", visit.path) }
}

/// The next page of a list, if there is one.
pub(super) fn more(visit: &Visit<'_>, answer: &Value) -> Markup {
    let Some(cursor) = answer["cursor"].as_str() else { return html! {} };
    let mut query = visit.query.clone();
    query.insert("cursor".into(), cursor.into());
    let query = serde_urlencoded::to_string(&query).unwrap_or_default();
    let next = format!("{}?{query}", visit.path);
    html! { div.actions { a.button href=(next) rel="next" { "Older" } } }
}

/// The query of a list, with only the words that its page passes on.
pub(super) fn passed(visit: &Visit<'_>, words: &[&str], limit: u32) -> String {
    let mut query: Vec<(&str, String)> = vec![("limit", limit.to_string())];
    for word in words.iter().chain(&["cursor"]) {
        if let Some(value) = visit.asked(word) {
            query.push((word, value.to_owned()));
        }
    }
    serde_urlencoded::to_string(query).unwrap_or_default()
}

/// A list, or why there is none.
pub(super) fn list(
    answer: &Result<Value, Problem>,
    shown: impl FnOnce(&Value) -> Markup,
) -> Markup {
    match answer {
        Ok(value) => shown(value),
        Err(problem) => trouble(problem),
    }
}

/// Every member that says something, by its name; what has members of its own as JSON.
pub(super) fn facts(value: &Value) -> Markup {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => !all.is_empty(),
        Value::Object(all) => !all.is_empty(),
        _ => true,
    };
    let all = value.as_object().into_iter().flatten().filter(|(_, value)| says(value));
    html! {
        dl.facts {
            @for (name, member) in all {
                dt { (name.replace('_', " ")) }
                dd {
                    @if member.is_object() || member.is_array() { code { (member) } }
                    @else { (cell(value, name)) }
                }
            }
        }
    }
}

/// Any value, for whoever wants to see all of it.
pub(super) fn code(value: &Value) -> impl Render {
    html! { pre tabindex="0" { (serde_json::to_string_pretty(value).unwrap_or_default()) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_said_in_the_greatest_unit_that_fits() {
        let now: Timestamp = "2027-01-31T12:00:00Z".parse().unwrap();
        for (at, words) in [
            ("2027-01-31T12:00:01Z", "now"),
            ("2027-01-31T11:59:20Z", "40 s ago"),
            ("2027-01-31T12:05:00Z", "in 5 min"),
            ("2027-01-30T12:00:00Z", "24 h ago"),
            ("2027-01-21T12:00:00Z", "10 days ago"),
        ] {
            assert_eq!(distance(at.parse().unwrap(), now), words, "{at}");
        }
    }

    #[test]
    fn a_line_stays_within_its_picture() {
        let drawn = sparkline(&[0.0, 500.0, 3.0]).into_string();
        assert!(drawn.contains("1.0,23.0") && drawn.contains("60.0,2.0"), "{drawn}");
        assert!(!sparkline(&[1.0]).into_string().contains("polyline"));
    }

    #[test]
    fn facts_are_what_says_something() {
        let value = serde_json::json!({ "error": null, "path": "/<a>", "fields": {}, "n": 0,
            "labels": { "a": 1 } });
        let drawn = facts(&value).into_string();
        assert_eq!(drawn.matches("<dt>").count(), 3, "{drawn}");
        assert!(drawn.contains("/&lt;a&gt;") && drawn.contains("{&quot;a&quot;:1}"), "{drawn}");
    }

    #[test]
    fn a_name_is_one_piece_of_a_path() {
        assert_eq!(piece("late fees/eu"), "late%20fees%2Feu");
    }
}
