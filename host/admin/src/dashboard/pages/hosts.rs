//! Hosts of this database, and this one: conditions, process, engine, stores.

use super::super::Visit;
use super::super::parts::{cell, rows, text};
use super::parts::{badge, code, list, nothing, since, table, title, trouble, when};
use maud::{Markup, html};
use serde_json::Value;

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let all = visit.get("hosts").await;
    let own = visit.get("host").await;
    let started = since(visit.facts().0.started_at);
    html! {
        (title("Hosts", &format!("This one is version {}, up for {started}.",
            visit.facts().0.version), None))
        section.card aria-labelledby="hosts-title" {
            h2 #hosts-title { "Hosts of this database" }
            div #hosts data-live { (list(&all, shown)) }
        }
        @match &own {
            Ok(own) => { (this(own)) }
            Err(problem) => { (trouble(problem)) }
        }
    }
}

fn shown(found: &Value) -> Markup {
    let all = rows(found, "hosts");
    if all.is_empty() {
        return nothing("No host has said anything yet.");
    }
    let head = ["Host", "State", "Version", "Started", "Last heard", "#Generation", "Failures"];
    table(
        "Hosts",
        &head,
        &html! {
            @for one in all {
                tr data-key=(cell(one, "id")) {
                    th scope="row" { (cell(one, "name")) }
                    td { (badge(if one["alive"] == true { "active" } else { "inactive" })) }
                    td { (cell(one, "version")) }
                    td.tight { (when(one, "started_at")) }
                    td.tight { (when(one, "heartbeat_at")) }
                    td.n { (cell(one, "generation")) }
                    td.words {
                        @for failure in rows(one, "failures") {
                            div { strong { (text(failure, "component")) } " "
                                (text(failure, "reason")) }
                        }
                    }
                }
            }
        },
    )
}

fn this(own: &Value) -> Markup {
    html! {
        section.card aria-labelledby="conditions-title" {
            h2 #conditions-title { "Conditions of this host" }
            div #conditions data-live {
                (table("Conditions", &["Condition", "State", "Words"], &html! {
                    @for one in rows(own, "conditions") {
                        tr {
                            th scope="row" { (text(one, "name")) }
                            td { (badge(if one["met"] == true { "met" } else { "waiting" })) }
                            td.words { (text(one, "detail")) }
                        }
                    }
                }))
            }
        }
        section.card aria-labelledby="host-title" {
            h2 #host-title { "This host" }
            details { summary { "All that it says of itself" } (code(own)) }
        }
    }
}
