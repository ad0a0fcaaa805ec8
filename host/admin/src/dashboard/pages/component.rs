//! One component: how it does, which revisions serve, what may be done about it.

use super::super::Visit;
use super::super::parts::{self, piece, rows, text};
use super::parts::{action, asking, badge, code, ms, nothing, table, title, trouble, when};
use super::rollouts;
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
    let red = visit.facts().samples().of(name);
    html! {
        p.crumb { a href="/" { "Overview" } }
        (title(name, "", Some(badge(text(&one, "state")))))
        @if let Some(reason) = one["reason"].as_str() {
            div.notice.bad role="alert" { p { (reason) } }
        }
        div #numbers data-live { (numbers(&one, &red)) }
        div.grid.two {
            section.card aria-labelledby="traffic-title" {
                h2 #traffic-title { "Traffic" }
                div #traffic data-live { (shares(&traffic)) }
                (orders(visit, name))
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
                (code(&one["grants"]))
            }
            section.card aria-labelledby="limits-title" {
                h2 #limits-title { "Limits" }
                (code(&one["limits"]))
            }
        }
        div.actions {
            a.button href=(format!("/invocations?component={}", piece(name))) { "Its calls" }
            a.button href=(format!("/logs?component={}", piece(name))) { "Its lines" }
            a.button href=(format!("/configuration/{}", piece(name))) { "Its configuration" }
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

/// What may be done at once, for those who may.
fn orders(visit: &Visit<'_>, name: &str) -> Markup {
    if !visit.may(Role::Operator) {
        return html! {};
    }
    let path = format!("POST components/{}", piece(name));
    let frozen = json!({ "component": name });
    html! {
        details {
            summary { "Deploy, roll back, freeze" }
            div.grid {
                (action(visit, &format!("{path}/deploy"), &json!({}), html! { div.row {
                    div.field {
                        label for="artifact" { "Artifact" }
                        input #artifact name="set.artifact" required size="34"
                            placeholder="sha256:…" spellcheck="false" autocomplete="off";
                    }
                    div.field {
                        label for="strategy" { "How" }
                        select #strategy name="set.strategy" {
                            option value="" { "by steps, watched" }
                            option value="stage" { "stage it, without a share" }
                            option value="instant" { "at once" }
                        }
                    }
                    button.primary type="submit" { "Deploy" }
                } }))
                (asking(visit, &format!("{path}/rollback"), &json!({}),
                    Some("Serve the last good revision, at once?"), html! { div.row {
                    div.field {
                        label for="why" { "Reason" }
                        input #why name="set.reason" size="34" autocomplete="off";
                    }
                    button.danger type="submit" { "Roll back" }
                } }))
                (action(visit, "POST freezes", &frozen, html! { div.row {
                    div.field {
                        label for="freeze" { "Reason of a freeze" }
                        input #freeze name="set.reason" required size="34" autocomplete="off";
                    }
                    button type="submit" { "Freeze" }
                } }))
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
                tr {
                    th.n scope="row" {
                        a href=(format!("/components/{}/revisions/{number}", piece(name))) {
                            (number)
                        }
                    }
                    td.tight { (when(one, "created_at")) }
                    td { (badge(text(one, "origin"))) }
                    td { (text(one, "created_by")) }
                    td { code { (short(text(one, "artifact"))) } }
                    td.n {
                        @if weight > 0 { (rollouts::percent(weight)) }
                        @else { span.soft { "–" } }
                    }
                    td.words { (text(one, "note")) }
                    td {
                        @if weight == 0 && visit.may(Role::Operator) {
                            (again(visit, name, &number))
                        }
                    }
                }
            }
        },
    )
}

/// The button that serves an old revision again.
fn again(visit: &Visit<'_>, name: &str, number: &str) -> Markup {
    let call = format!("POST components/{}/rollback", piece(name));
    let body = json!({ "to": number.parse::<u64>().ok(), "reason": "chosen on its page" });
    let asks = format!("Serve revision {number} alone, at once?");
    asking(
        visit,
        &call,
        &body,
        Some(&asks),
        html! {
            button type="submit" { "Serve it" span.away { " again: revision " (number) } }
        },
    )
}

/// The beginning of a digest.
pub(super) fn short(digest: &str) -> String {
    digest.chars().take(19).collect()
}

pub(super) async fn revision(visit: &Visit<'_>, name: &str, number: &str) -> Markup {
    let path = format!("components/{}/revisions/{}", piece(name), piece(number));
    let one = visit.get(&path).await;
    html! {
        p.crumb { a href=(format!("/components/{}", piece(name))) { (name) } }
        (title(&format!("{name}, revision {number}"), "", None))
        @match &one {
            Ok(one) => { section.card { h2 { "What it is" } (code(one)) } }
            Err(problem) => { (trouble(problem)) }
        }
    }
}
