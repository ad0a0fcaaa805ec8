//! Between a resource of the protocol and what is kept: which attributes are columns, and what a
//! document is completed with on its way out.

use super::schema::{ENTERPRISE, ENTERPRISE_ATTRIBUTES, Kind, USER_ATTRIBUTES, known};
use crate::fields;
use nexus_sdk::prelude::*;
use serde_json::{Map, Value};

nexus_sdk::refusals! {
    ScimValue = 400, "an attribute has a value that it cannot have"
}

/// A document with its schemas and the addresses in it.
pub fn finished(kind: Kind, origin: &str, mut document: Value) -> Value {
    let place = |kind: Kind, id: &Value| {
        let id = id.as_str().unwrap_or_default();
        format!("{origin}/scim/v2{}/{id}", kind.endpoint())
    };
    let location = place(kind, &document["id"]);
    let mut schemas = vec![kind.schema()];
    let present = kind.extensions().iter().map(|(urn, _)| *urn);
    schemas.extend(present.filter(|urn| document.get(*urn).is_some()));
    document["schemas"] = json!(schemas);
    document["meta"]["location"] = location.into();
    let (list, of) = match kind {
        Kind::User => ("groups", Kind::Group),
        Kind::Group => ("members", Kind::User),
    };
    for one in document.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
        one["$ref"] = place(of, &one["value"]).into();
    }
    document
}

/// An account as a directory describes it.
#[derive(Debug, PartialEq)]
pub struct Described {
    pub user_name: String,
    pub external_id: Option<String>,
    pub email: Option<String>,
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub active: bool,
    /// All else.
    pub attributes: Value,
}

/// Reads an account. Without an address, a user name that is one stands for it.
pub fn described(resource: &Value) -> Result<Described, Refusal> {
    let given = resource.as_object().cloned().unwrap_or_default();
    let wrong = |why: String| ScimValue.because(why);
    let mut kept = known(USER_ATTRIBUTES, &given, false).map_err(wrong)?;
    let extension = given.iter().find(|(name, _)| name.eq_ignore_ascii_case(ENTERPRISE));
    if let Some((_, Value::Object(given))) = extension {
        let own = known(ENTERPRISE_ATTRIBUTES, given, false).map_err(wrong)?;
        if !own.is_empty() {
            kept.insert(ENTERPRISE.into(), Value::Object(own));
        }
    }
    let user_name = taken(&mut kept, "userName").filter(|name| !name.trim().is_empty());
    let user_name = user_name.ok_or_else(|| wrong("userName is required".into()))?;
    let external_id = external_id(&given)?;
    if user_name.chars().count() > 254 {
        return Err(wrong("userName takes at most 254 characters".into()));
    }
    let email = match primary(&kept) {
        Some(address) => Some(
            fields::email(&address)
                .map_err(|_| wrong("the primary address is none; write name@domain".into()))?,
        ),
        None => fields::email(&user_name).ok(),
    };
    let display_name = taken(&mut kept, "displayName").filter(|name| !name.trim().is_empty());
    let display_name = display_name.as_deref().map(fields::display_name).transpose()?;
    let active = kept.remove("active").and_then(|active| active.as_bool()).unwrap_or(true);
    // A locale that is none is kept as it came; nothing else here understands it.
    let locale = kept.get("locale").and_then(Value::as_str).map(str::to_owned);
    let locale = locale.and_then(|tag| fields::locale(&tag).ok());
    if locale.is_some() {
        kept.remove("locale");
    }
    let attributes = Value::Object(kept);
    if attributes.to_string().len() > ATTRIBUTES_BYTES_MAX {
        return Err(wrong("the attributes take at most 24 KiB".into()));
    }
    Ok(Described { user_name, external_id, email, display_name, locale, active, attributes })
}

/// Less than the column takes, since PostgreSQL writes spaces.
const ATTRIBUTES_BYTES_MAX: usize = 24 * 1024;

