//! What the host and its components say, as they say it.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::invocations::choice;
use super::parts::{clock, filter, list, more, nothing, passed, title};
use maud::{Markup, html};
use serde_json::Value;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["component", "level", "request_id", "trace_id"], 200);
    let found = visit.get(&format!("logs?{query}")).await;
    html! {
        (title("Logs", "The last lines of this host and its components, the latest first.",
            Some(filter("lines"))))
        form.row method="get" action="/logs" {
            div.field {
                label for="component" { "Component" }
                input #component name="component" autocomplete="off"
                    value=(visit.asked("component").unwrap_or_default());
            }
            (choice(visit, "level", "At least", &["error", "warn", "info", "debug"]))
            button type="submit" { "Look" }
        }
        section.card aria-label="Lines" data-stream="logs"
            data-component=[visit.asked("component")] data-level=[visit.asked("level")] {
            div #lines data-live { (list(&found, |found| lines(rows(found, "lines")))) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

/// Lines as text only: a component's words come from anybody.
pub(super) fn lines(all: &[Value]) -> Markup {
    if all.is_empty() {
        return nothing("Nothing was said.");
    }
    html! {
        ul.log {
            @for line in all {
                li data-row data-key=(cell(line, "number")) {
                    (clock(text(line, "at")))
                    span.{ "level-" (text(line, "level")) } { (text(line, "level")) }
                    span.soft {
                        @match line["component"].as_str() {
                            Some(name) => {
                                a href=(format!("/components/{}", piece(name))) { (name) }
                            }
                            None => { "host" }
                        }
                    }
                    span.message { (text(line, "message")) (fields(line)) }
                }
            }
        }
    }
}

fn fields(line: &Value) -> Markup {
    let all = line["fields"].as_object();
    html! {
        @for (name, value) in all.into_iter().flatten().take(8) {
            span.soft { " " (name) "="
                (value.as_str().map_or_else(|| value.to_string(), str::to_owned)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_component_says_never_becomes_markup() {
        let line = json!({ "at": "2027-01-31T12:00:00Z", "level": "info",
            "component": "a\"><b>", "message": "<script>alert(1)</script>",
            "fields": { "x": "<img src=x onerror=alert(1)>" } });
        let drawn = lines(&[line]).into_string();
        assert!(drawn.contains("&lt;script&gt;"), "{drawn}");
        for markup in ["<script", "<img", "<b>"] {
            assert!(!drawn.contains(markup), "{drawn}");
        }
    }
}
