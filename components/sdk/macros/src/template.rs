//! The scan of a `sql!` literal and the Rust it becomes.
//!
//! Knows where a placeholder starts and ends; refuses everything but a path to a field, so
//! that a statement never hides a computation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, LitStr, Result};

/// A scanned literal: the SQL with `$n`, and what stands behind each number, in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Template {
    pub(crate) text: String,
    pub(crate) placeholders: Vec<String>,
}

/// Splits `source` into SQL and placeholders; the error is a sentence for the author.
pub(crate) fn scan(source: &str) -> std::result::Result<Template, String> {
    let mut text = String::with_capacity(source.len());
    let mut placeholders: Vec<String> = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.peek() == Some(&c) => {
                rest.next();
                text.push(c);
            }
            '{' => {
                let name = placeholder(&mut rest)?;
                let known = placeholders.iter().position(|known| *known == name);
                let number = known.unwrap_or_else(|| {
                    placeholders.push(name);
                    placeholders.len() - 1
                });
                text.push_str(&format!("${}", number + 1));
            }
            '}' => return Err("a closing brace without an opening one; a brace is `}}`".into()),
            '$' if rest.peek().is_some_and(char::is_ascii_digit) => {
                return Err("a numbered parameter; write `{name}` and let sql! count".into());
            }
            _ => text.push(c),
        }
    }
    Ok(Template { text, placeholders })
}

/// What stands between an opening brace, already read, and its closing one.
fn placeholder(rest: &mut impl Iterator<Item = char>) -> std::result::Result<String, String> {
    let mut name = String::new();
    loop {
        match rest.next() {
            Some('}') => break,
            Some(c) => name.push(c),
            None => return Err("a placeholder is not closed".into()),
        }
    }
    match name.trim() {
        "" => Err("a placeholder needs a name: `{id}`; a brace is `{{`".into()),
        name => Ok(name.to_owned()),
    }
}

/// The statement as a Rust expression of type `nexus_sdk::Statement`.
pub(crate) fn expand(literal: &LitStr) -> Result<TokenStream> {
    let template = scan(&literal.value()).map_err(|reason| Error::new(literal.span(), reason))?;
    let binds = template.placeholders.iter().map(|name| bind(name, literal));
    let binds = binds.collect::<Result<Vec<_>>>()?;
    let text = LitStr::new(&template.text, literal.span());
    Ok(quote!(::nexus_sdk::Statement::from_template(#text, ::std::vec![#(#binds),*])))
}

fn bind(name: &str, literal: &LitStr) -> Result<TokenStream> {
    match name {
        "tenant" => return Ok(quote!(::nexus_sdk::Bind::Tenant)),
        "trace" => return Ok(quote!(::nexus_sdk::Bind::Trace)),
        _ => {}
    }
    let value: Expr = LitStr::new(name, literal.span()).parse()?;
    if !is_field_path(&value) {
        let reason = format!("`{{{name}}}` is no name and no field; compute it before the SQL");
        return Err(Error::new(literal.span(), reason));
    }
    Ok(quote!(::nexus_sdk::Bind::value(&#value)))
}

fn is_field_path(value: &Expr) -> bool {
    match value {
        Expr::Path(path) => path.path.get_ident().is_some(),
        Expr::Field(field) => is_field_path(&field.base),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;

    fn expanded(source: &str) -> std::result::Result<String, String> {
        expand(&LitStr::new(source, Span::call_site()))
            .map(|tokens| tokens.to_string().replace(' ', ""))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn placeholders_are_numbered_in_order_and_a_repeated_one_keeps_its_number() {
        let template = scan("a = {a} and t = {tenant} and b = {p.b} or a = {a}").unwrap();
        assert_eq!(template.text, "a = $1 and t = $2 and b = $3 or a = $1");
        assert_eq!(template.placeholders, ["a", "tenant", "p.b"]);
    }

    #[test]
    fn doubled_braces_are_literal_braces() {
        let template = scan("select '{{}}'::jsonb, {x}").unwrap();
        assert_eq!(template.text, "select '{}'::jsonb, $1");
        assert_eq!(expanded("select '{{\"a\": 1}}'::jsonb, {x}").map(|_| ()), Ok(()));
    }

    #[test]
    fn the_tenant_and_the_trace_are_bound_by_the_sdk_and_the_rest_by_reference() {
        let tokens = expanded("{tenant} {trace} {p.title}").unwrap();
        assert!(tokens.contains("::nexus_sdk::Bind::Tenant"), "{tokens}");
        assert!(tokens.contains("::nexus_sdk::Bind::Trace"), "{tokens}");
        assert!(tokens.contains("::nexus_sdk::Bind::value(&p.title)"), "{tokens}");
    }

    #[test]
    fn a_computation_an_empty_or_open_placeholder_and_a_numbered_parameter_are_refused() {
        for (source, reason) in [
            ("{a + 1}", "no name and no field"),
            ("{id.to_string()}", "no name and no field"),
            ("{}", "needs a name"),
            ("where id = {id", "not closed"),
            ("id}", "without an opening"),
            ("id = $1", "numbered parameter"),
        ] {
            let refused = expanded(source).unwrap_err();
            assert!(refused.contains(reason), "{source}: {refused}");
        }
    }
}
