//! The forms of what stands in a profile: names, texts, links, languages, zones. Pure.

use nexus_sdk::axum::http::Uri;
use nexus_sdk::prelude::*;

nexus_sdk::refusals! {
    DisplayNameForm = 422, "a name takes 1 to 120 characters on one line";
    BioForm = 422, "a bio takes 1 to 1000 characters";
    LinkForm = 422, "a link is an https address of at most 500 characters, its label at most 60";
    LinksMax = 422, "a profile has at most 10 links";
    LocaleForm = 422, "a locale is a BCP 47 tag such as `en` or `pt-BR`";
    TimeZoneForm = 422, "a time zone is a name of the IANA database such as `Europe/Berlin`"
}

pub const LINKS_MAX: usize = 10;
/// Longer ones are made to hide where they lead.
const URL_BYTES_MAX: usize = 500;

/// Where else somebody is to be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it is called; the address's own host when empty.
    #[serde(default)]
    pub label: String,
    /// Begins with `https://`.
    pub url: String,
}

pub fn display_name(text: &str) -> Result<String, Refusal> {
    one_line(text, 120).ok_or_else(|| DisplayNameForm.at("display_name"))
}

/// One line without the spaces around it, of 1 to `max` characters that are shown.
pub fn one_line(text: &str, max: usize) -> Option<String> {
    let text = text.trim();
    let fits = (1..=max).contains(&text.chars().count()) && !text.chars().any(is_unseen);
    fits.then(|| text.to_owned())
}

/// Characters that change how others are read: control characters and those that turn the
/// direction of a line (UTR 36 §2.5).
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Several lines are several paragraphs.
pub fn bio(text: &str) -> Result<String, Refusal> {
    let text = text.trim().replace("\r\n", "\n");
    let unseen = |c: char| is_unseen(c) && c != '\n';
    let fits = (1..=1000).contains(&text.chars().count()) && !text.chars().any(unseen);
    if fits { Ok(text) } else { Err(BioForm.at("bio")) }
}

pub fn links(links: Vec<Link>) -> Result<Vec<Link>, Refusal> {
    if links.len() > LINKS_MAX {
        return Err(LinksMax.at("links"));
    }
    let checked = links.into_iter().enumerate();
    checked.map(|(at, link)| self::link(link).ok_or(LinkForm.at(format!("links/{at}")))).collect()
}

fn link(link: Link) -> Option<Link> {
    let label = match link.label.trim() {
        "" => String::new(),
        label => one_line(label, 60)?,
    };
    let url = link.url.trim();
    // Nothing but https: not `javascript:`, and no plain http that others could read along.
    let address: Uri = url.parse().ok()?;
    let authority = address.authority()?;
    let fits = url.len() <= URL_BYTES_MAX
        && url.is_ascii()
        && address.scheme_str() == Some("https")
        && !authority.as_str().contains('@')
        && authority.host().contains('.')
        && !authority.host().ends_with('.');
    fits.then(|| Link { label, url: url.to_owned() })
}

pub fn locale(text: &str, field: &str) -> Result<String, Refusal> {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let alphabetic = language.chars().all(|c| c.is_ascii_alphabetic());
    let subtag =
        |part: &str| matches!(part.len(), 1..=8) && part.chars().all(|c| c.is_ascii_alphanumeric());
    let fits =
        matches!(language.len(), 2..=3) && alphabetic && text.len() <= 35 && parts.all(subtag);
    if fits { Ok(text.to_owned()) } else { Err(LocaleForm.at(field)) }
}

/// The form of a zone's name; whether there is such a zone, the database knows.
pub fn time_zone(text: &str) -> Result<String, Refusal> {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    let area = text == "UTC" || (text.contains('/') && text.split('/').all(part));
    let fits = area && text.len() <= 64 && text.matches('/').count() <= 2;
    if fits { Ok(text.to_owned()) } else { Err(TimeZoneForm.at("time_zone")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> bool {
        link(Link { label: String::new(), url: url.into() }).is_some()
    }

    #[test]
    fn a_link_leads_somewhere_by_https_and_hides_nothing() {
        assert!(url("https://example.com/a?b=c#d") && !url("https://münchen.example/"));
        for bad in [
            "http://example.com",
            "javascript:alert(1)",
            "data:text/html,x",
            "//example.com",
            "https://user:pass@example.com/",
            "https://localhost/",
            "https://exa mple.com",
            "https://",
            "ftp://example.com",
            "",
        ] {
            assert!(!url(bad), "{bad}");
        }
        assert!(!url(&format!("https://example.com/{}", "a".repeat(500))));
    }

    #[test]
    fn the_eleventh_link_is_refused_and_a_bad_one_is_pointed_at() {
        let one = || Link { label: "Site".into(), url: "https://example.com".into() };
        assert_eq!(links(vec![one(); 10]).unwrap().len(), 10);
        assert_eq!(links(vec![one(); 11]), Err(LinksMax.at("links")));
        let bad = Link { label: String::new(), url: "http://example.com".into() };
        assert_eq!(links(vec![one(), bad]), Err(LinkForm.at("links/1")));
    }

    #[test]
    fn a_name_cannot_turn_the_line_around() {
        assert!(display_name("Ada \u{202e}ecalevoL").is_err() && display_name("Ada\n").is_ok());
        assert_eq!(bio(" one\r\ntwo ").unwrap(), "one\ntwo");
        assert!(bio("a\u{7}").is_err() && bio(&"x".repeat(1001)).is_err());
    }

    #[test]
    fn a_zone_is_a_name_of_the_database_and_not_an_offset() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"] {
            assert!(time_zone(good).is_ok(), "{good}");
        }
        for bad in ["", "+02:00", "EST5EDT4", "Europe/", "/Berlin", "a/b/c/d", "Europe/Ber lin"] {
            assert!(time_zone(bad).is_err(), "{bad}");
        }
    }
}
