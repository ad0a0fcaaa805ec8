//! Filters (RFC 7644 §3.4.2.2) whose names are those of a schema: matched against a value, or
//! written as a `jsonpath` for PostgreSQL. Pure; how they are read is in `grammar.rs`.
//!
//! What a client writes never becomes SQL: names are those of the schema, values are quoted as
//! JSON strings inside of a jsonpath, which is a parameter.

use super::schema::{Attribute, Form};
use nexus_sdk::serde_json::Value;

/// A filter whose names are those of a schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// The attribute has a value.
    Present(Place),
    Compare(Place, Comparison, Value),
    /// One of the values of an attribute matches all of a filter.
    Within(Place, Box<Filter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Where in a resource: keys as they stand in its JSON, and what stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub keys: Vec<&'static str>,
    pub attribute: &'static Attribute,
}

/// What a PATCH means by a path: an attribute, perhaps only some of its values, perhaps only a part
/// of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub place: Place,
    pub filter: Option<Filter>,
    pub part: Option<&'static Attribute>,
}

impl Filter {
    /// Whether a value matches; the same as its jsonpath says.
    pub fn matches(&self, value: &Value) -> bool {
        match self {
            Filter::And(left, right) => left.matches(value) && right.matches(value),
            Filter::Or(left, right) => left.matches(value) || right.matches(value),
            Filter::Not(inner) => !inner.matches(value),
            Filter::Present(place) => !at(value, &place.keys).is_empty(),
            Filter::Within(place, inner) => {
                at(value, &place.keys).into_iter().any(|value| inner.matches(value))
            }
            Filter::Compare(place, comparison, wanted) => {
                let found = at(value, &place.keys);
                let exact = place.attribute.exact;
                let holds = |by| found.iter().any(|value| compares(value, by, wanted, exact));
                match comparison {
                    _ if wanted.is_null() => found.is_empty() == (*comparison == Comparison::Equal),
                    Comparison::NotEqual => !holds(Comparison::Equal),
                    other => holds(*other),
                }
            }
        }
    }

    /// The one user name, in lower case, that whatever matches must have: such searches, the most
    /// frequent of all, need not look at every account.
    pub fn user_name(&self) -> Option<String> {
        match self {
            Filter::And(left, right) => left.user_name().or_else(|| right.user_name()),
            Filter::Compare(place, Comparison::Equal, Value::String(text))
                if place.keys == ["userName"] && text.is_ascii() =>
            {
                Some(text.to_ascii_lowercase())
            }
            _ => None,
        }
    }

    /// The filter as a predicate over a document.
    pub fn jsonpath(&self) -> String {
        self.predicate("$")
    }

    fn predicate(&self, root: &str) -> String {
        match self {
            Filter::And(l, r) => format!("({} && {})", l.predicate(root), r.predicate(root)),
            Filter::Or(l, r) => format!("({} || {})", l.predicate(root), r.predicate(root)),
            Filter::Not(inner) => format!("!({})", inner.predicate(root)),
            Filter::Present(place) => format!("exists({})", path(root, &place.keys)),
            Filter::Within(place, inner) => {
                format!("exists({}[*] ? ({}))", path(root, &place.keys), inner.predicate("@"))
            }
            Filter::Compare(place, comparison, wanted) => {
                let exact = place.attribute.exact || place.attribute.form == Form::DateTime;
                comparing(&path(root, &place.keys), *comparison, wanted, exact)
            }
        }
    }
}

fn path(root: &str, keys: &[&str]) -> String {
    let key = |key: &&str| format!(".{}", Value::from(*key));
    std::iter::once(root.to_owned()).chain(keys.iter().map(key)).collect()
}

fn comparing(path: &str, comparison: Comparison, wanted: &Value, exact: bool) -> String {
    use Comparison::*;
    let text = wanted.as_str();
    match (comparison, text) {
        (Equal, None) if wanted.is_null() => format!("!(exists({path}))"),
        (NotEqual, None) if wanted.is_null() => format!("exists({path})"),
        (NotEqual, _) => format!("!({})", comparing(path, Equal, wanted, exact)),
        (Equal, None) => format!("{path} == {wanted}"),
        (Equal, Some(_)) if exact => format!("{path} == {wanted}"),
        (Equal, Some(text)) => like(path, &format!("^{}$", literal(text)), exact),
        (Contains, Some(text)) => like(path, &literal(text), exact),
        (StartsWith, Some(text)) => like(path, &format!("^{}", literal(text)), exact),
        (EndsWith, Some(text)) => like(path, &format!("{}$", literal(text)), exact),
        (Greater, _) => format!("{path} > {wanted}"),
        (GreaterOrEqual, _) => format!("{path} >= {wanted}"),
        (Less, _) => format!("{path} < {wanted}"),
        (LessOrEqual, _) => format!("{path} <= {wanted}"),
        (Contains | StartsWith | EndsWith, None) => "(1 == 0)".into(),
    }
}

fn like(path: &str, pattern: &str, exact: bool) -> String {
    let flag = if exact { "" } else { " flag \"i\"" };
    format!("{path} like_regex {}{flag}", Value::from(pattern))
}

