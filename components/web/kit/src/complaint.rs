//! What is wrong with a form, said above it and beside the field.
//!
//! Knows how a service's problem (RFC 9457) points at fields. Refuses to judge by itself: what a
//! field takes is the service's to know.

use crate::spoken;
use maud::{Markup, html};
use nexus_sdk::Problem;

/// Why a service did not do it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// The last part of the problem's type: `wrong-credentials`.
    pub name: String,
    pub status: u16,
    /// For people.
    pub detail: String,
    /// Which field, and what is the matter with it.
    pub fields: Vec<(String, String)>,
    pub retry_after_seconds: Option<i64>,
}

impl Refused {
    /// From a problem and the time to wait that came beside it.
    pub fn of(problem: Problem, retry_after_seconds: Option<i64>) -> Refused {
        let name = problem.r#type.rsplit('/').next().unwrap_or_default().to_owned();
        let field = |error: nexus_sdk::FieldError| {
            let pointer = error.pointer?;
            let field = pointer.trim_start_matches('#').trim_start_matches('/');
            // Of a list, the field that holds it.
            let field = field.split('/').next().unwrap_or_default().to_owned();
            Some((field, sentence(&error.detail)))
        };
        Refused {
            name,
            status: problem.status,
            detail: sentence(&problem.detail),
            fields: problem.errors.into_iter().filter_map(field).collect(),
            retry_after_seconds,
        }
    }

    /// Whether it is the problem of that name.
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether time alone heals it.
    pub fn is_too_often(&self) -> bool {
        self.status == 429
    }
}

/// What a form is sent back with.
#[derive(Debug, Clone, Default)]
pub struct Complaints {
    summary: Vec<String>,
    fields: Vec<(String, String)>,
}

impl Complaints {
    /// A fresh form.
    pub fn none() -> Complaints {
        Complaints::default()
    }

    /// A sentence about the whole form.
    pub fn about(sentence: impl Into<String>) -> Complaints {
        Complaints { summary: vec![sentence.into()], fields: Vec::new() }
    }

    /// What a service said.
    pub fn of(refused: &Refused) -> Complaints {
        if refused.is_too_often() {
            let wait = spoken::duration(refused.retry_after_seconds.unwrap_or(60));
            let words = format!("That was too often. Please wait {wait} and try again.");
            return Complaints::about(words);
        }
        match refused.fields.is_empty() {
            true => Complaints::about(refused.detail.clone()),
            false => Complaints { summary: Vec::new(), fields: refused.fields.clone() },
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn at(mut self, field: &str, sentence: impl Into<String>) -> Complaints {
        self.fields.push((field.to_owned(), sentence.into()));
        self
    }

    /// What is the matter with a field.
    pub fn of_field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, sentence)| sentence.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.summary.is_empty() && self.fields.is_empty()
    }

    /// The box above the form. It takes the focus, so that a screen reader begins with it, and
    /// leads to each field.
    pub fn summary(&self) -> Markup {
        html! {
            @if !self.is_empty() {
                div.complaints role="alert" tabindex="-1" autofocus {
                    @for sentence in &self.summary { p { (sentence) } }
                    @if !self.fields.is_empty() {
                        ul {
                            @for (field, sentence) in &self.fields {
                                li { a href={ "#" (field) } { (sentence) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Services speak in clauses; a page in sentences.
fn sentence(clause: &str) -> String {
    let clause = clause.trim().trim_end_matches('.');
    let mut letters = clause.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => "That did not work.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::prelude::*;

    fn refused(problem: serde_json::Value, retry_after: Option<i64>) -> Refused {
        Refused::of(serde_json::from_value(problem).unwrap(), retry_after)
    }

    #[test]
    fn a_problem_is_pinned_to_the_field_it_points_at() {
        let refused = refused(
            json!({
                "type": "/problems/user-auth/password-common", "title": "x", "status": 422,
                "detail": "this password is known",
                "errors": [{ "pointer": "#/password", "detail": "it is on every list" }],
            }),
            None,
        );
        assert!(refused.is("password-common"));
        let complaints = Complaints::of(&refused);
        assert_eq!(complaints.of_field("password"), Some("It is on every list."));
        let shown = complaints.summary().into_string();
        assert!(shown.contains("href=\"#password\""), "{shown}");
    }

    #[test]
    fn whoever_came_too_often_is_told_how_long_to_wait() {
        let problem = json!({ "type": "/problems/x/y", "title": "x", "status": 429 });
        let shown = Complaints::of(&refused(problem, Some(150))).summary().into_string();
        assert!(shown.contains("wait 3 minutes"), "{shown}");
    }

    #[test]
    fn what_a_service_says_is_text_and_never_markup() {
        let problem = json!({
            "type": "/problems/x/y", "title": "x", "status": 422, "detail": "<script>alert(1)",
            "errors": [{ "pointer": "#/a\"><b>", "detail": "<img src=x onerror=alert(1)>" }],
        });
        let shown = Complaints::of(&refused(problem, None)).summary().into_string();
        assert!(!shown.contains("<img") && !shown.contains("<b>"), "{shown}");
    }

    #[test]
    fn a_clause_becomes_a_sentence() {
        assert_eq!(sentence("a name takes 1 to 60 characters"), "A name takes 1 to 60 characters.");
        assert_eq!(sentence(""), "That did not work.");
        assert_eq!(sentence("über."), "Über.");
    }
}
