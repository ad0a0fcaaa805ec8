//! Changes of traffic: those that go on, those that were, and the steps of one as a bar.

use super::super::Visit;
use super::super::parts::{cell, rows, text};
use super::parts::{
    asking, badge, filter, list, more, nothing, passed, table, title, trouble, when,
};
use maud::{Markup, html};
use nexus_runtime::Problem;
use nexus_storage::audit::Role;
use serde_json::{Value, json};

/// Nothing happens in these any more.
pub(super) const OVER: [&str; 4] = ["done", "aborted", "failed", "rolled_back"];

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
        div #frozen data-live { (frozen(visit, &freezes, None)) }
        section.card aria-label="Rollouts" {
            div #rollouts data-live { (list(&found, |found| shown(found))) }
        }
        @if let Ok(found) = &found { (more(visit, found)) }
    }
}

/// What nobody may change now: everything, or what concerns one component.
pub(super) fn frozen(
    visit: &Visit<'_>,
    freezes: &Result<Value, Problem>,
    component: Option<&str>,
) -> Markup {
    let Ok(freezes) = freezes else { return html! {} };
    let concerns = |one: &&Value| match (component, one["component"].as_str()) {
        (Some(wanted), Some(frozen)) => wanted == frozen,
        _ => true,
    };
    html! {
        @for one in rows(freezes, "freezes").iter().filter(concerns) {
            @let whose = one["component"].as_str().unwrap_or("Everything");
            div.notice.warn data-key=(cell(one, "id")) {
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
        return nothing("Nothing was rolled out yet. A component's own page begins it.");
    }
    let head = ["Component", "#Revision", "State", "#Share", "Step", "Begun", "By", "Reason"];
    table("Rollouts", &head, &html! { @for one in all { (row(one)) } })
}

fn row(one: &Value) -> Markup {
    let steps = one["steps"].as_array().map_or(0, Vec::len);
    html! {
        tr data-row data-key=(cell(one, "id")) {
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
            (stages(one))
        }
        (table("Rollouts of the component", &["Revision", "State", "#Share", "Begun"], &html! {
            @for one in found {
                tr data-key=(cell(one, "id")) {
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

/// The steps as a bar: which are behind it, at which it is.
pub(super) fn stages(one: &Value) -> Markup {
    let all = one["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return html! { p.small.soft { "It has no steps: it stays staged until it is promoted." } };
    }
    let (state, step) = (text(one, "state"), one["step"].as_i64().unwrap_or(-1));
    let open = !OVER.contains(&state);
    html! {
        ol.steps.(state) aria-label="Steps" {
            @for (index, share) in (0_i64..).zip(all) {
                @let here = open && index == step;
                @let back = matches!(state, "rolled_back" | "rolling_back" | "aborted");
                @let done = index < step || (back && index == step)
                    || matches!(state, "done" | "draining");
                li.(if here { "here" } else if done { "done" } else { "" })
                    aria-current=[here.then_some("step")] {
                    span.away { "Step " (index + 1) ": " }
                    (percent(share.as_u64().unwrap_or(0)))
                    span.away {
                        (if here { ", now" } else if done { ", done" } else { ", not yet" })
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(state: &str, step: i64) -> String {
        let one = json!({ "state": state, "step": step, "steps": [1000, 5000, 10000] });
        stages(&one).into_string()
    }

    #[test]
    fn a_bar_says_which_steps_are_done_and_which_one_it_is_at() {
        let middle = drawn("stepping", 1);
        assert_eq!(middle.matches("aria-current").count(), 1, "{middle}");
        assert_eq!(middle.matches(", done").count(), 1, "{middle}");
        assert_eq!(drawn("done", 2).matches(", done").count(), 3);
        assert_eq!(drawn("verifying", -1).matches(", not yet").count(), 3);
        let back = drawn("rolled_back", 1);
        assert!(!back.contains("aria-current") && back.matches(", done").count() == 2, "{back}");
    }

    #[test]
    fn a_share_is_said_with_as_many_digits_as_it_has() {
        assert_eq!(
            (percent(100), percent(10_000), percent(25)),
            ("1 %".into(), "100 %".into(), "0.25 %".into())
        );
    }
}
