//! Schedules: a calendar of what fires next, every schedule, and one with its history.

use super::super::Visit;
use super::super::document::button;
use super::super::parts::{cell, piece, rows, text};
use super::parts::{
    action, badge, filter, list, more, nothing, passed, table, title, trouble, when,
};
use jiff::Timestamp;
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Fires shown in the calendar.
const FIRES: usize = 60;
/// Schedules whose next fires are asked for.
const ASKED: usize = 100;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["service"], 200);
    let found = visit.get(&format!("schedules?{query}")).await;
    let calendar = match &found {
        Ok(found) => calendar(visit, rows(found, "schedules")).await,
        Err(_) => html! {},
    };
    html! {
        (title("Schedules", "What is due when, and what became of it.", Some(filter("schedules"))))
        section.card aria-labelledby="next-title" {
            h2 #next-title { "Next fires (UTC)" }
            div #calendar data-live { (calendar) }
        }
        section.card aria-labelledby="all-title" {
            h2 #all-title { "All schedules" }
            div #schedules data-live { (list(&found, shown)) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

/// The next fires of all, by day.
async fn calendar(visit: &Visit<'_>, all: &[Value]) -> Markup {
    let mut fires: Vec<(Timestamp, String, String)> = Vec::new();
    for one in all.iter().filter(|one| one["next_fire_at"].is_string()).take(ASKED) {
        let id = cell(one, "id");
        let Ok(next) = visit.get(&format!("schedules/{id}/next?count=3&zone=UTC")).await else {
            continue;
        };
        let times = next["times"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let times = times.filter_map(|time| time.parse::<Timestamp>().ok());
        let name = format!("{} / {}", text(one, "service"), text(one, "name"));
        fires.extend(times.map(|time| (time, name.clone(), id.clone())));
    }
    fires.sort();
    let mut days: BTreeMap<String, Vec<&(Timestamp, String, String)>> = BTreeMap::new();
    for fire in fires.iter().take(FIRES) {
        days.entry(fire.0.strftime("%Y-%m-%d").to_string()).or_default().push(fire);
    }
    if days.is_empty() {
        return nothing("Nothing is due.");
    }
    html! {
        ul.days {
            @for (day, fires) in &days {
                li {
                    h3 { (day) }
                    ol {
                        @for (at, name, id) in fires {
                            li {
                                time datetime=(at) { (at.strftime("%H:%M:%S").to_string()) }
                                " " a href=(format!("/schedules/{id}")) { (name) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn state(one: &Value) -> &'static str {
    if one["paused_at"].is_string() {
        "paused"
    } else if one["refused"].is_string() {
        "refused"
    } else {
        "active"
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "schedules");
    if all.is_empty() {
        return nothing("No service has a schedule.");
    }
    let head = ["Schedule", "Service", "Expression", "Zone", "State", "Next", "Last", "#Due"];
    table(
        "Schedules",
        &head,
        &html! {
            @for one in all {
                tr data-row data-key=(cell(one, "id")) {
                    th scope="row" {
                        a href=(format!("/schedules/{}", cell(one, "id"))) { (text(one, "name")) }
                    }
                    td { (text(one, "service")) }
                    td { code { (text(one, "expression")) } }
                    td { (text(one, "zone")) }
                    td { (badge(state(one))) }
                    td.tight { (when(one, "next_fire_at")) }
                    td.tight { (when(one, "last_fired_at")) }
                    td.n { (cell(one, "runs_due")) }
                }
            }
        },
    )
}

pub(super) async fn one(visit: &Visit<'_>, id: &str) -> Markup {
    let path = format!("schedules/{}", piece(id));
    let found = match visit.get(&path).await {
        Ok(found) => found,
        Err(problem) => return html! { (title("Schedule", "", None)) (trouble(&problem)) },
    };
    let next = visit.get(&format!("{path}/next?count=10")).await;
    let query = passed(visit, &[], 50);
    let runs = visit.get(&format!("{path}/runs?{query}")).await;
    html! {
        p.crumb { a href="/schedules" { "Schedules" } }
        (title(text(&found, "name"), &format!("Of {}", text(&found, "service")),
            Some(badge(state(&found)))))
        @if let Some(why) = found["refused"].as_str() {
            div.notice.bad role="alert" { p { "The expression means nothing." } p { (why) } }
        }
        @if visit.may(Role::Operator) { (buttons(visit, &path, &found)) }
        div.grid.two {
            section.card aria-labelledby="facts-title" {
                h2 #facts-title { "When" }
                (facts(&found))
            }
            section.card aria-labelledby="next-title" {
                h2 #next-title { "Next fires" }
                div #next data-live { (list(&next, upcoming)) }
            }
        }
        section.card aria-labelledby="runs-title" {
            h2 #runs-title { "Runs" }
            div #runs data-live { (list(&runs, history)) }
        }
        @if let Ok(runs) = &runs { (more(visit, runs)) }
    }
}

fn buttons(visit: &Visit<'_>, path: &str, found: &Value) -> Markup {
    html! {
        div.actions {
            (button(visit, &format!("POST {path}/run"), "Run now", "primary"))
            @if found["paused_at"].is_string() {
                (button(visit, &format!("POST {path}/resume"), "Resume", ""))
                span.soft { (text(found, "paused_reason")) }
            } @else {
                (action(visit, &format!("POST {path}/pause"), &json!({}), html! {
                    label.away for="pause-reason" { "Reason of the pause" }
                    input #pause-reason name="set.reason" placeholder="Reason" autocomplete="off";
                    button type="submit" { "Pause" }
                }))
            }
        }
    }
}

fn facts(found: &Value) -> Markup {
    html! {
        dl.facts {
            @for (name, label) in [
                ("expression", "Expression"), ("zone", "Zone"), ("overlap", "Overlap"),
                ("catchup", "Catch-up"), ("jitter_ms", "Jitter (ms)"), ("queue", "Queue"),
                ("source", "From"), ("attempts_max", "Attempts"),
            ] {
                @let value = cell(found, name);
                @if !value.is_empty() { dt { (label) } dd { (value) } }
            }
            dt { "Last" } dd { (when(found, "last_fired_at")) }
        }
    }
}

fn upcoming(next: &Value) -> Markup {
    let times = rows(next, "times");
    if times.is_empty() {
        return nothing("Never again.");
    }
    html! {
        ol.small {
            @for time in times {
                li { time { (time.as_str().unwrap_or_default().replace('T', " ")) } }
            }
        }
    }
}

fn history(runs: &Value) -> Markup {
    let all = rows(runs, "runs");
    if all.is_empty() {
        return nothing("It has not fired yet.");
    }
    let head = ["Due", "State", "Trigger", "#Attempt", "Finished", "By", "Reason"];
    table(
        "Runs",
        &head,
        &html! {
            @for run in all {
                tr {
                    th.tight scope="row" { (when(run, "scheduled_at")) }
                    td { (badge(text(run, "state"))) }
                    td { (text(run, "trigger")) }
                    td.n { (cell(run, "attempt")) }
                    td.tight { (when(run, "finished_at")) }
                    td { (text(run, "requested_by")) }
                    td.words { (text(run, "reason")) }
                }
            }
        },
    )
}