/// `text` as a regular expression that matches nothing else: a backslash takes the meaning of any
/// character that is neither letter nor digit (PostgreSQL 15, 9.7.3.3).
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && !c.is_ascii_control() {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// All values at a place: arrays on the way stand for each of their elements.
fn at<'v>(value: &'v Value, keys: &[&str]) -> Vec<&'v Value> {
    let Some((key, rest)) = keys.split_first() else {
        return match value {
            Value::Null => Vec::new(),
            Value::Array(values) => values.iter().collect(),
            other => vec![other],
        };
    };
    match value {
        Value::Object(object) => object.get(*key).map_or(Vec::new(), |value| at(value, rest)),
        Value::Array(values) => values.iter().flat_map(|value| at(value, keys)).collect(),
        _ => Vec::new(),
    }
}

fn compares(value: &Value, comparison: Comparison, wanted: &Value, exact: bool) -> bool {
    let (Some(have), Some(wanted)) = (value.as_str(), wanted.as_str()) else {
        return comparison == Comparison::Equal && value == wanted;
    };
    let fold = |text: &str| if exact { text.to_owned() } else { text.to_ascii_lowercase() };
    let (folded, sought) = (fold(have), fold(wanted));
    match comparison {
        Comparison::Equal => folded == sought,
        Comparison::NotEqual => folded != sought,
        Comparison::Contains => folded.contains(&sought),
        Comparison::StartsWith => folded.starts_with(&sought),
        Comparison::EndsWith => folded.ends_with(&sought),
        Comparison::Greater => have > wanted,
        Comparison::GreaterOrEqual => have >= wanted,
        Comparison::Less => have < wanted,
        Comparison::LessOrEqual => have <= wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::super::grammar::filter;
    use super::super::schema::Kind;
    use super::*;
    use nexus_sdk::serde_json::json;

    fn ada() -> Value {
        json!({
            "userName": "Ada@Example.com", "active": true,
            "name": { "familyName": "Lovelace" },
            "emails": [
                { "type": "work", "value": "ada@example.com", "primary": true },
                { "type": "home", "value": "ada@home.org" },
            ],
            "meta": { "lastModified": "2026-03-01T10:00:00.000Z" },
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "R&D" },
        })
    }

    #[track_caller]
    fn check(text: &str, expected: bool) {
        let filter = filter(Kind::User, text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(filter.matches(&ada()), expected, "{text}");
    }

    #[test]
    fn every_operator_means_what_the_rfc_says() {
        check(r#"userName eq "ada@example.COM""#, true);
        check(r#"userName ne "ada@example.com""#, false);
        check(r#"USERNAME Sw "ada""#, true);
        check(r#"userName ew ".com""#, true);
        check(r#"userName co ".*""#, false);
        check(r#"name.familyName co "LOVE""#, true);
        check("title pr", false);
        check("not (title pr)", true);
        check("title eq null", true);
        check("active eq true", true);
        check(r#"emails eq "ada@home.org""#, true);
        check(r#"emails.type eq "home""#, true);
        check(r#"meta.lastModified gt "2026-03-01T09:59:59Z""#, true);
        check(r#"meta.lastModified ge "2026-03-01T11:00:00+01:00""#, true);
        check(r#"meta.lastModified lt "2026-03-01T10:00:00Z""#, false);
    }

    #[test]
    fn and_binds_stronger_than_or_and_brackets_bind_strongest() {
        check(r#"title pr and title pr or active eq true"#, true);
        check(r#"title pr and (title pr or active eq true)"#, false);
        check(r#"active eq true or title pr and title pr"#, true);
    }

    #[test]
    fn a_value_path_means_one_value_at_a_time() {
        check(r#"emails[type eq "work" and value co "@example.com"]"#, true);
        check(r#"emails[type eq "home" and value co "@example.com"]"#, false);
        check(
            r#"emails[type eq "home"] and not (emails[primary eq true and type eq "home"])"#,
            true,
        );
    }

    #[test]
    fn an_extension_is_named_by_its_urn() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        check(&format!(r#"{urn}:department eq "r&d""#), true);
        check(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName pr"#, true);
    }

    #[test]
    fn a_value_never_leaves_its_quotes_in_a_jsonpath() {
        let told = |text: &str| filter(Kind::User, text).unwrap().jsonpath();
        let injected = told(r#"userName eq "x\" || true || \"""#);
        assert_eq!(
            injected,
            r#"$."userName" like_regex "^x\\\"\\ \\|\\|\\ true\\ \\|\\|\\ \\\"$" flag "i""#
        );
        assert_eq!(told("active eq true"), r#"$."active" == true"#);
        assert_eq!(
            told(r#"emails[type eq "work"]"#),
            r#"exists($."emails"[*] ? (@."type" like_regex "^work$" flag "i"))"#
        );
    }

    #[test]
    fn a_search_for_one_user_name_is_known_as_such() {
        let name = |text: &str| filter(Kind::User, text).unwrap().user_name();
        assert_eq!(name(r#"userName eq "Ada""#).as_deref(), Some("ada"));
        assert_eq!(name(r#"active eq true and userName eq "Ada""#).as_deref(), Some("ada"));
        for other in [
            r#"userName eq "Ada" or active eq true"#,
            r#"not (userName eq "Ada")"#,
            r#"userName ne "Ada""#,
            r#"title eq "Ada""#,
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
