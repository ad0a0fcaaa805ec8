//! Changes of traffic: those that go on, those that were, and one of them step by step.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::parts::{
    action, asking, badge, clock, filter, list, more, nothing, passed, table, title, trouble, when,
};
use maud::{Markup, html};
use nexus_runtime::Problem;
use nexus_storage::audit::Role;
use serde_json::{Value, json};

/// Nothing happens in these any more.
const OVER: [&str; 4] = ["done", "aborted", "failed", "rolled_back"];

/// A share of 10,000.
pub(super) fn percent(weight: u64) -> String {
    let share = weight as f64 / 100.0;
    if weight % 100 == 0 { format!("{share:.0} %") } else { format!("{share:.2} %") }
}

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let query = passed(visit, &["component", "state"], 50);
    let found = visit.get(&format!("rollouts?{query}")).await;
    let freezes = visit.get("freezes").await;
    html! {
        (title("Rollouts", "Every change of what serves, and what stopped it.",
            Some(filter("rollouts"))))
        (frozen(visit, &freezes))
        section.card aria-label="Rollouts" {
            div #rollouts data-live { (list(&found, |found| shown(found))) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

fn frozen(visit: &Visit<'_>, freezes: &Result<Value, Problem>) -> Markup {
    let Ok(freezes) = freezes else { return html! {} };
    html! {
        @for one in rows(freezes, "freezes") {
            @let whose = one["component"].as_str().unwrap_or("Everything");
            div.notice.warn {
                p { (whose) " is frozen: " (text(one, "reason")) }
                p { "By " (text(one, "by")) ", " (when(one, "created_at")) }
                @if visit.may(Role::Admin) {
                    (asking(visit, &format!("DELETE freezes/{}", cell(one, "id")), &json!({}),
                        Some("End this freeze?"),
                        html! { button type="submit" { "End the freeze" } }))
                }
            }
        }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "rollouts");
    if all.is_empty() {
        return nothing("Nothing was rolled out yet. `nexus deploy` begins one.");
    }
    let head = ["Component", "#Revision", "State", "#Share", "Step", "Begun", "By", "Reason"];
    table("Rollouts", &head, &html! { @for one in all { (row(one)) } })
}

fn row(one: &Value) -> Markup {
    let steps = one["steps"].as_array().map_or(0, Vec::len);
    html! {
        tr data-row {
            th scope="row" {
                a href=(format!("/rollouts/{}", cell(one, "id"))) { (text(one, "component")) }
            }
            td.n { (cell(one, "revision")) }
            td { (badge(text(one, "state"))) }
            td.n { (percent(one["weight"].as_u64().unwrap_or(0))) }
            td.tight {
                @if let (Some(step), true) = (one["step"].as_i64(), steps > 0) {
                    (step + 1) " of " (steps)
                }
            }
            td.tight { (when(one, "created_at")) }
            td { (text(one, "by")) }
            td.words { (text(one, "reason")) }
        }
    }
}

/// The last few, for a component's page.
pub(super) fn short(found: &Result<Value, Problem>) -> Markup {
    let found = match found {
        Ok(found) => rows(found, "rollouts"),
        Err(problem) => return trouble(problem),
    };
    if found.is_empty() {
        return nothing("None yet.");
    }
    html! {
        @for one in found.iter().filter(|one| !OVER.contains(&text(one, "state"))).take(1) {
            (steps(one))
        }
        (table("Rollouts of the component", &["Revision", "State", "#Share", "Begun"], &html! {
            @for one in found {
                tr {
                    th scope="row" {
                        a href=(format!("/rollouts/{}", cell(one, "id"))) {
                            "To " (cell(one, "revision"))
                        }
                    }
                    td { (badge(text(one, "state"))) }
                    td.n { (percent(one["weight"].as_u64().unwrap_or(0))) }
                    td.tight { (when(one, "created_at")) }
                }
            }
        }))
    }
}

/// The steps, and at which of them it is.
fn steps(one: &Value) -> Markup {
    let all = one["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let weight = one["weight"].as_u64().unwrap_or(0);
    html! {
        ol.steps aria-label="Steps" {
            @for step in all {
                @let share = step.as_u64().or_else(|| step["weight"].as_u64()).unwrap_or(0);
                li.(if share < weight { "done" } else { "" })
                    aria-current=[(share == weight).then_some("step")] { (percent(share)) }
            }
        }
    }
}

pub(super) async fn one(visit: &Visit<'_>, id: &str) -> Markup {
    let found = match visit.get(&format!("rollouts/{}", piece(id))).await {
        Ok(found) => found,
        Err(problem) => return html! { (title("Rollout", "", None)) (trouble(&problem)) },
    };
    let component = text(&found, "component");
    let over = OVER.contains(&text(&found, "state"));
    html! {
        p.crumb { a href="/rollouts" { "Rollouts" } }
        (title(&format!("{component} to revision {}", cell(&found, "revision")),
            text(&found, "reason"), None))
        section.card aria-label="How far it is" {
            div #progress data-live {
                div.actions {
                    (badge(text(&found, "state")))
                    strong { (percent(found["weight"].as_u64().unwrap_or(0))) " of the calls" }
                    span.soft { "by " (text(&found, "by")) ", " (when(&found, "created_at")) }
                }
                (steps(&found))
                (gates(&found))
            }
            @if !over && visit.may(Role::Operator) {
                (buttons(visit, id, text(&found, "state") == "paused"))
            }
        }
        section.card aria-labelledby="events-title" {
            h2 #events-title { "What happened" }
            div #events data-live { (events(&found)) }
        }
        p { a.button href=(format!("/components/{}", piece(component))) { (component) } }
    }
}

/// What must hold at every step.
fn gates(found: &Value) -> Markup {
    let Some(gates) = found["gates"].as_object().or_else(|| found["strategy"]["gates"].as_object())
    else {
        return html! {};
    };
    html! {
        h3 { "Gates" }
        dl.facts {
            @for (name, value) in gates {
                dt { (name.replace('_', " ")) } dd { (value) }
            }
        }
    }
}

fn buttons(visit: &Visit<'_>, id: &str, paused: bool) -> Markup {
    let path = format!("POST rollouts/{}", piece(id));
    let plain = |verb: &str, label: &str| {
        action(
            visit,
            &format!("{path}/{verb}"),
            &json!({}),
            html! { button type="submit" { (label) } },
        )
    };
    html! {
        div.actions {
            (asking(visit, &format!("{path}/promote"), &json!({}),
                Some("Serve the new revision alone, without waiting for the steps?"),
                html! { button.primary type="submit" { "Promote" } }))
            @if paused { (plain("resume", "Resume")) } @else { (plain("pause", "Pause")) }
            (asking(visit, &format!("{path}/abort"), &json!({}),
                Some("Go back to what served before?"),
                html! { button.danger type="submit" { "Abort" } }))
        }
    }
}

fn events(found: &Value) -> Markup {
    let all = rows(found, "events");
    if all.is_empty() {
        return nothing("Nothing yet.");
    }
    table(
        "Events",
        &["At", "State", "#Share", "What"],
        &html! {
            @for event in all {
                tr {
                    td.tight { (clock(text(event, "at"))) }
                    td { (badge(text(event, "state"))) }
                    td.n { (percent(event["weight"].as_u64().unwrap_or(0))) }
                    td.words { (text(event, "words")) }
                }
            }
        },
    )
}
