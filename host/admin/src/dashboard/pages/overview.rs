//! How the host does: readiness, and rate, errors and durations of each component.

use super::super::Visit;
use super::parts::{badge, filter, ms, nothing, piece, rows, size, sparkline, table, text, title};
use crate::samples::Red;
use maud::{Markup, html};
use serde_json::Value;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let components = visit.get("components").await.unwrap_or_default();
    let components = rows(&components, "components");
    let facts = visit.facts();
    let reds: Vec<Red> = components.iter().map(|one| facts.samples().of(text(one, "id"))).collect();
    let waiting = facts.0.conditions.why_not_ready();
    html! {
        (title("Overview", "What runs here, and how it did in the last minute.",
            Some(filter("components"))))
        @if let Some(why) = &waiting {
            div.notice.warn role="status" { p { "This host is not ready." } p { (why) } }
        }
        div #tiles data-live { (tiles(visit, components, &reds)) }
        section.card aria-labelledby="components-title" {
            h2 #components-title { "Components" }
            div #components data-live { (list(visit, components, &reds)) }
        }
    }
}

fn tiles(visit: &Visit<'_>, components: &[Value], reds: &[Red]) -> Markup {
    let per_second: f64 = reds.iter().map(|red| red.per_second).sum();
    let failed: f64 = reds.iter().filter_map(|red| Some(red.errors? * red.per_second)).sum();
    let ratio = if per_second > 0.0 { failed / per_second * 100.0 } else { 0.0 };
    let inflight: u64 = components.iter().filter_map(|one| one["inflight"].as_u64()).sum();
    let memory: u64 = components.iter().filter_map(|one| one["memory_bytes"].as_u64()).sum();
    let active = components.iter().filter(|one| one["state"] == "active").count();
    let ready = visit.facts().0.conditions.why_not_ready().is_none();
    let resident = nexus_observability::ProcessSample::read().resident_bytes.unwrap_or(0);
    html! {
        dl.tiles {
            div.tile { dt { "Host" } dd { (badge(if ready { "ready" } else { "waiting" })) } }
            div.tile {
                dt { "Components" }
                dd { (active) small { " of " (components.len()) " active" } }
            }
            div.tile { dt { "Requests" } dd { (format!("{per_second:.1}")) small { " / s" } } }
            div.tile { dt { "Errors" } dd { (format!("{ratio:.1}")) small { " %" } } }
            div.tile { dt { "In flight" } dd { (inflight) } }
            div.tile {
                dt { "Memory" }
                dd { (size(resident)) small.block { "guests " (size(memory)) } }
            }
        }
    }
}

fn list(visit: &Visit<'_>, components: &[Value], reds: &[Red]) -> Markup {
    if components.is_empty() {
        let loading = visit.facts().runtime().is_none();
        return html! {
            div aria-busy=[loading.then_some("true")] {
                (nothing(if loading { "The components are being loaded." } else {
                    "No component is in the manifest." }))
            }
        };
    }
    let head = [
        "Component",
        "State",
        "#Rev.",
        "Last 5 min",
        "#Rate",
        "#Errors",
        "#p50",
        "#p99",
        "#In flight",
        "#Memory",
    ];
    table(
        "Components",
        &head,
        &html! {
            @for (one, red) in components.iter().zip(reds) {
                (row(one, red))
            }
        },
    )
}

fn row(one: &Value, red: &Red) -> Markup {
    let id = text(one, "id");
    let errors = red.errors.map(|share| share * 100.0);
    html! {
        tr data-row data-key=(id) {
            th scope="row" { a href=(format!("/components/{}", piece(id))) { (id) } }
            td {
                (badge(text(one, "state")))
                @if let Some(reason) = one["reason"].as_str() {
                    div.small.soft { (reason.chars().take(160).collect::<String>()) }
                }
            }
            td.n { (one["number"].as_u64().map(|n| n.to_string()).unwrap_or_default()) }
            td { (sparkline(&red.line)) }
            td.n { (format!("{:.1}", red.per_second)) span.soft { " /s" } }
            td.n {
                @match errors {
                    None => { span.soft { "–" } }
                    Some(share) if share >= 1.0 => { span.badge.bad { (format!("{share:.1} %")) } }
                    Some(share) => { (format!("{share:.1} %")) }
                }
            }
            td.n { (ms(red.p50_seconds.map(|s| s * 1e3))) }
            td.n { (ms(red.p99_seconds.map(|s| s * 1e3))) }
            td.n { (one["inflight"].as_u64().unwrap_or(0)) }
            td.n { (size(one["memory_bytes"].as_u64().unwrap_or(0))) }
        }
    }
}
