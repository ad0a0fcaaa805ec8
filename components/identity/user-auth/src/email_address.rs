//! An e-mail address as far as one can judge it without sending anything. Pure.

use nexus_sdk::prelude::*;

nexus_sdk::refusals! { EmailAddress = 422, "this is no e-mail address" }

/// RFC 5321 §4.5.3.1.3 with the brackets taken off.
const CHARS_MAX: usize = 254;
const LOCAL_CHARS_MAX: usize = 64;

/// An address, trimmed and in lower case: what two people would call the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// # Errors
    /// Refuses what no mail could reach, whoever asks: it says nothing about accounts.
    pub fn read(text: &str) -> Result<Email, Refusal> {
        let text = text.trim().to_lowercase();
        let refused = || EmailAddress.at("email");
        let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
        let visible = text.chars().all(|c| !c.is_whitespace() && !c.is_control());
        let plain = !local.contains(['@', '"', '<', '>', '(', ')', ',', ';', ':', '\\']);
        let local_fits = (1..=LOCAL_CHARS_MAX).contains(&local.chars().count());
        let labels = domain.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
        match visible && plain && local_fits && labels && text.chars().count() <= CHARS_MAX {
            true => Ok(Email(text)),
            false => Err(refused()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_a_mail_could_reach_in_one_spelling() {
        assert_eq!(Email::read("  Ada@Example.ORG ").unwrap().as_str(), "ada@example.org");
        for good in ["a@b", "a+b@c.example", "ö@müller.example", "x.y@sub.example.com"] {
            assert!(Email::read(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "a@b..c",
            "a@-b.c",
            "a@b_c.d",
            "a@b\r\nbcc: c@d",
            "<a@b.c>",
            "a@@b.c",
            &long,
        ] {
            assert!(Email::read(bad).is_err(), "{bad:?}");
        }
    }
}
