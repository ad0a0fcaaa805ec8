//! The name of a title in addresses. Pure.

const CHARS_MAX: usize = 80;

/// Whether an address can hold it as it is: words of `a-z0-9`, joined by single dashes.
pub fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= CHARS_MAX
        && text.split('-').all(|word| !word.is_empty() && word.bytes().all(plain))
}

/// A slug of whatever somebody calls something; `title` where nothing of it can be written so.
pub fn slug_of(name: &str) -> String {
    let mut letters = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(written) => letters.push_str(written),
            // An apostrophe parts no words.
            None if matches!(c, '\'' | '’') => {}
            None => letters.push(c),
        }
    }
    let words = letters.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-");
    slug.truncate(CHARS_MAX);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "title".to_owned() } else { slug.to_owned() }
}

/// The same slug for another title of the same name: `the-sea-2`.
pub fn numbered(slug: &str, number: usize) -> String {
    let end = format!("-{number}");
    let kept = &slug[..slug.len().min(CHARS_MAX - end.len())];
    format!("{}{end}", kept.trim_end_matches('-'))
}

/// Letters of Latin alphabets without their marks.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' | 'ı' => "i",
        'ł' | 'ľ' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ő' | 'ō' => "o",
        'ö' | 'ø' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'þ' => "th",
        'ù' | 'ú' | 'û' | 'ű' | 'ů' | 'ū' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        '&' => " and ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_becomes_words_that_an_address_holds() {
        for (name, expected) in [
            ("The Sea", "the-sea"),
            ("  Grüße aus  Łódź! ", "gruesse-aus-lodz"),
            ("Don't look up", "dont-look-up"),
            ("Salt & Iron", "salt-and-iron"),
            ("東京物語", "title"),
            ("Ocean's 8", "oceans-8"),
        ] {
            assert_eq!(slug_of(name), expected, "{name}");
        }
        assert_eq!(numbered("the-sea", 2), "the-sea-2");
    }

    #[test]
    fn what_is_no_slug_is_refused() {
        for text in ["", "-", "a--b", "-a", "A", "a b", "ä", &"a".repeat(81)] {
            assert!(!is_slug(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_something_is_called_its_slug_is_one(name in ".{0,300}", number in 2..99usize) {
            let slug = slug_of(&name);
            prop_assert!(is_slug(&slug), "{}", slug);
            prop_assert!(is_slug(&numbered(&slug, number)), "{}", numbered(&slug, number));
        }
    }
}
