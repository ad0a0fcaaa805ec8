//! Permissions as words, and the rule that nobody hands on what they do not hold. Pure.

use nexus_sdk::Principal;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    PermissionForm = 422, "a permission is written service:verb, service:verb:*, service:* or *";
    PermissionCount = 422, "a role holds at most 200 permissions";
    BeyondYourOwn = 403, "you can neither give nor take away what you do not hold yourself"
}

const COUNT_MAX: usize = 200;

/// Whether `word` is a permission or a pattern of them, as `platform` (0007) takes them.
pub fn is_permission(word: &str) -> bool {
    if word == "*" {
        return true;
    }
    let Some((service, verb)) = word.split_once(':') else { return false };
    let named = (1..=63).contains(&service.len())
        && service.starts_with(|c: char| c.is_ascii_lowercase())
        && service.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    let plain = verb.strip_suffix(":*").unwrap_or(verb);
    let spelled = (1..=62).contains(&plain.len())
        && plain.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | ':' | '-'));
    named && (verb == "*" || spelled)
}

/// The permissions of a role: valid, in order, each once.
pub fn all(words: &[String]) -> Result<Vec<String>, Refusal> {
    if words.len() > COUNT_MAX {
        return Err(PermissionCount.at("permissions"));
    }
    if let Some(at) = words.iter().position(|word| !is_permission(word)) {
        return Err(PermissionForm.at(format!("permissions/{at}")));
    }
    let mut sorted = words.to_vec();
    sorted.sort();
    sorted.dedup();
    Ok(sorted)
}

/// Proves that `giver` holds every one of `permissions`.
///
/// # Errors
/// 403 that names the first that is missing.
pub fn within<'a>(
    giver: &Principal,
    permissions: impl IntoIterator<Item = &'a String>,
) -> Result<(), Refusal> {
    match permissions.into_iter().find(|word| !giver.may(word)) {
        Some(word) => Err(BeyondYourOwn.because(format!("you do not hold {word} yourself"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_sdk::Kind;

    fn giver(permissions: &[&str]) -> Principal {
        Principal {
            subject: "ada".into(),
            kind: Kind::User,
            tenant: Uuid::nil().into(),
            organisation: None,
            permissions: permissions.iter().map(|&word| word.into()).collect(),
            session: None,
            auth_time: None,
            acr: None,
            limited: false,
        }
    }

    #[test]
    fn a_permission_is_a_word_of_a_service_or_a_pattern() {
        for good in ["*", "catalog:*", "catalog:view", "key-value:a.b:c_d", "catalog:view:*"] {
            assert!(is_permission(good), "{good}");
        }
        for bad in [
            "",
            "catalog",
            "catalog:",
            "*:view",
            "Catalog:view",
            "catalog:v*",
            "1a:b",
            "catalog:view ",
            "catalog:VIEW",
            "catalog:vi ew",
            ":view",
        ] {
            assert!(!is_permission(bad), "{bad}");
        }
    }

    #[test]
    fn nobody_hands_on_what_they_do_not_hold() {
        let words = |list: &[&str]| list.iter().map(|&w| w.to_owned()).collect::<Vec<_>>();
        let may = |held: &[&str], given: &[&str]| within(&giver(held), &words(given)).is_ok();
        assert!(may(&["*"], &["*", "catalog:edit"]));
        assert!(may(&["catalog:*"], &["catalog:edit", "catalog:*"]));
        assert!(may(&[], &[]));
        assert!(!may(&["catalog:*"], &["*"]));
        assert!(!may(&["catalog:edit"], &["catalog:*"]));
        assert!(!may(&["catalog:*"], &["catalog:edit", "orders:edit"]));
    }

    #[test]
    fn a_roles_permissions_are_sorted_and_counted_once() {
        let words = ["b:x", "a:x", "b:x"].map(str::to_owned);
        assert_eq!(all(&words).unwrap(), ["a:x", "b:x"]);
        assert!(all(&vec!["a:x".to_owned(); 201]).is_err());
    }
}
