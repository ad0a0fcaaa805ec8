//! One field of a form: label, input, hint and complaint, tied together for screen readers and
//! password managers.
//!
//! Knows HTML's form attributes. Refuses validation beyond what a browser does by itself: the
//! service decides.

use crate::complaint::Complaints;
use maud::{Markup, html};

/// What is chosen from: the value that travels, and what is read.
pub type Choices<'a> = &'a [(&'a str, &'a str)];

/// A field to type into, or to choose from a list.
#[derive(Debug, Clone, Copy)]
#[must_use = "a field is nothing until it is shown"]
pub struct Field<'a> {
    name: &'a str,
    label: &'a str,
    kind: &'static str,
    value: &'a str,
    autocomplete: &'static str,
    hint: &'a str,
    optional: bool,
    length_max: u32,
    numeric: bool,
    /// 0 is one line, without a way to begin another.
    lines: u32,
    choices: Choices<'a>,
}

impl<'a> Field<'a> {
    /// A line of text that has to be filled in.
    pub fn text(name: &'a str, label: &'a str) -> Field<'a> {
        Field {
            name,
            label,
            kind: "text",
            value: "",
            autocomplete: "off",
            hint: "",
            optional: false,
            length_max: 256,
            numeric: false,
            lines: 0,
            choices: &[],
        }
    }

    /// An e-mail address that names the account.
    pub fn email(name: &'a str, label: &'a str) -> Field<'a> {
        Field { kind: "email", autocomplete: "username", ..Field::text(name, label) }
    }

    /// A password that is there already.
    pub fn password(name: &'a str, label: &'a str) -> Field<'a> {
        let field = Field::text(name, label);
        Field { kind: "password", autocomplete: "current-password", ..field }
    }

    /// A password that is being chosen.
    pub fn new_password(name: &'a str, label: &'a str) -> Field<'a> {
        let hint = "At least 8 characters. A few words that only you would put together are \
                    better than symbols.";
        let field = Field::password(name, label);
        Field { autocomplete: "new-password", hint, ..field }
    }

    /// A code of six digits.
    pub fn code(name: &'a str, label: &'a str) -> Field<'a> {
        let field = Field::text(name, label);
        Field { autocomplete: "one-time-code", length_max: 16, numeric: true, ..field }
    }

    /// Several lines of text.
    pub fn area(name: &'a str, label: &'a str, lines: u32) -> Field<'a> {
        Field { lines, length_max: 10_000, ..Field::text(name, label) }
    }

    /// One of a list.
    pub fn choice(name: &'a str, label: &'a str, choices: Choices<'a>) -> Field<'a> {
        Field { choices, ..Field::text(name, label) }
    }

    /// A whole number.
    pub fn number(name: &'a str, label: &'a str) -> Field<'a> {
        Field { kind: "number", length_max: 12, ..Field::text(name, label) }
    }

    /// A day and a time of day, as a browser's own control writes them: `2026-03-12T10:00`.
    pub fn moment(name: &'a str, label: &'a str) -> Field<'a> {
        Field { kind: "datetime-local", ..Field::text(name, label) }
    }

    /// What stands in it.
    pub fn value(self, value: &'a str) -> Field<'a> {
        Field { value, ..self }
    }

    /// The browser's word for what it may fill in (HTML, autofill detail tokens).
    pub fn autocomplete(self, autocomplete: &'static str) -> Field<'a> {
        Field { autocomplete, ..self }
    }

    /// A sentence below the label.
    pub fn hint(self, hint: &'a str) -> Field<'a> {
        Field { hint, ..self }
    }

    /// It may be left empty.
    pub fn optional(self) -> Field<'a> {
        Field { optional: true, ..self }
    }

    /// How many characters it takes.
    pub fn length_max(self, length_max: u32) -> Field<'a> {
        Field { length_max, ..self }
    }

    /// As HTML, with what is wrong with it.
    pub fn show(self, complaints: &Complaints) -> Markup {
        let complaint = complaints.of_field(self.name);
        let hint_id = format!("{}-hint", self.name);
        let complaint_id = format!("{}-complaint", self.name);
        let mut described = Vec::new();
        if !self.hint.is_empty() {
            described.push(hint_id.as_str());
        }
        if complaint.is_some() {
            described.push(complaint_id.as_str());
        }
        let described = Some(described.join(" ")).filter(|ids| !ids.is_empty());
        html! {
            div.field {
                label for=(self.name) {
                    (self.label)
                    @if self.optional { span.optional { "optional" } }
                }
                @if !self.hint.is_empty() { p.hint id=(hint_id) { (self.hint) } }
                (self.input(described.as_deref(), complaint.is_some()))
                @if let Some(sentence) = complaint {
                    p.complaint id=(complaint_id) { (sentence) }
                }
            }
        }
    }

    fn input(&self, described: Option<&str>, wrong: bool) -> Markup {
        let is_secret = self.kind == "password";
        // A secret is never sent back to the page.
        let value = if is_secret { "" } else { self.value };
        let mode = if self.numeric { "numeric" } else { "" };
        if !self.choices.is_empty() {
            return self.list(described, wrong);
        }
        if self.lines > 0 {
            return self.lines(described, wrong);
        }
        html! {
            input.code[self.numeric] id=(self.name) name=(self.name) type=(self.kind)
                value=[(!value.is_empty()).then_some(value)]
                autocomplete=(self.autocomplete)
                required[!self.optional]
                maxlength=(self.length_max)
                inputmode=[self.numeric.then_some(mode)]
                autocapitalize=[(self.kind != "text").then_some("none")]
                spellcheck=[(self.kind != "text").then_some("false")]
                aria-describedby=[described]
                aria-invalid=[wrong.then_some("true")];
        }
    }
}

