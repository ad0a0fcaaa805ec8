//! Searches (RFC 7644 §3.4.2): filter, order, page by index, and which attributes come back.

use super::answer::Scim;
use super::directory::finished;
use super::filter::Filter;
use super::grammar;
use super::patch::member;
use super::schema::{Form, Kind};
use crate::store;
use nexus_sdk::prelude::*;
use serde_json::{Map, Value};

nexus_sdk::refusals! {
    ScimFilter = 400, "the filter cannot be read";
    ScimSort = 400, "the result cannot be sorted by this attribute"
}

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const COUNT_DEFAULT: i64 = 100;
/// What `/ServiceProviderConfig` says, too.
pub const COUNT_MAX: i64 = 200;

/// A search as a query says it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    /// Names with commas between them.
    attributes: Option<String>,
    /// Names with commas between them.
    excluded_attributes: Option<String>,
}

/// A search, however it was asked.
#[derive(Default)]
pub struct Search {
    filter: Option<String>,
    start: i64,
    count: i64,
    sort_by: Option<String>,
    descending: bool,
    attributes: Vec<String>,
    excluded: Vec<String>,
}

impl Asked {
    pub fn search(&self) -> Result<Search, Refusal> {
        let names = |list: &Option<String>| {
            let list = list.iter().flat_map(|list| list.split(','));
            list.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
        };
        Ok(Search {
            filter: self.filter.clone(),
            start: self.start_index.unwrap_or(1).max(1),
            count: self.count.unwrap_or(COUNT_DEFAULT).clamp(0, COUNT_MAX),
            sort_by: self.sort_by.clone(),
            descending: self.sort_order.as_deref() == Some("descending"),
            attributes: names(&self.attributes),
            excluded: names(&self.excluded_attributes),
        })
    }
}

impl Search {
    /// A search in a body (`.search`).
    pub fn of_body(body: &Value) -> Result<Search, Refusal> {
        let text = |name| member(body, name).and_then(Value::as_str).map(str::to_owned);
        let number = |name| member(body, name).and_then(Value::as_i64);
        let names = |name| {
            let list = member(body, name).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Ok(Search {
            filter: text("filter"),
            start: number("startIndex").unwrap_or(1).max(1),
            count: number("count").unwrap_or(COUNT_DEFAULT).clamp(0, COUNT_MAX),
            sort_by: text("sortBy"),
            descending: text("sortOrder").as_deref() == Some("descending"),
            attributes: names("attributes"),
            excluded: names("excludedAttributes"),
        })
    }

    /// As PostgreSQL is asked.
    fn statement(&self, kind: Kind) -> Result<Found, Refusal> {
        let filter = match self.filter.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(text) => {
                let filter = grammar::filter(kind, text);
                Some(filter.map_err(|why| ScimFilter.because(why))?)
            }
        };
        let sort = self.sort_by.as_deref().map(|name| sorted(kind, name)).transpose()?;
        Ok(Found {
            user_name: filter.as_ref().and_then(Filter::user_name),
            jsonpath: filter.as_ref().map(Filter::jsonpath),
            sort,
            descending: self.descending,
            offset: self.start - 1,
            count: self.count,
        })
    }

    /// Only what was asked for of a resource (RFC 7644 §3.9). `id` and `schemas` always come.
    pub fn seen(&self, kind: Kind, resource: Value) -> Value {
        let Value::Object(resource) = resource else { return resource };
        let places = |names: &[String]| {
            let places = names.iter().filter_map(|name| grammar::named(kind, name).ok());
            places.map(|place| place.keys).collect::<Vec<_>>()
        };
        let always = |key: &str| key == "id" || key == "schemas";
        if !self.attributes.is_empty() {
            let mut kept = Map::new();
            for key in ["schemas", "id"] {
                kept.extend(resource.get(key).map(|value| (key.to_owned(), value.clone())));
            }
            places(&self.attributes).iter().for_each(|keys| copy(&resource, &mut kept, keys));
            return Value::Object(kept);
        }
        let mut kept = resource;
        for keys in places(&self.excluded) {
            if !always(keys[0]) {
                cut(&mut kept, &keys);
            }
        }
        Value::Object(kept)
    }
}

