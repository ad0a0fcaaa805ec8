//! PATCH (RFC 7644 §3.5.2): what operations make of a resource. Pure.

use super::filter::{Filter, Target};
use super::grammar::target;
use super::schema::{Attribute, ENTERPRISE, Kind, find, known, of_form};
use nexus_sdk::Refusal;
use nexus_sdk::serde_json::{Map, Value, json};

nexus_sdk::refusals! {
    PatchSyntax = 400, "a patch has Operations, each with an op of add, replace or remove";
    PatchPath = 400, "the path of an operation cannot be read";
    PatchTarget = 400, "the path of an operation names nothing that is there";
    PatchValue = 400, "the value of an operation does not fit its path";
    PatchReadOnly = 400, "an operation would change what only the server sets"
}

/// A body with more has another purpose.
const OPERATIONS_MAX: usize = 500;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// The resource after all operations of `body`, or nothing of them.
pub fn patched(kind: Kind, resource: &Value, body: &Value) -> Result<Value, Refusal> {
    let operations = member(body, "Operations").and_then(Value::as_array).ok_or(PatchSyntax)?;
    if operations.is_empty() || operations.len() > OPERATIONS_MAX {
        return Err(PatchSyntax.because(format!("a patch takes 1 to {OPERATIONS_MAX} operations")));
    }
    let mut resource = resource.as_object().cloned().unwrap_or_default();
    for operation in operations {
        operate(kind, &mut resource, operation)?;
    }
    Ok(Value::Object(resource))
}

/// A member of an object, whatever its case.
pub fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let object = object.as_object()?;
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn operate(
    kind: Kind,
    resource: &mut Map<String, Value>,
    operation: &Value,
) -> Result<(), Refusal> {
    let verb = member(operation, "op").and_then(Value::as_str).unwrap_or_default();
    let verb = match verb.to_ascii_lowercase().as_str() {
        "add" => Verb::Add,
        "replace" => Verb::Replace,
        "remove" => Verb::Remove,
        other => return Err(PatchSyntax.because(format!("there is no operation {other:?}"))),
    };
    let path = member(operation, "path").and_then(Value::as_str).filter(|path| !path.is_empty());
    let value = member(operation, "value");
    match (path, value) {
        (None, Some(Value::Object(values))) if verb != Verb::Remove => {
            whole(kind, resource, verb, values)
        }
        (None, _) if verb == Verb::Remove => Err(PatchTarget.because("say what is to be removed")),
        (None, _) => Err(PatchValue.because("without a path, the value is an object")),
        (Some(path), value) if path.eq_ignore_ascii_case(ENTERPRISE) => {
            extension(kind, resource, verb, value)
        }
        (Some(path), value) => {
            let target = target(kind, path).map_err(|why| PatchPath.because(why))?;
            if verb != Verb::Remove && value.is_none() {
                return Err(PatchValue.because(format!("{path} needs a value")));
            }
            at_path(resource, verb, &target, value.unwrap_or(&Value::Null))
        }
    }
}

/// Without a path: each member of the value by itself. Azure AD writes paths as names.
fn whole(
    kind: Kind,
    resource: &mut Map<String, Value>,
    verb: Verb,
    values: &Map<String, Value>,
) -> Result<(), Refusal> {
    for (name, value) in values {
        if name.eq_ignore_ascii_case("schemas") {
            continue;
        }
        if name.eq_ignore_ascii_case(ENTERPRISE) {
            extension(kind, resource, verb, Some(value))?;
            continue;
        }
        // What the schema does not know is left out, as everywhere.
        let Ok(target) = target(kind, name) else { continue };
        if target.place.attribute.read_only {
            continue;
        }
        at_path(resource, verb, &target, value)?;
    }
    Ok(())
}

