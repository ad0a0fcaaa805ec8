//! One revision: where it comes from, and the lines of its manifest.

use super::super::Visit;
use super::super::parts::{cell, piece, text};
use super::parts::{badge, ordering, title, trouble, when};
use super::rollouts::percent;
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};

pub(super) async fn page(visit: &Visit<'_>, name: &str, number: &str) -> Markup {
    let path = format!("components/{}/revisions/{}", piece(name), piece(number));
    let head = format!("{name}, revision {number}");
    let one = match visit.get(&path).await {
        Ok(one) => one,
        Err(problem) => return html! { (title(&head, "", None)) (trouble(&problem)) },
    };
    html! {
        p.crumb { a href=(format!("/components/{}", piece(name))) { (name) } }
        (title(&head, text(&one, "note"), Some(badge(text(&one, "origin")))))
        section.card aria-labelledby="what-title" {
            h2 #what-title { "What it is" }
            dl.facts {
                dt { "Share" } dd { (percent(one["weight"].as_u64().unwrap_or(0))) }
                @if !text(&one, "version").is_empty() {
                    dt { "Version" } dd { (text(&one, "version")) }
                }
                dt { "Made" } dd { (when(&one, "created_at")) " by " (text(&one, "created_by")) }
                dt { "Artifact" } dd { code { (cell(&one, "artifact")) } }
                dt { "Bytes" } dd { code { (cell(&one, "wasm_digest")) } }
                dt { "Configuration" } dd { "version " (cell(&one, "configuration")) }
            }
        }
        @if one["weight"].as_u64().unwrap_or(0) == 0 && visit.may(Role::Operator) {
            (serve(visit, name, &one))
        }
        section.card aria-labelledby="lines-title" {
            h2 #lines-title { "Its lines of the manifest" }
            pre tabindex="0" { (text(&one, "fragment")) }
        }
    }
}

/// The order that serves an old revision again.
fn serve(visit: &Visit<'_>, name: &str, one: &Value) -> Markup {
    let body = json!({ "to": one["number"] });
    let call = format!("POST components/{}/rollback {body}", piece(name));
    html! {
        section.card aria-labelledby="serve-title" {
            h2 #serve-title { "Serve it again" }
            (ordering(visit, "reason", html! {
                button.danger name="call" value=(call) { "Serve it alone, at once" }
            }))
        }
    }
}
