//! Which revision a request is for: `nexus-revision` asks for one by number, `nexus-affinity` keeps
//! a client's requests together. Refuses to know how calls are shared out.

use crate::fields::Fields;
use crate::permissions::allow;
use crate::problems;
use http::{HeaderName, HeaderValue};
use nexus_runtime::{ComponentId, Pins, Principal, Problem, Response, ServedBy, affinity_of};

/// `catalog=7, orders=3`; of a response, the revision that answered.
const REVISION: HeaderName = HeaderName::from_static("nexus-revision");
/// Any text.
const AFFINITY: HeaderName = HeaderName::from_static("nexus-affinity");

/// Who may ask for revisions: they may be such that nobody else is to see yet.
const PERMISSION: &str = "platform:revisions:pin";

/// More components than any test of a new release needs.
const PINS_MAX: usize = 32;

/// The revisions that a request asks for.
pub(crate) fn pins(fields: Fields<'_>, principal: &Principal) -> Result<Option<Pins>, Problem> {
    let mut pins = Vec::new();
    for value in fields.get_all(&REVISION) {
        if !allow(&principal.permissions, PERMISSION) {
            return Err(problems::MAY_NOT_PIN);
        }
        let text = value.to_str().map_err(|_| problems::INVALID_PIN)?;
        for pin in text.split(',') {
            let (component, number) = pin.split_once('=').ok_or(problems::INVALID_PIN)?;
            let component = ComponentId::new(component.trim());
            let number = number.trim().parse();
            let (Ok(component), Ok(number)) = (component, number) else {
                return Err(problems::INVALID_PIN);
            };
            pins.push((component, number));
        }
        if pins.len() > PINS_MAX {
            return Err(problems::INVALID_PIN.detail(format!("at most {PINS_MAX} at once")));
        }
    }
    Ok(if pins.is_empty() { None } else { Some(pins.into()) })
}

/// What the client says that keeps its requests on one revision.
pub(crate) fn affinity(fields: Fields<'_>) -> Option<u64> {
    fields.get(&AFFINITY).map(|value| affinity_of(value.as_bytes()))
}

/// Says which revision has answered, where there are several.
pub(crate) fn sign(response: &mut Response, component: &ComponentId) {
    let answered = response.extensions().get().copied();
    let headers = response.headers_mut();
    headers.remove(REVISION);
    if let Some(ServedBy(number)) = answered
        && let Ok(value) = HeaderValue::from_str(&format!("{component}={number}"))
    {
        headers.insert(REVISION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use nexus_runtime::DEFAULT_TENANT;

    fn operator(permissions: &[&str]) -> Principal {
        let permissions = permissions.iter().map(|&word| word.to_owned()).collect();
        Principal { permissions, ..Principal::anonymous(DEFAULT_TENANT) }
    }

    fn asked(
        value: &'static str,
        principal: &Principal,
    ) -> Result<Vec<(String, u32)>, &'static str> {
        let mut headers = HeaderMap::new();
        headers.append(REVISION, HeaderValue::from_static(value));
        let pins = pins(Fields::from(&headers), principal).map_err(|problem| problem.name)?;
        let pins = pins.as_deref().unwrap_or_default().iter();
        Ok(pins.map(|(component, number)| (component.to_string(), *number)).collect())
    }

    #[test]
    fn revisions_are_asked_for_by_component_and_number() {
        let operator = operator(&["platform:*"]);
        let two = vec![("catalog".to_owned(), 7), ("orders".to_owned(), 3)];
        assert_eq!(asked("catalog=7, orders=3", &operator), Ok(two));
        for wrong in ["", "catalog", "catalog=", "catalog=x", "catalog=-1", "Catalog=1", "a=1,"] {
            assert_eq!(asked(wrong, &operator), Err("invalid-pin"), "{wrong:?}");
        }
        assert!(pins(Fields::from(&HeaderMap::new()), &operator).unwrap().is_none());
    }

    #[test]
    fn nobody_asks_for_a_revision_without_the_permission() {
        for permissions in [&[][..], &["catalog:*"], &["platform:revisions:read"]] {
            assert_eq!(asked("catalog=7", &operator(permissions)), Err("may-not-pin"));
        }
        assert!(asked("catalog=7", &operator(&["*"])).is_ok());
    }
}
