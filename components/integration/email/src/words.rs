//! What the built-in messages say, in the languages there are. Knows words only; refuses to know
//! how they are set (`templates/`) and what becomes of them.
//!
//! A word list is a table per language; a test sees that each has every message, and that a message
//! asks for the same things in each.

mod de;
mod en;
mod es;
mod fr;

/// A language, and the words that stand in every message.
#[derive(Debug)]
pub struct Language {
    /// BCP 47, the language alone.
    pub code: &'static str,
    /// With `{{ name }}`.
    pub greeting: &'static str,
    pub greeting_nobody: &'static str,
    /// Before the link as it is.
    pub link: &'static str,
    /// With `{{ brand }}`.
    pub automatic: &'static str,
    pub unsubscribe: &'static str,
    /// One and many of each.
    pub minutes: [&'static str; 2],
    pub hours: [&'static str; 2],
    pub days: [&'static str; 2],
    pub messages: &'static [(&'static str, Words)],
}

/// One message. Each text is a small template of its own.
#[derive(Debug)]
pub struct Words {
    pub subject: &'static str,
    pub title: &'static str,
    pub lines: &'static [&'static str],
    /// A label, and the part of the model that stands beside it; left out when it is not there.
    pub facts: &'static [(&'static str, &'static str)],
    /// What the button says; it is there when there is a `link`.
    pub action: &'static str,
    pub notes: &'static [&'static str],
}

/// The first is what there always is.
const LANGUAGES: [&Language; 4] = [&en::ENGLISH, &de::GERMAN, &fr::FRENCH, &es::SPANISH];

/// Messages that make no sense without a link.
const LINKED: [&str; 5] =
    ["verify-email", "account-exists", "recover-password", "magic-link", "invite"];

/// The built-in message of this name in the nearest language there is: `de-AT` is `de`, and what is
/// unknown is English.
pub fn find(name: &str, locale: &str) -> Option<(&'static Language, &'static Words)> {
    let language = language(locale);
    let own = language.messages.iter().find(|(known, _)| *known == name);
    own.map(|(_, words)| (language, words))
}

pub fn language(locale: &str) -> &'static Language {
    let wanted = locale.split(['-', '_']).next().unwrap_or_default();
    let known = LANGUAGES.iter().find(|language| language.code.eq_ignore_ascii_case(wanted));
    known.copied().unwrap_or(LANGUAGES[0])
}

pub fn needs_link(name: &str) -> bool {
    LINKED.contains(&name)
}

/// Every built-in message with the languages it is there in.
pub fn all() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let codes = LANGUAGES.iter().map(|language| language.code).collect::<Vec<_>>();
    LANGUAGES[0].messages.iter().map(move |(name, _)| (*name, codes.clone()))
}

impl Language {
    /// Minutes as people say them: never more than there are, but for one that a clock has eaten.
    pub fn span(&self, minutes: u64) -> String {
        let (hour, day) = (60, 24 * 60);
        let minutes = if (minutes + 1) % hour == 0 { minutes + 1 } else { minutes };
        let (count, [one, many]) = match minutes {
            m if m >= 2 * day || m >= day && m % day == 0 => (m / day, self.days),
            m if m >= 3 * hour || m >= hour && m % hour == 0 => (m / hour, self.hours),
            m => (m, self.minutes),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}

/// A locale as callers may say it.
pub fn is_locale(text: &str) -> bool {
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    (2..=35).contains(&text.len()) && text.split(['-', '_']).all(is_part)
}

nexus_sdk::refusals! { LocaleForm = 422, "a locale is a BCP 47 tag, such as `de` or `pt-BR`" }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_falls_back_to_its_language_and_then_to_english() {
        for (locale, code) in
            [("de", "de"), ("de-AT", "de"), ("DE_ch", "de"), ("fr-CA", "fr"), ("ja", "en")]
        {
            assert_eq!(language(locale).code, code, "{locale}");
        }
    }

    #[test]
    fn every_language_has_every_message_with_the_same_parts() {
        for language in LANGUAGES {
            let names = |it: &Language| it.messages.iter().map(|(n, _)| *n).collect::<Vec<_>>();
            assert_eq!(names(language), names(LANGUAGES[0]), "{}", language.code);
            for ((name, own), (_, english)) in language.messages.iter().zip(en::ENGLISH.messages) {
                let told = (language.code, name);
                let keys = |words: &Words| words.facts.iter().map(|(_, k)| *k).collect::<Vec<_>>();
                assert_eq!(keys(own), keys(english), "{told:?}");
                assert_eq!(own.lines.len(), english.lines.len(), "{told:?}");
                assert_eq!(own.notes.len(), english.notes.len(), "{told:?}");
                assert_eq!(own.action.is_empty(), english.action.is_empty(), "{told:?}");
                for (own, english) in own.lines.iter().zip(english.lines) {
                    let asks = |text: &str| text.matches("{{").count();
                    assert_eq!(asks(own), asks(english), "{told:?}: {own}");
                }
            }
        }
    }

    #[test]
    fn minutes_are_said_as_people_say_them() {
        let english = language("en");
        for (minutes, said) in [
            (1, "1 minute"),
            (15, "15 minutes"),
            (60, "1 hour"),
            (90, "90 minutes"),
            (120, "2 hours"),
            (200, "3 hours"),
            (59, "1 hour"),
            (1439, "1 day"),
            (1440, "1 day"),
            (10_079, "7 days"),
            (10_080, "7 days"),
            (6 * 1440 + 900, "6 days"),
        ] {
            assert_eq!(english.span(minutes), said);
        }
        assert_eq!(language("de").span(60), "1 Stunde");
    }

    #[test]
    fn a_locale_is_short_and_plain() {
        assert!(is_locale("de") && is_locale("pt-BR") && is_locale("zh-Hant-TW"));
        for text in ["", "d", "de--AT", "de AT", "de\r\n", "../en", "toolonglanguage"] {
            assert!(!is_locale(text), "{text:?}");
        }
    }
}
