//! Filters and paths (RFC 7644 §3.4.2.2, §3.5.2): read, resolved against a schema, matched against
//! a value, or written as a `jsonpath` for PostgreSQL. Pure.
//!
//! What a client writes never becomes SQL: names are those of the schema, values are quoted as
//! JSON strings inside of a jsonpath, which is a parameter.

use super::schema::{Attribute, Form, Kind, find};
use nexus_sdk::chrono::{DateTime, SecondsFormat, Utc};
use nexus_sdk::serde_json::{self, Value};

/// Nested deeper, no person has written it.
const DEPTH_MAX: usize = 16;
const CHARS_MAX: usize = 4_000;

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

/// Whose attributes names are looked up in.
#[derive(Clone, Copy)]
enum Names {
    Of(Kind),
    Parts(&'static [Attribute]),
}

type Read<T> = Result<T, String>;

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

/// Reads a whole filter.
pub fn filter(kind: Kind, text: &str) -> Read<Filter> {
    if text.len() > CHARS_MAX {
        return Err(format!("a filter takes at most {CHARS_MAX} characters"));
    }
    let mut reader = Reader { rest: text, depth: 0 };
    let filter = reader.any(Names::Of(kind))?;
    reader.end()?;
    Ok(filter)
}

/// Reads the path of a PATCH operation.
pub fn target(kind: Kind, text: &str) -> Read<Target> {
    if text.len() > CHARS_MAX {
        return Err(format!("a path takes at most {CHARS_MAX} characters"));
    }
    let mut reader = Reader { rest: text, depth: 0 };
    let name = reader.name()?;
    if let Some((urn, _)) = kind.extensions().iter().find(|(urn, _)| urn.eq_ignore_ascii_case(name))
    {
        return Err(format!("name an attribute of {urn}"));
    }
    let place = place(Names::Of(kind), name)?;
    if !reader.eats("[") {
        reader.end()?;
        return Ok(Target { place, filter: None, part: None });
    }
    let filter = reader.any(Names::Parts(place.attribute.parts()))?;
    reader.wants("]")?;
    let part = match reader.eats(".") {
        false => None,
        true => {
            let name = reader.name()?;
            let part = find(place.attribute.parts(), name);
            Some(part.ok_or_else(|| format!("{} has no {name}", place.attribute.name))?)
        }
    };
    reader.end()?;
    Ok(Target { place, filter: Some(filter), part })
}

/// Where a name leads, `name.familyName` or with a schema's URN before it.
pub fn named(kind: Kind, name: &str) -> Read<Place> {
    place(Names::Of(kind), name)
}

fn place(names: Names, name: &str) -> Read<Place> {
    let unknown = || format!("there is no attribute {name}");
    let (mut keys, attributes, rest) = match names {
        Names::Parts(parts) => (Vec::new(), parts, name),
        Names::Of(kind) => under_urn(kind, name),
    };
    let (first, second) = match rest.split_once('.') {
        Some((first, second)) => (first, Some(second)),
        None => (rest, None),
    };
    let own = find(attributes, first);
    let attribute = match (own, names, keys.is_empty()) {
        (Some(attribute), _, _) => attribute,
        (None, Names::Of(kind), true) => kind.attribute(first).ok_or_else(unknown)?,
        _ => return Err(unknown()),
    };
    keys.push(attribute.name);
    let Some(second) = second else { return Ok(Place { keys, attribute }) };
    let part = find(attribute.parts(), second).ok_or_else(unknown)?;
    keys.push(part.name);
    Ok(Place { keys, attribute: part })
}

/// Takes a schema's URN off a name.
fn under_urn(kind: Kind, name: &str) -> (Vec<&'static str>, &'static [Attribute], &str) {
    let below = |urn: &str| {
        let head = name.get(..urn.len())?;
        let rest = name.get(urn.len()..)?.strip_prefix(':')?;
        head.eq_ignore_ascii_case(urn).then_some(rest)
    };
    for (urn, attributes) in kind.extensions() {
        if let Some(rest) = below(urn) {
            return (vec![urn], attributes, rest);
        }
    }
    (Vec::new(), kind.attributes(), below(kind.schema()).unwrap_or(name))
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn end(&mut self) -> Read<()> {
        self.skip();
        if self.rest.is_empty() { Ok(()) } else { Err(format!("unexpected: {}", self.near())) }
    }

    fn near(&self) -> String {
        self.rest.chars().take(20).collect()
    }

    fn eats(&mut self, mark: &str) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn wants(&mut self, mark: &str) -> Read<()> {
        self.skip();
        if self.eats(mark) { Ok(()) } else { Err(format!("{mark} expected at: {}", self.near())) }
    }

    /// A word of the grammar, whatever its case, that ends here.
    fn eats_word(&mut self, word: &str) -> bool {
        let Some(head) = self.rest.get(..word.len()) else { return false };
        let rest = &self.rest[word.len()..];
        let ends = rest.is_empty() || rest.starts_with([' ', '\t', '(', ')', ']']);
        if ends && head.eq_ignore_ascii_case(word) {
            self.rest = rest;
            return true;
        }
        false
    }

    fn name(&mut self) -> Read<&'a str> {
        self.skip();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_:.$".contains(c);
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        if name.is_empty() { Err(format!("a name expected at: {}", self.near())) } else { Ok(name) }
    }