/// Copies what stands at `keys`; of several values the part of each.
fn copy(from: &Map<String, Value>, to: &mut Map<String, Value>, keys: &[&'static str]) {
    let Some((key, rest)) = keys.split_first() else { return };
    let Some(value) = from.get(*key) else { return };
    match value {
        _ if rest.is_empty() => drop(to.insert((*key).to_owned(), value.clone())),
        Value::Object(inner) => {
            let own = to.entry(*key).or_insert_with(|| json!({}));
            if let Some(own) = own.as_object_mut() {
                copy(inner, own, rest);
            }
        }
        Value::Array(values) => {
            let own = to.entry(*key).or_insert_with(|| vec![json!({}); values.len()].into());
            let own = own.as_array_mut().into_iter().flatten();
            for (value, own) in values.iter().zip(own) {
                if let (Some(value), Some(own)) = (value.as_object(), own.as_object_mut()) {
                    copy(value, own, rest);
                }
            }
        }
        _ => {}
    }
}

fn cut(from: &mut Map<String, Value>, keys: &[&'static str]) {
    match keys {
        [] => {}
        [key] => drop(from.remove(*key)),
        [key, rest @ ..] => match from.get_mut(*key) {
            Some(Value::Object(inner)) => cut(inner, rest),
            Some(Value::Array(values)) => {
                values.iter_mut().filter_map(Value::as_object_mut).for_each(|it| cut(it, rest));
            }
            _ => {}
        },
    }
}

/// Where in a document stands what it is sorted by: of several values, the first.
fn sorted(kind: Kind, name: &str) -> Result<Vec<String>, Refusal> {
    let place = grammar::named(kind, name).map_err(|why| ScimSort.because(why))?;
    let mut path: Vec<String> = place.keys.iter().map(|key| (*key).to_owned()).collect();
    let own = kind.attribute(place.keys[0]).is_some_and(|attribute| attribute.many);
    if own {
        path.insert(1, "0".into());
    }
    if let Form::Complex(parts) = place.attribute.form {
        if super::schema::find(parts, "value").is_none() {
            return Err(ScimSort.because(format!("{name} has parts; sort by one of them")));
        }
        path.push("value".into());
    }
    Ok(path)
}

/// A search as PostgreSQL is asked.
pub struct Found {
    /// What accounts must be called, where the filter says so.
    pub user_name: Option<String>,
    pub jsonpath: Option<String>,
    pub sort: Option<Vec<String>>,
    pub descending: bool,
    pub offset: i64,
    pub count: i64,
}

/// A document with its version.
#[derive(Deserialize)]
pub struct Document {
    pub document: Value,
    pub version: i64,
}

/// One kind of resources.
pub async fn list(by: &Ctx, kind: Kind, search: &Search) -> Result<Scim> {
    let found = search.statement(kind)?;
    let total = store::scim::count(by.db(), kind, &found).await?;
    let documents = match found.count {
        0 => Vec::new(),
        _ => store::scim::list(by.db(), kind, &found).await?,
    };
    let origin = by.variable("public_url").await?;
    let resources = documents.into_iter().map(|one| {
        let whole = finished(kind, &origin, one.document);
        search.seen(kind, whole)
    });
    Ok(page(total, search.start, resources.collect()))
}

/// All kinds, accounts first. A filter about what a kind does not have finds none of it.
pub async fn list_all(by: &Ctx, search: &Search) -> Result<Scim> {
    let origin = by.variable("public_url").await?;
    let (mut total, mut resources) = (0, Vec::new());
    let mut refused = None;
    for kind in [Kind::User, Kind::Group] {
        let mut found = match search.statement(kind) {
            Ok(found) => found,
            Err(why) => {
                refused.get_or_insert(why);
                continue;
            }
        };
        let here = store::scim::count(by.db(), kind, &found).await?;
        found.offset = (search.start - 1 - total).max(0);
        found.count = search.count - resources.len() as i64;
        total += here;
        if found.count > 0 && found.offset < here {
            for one in store::scim::list(by.db(), kind, &found).await? {
                resources.push(search.seen(kind, finished(kind, &origin, one.document)));
            }
        }
    }
    match refused {
        // No kind has what was asked about.
        Some(why) if resources.is_empty() && total == 0 => Err(why.into()),
        _ => Ok(page(total, search.start, resources)),
    }
}

fn page(total: i64, start: i64, resources: Vec<Value>) -> Scim {
    Scim::ok(json!({
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Value {
        json!({
            "schemas": ["s"], "id": "1", "userName": "ada", "title": "Lady",
            "name": { "givenName": "Ada", "familyName": "L" },
            "emails": [{ "value": "a@b.c", "type": "work" }, { "value": "d@e.f" }],
        })
    }

    fn seen(attributes: &[&str], excluded: &[&str]) -> Value {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let (attributes, excluded) = (names(attributes), names(excluded));
        Search { attributes, excluded, ..Search::default() }.seen(Kind::User, ada())
    }

    #[test]
    fn only_what_was_asked_for_comes_back_and_the_id_always() {
        let name = json!({ "schemas": ["s"], "id": "1", "name": { "familyName": "L" } });
        assert_eq!(seen(&["NAME.familyname"], &[]), name);
        let emails = seen(&["emails.value"], &[]);
        assert_eq!(emails["emails"], json!([{ "value": "a@b.c" }, { "value": "d@e.f" }]));
        assert_eq!(seen(&["nothing"], &[]), json!({ "schemas": ["s"], "id": "1" }));
    }

    #[test]
    fn what_was_excluded_is_left_out_but_never_the_id() {
        let left = seen(&[], &["emails", "name.givenName", "id", "schemas"]);
        assert!(left.get("emails").is_none());
        assert_eq!(left["name"], json!({ "familyName": "L" }));
        assert_eq!(left["id"], "1");
        assert_eq!(left["schemas"], json!(["s"]));
    }

    #[test]
    fn what_several_values_have_is_sorted_by_the_first() {
        assert_eq!(sorted(Kind::User, "emails").unwrap(), ["emails", "0", "value"]);
        assert_eq!(sorted(Kind::User, "emails.type").unwrap(), ["emails", "0", "type"]);
        assert_eq!(sorted(Kind::User, "name.familyName").unwrap(), ["name", "familyName"]);
        assert!(sorted(Kind::User, "name").is_err());
        assert!(sorted(Kind::User, "shoeSize").is_err());
    }
}
