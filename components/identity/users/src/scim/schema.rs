//! The attributes that a directory can keep here (RFC 7643), as one table: what `/Schemas` says,
//! what a resource may hold, and what a filter may ask about. Pure.

use nexus_sdk::serde_json::{Map, Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The form of a value (RFC 7643 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Boolean,
    DateTime,
    Reference(&'static str),
    Complex(&'static [Attribute]),
}

/// One attribute of a schema (RFC 7643 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    pub name: &'static str,
    pub form: Form,
    pub many: bool,
    pub required: bool,
    pub read_only: bool,
    pub exact: bool,
    pub unique: bool,
    /// Values that are understood best.
    pub usual: &'static [&'static str],
}

const fn of(name: &'static str, form: Form) -> Attribute {
    Attribute {
        name,
        form,
        many: false,
        required: false,
        read_only: false,
        exact: false,
        unique: false,
        usual: &[],
    }
}

const fn text(name: &'static str) -> Attribute {
    of(name, Form::Text)
}

const fn many(name: &'static str, parts: &'static [Attribute]) -> Attribute {
    Attribute { many: true, ..of(name, Form::Complex(parts)) }
}

const fn read_only(attribute: Attribute) -> Attribute {
    Attribute { read_only: true, ..attribute }
}

const fn exact(attribute: Attribute) -> Attribute {
    Attribute { exact: true, ..attribute }
}

const fn kind_of(usual: &'static [&'static str]) -> Attribute {
    Attribute { usual, ..text("type") }
}

const NAME: &[Attribute] = &[
    text("formatted"),
    text("familyName"),
    text("givenName"),
    text("middleName"),
    text("honorificPrefix"),
    text("honorificSuffix"),
];

const PRIMARY: Attribute = of("primary", Form::Boolean);

const EMAIL: &[Attribute] =
    &[text("value"), text("display"), kind_of(&["work", "home", "other"]), PRIMARY];

const PHONE: &[Attribute] = &[
    text("value"),
    text("display"),
    kind_of(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

const PHOTO: &[Attribute] = &[
    exact(of("value", Form::Reference("external"))),
    text("display"),
    kind_of(&["photo", "thumbnail"]),
    PRIMARY,
];

const ADDRESS: &[Attribute] = &[
    text("formatted"),
    text("streetAddress"),
    text("locality"),
    text("region"),
    text("postalCode"),
    text("country"),
    kind_of(&["work", "home", "other"]),
];

const MEMBERSHIP: &[Attribute] = &[
    read_only(text("value")),
    read_only(exact(of("$ref", Form::Reference("Group")))),
    read_only(text("display")),
    read_only(text("type")),
];

const MEMBER: &[Attribute] = &[
    Attribute { required: true, ..exact(text("value")) },
    exact(of("$ref", Form::Reference("User"))),
    kind_of(&["User"]),
];

const MANAGER: &[Attribute] = &[
    exact(text("value")),
    read_only(exact(of("$ref", Form::Reference("User")))),
    read_only(text("displayName")),
];

const META: &[Attribute] = &[
    read_only(exact(text("resourceType"))),
    read_only(of("created", Form::DateTime)),
    read_only(of("lastModified", Form::DateTime)),
    read_only(exact(of("location", Form::Reference("uri")))),
    read_only(exact(text("version"))),
];

/// What every resource has and no schema lists (RFC 7643 §3.1).
pub const SHARED: &[Attribute] = &[
    read_only(exact(text("id"))),
    exact(text("externalId")),
    read_only(of("meta", Form::Complex(META))),
    Attribute { many: true, ..exact(text("schemas")) },
];

pub const USER_ATTRIBUTES: &[Attribute] = &[
    Attribute { required: true, unique: true, ..text("userName") },
    of("name", Form::Complex(NAME)),
    text("displayName"),
    text("nickName"),
    exact(of("profileUrl", Form::Reference("external"))),
    text("title"),
    text("userType"),
    text("preferredLanguage"),
    text("locale"),
    text("timezone"),
    of("active", Form::Boolean),
    many("emails", EMAIL),
    many("phoneNumbers", PHONE),
    many("photos", PHOTO),
    many("addresses", ADDRESS),
    read_only(many("groups", MEMBERSHIP)),
];

pub const ENTERPRISE_ATTRIBUTES: &[Attribute] = &[
    text("employeeNumber"),
    text("costCenter"),
    text("organization"),
    text("division"),
    text("department"),
    of("manager", Form::Complex(MANAGER)),
];

pub const GROUP_ATTRIBUTES: &[Attribute] =
    &[Attribute { required: true, unique: true, ..text("displayName") }, many("members", MEMBER)];

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Group,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::User => "User",
            Kind::Group => "Group",
        }
    }

    pub fn endpoint(self) -> &'static str {
        match self {
            Kind::User => "/Users",
            Kind::Group => "/Groups",
        }
    }

    pub fn schema(self) -> &'static str {
        match self {
            Kind::User => USER,
            Kind::Group => GROUP,
        }
    }

    pub fn attributes(self) -> &'static [Attribute] {
        match self {
            Kind::User => USER_ATTRIBUTES,
            Kind::Group => GROUP_ATTRIBUTES,
        }
    }

    /// Its extensions by URN.
    pub fn extensions(self) -> &'static [(&'static str, &'static [Attribute])] {
        match self {
            Kind::User => &[(ENTERPRISE, ENTERPRISE_ATTRIBUTES)],
            Kind::Group => &[],
        }
    }

    /// An attribute of the resource itself, whatever its case.
    pub fn attribute(self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes(), name).or_else(|| find(SHARED, name))
    }
}

