//! One component: how it does, which revisions serve, what may be done about it.

use super::super::Visit;
use super::super::parts::{self, piece, rows, text};
use super::parts::{badge, ms, nothing, ordering, table, title, trouble, when};
use super::{grants, rollouts};
use crate::samples::Red;
use maud::{Markup, html};
use nexus_runtime::Problem;
use nexus_storage::audit::Role;
use serde_json::{Value, json};

/// Classes of the pieces of a traffic bar, in the order of revisions.
const SHADES: [&str; 4] = ["a", "b", "c", "d"];

pub(super) async fn page(visit: &Visit<'_>, name: &str) -> Markup {
    let path = format!("components/{}", piece(name));
    let one = match visit.get(&path).await {
        Ok(one) => one,
        Err(problem) => return html! { (title(name, "", None)) (trouble(&problem)) },
    };
    let traffic = visit.get(&format!("{path}/traffic")).await;
    let revisions = visit.get(&format!("{path}/revisions?limit=20")).await;
    let query = format!("rollouts?component={}&limit=5", piece(name));
    let moves = visit.get(&query).await;
    let freezes = visit.get("freezes").await;
    let red = visit.facts().samples().of(name);
    html! {
        p.crumb { a href="/" { "Overview" } }
        (title(name, "", Some(beside(visit, name, text(&one, "state")))))
        div #frozen data-live { (rollouts::frozen(visit, &freezes, Some(name))) }
        @if let Some(reason) = one["reason"].as_str() {
            div.notice.bad role="alert" { p { (reason) } }
        }
        div #numbers data-live { (numbers(&one, &red)) }
        div.grid.two {
            section.card aria-labelledby="traffic-title" {
                h2 #traffic-title { "Traffic" }
                div #traffic data-live { (shares(&traffic)) }
                @if visit.may(Role::Operator) { (orders(visit, name)) }
            }
            section.card aria-labelledby="rollouts-title" {
                h2 #rollouts-title { "Rollouts" }
                div #moves data-live { (rollouts::short(&moves)) }
            }
        }
        section.card aria-labelledby="revisions-title" {
            h2 #revisions-title { "Revisions" }
            div #revisions data-live { (history(visit, name, &revisions)) }
        }
        div.grid.two {
            section.card aria-labelledby="grants-title" {
                h2 #grants-title { "Grants" }
                (grants::grants(&one))
            }
            section.card aria-labelledby="limits-title" {
                h2 #limits-title { "Limits" }
                (grants::limits(&one))
            }
        }
    }
}

/// State and ways to what else is known of it.
fn beside(visit: &Visit<'_>, name: &str, state: &str) -> Markup {
    let name = piece(name);
    html! {
        (badge(state))
        a.button href=(format!("/invocations?component={name}")) { "Its calls" }
        a.button href=(format!("/logs?component={name}")) { "Its lines" }
        a.button href=(format!("/configuration/{name}")) { "Its configuration" }
        @if visit.may(Role::Operator) {
            a.button.primary href=(format!("/components/{name}/deploy")) { "Deploy…" }
        }
    }
}

fn numbers(one: &Value, red: &Red) -> Markup {
    let errors = red.errors.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
    html! {
        dl.tiles {
            div.tile {
                dt { "Requests" } dd { (format!("{:.1}", red.per_second)) small { " / s" } }
            }
            div.tile { dt { "Errors" } dd { (errors) } }
            div.tile { dt { "p50" } dd { (ms(red.p50_seconds.map(|s| s * 1e3))) } }
            div.tile { dt { "p99" } dd { (ms(red.p99_seconds.map(|s| s * 1e3))) } }
            div.tile { dt { "In flight" } dd { (one["inflight"].as_u64().unwrap_or(0)) } }
            div.tile { dt { "Instances" } dd { (one["instances"].as_u64().unwrap_or(0)) } }
        }
    }
}

/// `{weights: {"7": 9000, "8": 1000}}` as a bar and as words.
fn shares(traffic: &Result<Value, Problem>) -> Markup {
    let traffic = match traffic {
        Ok(traffic) => traffic,
        Err(problem) => return trouble(problem),
    };
    let mut weights: Vec<(u64, u64)> = traffic["weights"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(number, weight)| Some((number.parse().ok()?, weight.as_u64()?)))
        .collect();
    weights.sort_unstable();
    if weights.is_empty() {
        return nothing("No revision serves.");
    }
    let shade = |index: usize| SHADES[index % SHADES.len()];
    let mut from = 0;
    html! {
        svg.traffic viewBox="0 0 10000 100" preserveAspectRatio="none" aria-hidden="true" {
            @for (index, (_, weight)) in weights.iter().enumerate() {
                rect.(shade(index)) x=(from) y="0" width=(weight) height="100" {}
                @let _ = from += weight;
            }
        }
        ul.legend {
            @for (index, (number, weight)) in weights.iter().enumerate() {
                li {
                    i.(shade(index)) aria-hidden="true" {}
                    "Revision " (number) ": " (rollouts::percent(*weight))
                }
            }
        }
    }
}

/// What may be done at once, with a reason.
fn orders(visit: &Visit<'_>, name: &str) -> Markup {
    let back = format!("POST components/{}/rollback", piece(name));
    let freeze = format!("POST freezes {}", json!({ "component": name }));
    html! {
        details {
            summary { "Roll back, freeze" }
            (ordering(visit, "why", html! {
                button name="call" value=(freeze) { "Freeze" }
                button.danger name="call" value=(back) { "Roll back" }
            }))
            p.hint {
                "Freeze keeps it as it is. Roll back serves the last good revision, at once."
            }
        }
    }
}

fn history(visit: &Visit<'_>, name: &str, revisions: &Result<Value, Problem>) -> Markup {
    let revisions = match revisions {
        Ok(revisions) => rows(revisions, "revisions"),
        Err(problem) => return trouble(problem),
    };
    if revisions.is_empty() {
        return nothing("Nothing was deployed yet.");
    }
    let head = ["#Number", "Made", "Origin", "By", "Artifact", "#Share", "Note", ""];
    table(
        "Revisions",
        &head,
        &html! {
            @for one in revisions {
                @let number = parts::cell(one, "number");
                @let weight = one["weight"].as_u64().unwrap_or(0);
                tr data-key=(number) {
                    th.n scope="row" {
                        a href=(format!("/components/{}/revisions/{number}", piece(name))) {
                            (number)
                        }
                    }
                    td.tight { (when(one, "created_at")) }
                    td { (badge(text(one, "origin"))) }
                    td { (text(one, "created_by")) }
                    td.tight { code { (short(text(one, "artifact"))) } }
                    td.n {
                        @if weight > 0 { (rollouts::percent(weight)) }
                        @else { span.soft { "–" } }
                    }
                    td.words { (text(one, "note")) }
                    td {
                        @if weight == 0 && visit.may(Role::Operator) {
                            a href=(format!("/components/{}/revisions/{number}", piece(name))) {
                                "Serve it…" span.away { " again: revision " (number) }
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The beginning of a digest.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(19).collect()
}
