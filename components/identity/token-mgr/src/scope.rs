//! Scopes (RFC 6749 §3.3): what a token may do of all that its subject may. Pure. A word is a
//! permission, a pattern of permissions, or one of OpenID Connect's, which permit nothing here.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    ScopeWords = 422, "a scope takes 1 to 100 words: permissions, their patterns, or openid's";
    ScopeWider = 400, "a refreshed token may do less than the one before, never more"
}

/// Words that say what a client may learn, not what it may do (OpenID Connect Core §5.4, §11).
const ABOUT_PEOPLE: [&str; 6] =
    ["openid", "profile", "email", "phone", "address", "offline_access"];

const WORDS_MAX: usize = 100;
const CHARS_MAX: usize = 4096;

/// The words once each, with one space between them.
///
/// # Errors
/// `ScopeWords` for what is no permission and no pattern.
pub fn tidy(scope: &str) -> Result<String, Refusal> {
    let mut words: Vec<&str> = Vec::new();
    for word in scope.split_ascii_whitespace() {
        if !is_word(word) {
            return Err(ScopeWords.at("scope"));
        }
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match (1..=WORDS_MAX).contains(&words.len()) && scope.len() <= CHARS_MAX {
        true => Ok(words.join(" ")),
        false => Err(ScopeWords.at("scope")),
    }
}

fn is_word(word: &str) -> bool {
    is_about_people(word) || is_pattern(word)
}

fn is_about_people(word: &str) -> bool {
    ABOUT_PEOPLE.contains(&word)
}

/// The same form that `platform.identity_permissions_check` demands.
pub fn is_pattern(word: &str) -> bool {
    if word == "*" {
        return true;
    }
    let Some((service, verb)) = word.split_once(':') else {
        return false;
    };
    let fits = |part: &str, more: &[u8]| {
        (1..=62).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b))
    };
    let verb = match verb.strip_suffix(":*") {
        Some(rest) => rest,
        None if verb == "*" => "any",
        None => verb,
    };
    service.starts_with(|c: char| c.is_ascii_lowercase())
        && fits(service, b"-")
        && fits(verb, b"_.:-")
}

/// `wanted`, if `granted` covers every word of it; without a wish, what was granted.
///
/// # Errors
/// `ScopeWider` names nothing: what else there is, is not told.
pub fn narrow(granted: Option<&str>, wanted: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(wanted) = wanted else {
        return Ok(granted.map(str::to_owned));
    };
    let wanted = tidy(wanted)?;
    let Some(granted) = granted else {
        return Ok(Some(wanted));
    };
    let held: Vec<String> = granted.split(' ').map(str::to_owned).collect();
    match wanted.split(' ').all(|word| held.iter().any(|held| held == word) || covers(&held, word))
    {
        true => Ok(Some(wanted)),
        false => Err(ScopeWider.into()),
    }
}

/// Whether permissions or patterns that are `held` cover `wanted`, as the SDK judges it. OpenID's
/// words are permissions of nobody, so that `*` does not cover them.
pub fn covers(held: &[String], wanted: &str) -> bool {
    !is_about_people(wanted) && held.iter().any(|held| nexus_sdk::covers(held, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_words_of_permissions_each_once() {
        assert_eq!(tidy(" catalog:view  openid catalog:view ").unwrap(), "catalog:view openid");
        assert_eq!(tidy("*").unwrap(), "*");
        assert_eq!(tidy("catalog:* a-b:c.d_e:f:*").unwrap(), "catalog:* a-b:c.d_e:f:*");
        for odd in [
            "",
            " ",
            "catalog",
            "Catalog:view",
            "catalog:",
            "catalog:vi ew\"",
            "cat*",
            ":view",
            "catalog:view*",
            "catalog:**",
            "1a:view",
        ] {
            assert!(tidy(odd).is_err(), "{odd:?}");
        }
        let many = |n: usize| (0..n).map(|n| format!("a:{n}")).collect::<Vec<_>>().join(" ");
        assert!(tidy(&many(100)).is_ok());
        assert!(tidy(&many(101)).is_err());
    }

    #[test]
    fn a_scope_becomes_narrower_and_never_wider() {
        let narrowed = |granted, wanted| {
            narrow(granted, wanted).map_err(|refusal| refusal.name).map(|scope| scope.unwrap())
        };
        assert_eq!(narrowed(Some("a:x b:*"), None).unwrap(), "a:x b:*");
        assert_eq!(narrowed(Some("a:x b:*"), Some("b:y")).unwrap(), "b:y");
        assert_eq!(narrowed(Some("a:x openid"), Some("openid")).unwrap(), "openid");
        assert_eq!(narrowed(None, Some("a:x")).unwrap(), "a:x");
        assert_eq!(narrowed(Some("*"), Some("a:*")).unwrap(), "a:*");
        for wider in ["a:y", "a:*", "*", "openid", "a:x c:z"] {
            assert_eq!(narrowed(Some("a:x"), Some(wider)), Err("ScopeWider"), "{wider}");
        }
        assert_eq!(narrowed(Some("*"), Some("openid")), Err("ScopeWider"));
        assert_eq!(narrow(None, None).unwrap(), None);
    }
}