/// A whole extension.
fn extension(
    kind: Kind,
    resource: &mut Map<String, Value>,
    verb: Verb,
    value: Option<&Value>,
) -> Result<(), Refusal> {
    let Some((urn, attributes)) = kind.extensions().iter().find(|(urn, _)| *urn == ENTERPRISE)
    else {
        return Err(PatchPath.because("this kind of resource has no such extension"));
    };
    let Some(Value::Object(given)) = value.filter(|_| verb != Verb::Remove) else {
        return match resource.remove(*urn) {
            _ if verb != Verb::Remove => Err(PatchValue.because("an extension is an object")),
            _ => Ok(()),
        };
    };
    let given = known(attributes, given, false).map_err(|why| PatchValue.because(why))?;
    let own = resource.entry(*urn).or_insert_with(|| json!({}));
    match (own.as_object_mut(), verb) {
        (Some(own), Verb::Add) => own.extend(given),
        (_, _) => *own = Value::Object(given),
    }
    Ok(())
}

fn at_path(
    resource: &mut Map<String, Value>,
    verb: Verb,
    target: &Target,
    value: &Value,
) -> Result<(), Refusal> {
    let attribute = target.place.attribute;
    if attribute.read_only {
        return Err(PatchReadOnly.because(format!("{} is set by the server", attribute.name)));
    }
    let (last, before) = target.place.keys.split_last().expect("a place has a name");
    let Some(object) = descend(resource, before, verb) else {
        return match verb {
            Verb::Remove => Ok(()),
            _ => Err(PatchTarget.because(format!("{} holds no single value", before.join(".")))),
        };
    };
    match &target.filter {
        Some(filter) => some_values(object, last, verb, target, filter, value),
        None => attribute_itself(object, last, verb, attribute, value),
    }
}

/// The object that holds the last name, made where it is missing and needed.
fn descend<'r>(
    resource: &'r mut Map<String, Value>,
    keys: &[&'static str],
    verb: Verb,
) -> Option<&'r mut Map<String, Value>> {
    let mut object = resource;
    for key in keys {
        if verb == Verb::Remove && !object.contains_key(*key) {
            return None;
        }
        object = object.entry(*key).or_insert_with(|| json!({})).as_object_mut()?;
    }
    Some(object)
}

/// An attribute without a filter.
fn attribute_itself(
    object: &mut Map<String, Value>,
    name: &str,
    verb: Verb,
    attribute: &'static Attribute,
    value: &Value,
) -> Result<(), Refusal> {
    let given = of_form(attribute, value, false).map_err(|why| PatchValue.because(why))?;
    match (verb, given) {
        // Some directories name the values that are to go (members of a group) in the value.
        (Verb::Remove, Some(Value::Array(gone))) if attribute.many => {
            if let Some(Value::Array(values)) = object.get_mut(name) {
                values.retain(|value| !gone.iter().any(|gone| same(value, gone)));
            }
        }
        (Verb::Remove, _) | (Verb::Replace, None) => drop(object.remove(name)),
        (Verb::Add, None) => {}
        (Verb::Add, Some(Value::Array(more))) => add(object, name, more),
        (Verb::Add, Some(Value::Object(more))) => {
            match object.entry(name).or_insert_with(|| json!({})).as_object_mut() {
                Some(own) => own.extend(more),
                None => drop(object.insert(name.to_owned(), Value::Object(more))),
            }
        }
        (_, Some(given)) => drop(object.insert(name.to_owned(), given)),
    }
    tidy(object, name);
    Ok(())
}

/// Adds values that are not there yet. Of several that claim to be the primary one, the last is.
fn add(object: &mut Map<String, Value>, name: &str, more: Vec<Value>) {
    let values = object.entry(name).or_insert_with(|| json!([]));
    let Some(values) = values.as_array_mut() else { return };
    for value in more {
        if value["primary"] == true {
            for other in values.iter_mut().filter_map(Value::as_object_mut) {
                other.remove("primary");
            }
        }
        match values.iter_mut().find(|own| same(own, &value)) {
            Some(own) => *own = value,
            None => values.push(value),
        }
    }
}

/// Two values are one where their `value` and `type` are.
fn same(left: &Value, right: &Value) -> bool {
    match (left.get("value"), right.get("value")) {
        (Some(l), Some(r)) => {
            l == r
                && (left["type"] == right["type"]
                    || left["type"].is_null()
                    || right["type"].is_null())
        }
        _ => left == right,
    }
}