impl Field<'_> {
    fn list(&self, described: Option<&str>, wrong: bool) -> Markup {
        html! {
            select id=(self.name) name=(self.name) aria-describedby=[described]
                aria-invalid=[wrong.then_some("true")] {
                @for (value, label) in self.choices {
                    option value=(value) selected[*value == self.value] { (label) }
                }
            }
        }
    }

    fn lines(&self, described: Option<&str>, wrong: bool) -> Markup {
        html! {
            textarea id=(self.name) name=(self.name) rows=(self.lines)
                maxlength=(self.length_max) required[!self.optional]
                aria-describedby=[described] aria-invalid=[wrong.then_some("true")] {
                // A browser drops a line end that stands first.
                "\n" (self.value)
            }
        }
    }
}

/// A value that travels with the form.
pub fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// The button that sends it.
pub fn submit(label: &str) -> Markup {
    html! { button.primary type="submit" { (label) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_comes_back_as_text_and_a_password_never() {
        let hostile = "\"><script>alert(1)</script>";
        let shown = Field::email("email", "E-mail").value(hostile).show(&Complaints::none());
        let shown = shown.into_string();
        assert!(!shown.contains("<script>"), "{shown}");
        assert!(shown.contains("value=\"&quot;&gt;&lt;script&gt;"), "{shown}");
        let shown = Field::password("password", "Password").value("hunter2hunter2");
        let shown = shown.show(&Complaints::none()).into_string();
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_list_shows_what_was_chosen_and_lines_come_back_whole() {
        let choices = [("a", "First"), ("b", "Second")];
        let shown = Field::choice("x", "X", &choices).value("b").show(&Complaints::none());
        assert!(shown.into_string().contains("value=\"b\" selected>Second"));
        let shown = Field::area("y", "Y", 4).value("\n</textarea>").show(&Complaints::none());
        let shown = shown.into_string();
        assert!(shown.contains(">\n\n&lt;/textarea&gt;<"), "{shown}");
    }

    #[test]
    fn a_complaint_is_tied_to_its_field() {
        let complaints = Complaints::none().at("email", "That is no address.");
        let shown = Field::email("email", "E-mail").hint("Yours.").show(&complaints).into_string();
        assert!(shown.contains("aria-describedby=\"email-hint email-complaint\""), "{shown}");
        assert!(shown.contains("aria-invalid=\"true\""), "{shown}");
        assert!(shown.contains("id=\"email-complaint\""), "{shown}");
    }

    #[test]
    fn password_managers_are_told_what_a_field_is() {
        for (field, word) in [
            (Field::email("a", "a"), "username"),
            (Field::password("a", "a"), "current-password"),
            (Field::new_password("a", "a"), "new-password"),
            (Field::code("a", "a"), "one-time-code"),
        ] {
            let shown = field.show(&Complaints::none()).into_string();
            assert!(shown.contains(&format!("autocomplete=\"{word}\"")), "{shown}");
            assert!(!shown.contains("onpaste"), "{shown}");
        }
    }
}
