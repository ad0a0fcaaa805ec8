//! The two small languages of Spin's variables: names, and templates with `{{ name }}` in them.
//! Refuses to know values.
//! Source: the Spin manifest reference, "Application variables"; like there, braces have no escape.

use crate::VariablesError;

/// One piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Literal(&'a str),
    Variable(&'a str),
}

/// Cuts a template into pieces.
pub(crate) fn parts(template: &str) -> Result<Vec<Part<'_>>, VariablesError> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix("{{") {
            let (name, after) = inside.split_once("}}").ok_or(VariablesError::Template)?;
            parts.push(Part::Variable(name.trim()));
            rest = after;
        } else {
            let (literal, after) = rest.split_at(rest.find("{{").unwrap_or(rest.len()));
            parts.push(Part::Literal(literal));
            rest = after;
        }
    }
    Ok(parts)
}

/// Bytes of a name; the guest's own text comes back in errors, which stay short.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// What keeps `name` from being a variable name; none when it is one. Names are lower_snake, so
/// that each has exactly one spelling as an environment variable.
pub fn name_fault(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.len() > NAME_BYTES_MAX {
        Some("it has more than 128 characters")
    } else if name.is_empty() {
        Some("it is empty")
    } else if !name.chars().all(allowed) {
        Some("only lower-case letters, digits and underscores are allowed")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Some("it must start with a letter")
    } else if name.ends_with('_') {
        Some("it must end with a letter or digit")
    } else if name.contains("__") {
        Some("two underscores in a row are not allowed")
    } else {
        None
    }
}