/// An attribute by its name, whatever its case.
pub fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl Attribute {
    /// Its parts, where it has some.
    pub fn parts(&self) -> &'static [Attribute] {
        match self.form {
            Form::Complex(parts) => parts,
            _ => &[],
        }
    }

    fn shown(&self) -> Value {
        let (kind, references) = match self.form {
            Form::Text => ("string", None),
            Form::Boolean => ("boolean", None),
            Form::DateTime => ("dateTime", None),
            Form::Reference(to) => ("reference", Some(to)),
            Form::Complex(_) => ("complex", None),
        };
        let mut shown = json!({
            "name": self.name,
            "type": kind,
            "multiValued": self.many,
            "description": described(self.name),
            "required": self.required,
            "mutability": if self.read_only { "readOnly" } else { "readWrite" },
            "returned": "default",
        });
        let more = shown.as_object_mut().expect("it was made as an object");
        if !matches!(self.form, Form::Complex(_) | Form::Boolean) {
            more.insert("caseExact".into(), self.exact.into());
            let unique = if self.unique { "server" } else { "none" };
            more.insert("uniqueness".into(), unique.into());
        }
        if !self.usual.is_empty() {
            more.insert("canonicalValues".into(), json!(self.usual));
        }
        if let Some(to) = references {
            more.insert("referenceTypes".into(), json!([to]));
        }
        if let Form::Complex(parts) = self.form {
            let parts: Vec<Value> = parts.iter().map(Attribute::shown).collect();
            more.insert("subAttributes".into(), parts.into());
        }
        shown
    }
}

/// `familyName` as words.
fn described(name: &str) -> String {
    let mut words = String::new();
    for c in name.trim_start_matches('$').chars() {
        if c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

/// All schemas as resources (RFC 7643 §7), without their addresses.
pub fn schemas() -> Vec<Value> {
    [
        (USER, "User", "An account of a person", USER_ATTRIBUTES),
        (GROUP, "Group", "People who have the same roles", GROUP_ATTRIBUTES),
        (ENTERPRISE, "EnterpriseUser", "Where a person works", ENTERPRISE_ATTRIBUTES),
    ]
    .into_iter()
    .map(|(id, name, description, attributes)| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id,
            "name": name,
            "description": description,
            "attributes": attributes.iter().map(Attribute::shown).collect::<Vec<_>>(),
        })
    })
    .collect()
}

