//! How filters and paths are written (RFC 7644 §3.4.2.2, §3.5.2): read, and their names looked up
//! in a schema. Pure.

use super::filter::{Comparison, Filter, Place, Target};
use super::schema::{Attribute, Form, Kind, find};
use nexus_sdk::chrono::{DateTime, SecondsFormat, Utc};
use nexus_sdk::serde_json::{self, Value};

/// Nested deeper, no person has written it.
const DEPTH_MAX: usize = 16;
const CHARS_MAX: usize = 4_000;

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
    let instant =
        DateTime::parse_from_rfc3339(text).map_err(|_| format!("{text} is no instant"))?;
    Ok(instant.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "",
            "userName",
            "userName eq",
            "userName xx \"a\"",
            "userName eq ada",
            "shoeSize eq \"1\"",
            "userName eq \"a\" and",
            "(userName pr",
            "userName pr)",
            "emails[type eq \"a\"",
            "active gt true",
            "name eq \"a\"",
            "active eq \"yes\"",
            "not userName pr",
            "userName eq \"a\" userName pr",
            "userName eq [1]",
        ] {
            assert!(filter(Kind::User, text).is_err(), "{text}");
        }
        let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
        assert!(filter(Kind::User, &deep).is_err());
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