    /// `or` binds weakest.
    fn any(&mut self, names: Names) -> Read<Filter> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("a filter is nested at most {DEPTH_MAX} times"));
        }
        let mut left = self.all(names)?;
        loop {
            self.skip();
            if !self.eats_word("or") {
                self.depth -= 1;
                return Ok(left);
            }
            left = Filter::Or(Box::new(left), Box::new(self.all(names)?));
        }
    }

    fn all(&mut self, names: Names) -> Read<Filter> {
        let mut left = self.one(names)?;
        loop {
            self.skip();
            if !self.eats_word("and") {
                return Ok(left);
            }
            left = Filter::And(Box::new(left), Box::new(self.one(names)?));
        }
    }

    fn one(&mut self, names: Names) -> Read<Filter> {
        self.skip();
        let negated = self.eats_word("not");
        self.skip();
        if self.eats("(") {
            let inner = self.any(names)?;
            self.wants(")")?;
            return Ok(if negated { Filter::Not(Box::new(inner)) } else { inner });
        }
        if negated {
            return Err(format!("( expected at: {}", self.near()));
        }
        let name = self.name()?;
        let place = place(names, name)?;
        if self.eats("[") {
            let inner = self.any(Names::Parts(place.attribute.parts()))?;
            self.wants("]")?;
            return Ok(Filter::Within(place, Box::new(inner)));
        }
        self.skip();
        if self.eats_word("pr") {
            return Ok(Filter::Present(place));
        }
        let comparison = self.comparison()?;
        let value = self.value()?;
        compared(place, comparison, value)
    }

    fn comparison(&mut self) -> Read<Comparison> {
        const WORDS: [(&str, Comparison); 9] = [
            ("eq", Comparison::Equal),
            ("ne", Comparison::NotEqual),
            ("co", Comparison::Contains),
            ("sw", Comparison::StartsWith),
            ("ew", Comparison::EndsWith),
            ("gt", Comparison::Greater),
            ("ge", Comparison::GreaterOrEqual),
            ("lt", Comparison::Less),
            ("le", Comparison::LessOrEqual),
        ];
        let found = WORDS.iter().find(|(word, _)| self.eats_word(word));
        found.map(|(_, it)| *it).ok_or_else(|| format!("an operator expected at: {}", self.near()))
    }

    /// A JSON scalar.
    fn value(&mut self) -> Read<Value> {
        self.skip();
        let near = self.near();
        let expected = move || format!("a value expected at: {near}");
        if self.rest.starts_with('"') {
            let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
            let text = texts.next().and_then(Result::ok).ok_or_else(expected)?;
            self.rest = &self.rest[texts.byte_offset()..];
            return Ok(text.into());
        }
        let end = self.rest.find([' ', '\t', ')', ']']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        let value = serde_json::from_str(word).ok();
        let value = value.filter(|value: &Value| !value.is_array() && !value.is_object());
        self.rest = rest;
        value.ok_or_else(expected)
    }
}

/// A comparison that makes sense for what stands there.
fn compared(place: Place, comparison: Comparison, value: Value) -> Read<Filter> {
    // The values of an attribute with parts are meant by its name alone (RFC 7644 §3.4.2.2).
    let place = match find(place.attribute.parts(), "value") {
        Some(part) => {
            let mut keys = place.keys;
            keys.push(part.name);
            Place { keys, attribute: part }
        }
        None => place,
    };
    let name = place.attribute.name;
    let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let value = match (place.attribute.form, value) {
        (_, Value::Null) if !ordered => Value::Null,
        (Form::Complex(_), _) => return Err(format!("ask about a part of {name}")),
        (Form::Boolean, value @ Value::Bool(_)) if !ordered => value,
        (Form::Boolean, _) => return Err(format!("{name} is true or false, and has no order")),
        (Form::DateTime, Value::String(text)) => instant(&text)?.into(),
        (Form::Text | Form::Reference(_), value @ Value::String(_)) => value,
        _ => return Err(format!("{name} is compared with text")),
    };
    Ok(Filter::Compare(place, comparison, value))
}

/// As documents write it, so that instants compare as texts.
fn instant(text: &str) -> Read<String> {
    let instant = DateTime::parse_from_rfc3339(text).map_err(|_| format!("{text} is no instant"))?;
    Ok(instant.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
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
                    _ if wanted.is_null() => {
                        found.is_empty() == (*comparison == Comparison::Equal)
                    }
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
        check(r#"emails[type eq "home"] and not (emails[primary eq true and type eq "home"])"#, true);
    }

    #[test]
    fn an_extension_is_named_by_its_urn() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        check(&format!(r#"{urn}:department eq "r&d""#), true);
        check(r#"urn:ietf:params:scim:schemas:core:2.0:User:userName pr"#, true);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "", "userName", "userName eq", "userName xx \"a\"", "userName eq ada",
            "shoeSize eq \"1\"", "userName eq \"a\" and", "(userName pr", "userName pr)",
            "emails[type eq \"a\"", "active gt true", "name eq \"a\"", "active eq \"yes\"",
            "not userName pr", "userName eq \"a\" userName pr", "userName eq [1]",
        ] {
            assert!(filter(Kind::User, text).is_err(), "{text}");
        }
        let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
        assert!(filter(Kind::User, &deep).is_err());
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
            r#"userName eq "Ada" or active eq true"#, r#"not (userName eq "Ada")"#,
            r#"userName ne "Ada""#, r#"title eq "Ada""#,
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn a_path_names_an_attribute_some_values_or_a_part_of_them() {
        let read = |text| target(Kind::User, text).unwrap();
        assert_eq!(read("name.familyName").place.keys, ["name", "familyName"]);
        let work = read(r#"emails[type eq "work"].value"#);
        assert_eq!(work.place.keys, ["emails"]);
        assert_eq!(work.part.unwrap().name, "value");
        assert!(target(Kind::User, "emails[").is_err());
        assert!(target(Kind::User, "nothing").is_err());
        assert!(target(Kind::Group, r#"members[value eq "x"]"#).is_ok());
    }
}
