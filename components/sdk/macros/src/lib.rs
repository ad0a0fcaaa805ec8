//! `sql!`: a template of one SQL statement whose `{placeholders}` become `$n` parameters.
//!
//! Knows braces, numbers and field paths. Refuses to know SQL: what the words between the
//! placeholders mean is PostgreSQL's business, what a value becomes is `ToParam`'s.

mod template;

use proc_macro::TokenStream;

/// One SQL statement as a value: `sql!("select * from catalog.product where id = {id}")`.
///
/// - `{name}` and `{name.field.field}` bind a value through `nexus_sdk::ToParam`, by reference.
///   The same placeholder twice is the same parameter.
/// - `{tenant}` is bound by the SDK when the statement runs, never by the author; so is `{trace}`,
///   the W3C trace context of whoever runs it, or null: for what goes on elsewhere.
/// - `{{` and `}}` are literal braces. A literal `$1` is refused: parameters have names here.
#[proc_macro]
pub fn sql(input: TokenStream) -> TokenStream {
    let literal = syn::parse_macro_input!(input as syn::LitStr);
    template::expand(&literal).unwrap_or_else(syn::Error::into_compile_error).into()
}
