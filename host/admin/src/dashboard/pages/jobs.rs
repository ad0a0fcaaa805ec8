//! Jobs of native workers: how far each is, and one with everything about it.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::parts::{
    asking, badge, code, filter, list, more, nothing, passed, table, title, trouble, when,
};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["state", "kind", "service"], 100);
    let found = visit.get(&format!("jobs?{query}")).await;
    html! {
        (title("Jobs", "What native workers do, and how far it is.", Some(filter("jobs"))))
        div.actions {
            a.button href="/jobs" { "All" }
            @for state in ["queued", "running", "succeeded", "failed", "cancelled"] {
                a.button href=(format!("/jobs?state={state}"))
                    aria-current=[(visit.asked("state") == Some(state)).then_some("true")] {
                    (state)
                }
            }
        }
        section.card aria-label="Jobs" { div #jobs data-live { (list(&found, shown)) } }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "jobs");
    if all.is_empty() {
        return nothing("There is no such job.");
    }
    let head = ["Job", "Service", "State", "Progress", "#Attempt", "Worker", "Made", "Error"];
    table(
        "Jobs",
        &head,
        &html! {
            @for one in all {
                tr data-row data-key=(cell(one, "id")) {
                    th scope="row" {
                        a href=(format!("/jobs/{}", cell(one, "id"))) { (text(one, "kind")) }
                    }
                    td { (text(one, "service")) }
                    td { (badge(text(one, "state"))) }
                    td.tight { (progress(one)) }
                    td.n { (cell(one, "attempt")) "/" (cell(one, "attempts_max")) }
                    td { (text(one, "worker")) }
                    td.tight { (when(one, "created_at")) }
                    td.words { (cell(one, "error").chars().take(200).collect::<String>()) }
                }
            }
        },
    )
}

fn progress(one: &Value) -> Markup {
    let share = one["fraction"].as_f64().unwrap_or(0.0);
    let words = format!("{:.0} %", share * 100.0);
    html! {
        progress max="1" value=(share) aria-label=(format!("Done: {words}")) { (words) }
        " " span.small.soft { (words) " " (text(one, "stage")) }
    }
}

pub(super) async fn one(visit: &Visit<'_>, id: &str) -> Markup {
    let path = format!("jobs/{}", piece(id));
    let found = match visit.get(&path).await {
        Ok(found) => found,
        Err(problem) => return html! { (title("Job", "", None)) (trouble(&problem)) },
    };
    let over = found["finished_at"].is_string();
    html! {
        p.crumb { a href="/jobs" { "Jobs" } }
        (title(text(&found, "kind"), &format!("Of {}", text(&found, "service")), None))
        section.card aria-label="How far it is" {
            div #job data-live {
                div.actions { (badge(text(&found, "state"))) (progress(&found)) }
                dl.facts {
                    @if found["worker"].is_string() {
                        dt { "Worker" } dd { (text(&found, "worker")) }
                    }
                    dt { "Made" } dd { (when(&found, "created_at")) }
                    dt { "Began" } dd { (when(&found, "started_at")) }
                    dt { "Ended" } dd { (when(&found, "finished_at")) }
                    dt { "Attempt" } dd { (cell(&found, "attempt")) " of "
                        (cell(&found, "attempts_max")) }
                    @if !found["error"].is_null() {
                        dt { "Error" } dd { (cell(&found, "error")) }
                    }
                }
            }
            @if !over && visit.may(Role::Operator) {
                (asking(visit, &format!("POST {path}/cancel"), &json!({}),
                    Some("Cancel this job?"),
                    html! { button.danger type="submit" { "Cancel it" } }))
            }
        }
        @for (name, label) in
            [("args", "Arguments"), ("output", "Output"), ("checkpoint", "Checkpoint")] {
            @if !found[name].is_null() {
                section.card aria-label=(label) { h2 { (label) } (code(&found[name])) }
            }
        }
    }
}
