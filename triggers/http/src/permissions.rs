//! What is left of a subject's permissions under a limit. Knows patterns as the SDK reads them: `*`
//! covers all, `catalog:*` what starts with `catalog:`, the rest is equality. Refuses to know what
//! any permission means.

/// All that both `held` and `limit` allow, each once. Words of `limit` that are no permission, such
/// as `openid`, allow nothing.
pub(crate) fn cut(held: &[String], limit: &[String]) -> Vec<String> {
    let mut left: Vec<String> = Vec::new();
    for wanted in limit.iter().filter(|word| is_permission(word)) {
        if held.iter().any(|held| covers(held, wanted)) {
            push(&mut left, wanted);
            continue;
        }
        for narrower in held.iter().filter(|held| covers(wanted, held)) {
            push(&mut left, narrower);
        }
    }
    left
}

/// Words of OpenID Connect (Core section 5.4): what a program may be told about a person. They are
/// handed on beside the permissions, since a component sees no token; no door opens to them.
const ABOUT_PEOPLE: [&str; 6] =
    ["openid", "profile", "email", "address", "phone", "offline_access"];

/// What a token of that scope may do, and be told.
pub(crate) fn of_scope(held: &[String], scope: &[String]) -> Vec<String> {
    let mut left = cut(held, scope);
    for word in scope.iter().filter(|word| ABOUT_PEOPLE.contains(&word.as_str())) {
        push(&mut left, word);
    }
    left
}

/// Whether permissions allow one thing.
pub(crate) fn allow(held: &[String], wanted: &str) -> bool {
    held.iter().any(|held| covers(held, wanted))
}

fn push(left: &mut Vec<String>, permission: &str) {
    if !left.iter().any(|known| known == permission) {
        left.push(permission.to_owned());
    }
}

fn is_permission(word: &str) -> bool {
    word == "*" || word.contains(':')
}

fn covers(held: &str, wanted: &str) -> bool {
    held == "*"
        || held == wanted
        || held.strip_suffix('*').is_some_and(|prefix| {
            prefix.ends_with(':') && wanted.len() > prefix.len() && wanted.starts_with(prefix)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(held: &[&str], limit: &[&str], left: &[&str]) {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(cut(&own(held), &own(limit)), own(left), "{held:?} under {limit:?}");
    }

    #[test]
    fn what_both_sides_allow_is_left() {
        check(&["*"], &["catalog:view"], &["catalog:view"]);
        check(&["catalog:*"], &["*"], &["catalog:*"]);
        check(
            &["catalog:*", "orders:view"],
            &["catalog:view", "orders:*"],
            &["catalog:view", "orders:view"],
        );
        check(&["catalog:view"], &["catalog:view", "catalog:*", "*"], &["catalog:view"]);
    }

    #[test]
    fn words_about_people_are_handed_on_and_open_no_door() {
        let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let scope = own(&["openid", "catalog:view", "email", "catalog:edit", "other"]);
        let left = of_scope(&own(&["catalog:view"]), &scope);
        assert_eq!(left, own(&["catalog:view", "openid", "email"]));
        assert!(!left.iter().any(|held| covers(held, "openid:read") || covers(held, "*")));
    }

    #[test]
    fn a_limit_never_adds_anything() {
        check(&["catalog:view"], &["catalog:edit", "orders:*"], &[]);
        check(&[], &["*"], &[]);
        check(&["*"], &[], &[]);
        check(&["*"], &["openid", "profile", "email", "offline_access", ""], &[]);
        check(&["catalog:vi*"], &["catalog:view"], &[]);
    }
}
