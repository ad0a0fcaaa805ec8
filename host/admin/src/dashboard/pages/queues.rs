//! Queues: how deep each is, and one of them with what lies in it.

use super::super::Visit;
use super::super::document::button;
use super::super::parts::{cell, piece, rows, text};
use super::letters;
use super::parts::{
    badge, facts, filter, list, more, nothing, passed, table, title, trouble, when,
};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::Value;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["service"], 500);
    let found = visit.get(&format!("queues?{query}")).await;
    html! {
        (title("Queues", "What waits for whom, and since when.", Some(filter("queues"))))
        section.card aria-label="Queues" {
            div #queues data-live { (list(&found, shown)) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

fn path(service: &str, queue: &str) -> String {
    format!("queues/{}/{}", piece(service), piece(queue))
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "queues");
    if all.is_empty() {
        return nothing("No service has a queue yet.");
    }
    // What matters comes first: a telephone shows no more at once.
    let head = ["Queue", "#Ready", "#Dead", "State", "#Oldest", "#Leased", "#Deferred", "Kind"];
    let body = html! { @for one in all { (row(one)) } };
    table("Queues", &head, &body)
}

fn row(one: &Value) -> Markup {
    let (service, queue) = (text(one, "service"), text(one, "queue"));
    html! {
        tr data-row data-key=(format!("{service}/{queue}")) {
            th scope="row" {
                a href=(format!("/{}", path(service, queue))) { (queue) }
                div.small.soft { (service) }
            }
            td.n { (cell(one, "ready")) }
            td.n {
                @match one["dead"].as_u64().unwrap_or(0) {
                    0 => { "0" }
                    dead => { span.badge.bad { (dead) } }
                }
            }
            td { (badge(state(one))) }
            td.n { (oldest(one)) }
            td.n { (cell(one, "leased")) }
            td.n { (cell(one, "deferred")) }
            td { (text(one, "kind")) }
        }
    }
}

fn state(one: &Value) -> &'static str {
    match (one["paused"] == true, one["retired"] == true) {
        (true, _) => "paused",
        (_, true) => "retired",
        _ => "active",
    }
}

fn oldest(one: &Value) -> String {
    match one["oldest_ready_seconds"].as_f64() {
        None => "–".into(),
        Some(seconds) if seconds < 60.0 => format!("{seconds:.0} s"),
        Some(seconds) if seconds < 3_600.0 => format!("{:.0} min", seconds / 60.0),
        Some(seconds) => format!("{:.1} h", seconds / 3_600.0),
    }
}

pub(super) async fn one(visit: &Visit<'_>, service: &str, queue: &str) -> Markup {
    let path = path(service, queue);
    let found = match visit.get(&path).await {
        Ok(found) => found,
        Err(problem) => return html! { (title(queue, "", None)) (trouble(&problem)) },
    };
    let state = match visit.asked("state") {
        Some(word @ ("deferred" | "leased" | "dead")) => word,
        _ => "ready",
    };
    let messages = visit.get(&format!("{path}/messages?state={state}&limit=50")).await;
    html! {
        p.crumb { a href="/queues" { "Queues" } }
        (title(queue, &format!("Of {service}, handled by {}", text(&found, "handler")), None))
        div #depth data-live { (depth(&found)) }
        @if visit.may(Role::Operator) {
            div.actions {
                @if found["paused"] == true {
                    (button(visit, &format!("POST {path}/resume"), "Resume", "primary"))
                    span.soft { "paused by " (text(&found, "paused_by")) ", "
                        (when(&found, "paused_at")) }
                } @else {
                    (button(visit, &format!("POST {path}/pause"), "Pause", ""))
                }
            }
        }
        (letters::redrive(visit, service, queue, &found).await)
        section.card aria-labelledby="messages-title" {
            h2 #messages-title { "Messages" }
            div.actions {
                @for word in ["ready", "deferred", "leased", "dead"] {
                    a.button href=(format!("?state={word}"))
                        aria-current=[(word == state).then_some("true")] {
                        (word) " " (cell(&found, word))
                    }
                }
            }
            div #messages data-live { (list(&messages, waiting)) }
        }
        section.card aria-labelledby="settings-title" {
            h2 #settings-title { "Settings" }
            (facts(&found["settings"]))
        }
    }
}

fn depth(found: &Value) -> Markup {
    let rate = found["rates"]["done_per_second"].as_f64().unwrap_or(0.0);
    html! {
        dl.tiles {
            div.tile { dt { "State" } dd { (badge(state(found))) } }
            div.tile { dt { "Ready" } dd { (cell(found, "ready")) } }
            div.tile { dt { "Oldest" } dd { (oldest(found)) } }
            div.tile { dt { "Leased" } dd { (cell(found, "leased")) } }
            div.tile { dt { "Dead" } dd { (cell(found, "dead")) } }
            div.tile { dt { "Done" } dd { (format!("{rate:.2}")) small { " / s" } } }
        }
    }
}

fn waiting(found: &Value) -> Markup {
    let all = rows(found, "messages");
    if all.is_empty() {
        return nothing("None.");
    }
    let head = ["Message", "Published", "#Attempt", "Group", "Worker", "Last error"];
    table(
        "Messages",
        &head,
        &html! {
            @for one in all {
                tr data-key=(text(one, "id")) {
                    th scope="row" {
                        (text(one, "topic")) div.small.soft { (text(one, "id")) }
                    }
                    td.tight { (when(one, "published_at")) }
                    td.n { (cell(one, "attempt")) }
                    td { (text(one, "group")) }
                    td { (text(one, "worker")) }
                    td.words { (letters::last_error(one)) }
                }
            }
        },
    )
}