fn taken(from: &mut Map<String, Value>, name: &str) -> Option<String> {
    match from.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

fn external_id(given: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let found = given.iter().find(|(name, _)| name.eq_ignore_ascii_case("externalId"));
    match found.map(|(_, value)| value) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= 254 && !text.contains('\0') => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(ScimValue.because("externalId takes at most 254 characters")),
    }
}

/// The address that is called primary, or the first.
fn primary(kept: &Map<String, Value>) -> Option<String> {
    let emails = kept.get("emails")?.as_array()?;
    let chosen = emails.iter().find(|email| email["primary"] == true).or_else(|| emails.first())?;
    chosen["value"].as_str().map(str::to_owned)
}

/// A group as a directory describes it.
#[derive(Debug, PartialEq)]
pub struct Grouped {
    pub display_name: String,
    pub external_id: Option<String>,
    /// Ids of accounts, in order and each once.
    pub members: Vec<String>,
}

pub fn grouped(resource: &Value) -> Result<Grouped, Refusal> {
    let given = resource.as_object().cloned().unwrap_or_default();
    let mut kept =
        known(Kind::Group.attributes(), &given, false).map_err(|why| ScimValue.because(why))?;
    let display_name = taken(&mut kept, "displayName").filter(|name| !name.trim().is_empty());
    let display_name = display_name
        .filter(|name| name.chars().count() <= 254)
        .ok_or_else(|| ScimValue.because("displayName takes 1 to 254 characters"))?;
    let mut members = Vec::new();
    let listed = kept.get("members").and_then(Value::as_array);
    for member in listed.into_iter().flatten() {
        let id = member["value"].as_str().and_then(|id| id.parse::<Uuid>().ok());
        let id = id.ok_or_else(|| ScimValue.because("a member's value is the id of a user"))?;
        members.push(id.to_string());
    }
    members.sort();
    members.dedup();
    Ok(Grouped { display_name, external_id: external_id(&given)?, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_into_columns_and_the_rest() {
        let read = described(&json!({
            "userName": "Ada", "externalId": "7", "active": false, "locale": "en-GB",
            "displayName": "Ada L", "title": "Lady", "id": "ignored", "password": "secret",
            "emails": [{ "value": "a@home.org" }, { "value": "Ada@X.org", "primary": true }],
        }))
        .unwrap();
        assert_eq!(read.email.as_deref(), Some("ada@x.org"));
        assert_eq!((read.user_name.as_str(), read.active), ("Ada", false));
        assert_eq!(read.locale.as_deref(), Some("en-GB"));
        assert_eq!(read.attributes["title"], "Lady");
        let kept: Vec<&String> = read.attributes.as_object().unwrap().keys().collect();
        assert_eq!(kept, ["emails", "title"]);
    }

    #[test]
    fn a_user_name_that_is_an_address_stands_for_one() {
        let email = |resource| described(&resource).unwrap().email;
        assert_eq!(email(json!({ "userName": "Ada@X.org" })).as_deref(), Some("ada@x.org"));
        assert_eq!(email(json!({ "userName": "ada" })), None);
    }

    #[test]
    fn what_an_attribute_cannot_be_is_refused() {
        for resource in [
            json!({}),
            json!({ "userName": "" }),
            json!({ "userName": "ada", "emails": [{ "value": "nowhere" }] }),
            json!({ "userName": "ada", "externalId": 7 }),
            json!({ "userName": "ada", "title": "x".repeat(1_001) }),
        ] {
            assert_eq!(described(&resource).unwrap_err().name, "ScimValue", "{resource}");
        }
    }

    #[test]
    fn a_locale_that_is_none_is_kept_as_it_came() {
        let read = described(&json!({ "userName": "ada", "locale": "somewhere warm" })).unwrap();
        assert_eq!((read.locale, &read.attributes["locale"]), (None, &json!("somewhere warm")));
    }

    #[test]
    fn a_groups_members_are_accounts_each_once() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let group = json!({ "displayName": "G", "members": [{ "value": id }, { "value": id }] });
        assert_eq!(grouped(&group).unwrap().members, [id]);
        let group = json!({ "displayName": "G", "members": [{ "value": "ada" }] });
        assert!(grouped(&group).is_err());
    }
}
