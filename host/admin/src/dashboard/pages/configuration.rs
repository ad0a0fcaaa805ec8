//! What components are configured with: names, where each value comes from, and the history. Values
//! of secrets never come here.

use super::super::Visit;
use super::super::parts::{cell, piece, rows, text};
use super::parts::{action, asking, badge, filter, list, nothing, table, title, trouble, when};
use maud::{Markup, html};
use nexus_storage::audit::Role;
use serde_json::{Value, json};

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let components = visit.get("components").await;
    html! {
        (title("Configuration", "Variables of components. What is set for all holds where a \
            component has nothing of its own.", Some(filter("components"))))
        section.card aria-label="Components" {
            p { a.button href="/configuration/_" { "For all components" } }
            div #components {
                (list(&components, |found| {
                    let all = rows(found, "components");
                    if all.is_empty() {
                        return nothing("No component is loaded.");
                    }
                    table("Components", &["Component", "Granted variables"], &html! {
                        @for one in all {
                            tr data-row {
                                th scope="row" {
                                    a href=(format!("/configuration/{}", piece(text(one, "id")))) {
                                        (text(one, "id"))
                                    }
                                }
                                td.words { (granted(one)) }
                            }
                        }
                    })
                }))
            }
        }
    }
}

fn granted(one: &Value) -> String {
    let names = one["grants"]["variables"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) async fn one(visit: &Visit<'_>, name: &str) -> Markup {
    let path = format!("configuration/{}", piece(name));
    let found = match visit.get(&path).await {
        Ok(found) => found,
        Err(problem) => return html! { (title(name, "", None)) (trouble(&problem)) },
    };
    let versions = visit.get(&format!("{path}/versions?limit=30")).await;
    let whose = if name == "_" { "All components" } else { name };
    html! {
        p.crumb { a href="/configuration" { "Configuration" } }
        (title(whose, "Values of secrets are never shown.", None))
        section.card aria-labelledby="names-title" {
            h2 #names-title { "Names" }
            div #names data-live { (names(&found)) }
        }
        @if visit.may(Role::Operator) {
            section.card aria-labelledby="set-title" {
                h2 #set-title { "Set a value" }
                (set(visit, &path, false))
                @if visit.may(Role::Admin) {
                    h2 { "Set a secret" }
                    (set(visit, &path, true))
                }
                @if name != "_" {
                    p.hint { "A new value is in force once it was applied: that makes a revision." }
                    (asking(visit, &format!("POST {path}/apply"), &json!({}),
                        Some("Make a revision with the newest configuration?"),
                        html! { button type="submit" { "Apply" } }))
                }
            }
        }
        section.card aria-labelledby="versions-title" {
            h2 #versions-title { "History" }
            (list(&versions, history))
        }
    }
}

fn names(found: &Value) -> Markup {
    let all = rows(found, "names");
    if all.is_empty() {
        return nothing("Nothing is set, and nothing is declared.");
    }
    table(
        "Names",
        &["Name", "From", "Value", "#Version"],
        &html! {
            @for one in all {
                tr {
                    th scope="row" { code { (text(one, "name")) } }
                    td { (badge(text(one, "origin"))) }
                    td.words {
                        @if one["secret"] == true { span.badge { "secret" } }
                        @else { (cell(one, "value")) }
                    }
                    td.n { (cell(one, "version")) }
                }
            }
        },
    )
}

fn set(visit: &Visit<'_>, path: &str, secret: bool) -> Markup {
    let id = |name: &str| format!("{}-{name}", if secret { "secret" } else { "plain" });
    action(
        visit,
        &format!("PUT {path}/{{name}}"),
        &json!({ "secret": secret }),
        html! {
            div.row {
                div.field {
                    label for=(id("name")) { "Name" }
                    input id=(id("name")) name="at.name" required pattern="[a-z][a-z0-9_]*"
                        autocomplete="off" spellcheck="false";
                }
                div.field {
                    label for=(id("value")) { (if secret { "Secret" } else { "Value" }) }
                    input id=(id("value")) name="set.value" required autocomplete="off"
                        type=(if secret { "password" } else { "text" }) spellcheck="false";
                }
                button type="submit" { (if secret { "Set the secret" } else { "Set" }) }
            }
        },
    )
}

fn history(found: &Value) -> Markup {
    let all = rows(found, "versions");
    if all.is_empty() {
        return nothing("Nothing was ever set.");
    }
    table(
        "History",
        &["#Version", "Name", "Kind", "When", "By", "Reason"],
        &html! {
            @for one in all {
                tr {
                    th.n scope="row" { (cell(one, "version")) }
                    td { code { (text(one, "name")) } }
                    td { (badge(text(one, "kind"))) }
                    td.tight { (when(one, "at")) }
                    td { (text(one, "by")) }
                    td.words { (text(one, "reason")) }
                }
            }
        },
    )
}
