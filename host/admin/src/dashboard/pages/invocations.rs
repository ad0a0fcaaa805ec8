//! Calls: the last ones as they end, and one as the tree of its trace.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::logs;
use super::parts::{
    badge, clock, facts, filter, list, more, ms, nothing, passed, table, title, trouble,
};
use maud::{Markup, html};
use serde_json::Value;

const TRIGGERS: [&str; 7] = ["http", "queue", "cron", "call", "probe", "job", "invoke"];

/// Deeper than any chain of services that the host allows.
const DEPTH_MAX: usize = 32;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["component", "trigger", "outcome"], 100);
    let found = visit.get(&format!("invocations?{query}")).await;
    html! {
        (title("Calls", "The last calls of this host, the latest to end first.",
            Some(filter("calls"))))
        form.row method="get" action="/invocations" {
            div.field {
                label for="component" { "Component" }
                input #component name="component" autocomplete="off"
                    value=(visit.asked("component").unwrap_or_default());
            }
            (choice(visit, "trigger", "Trigger", &TRIGGERS))
            (choice(visit, "outcome", "Outcome", &["ok", "refused", "failed"]))
            button type="submit" { "Look" }
        }
        section.card aria-label="Calls" data-stream="invocations"
            data-component=[visit.asked("component")] {
            div #calls data-live { (list(&found, shown)) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

/// A field that takes one of a few words.
pub(super) fn choice(visit: &Visit<'_>, name: &str, label: &str, words: &[&str]) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { "any" }
                @for word in words {
                    option value=(word) selected[visit.asked(name) == Some(word)] { (word) }
                }
            }
        }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "invocations");
    if all.is_empty() {
        return nothing("Nothing was called yet.");
    }
    let head = ["Began", "Call", "Component", "Trigger", "Outcome", "#Status", "#Took"];
    table(
        "Calls",
        &head,
        &html! {
            @for one in all {
                tr data-row data-key=(text(one, "id")) {
                    td.tight { (clock(text(one, "at"))) }
                    th scope="row" {
                        a href=(format!("/invocations/{}", text(one, "id"))) { (text(one, "name")) }
                    }
                    td { (text(one, "component")) }
                    td { (text(one, "trigger")) }
                    td { (badge(text(one, "outcome"))) }
                    td.n { (cell(one, "status")) }
                    td.n { (ms(one["ms"].as_f64())) }
                }
            }
        },
    )
}

pub(super) async fn one(visit: &Visit<'_>, id: &str) -> Markup {
    let found = match visit.get(&format!("invocations/{}", piece(id))).await {
        Ok(found) => found,
        Err(problem) => return html! { (title("Call", "", None)) (trouble(&problem)) },
    };
    let trace = rows(&found, "trace");
    html! {
        p.crumb { a href="/invocations" { "Calls" } }
        (title(text(&found, "name"), &format!("Trace {}", text(&found, "trace_id")),
            Some(badge(text(&found, "outcome")))))
        @if let Some(error) = found["error"].as_str() {
            div.notice.bad { p { (error) } }
        }
        section.card aria-labelledby="tree-title" {
            h2 #tree-title { "What it called" }
            (tree(trace, id))
        }
        section.card aria-labelledby="lines-title" {
            h2 #lines-title { "What was logged" }
            (logs::lines(rows(&found, "lines")))
        }
        section.card aria-labelledby="all-title" {
            h2 #all-title { "The call" }
            (facts(&{
                let mut call = found.clone();
                if let Some(call) = call.as_object_mut() {
                    call.remove("trace");
                    call.remove("lines");
                }
                call
            }))
        }
    }
}

/// Calls under their callers. Where a caller is not remembered, its calls stand at the top.
fn tree(trace: &[Value], own: &str) -> Markup {
    let known = |id: &str| trace.iter().any(|call| text(call, "id") == id);
    let roots: Vec<&Value> = trace.iter().filter(|call| !known(text(call, "parent_id"))).collect();
    let began = |call: &Value| text(call, "at").parse::<jiff::Timestamp>().unwrap_or_default();
    let first = trace.iter().map(began).min().unwrap_or_default();
    let end = |call: &Value| {
        (began(call) - first).as_secs_f64() * 1e3 + call["ms"].as_f64().unwrap_or(0.0)
    };
    let whole = trace.iter().map(end).fold(0.001, f64::max);
    let scale = Scale { first, whole };
    html! {
        p.scale.small.soft { span { "0 ms" } span { (ms(Some(whole))) } }
        ul.tree { @for call in roots { (branch(trace, call, own, &scale, 0)) } }
    }
}

struct Scale {
    first: jiff::Timestamp,
    whole: f64,
}

fn branch(trace: &[Value], call: &Value, own: &str, scale: &Scale, depth: usize) -> Markup {
    let id = text(call, "id");
    let under: Vec<&Value> = trace
        .iter()
        .filter(|other| {
            depth < DEPTH_MAX && text(other, "parent_id") == id && text(other, "id") != id
        })
        .collect();
    let began = text(call, "at").parse::<jiff::Timestamp>().unwrap_or_default();
    let offset = (began - scale.first).as_secs_f64() * 1e3;
    let took = call["ms"].as_f64().unwrap_or(0.0);
    let (x, width) = (offset / scale.whole * 1000.0, (took / scale.whole * 1000.0).max(2.0));
    html! {
        li {
            div.call {
                @if id == own { strong { (text(call, "name")) } }
                @else { a href=(format!("/invocations/{id}")) { (text(call, "name")) } }
                span.soft { (text(call, "component")) " · " (text(call, "trigger")) }
                @if text(call, "outcome") != "ok" { (badge(text(call, "outcome"))) }
                span.soft { (cell(call, "status")) " " (ms(Some(took))) }
            }
            svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
                rect.(if text(call, "outcome") == "failed" { "failed" } else { "" })
                    x=(format!("{x:.1}")) y="0" width=(format!("{width:.1}")) height="10" rx="3" {}
            }
            @if !under.is_empty() {
                ul { @for other in under { (branch(trace, other, own, scale, depth + 1)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(id: &str, parent: Option<&str>) -> Value {
        json!({ "id": id, "parent_id": parent, "name": format!("call-{id}"),
            "at": "2027-01-31T12:00:00Z", "ms": 1.0, "outcome": "ok" })
    }

    #[test]
    fn a_call_stands_under_its_caller_and_an_orphan_at_the_top() {
        let trace = [call("a", Some("elsewhere")), call("b", Some("a")), call("c", Some("gone"))];
        let drawn = tree(&trace, "a").into_string();
        let nested = drawn.split("call-b").next().unwrap();
        assert_eq!(nested.matches("<ul").count(), 2, "{drawn}");
        let orphan = drawn.split("call-c").next().unwrap();
        assert_eq!(orphan.matches("<ul").count() - orphan.matches("</ul").count(), 1, "{drawn}");
    }

    #[test]
    fn calls_that_name_each_other_as_callers_end_somewhere() {
        let trace = [call("a", None), call("b", Some("b")), call("a", Some("a"))];
        assert!(tree(&trace, "a").into_string().matches("<li>").count() < 100);
    }
}