/// Those values of an attribute that match a filter, or a part of each.
fn some_values(
    object: &mut Map<String, Value>,
    name: &str,
    verb: Verb,
    target: &Target,
    filter: &Filter,
    value: &Value,
) -> Result<(), Refusal> {
    let attribute = target.place.attribute;
    let empty = json!([]);
    let mut values = object.get(name).unwrap_or(&empty).as_array().cloned().unwrap_or_default();
    let matched = values.iter().any(|value| filter.matches(value));
    if !matched && verb == Verb::Replace && target.part.is_none() {
        return Err(PatchTarget.because(format!("no value of {name} matches the filter")));
    }
    // A client that sets a part of a value that is not there means one that the filter describes.
    if !matched && verb != Verb::Remove {
        values.push(described(filter));
    }
    match (verb, target.part) {
        (Verb::Remove, None) => values.retain(|value| !filter.matches(value)),
        (_, part) => {
            for own in values.iter_mut().filter(|own| filter.matches(own)) {
                change(own, verb, attribute, part, value)?;
            }
        }
    }
    object.insert(name.to_owned(), Value::Array(values));
    tidy(object, name);
    Ok(())
}

/// Changes one value of an attribute with parts.
fn change(
    own: &mut Value,
    verb: Verb,
    attribute: &'static Attribute,
    part: Option<&'static Attribute>,
    value: &Value,
) -> Result<(), Refusal> {
    let Some(object) = own.as_object_mut() else { return Ok(()) };
    let Some(part) = part else {
        let Value::Object(given) = value else {
            return Err(PatchValue.because(format!("{} takes objects", attribute.name)));
        };
        let given = known(attribute.parts(), given, false).map_err(|w| PatchValue.because(w))?;
        match verb {
            Verb::Replace => *object = given,
            _ => object.extend(given),
        }
        return Ok(());
    };
    let part = find(attribute.parts(), part.name).unwrap_or(part);
    if part.read_only {
        return Err(PatchReadOnly.because(format!("{} is set by the server", part.name)));
    }
    match of_form(part, value, false).map_err(|why| PatchValue.because(why))? {
        Some(given) if verb != Verb::Remove => drop(object.insert(part.name.to_owned(), given)),
        _ => drop(object.remove(part.name)),
    }
    Ok(())
}

/// A value of which a filter is true, as far as its comparisons for equality say.
fn described(filter: &Filter) -> Value {
    use super::filter::Comparison::Equal;
    match filter {
        Filter::And(left, right) => {
            let (mut left, right) = (described(left), described(right));
            if let (Some(left), Some(right)) = (left.as_object_mut(), right.as_object()) {
                left.extend(right.clone());
            }
            left
        }
        Filter::Compare(place, Equal, value) if !value.is_null() => {
            json!({ place.keys[0]: value })
        }
        _ => json!({}),
    }
}

