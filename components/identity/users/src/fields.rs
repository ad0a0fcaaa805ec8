//! What a person may be called and where letters go: the forms of addresses, names and slugs.
//! Pure. Knows forms; refuses to know whether an address exists.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    EmailForm = 422, "an address is name@domain, at most 254 characters";
    DisplayNameForm = 422, "a name takes 1 to 120 characters on one line";
    LocaleForm = 422, "a locale is a BCP 47 tag such as `en` or `pt-BR`";
    SlugForm = 422, "a slug takes 1 to 63 of a-z, 0-9 and dash, and begins with a letter or digit";
    ReasonLength = 422, "a reason takes at most 500 characters"
}

/// An address in lower case. People do not distinguish cases, and no server worth a letter does.
pub fn email(text: &str) -> Result<String, Refusal> {
    let address = text.trim().to_lowercase();
    let Some((local, domain)) = address.rsplit_once('@') else { return Err(EmailForm.at("email")) };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"@".contains(c);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let fits = (1..=64).contains(&local.len())
        && !local.chars().any(odd)
        && address.len() <= 254
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.split('.').all(label);
    if fits { Ok(address) } else { Err(EmailForm.at("email")) }
}

/// A name on one line, without the spaces around it.
pub fn display_name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    let fits = (1..=120).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(DisplayNameForm.at("display_name")) }
}

/// A language tag.
pub fn locale(text: &str) -> Result<String, Refusal> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let alphabetic = language.chars().all(|c| c.is_ascii_alphabetic());
    let subtag =
        |part: &str| matches!(part.len(), 1..=8) && part.chars().all(|c| c.is_ascii_alphanumeric());
    let fits =
        matches!(language.len(), 2..=3) && alphabetic && text.len() <= 35 && parts.all(subtag);
    if fits { Ok(text.to_owned()) } else { Err(LocaleForm.at("locale")) }
}

/// A name in addresses.
pub fn slug(text: &str) -> Result<String, Refusal> {
    let fits = (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    if fits { Ok(text.to_owned()) } else { Err(SlugForm.at("slug")) }
}

/// Why somebody was kept out.
pub fn reason(text: Option<String>) -> Result<Option<String>, Refusal> {
    match text {
        Some(text) if text.chars().count() > 500 => Err(ReasonLength.at("reason")),
        other => Ok(other),
    }
}

/// An empty text clears; anything else must pass.
pub fn or_clear(
    text: Option<&str>,
    check: fn(&str) -> Result<String, Refusal>,
) -> Result<Option<String>, Refusal> {
    match text {
        None => Ok(None),
        Some("") => Ok(Some(String::new())),
        Some(text) => check(text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case_and_a_broken_one_is_refused() {
        assert_eq!(email(" Ada@Example.COM ").unwrap(), "ada@example.com");
        assert_eq!(email("a.b+c@localhost").unwrap(), "a.b+c@localhost");
        for broken in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a da@example.com",
            "ada@exa mple.com",
            "ada@-example.com",
            "ada@example..com",
            ".ada@example.com",
            "a..b@example.com",
            "ada@example.com\r\nbcc: eve@example.com",
            "<ada@example.com>",
            "a@b@example.com",
        ] {
            assert_eq!(email(broken), Err(EmailForm.at("email")), "{broken:?}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        assert!(email(&long).is_err());
    }

    #[test]
    fn a_name_stays_on_one_line() {
        assert_eq!(display_name(" Ada Lovelace ").unwrap(), "Ada Lovelace");
        for broken in ["", "  ", "Ada\nBcc: x", &"x".repeat(121)] {
            assert!(display_name(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_locale_is_a_language_tag() {
        for good in ["en", "pt-BR", "zh-Hant-TW", "de-1996"] {
            assert!(locale(good).is_ok(), "{good}");
        }
        for broken in ["", "e", "english", "en_US", "en-", "en-ninechars"] {
            assert!(locale(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn an_empty_text_clears_and_absence_leaves() {
        assert_eq!(or_clear(None, locale), Ok(None));
        assert_eq!(or_clear(Some(""), locale), Ok(Some(String::new())));
        assert!(or_clear(Some("x y"), locale).is_err());
    }
}
