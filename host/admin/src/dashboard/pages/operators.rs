//! Who may operate. For administrators.

use super::super::Visit;
use super::super::parts::{piece, rows, text};
use super::parts::{action, asking, badge, list, nothing, table, title, when};
use maud::{Markup, html};
use serde_json::{Value, json};

pub(super) async fn page(visit: &Visit<'_>) -> Markup {
    let found = visit.get("operators").await;
    html! {
        (title("Operators", "Besides root, who is whoever holds the token of this installation.",
            None))
        section.card aria-label="Operators" {
            (list(&found, |found| shown(visit, found)))
        }
        @if found.is_ok() {
            section.card aria-labelledby="add-title" {
                h2 #add-title { "Let somebody in" }
                (action(visit, "POST operators", &json!({}), html! {
                    div.row {
                        div.field {
                            label for="name" { "Name" }
                            input #name name="set.name" required pattern="[a-z][a-z0-9._\\-]*"
                                autocomplete="off" spellcheck="false";
                        }
                        div.field {
                            label for="role" { "Role" }
                            select #role name="set.role" {
                                option value="viewer" { "viewer: looks" }
                                option value="operator" { "operator: deploys, redrives, runs" }
                                option value="admin" { "admin: operators, secrets, purges" }
                            }
                        }
                        button.primary type="submit" { "Let in" }
                    }
                }))
                p.hint { "The token is shown once, on the page that comes next." }
            }
        }
    }
}

fn shown(visit: &Visit<'_>, found: &Value) -> Markup {
    let all = rows(found, "operators");
    if all.is_empty() {
        return nothing("There is nobody but root.");
    }
    let head = ["Name", "Role", "Credential", "Since", "By", "Last used", ""];
    table(
        "Operators",
        &head,
        &html! {
            @for one in all {
                @let name = text(one, "name");
                tr {
                    th scope="row" { (name) }
                    td { (badge(text(one, "role"))) }
                    td { code { (text(one, "credential")) } }
                    td.tight { (when(one, "created_at")) }
                    td { (text(one, "created_by")) }
                    td.tight { (when(one, "last_used_at")) }
                    td {
                        (asking(visit, &format!("DELETE operators/{}", piece(name)), &json!({}),
                            Some(&format!("Shut {name} out?")),
                            html! { button.danger type="submit" {
                                "Shut out" span.away { " " (name) } } }))
                    }
                }
            }
        },
    )
}
