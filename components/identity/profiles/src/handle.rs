//! What a handle may be: letters, digits and underscores, nothing that could be taken for another
//! name, for a word of the platform or for an id. Pure.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    HandleForm = 422, "a handle takes 3 to 30 letters a-z, digits and underscores, with at least \
one letter and no underscore at an end or beside another";
    HandleReserved = 422, "this name is kept for the platform";
    HandleTaken = 409, "this handle, or one that looks like it, is taken";
    HandleTooSoon = 409, "a handle changes at most once in 30 days"
}

/// Names that would speak for the platform, or read as a place in it.
const RESERVED: [&str; 58] = [
    "about",
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "all",
    "anonymous",
    "api",
    "app",
    "billing",
    "blog",
    "contact",
    "copyright",
    "creator",
    "dashboard",
    "deleted",
    "docs",
    "dmca",
    "everyone",
    "explore",
    "followers",
    "help",
    "here",
    "home",
    "hollywood",
    "info",
    "legal",
    "live",
    "login",
    "logout",
    "mail",
    "me",
    "mod",
    "moderator",
    "news",
    "nexus",
    "nexus_cos",
    "nexuscos",
    "nobody",
    "null",
    "official",
    "owner",
    "postmaster",
    "privacy",
    "puabo",
    "register",
    "root",
    "search",
    "security",
    "settings",
    "staff",
    "support",
    "system",
    "team",
    "undefined",
    "verified",
    "webmaster",
];

/// A handle as it was chosen, and what it is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    pub spelled: String,
    pub skeleton: String,
}

/// # Errors
/// What is wrong with it, pointing at `handle`.
pub fn parse(text: &str) -> Result<Handle, Refusal> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let fits = (3..=30).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().any(|b| b.is_ascii_alphabetic())
        && !text.starts_with('_')
        && !text.ends_with('_')
        && !text.contains("__");
    if !fits {
        return Err(HandleForm.at("handle"));
    }
    let skeleton = skeleton(text);
    if RESERVED.iter().any(|word| self::skeleton(word) == skeleton) {
        return Err(HandleReserved.at("handle"));
    }
    Ok(Handle { spelled: text.to_owned(), skeleton })
}

/// The name as it is found in a path, without the sign before it.
pub fn key(text: &str) -> Option<String> {
    let name = text.strip_prefix('@')?;
    let fits = name.len() <= 30 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    fits.then(|| name.to_ascii_lowercase())
}

/// What a name looks like in a careless font: names with the same skeleton cannot both be taken.
fn skeleton(text: &str) -> String {
    let mut seen = text.to_ascii_lowercase().replace('0', "o").replace(['1', 'i'], "l");
    // `rn` reads as `m`, `vv` as `w`, `cl` as `d`; once each is enough to be stable, since none
    // of them makes another.
    for (pair, one) in [("rn", "m"), ("vv", "w"), ("cl", "d")] {
        seen = seen.replace(pair, one);
    }
    seen.replace('5', "s").replace('_', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_handle_is_what_people_can_type_and_say() {
        for good in ["ada", "Ada_Lovelace", "a1b", "x2x", "@ada", &"a".repeat(30)] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            "_ada",
            "ada_",
            "a__b",
            "123",
            "ada-l",
            "ada.l",
            "ада",
            "ada ",
            "a\u{200b}da",
            &"a".repeat(31),
        ] {
            assert_eq!(parse(bad), Err(HandleForm.at("handle")), "{bad:?}");
        }
    }

    #[test]
    fn names_of_the_platform_are_kept_whatever_they_are_disguised_as() {
        for name in ["admin", "ADMIN", "adm1n", "Nexus", "supp0rt", "n_e_x_u_s", "offlcial"] {
            assert_eq!(parse(name), Err(HandleReserved.at("handle")), "{name}");
        }
        assert!(parse("administration").is_ok(), "a longer word is another word");
    }

    #[test]
    fn names_that_look_alike_are_one() {
        for (one, other) in
            [("paypal", "PayPa1"), ("modern", "modem"), ("ada_l", "adal"), ("bil1", "blii")]
        {
            assert_eq!(parse(one).unwrap().skeleton, parse(other).unwrap().skeleton, "{one}");
        }
        assert_ne!(parse("ada").unwrap().skeleton, parse("eda").unwrap().skeleton);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_ascii_of_the_right_length_and_can_be_found_again(text in "\\PC*") {
            if let Ok(handle) = parse(&text) {
                prop_assert!((3..=30).contains(&handle.spelled.len()) && handle.spelled.is_ascii());
                let found = key(&format!("@{}", handle.spelled)).unwrap();
                prop_assert_eq!(&found, &handle.spelled.to_ascii_lowercase());
                prop_assert!(!handle.skeleton.is_empty());
            }
        }

        #[test]
        fn case_never_tells_two_handles_apart(text in "[a-zA-Z0-9_]{3,30}") {
            let upper = parse(&text.to_ascii_uppercase());
            let lower = parse(&text.to_ascii_lowercase());
            prop_assert_eq!(upper.map(|h| h.skeleton), lower.map(|h| h.skeleton));
        }

        #[test]
        fn every_name_of_letters_and_digits_that_is_not_kept_can_be_had(
            text in "[a-z][a-z0-9]{8,29}",
        ) {
            let kept = RESERVED.iter().any(|word| skeleton(word) == skeleton(&text));
            prop_assert_eq!(parse(&text).is_ok(), !kept);
        }

        #[test]
        fn a_path_never_names_more_than_a_handle(text in "\\PC*") {
            if let Some(found) = key(&text) {
                prop_assert!(found.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            }
        }
    }
}