/// What is empty says nothing, and is not there.
fn tidy(object: &mut Map<String, Value>, name: &str) {
    let empty = match object.get(name) {
        Some(Value::Array(values)) => values.is_empty(),
        Some(Value::Object(parts)) => parts.is_empty(),
        Some(Value::Null) => true,
        _ => false,
    };
    if empty {
        object.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Value {
        json!({
            "userName": "ada", "title": "Countess",
            "name": { "givenName": "Ada" },
            "emails": [
                { "type": "work", "value": "ada@example.com", "primary": true },
                { "type": "home", "value": "ada@home.org" },
            ],
        })
    }

    fn after(operations: Value) -> Result<Value, Refusal> {
        patched(Kind::User, &ada(), &json!({ "Operations": operations }))
    }

    #[track_caller]
    fn check(operation: Value, pointer: &str, expected: Value) {
        let after = after(json!([operation.clone()])).unwrap_or_else(|why| panic!("{why:?}"));
        let found = after.pointer(pointer).cloned().unwrap_or(Value::Null);
        assert_eq!(found, expected, "{operation} gives {after}");
    }

    #[test]
    fn an_attribute_is_added_replaced_and_removed() {
        check(json!({ "op": "add", "path": "nickName", "value": "A" }), "/nickName", json!("A"));
        check(
            json!({ "op": "Replace", "path": "title", "value": "Lady" }),
            "/title",
            json!("Lady"),
        );
        check(json!({ "op": "remove", "path": "title" }), "/title", Value::Null);
        check(json!({ "op": "remove", "path": "nickName" }), "/nickName", Value::Null);
        check(
            json!({ "op": "replace", "path": "name.familyName", "value": "L" }),
            "/name",
            json!({ "givenName": "Ada", "familyName": "L" }),
        );
        check(json!({ "op": "remove", "path": "name.givenName" }), "/name/givenName", Value::Null);
    }

    #[test]
    fn without_a_path_each_member_counts_by_itself() {
        let value = json!({ "title": "Lady", "name.familyName": "L", "shoeSize": 7, "id": "x" });
        let after = after(json!([{ "op": "replace", "value": value }])).unwrap();
        assert_eq!(after["title"], "Lady");
        assert_eq!(after["name"], json!({ "givenName": "Ada", "familyName": "L" }));
        assert!(after.get("shoeSize").is_none() && after.get("id").is_none());
    }

    #[test]
    fn values_are_chosen_by_a_filter() {
        let home = r#"emails[type eq "home"]"#;
        check(json!({ "op": "remove", "path": home }), "/emails/1", Value::Null);
        check(
            json!({ "op": "replace", "path": format!("{home}.value"), "value": "a@new.org" }),
            "/emails/1/value",
            json!("a@new.org"),
        );
        let other = r#"emails[type eq "other"].value"#;
        check(
            json!({ "op": "add", "path": other, "value": "a@o.org" }),
            "/emails/2",
            json!({ "type": "other", "value": "a@o.org" }),
        );
        let nothing = json!([{ "op": "replace", "path": r#"emails[type eq "x"]"#, "value": {} }]);
        assert_eq!(after(nothing).unwrap_err().name, "PatchTarget");
    }

    #[test]
    fn a_value_that_is_there_is_not_added_twice_and_one_is_primary() {
        let again = json!({ "value": "ada@home.org", "type": "home", "primary": true });
        let after = after(json!([{ "op": "add", "path": "emails", "value": [again] }])).unwrap();
        let emails = after["emails"].as_array().unwrap();
        assert_eq!(emails.len(), 2);
        assert!(emails[0].get("primary").is_none());
        assert_eq!(emails[1]["primary"], true);
    }

    #[test]
    fn members_leave_a_group_by_filter_or_by_value() {
        let group = json!({ "members": [{ "value": "a" }, { "value": "b" }, { "value": "c" }] });
        let operations = json!({ "Operations": [
            { "op": "remove", "path": r#"members[value eq "a"]"# },
            { "op": "remove", "path": "members", "value": [{ "value": "b" }] },
        ] });
        let after = patched(Kind::Group, &group, &operations).unwrap();
        assert_eq!(after["members"], json!([{ "value": "c" }]));
    }

    #[test]
    fn an_extension_changes_as_a_whole_or_by_attribute() {
        let set = json!({ "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "R" });
        check(set, &format!("/{ENTERPRISE}/department"), json!("R"));
        let whole = json!({ "op": "add", "value": { ENTERPRISE: { "division": "D" } } });
        check(whole, &format!("/{ENTERPRISE}/division"), json!("D"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_changes_nothing() {
        for (operation, name) in [
            (json!({ "op": "move", "path": "title" }), "PatchSyntax"),
            (json!({ "op": "remove" }), "PatchTarget"),
            (json!({ "op": "add", "path": "shoeSize", "value": 1 }), "PatchPath"),
            (json!({ "op": "add", "path": "title", "value": 1 }), "PatchValue"),
            (json!({ "op": "replace", "path": "id", "value": "x" }), "PatchReadOnly"),
            (json!({ "op": "replace", "path": "title" }), "PatchValue"),
            (json!({ "op": "add", "value": "x" }), "PatchValue"),
        ] {
            assert_eq!(after(json!([operation])).unwrap_err().name, name);
        }
        assert_eq!(after(json!([])).unwrap_err().name, "PatchSyntax");
    }
}