/// What of `given` the schema knows, with the schema's spelling; nulls and the unknown are left
/// out (RFC 7643 §2.5, RFC 7644 §3.3). `read_only` says whether attributes that clients cannot set
/// are kept.
///
/// # Errors
/// The attribute that has another form.
pub fn known(
    attributes: &'static [Attribute],
    given: &Map<String, Value>,
    keeps_read_only: bool,
) -> Result<Map<String, Value>, String> {
    let mut kept = Map::new();
    for (name, value) in given {
        let Some(attribute) = find(attributes, name) else { continue };
        if attribute.read_only && !keeps_read_only {
            continue;
        }
        if let Some(value) = of_form(attribute, value, keeps_read_only)? {
            kept.insert(attribute.name.to_owned(), value);
        }
    }
    Ok(kept)
}

/// A value of an attribute, or none where nothing is left of it.
pub fn of_form(
    attribute: &Attribute,
    value: &Value,
    keeps_read_only: bool,
) -> Result<Option<Value>, String> {
    let one = |value: &Value| single(attribute, value, keeps_read_only);
    match value {
        Value::Null => Ok(None),
        Value::Array(values) if attribute.many => {
            let kept = values.iter().map(one).collect::<Result<Vec<_>, _>>()?;
            let kept: Vec<Value> = kept.into_iter().flatten().collect();
            if kept.len() > VALUES_MAX {
                return Err(format!("{} takes at most {VALUES_MAX} values", attribute.name));
            }
            Ok((!kept.is_empty()).then_some(Value::Array(kept)))
        }
        // One value where several may stand: some clients send it so.
        other if attribute.many => Ok(one(other)?.map(|value| Value::Array(vec![value]))),
        other => one(other),
    }
}

/// More members than this are another page of another tool.
pub const VALUES_MAX: usize = 5_000;
const TEXT_CHARS_MAX: usize = 1_000;

fn single(
    attribute: &Attribute,
    value: &Value,
    keeps_read_only: bool,
) -> Result<Option<Value>, String> {
    let wrong = |what: &str| Err(format!("{} takes {what}", attribute.name));
    match (attribute.form, value) {
        (_, Value::Null) => Ok(None),
        (Form::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
        // Azure AD writes booleans as text.
        (Form::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => {
            Ok(Some(true.into()))
        }
        (Form::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => {
            Ok(Some(false.into()))
        }
        (Form::Boolean, _) => wrong("true or false"),
        (Form::Text | Form::DateTime | Form::Reference(_), Value::String(text)) => {
            match text.chars().count() > TEXT_CHARS_MAX || text.contains('\0') {
                true => wrong("at most 1000 characters, none of them NUL"),
                false => Ok(Some(value.clone())),
            }
        }
        (Form::Text | Form::DateTime | Form::Reference(_), _) => wrong("text"),
        (Form::Complex(parts), Value::Object(given)) => {
            let kept = known(parts, given, keeps_read_only)?;
            Ok((!kept.is_empty()).then_some(Value::Object(kept)))
        }
        // A bare value stands for the part of that name.
        (Form::Complex(parts), Value::String(_)) if find(parts, "value").is_some() => {
            Ok(Some(json!({ "value": value })))
        }
        (Form::Complex(_), _) => wrong("an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(given: Value) -> Result<Value, String> {
        let given = given.as_object().cloned().unwrap_or_default();
        known(USER_ATTRIBUTES, &given, false).map(Value::Object)
    }

    #[test]
    fn names_are_spelled_as_in_the_schema_and_the_unknown_is_left_out() {
        let given = json!({ "username": "ada", "shoeSize": 38, "Emails": [{ "VALUE": "a@b.c" }] });
        let expected = json!({ "userName": "ada", "emails": [{ "value": "a@b.c" }] });
        assert_eq!(kept(given), Ok(expected));
    }

    #[test]
    fn clients_set_no_read_only_attribute_and_nulls_say_nothing() {
        let given = json!({ "groups": [{ "value": "x" }], "title": null, "name": {} });
        assert_eq!(kept(given), Ok(json!({})));
    }

    #[test]
    fn a_value_of_another_form_is_named() {
        assert!(kept(json!({ "userName": 7 })).unwrap_err().contains("userName"));
        assert!(kept(json!({ "active": "maybe" })).unwrap_err().contains("active"));
        assert_eq!(kept(json!({ "active": "False" })), Ok(json!({ "active": false })));
        assert!(kept(json!({ "name": "Ada" })).unwrap_err().contains("name"));
    }
}
