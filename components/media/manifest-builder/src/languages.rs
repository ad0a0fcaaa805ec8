//! What a language calls itself, for menus. Pure.

/// By ISO 639-1 and ISO 639-2, as files have them.
const NAMES: &[(&[&str], &str)] = &[
    (&["ar", "ara"], "العربية"),
    (&["cs", "ces", "cze"], "Čeština"),
    (&["da", "dan"], "Dansk"),
    (&["de", "deu", "ger"], "Deutsch"),
    (&["el", "ell", "gre"], "Ελληνικά"),
    (&["en", "eng"], "English"),
    (&["es", "spa"], "Español"),
    (&["fi", "fin"], "Suomi"),
    (&["fr", "fra", "fre"], "Français"),
    (&["he", "heb"], "עברית"),
    (&["hi", "hin"], "हिन्दी"),
    (&["hu", "hun"], "Magyar"),
    (&["id", "ind"], "Bahasa Indonesia"),
    (&["it", "ita"], "Italiano"),
    (&["ja", "jpn"], "日本語"),
    (&["ko", "kor"], "한국어"),
    (&["nl", "nld", "dut"], "Nederlands"),
    (&["no", "nb", "nn", "nor", "nob"], "Norsk"),
    (&["pl", "pol"], "Polski"),
    (&["pt", "por"], "Português"),
    (&["ro", "ron", "rum"], "Română"),
    (&["ru", "rus"], "Русский"),
    (&["sv", "swe"], "Svenska"),
    (&["th", "tha"], "ไทย"),
    (&["tr", "tur"], "Türkçe"),
    (&["uk", "ukr"], "Українська"),
    (&["vi", "vie"], "Tiếng Việt"),
    (&["zh", "zho", "chi"], "中文"),
];

/// The name of a language by its tag; the tag itself where nobody here speaks it.
pub fn name(tag: &str) -> &str {
    let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let known = NAMES.iter().find(|(tags, _)| tags.contains(&primary.as_str()));
    match known {
        Some((_, name)) => name,
        None if primary == "und" || primary.is_empty() => "Original",
        None => tag,
    }
}

#[test]
fn a_language_is_called_as_it_calls_itself() {
    for (tag, expected) in
        [("de", "Deutsch"), ("pt-BR", "Português"), ("GER", "Deutsch"), ("und", "Original")]
    {
        assert_eq!(name(tag), expected, "{tag}");
    }
    assert_eq!(name("tlh"), "tlh");
}
