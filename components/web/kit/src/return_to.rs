//! Where somebody goes on after signing in. Knows which paths are ours; refuses all that could
//! lead to another site (open redirects), and the pages that would lead in a circle.

/// Longer paths are not ours.
const PATH_BYTES_MAX: usize = 1024;

/// Where one arrives without a wish.
pub const HOME: &str = "/account";

/// Pages that end in being somewhere else.
const CIRCLES: [&str; 8] = [
    "/account/sign-in",
    "/account/sign-out",
    "/account/second-factor",
    "/account/register",
    "/account/recover",
    "/account/verify",
    "/account/magic-link",
    "/account/step-up",
];

/// The path, if it is one of our own that one may be sent to.
pub fn own(wanted: &str) -> Option<&str> {
    let bytes = wanted.as_bytes();
    // `//host` and `/\host` are other sites to a browser, which also drops tabs and line ends
    // before it looks: only visible ASCII, no backslash at all.
    let path = bytes.first() == Some(&b'/')
        && bytes.get(1) != Some(&b'/')
        && bytes.len() <= PATH_BYTES_MAX
        && bytes.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\');
    let leaf = wanted.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let circle = CIRCLES.iter().any(|page| leaf == *page || below(leaf, page));
    (path && !circle).then_some(wanted)
}

fn below(path: &str, page: &str) -> bool {
    path.strip_prefix(page).is_some_and(|rest| rest.starts_with('/'))
}

/// The path, or the account's first page.
pub fn or_home(wanted: &str) -> &str {
    own(wanted).unwrap_or(HOME)
}

/// A page with the wish to come back.
pub fn with_wish(page: &str, wanted: &str) -> String {
    match own(wanted) {
        Some(path) if path != HOME => with_query(page, &[("return_to", path)]),
        _ => page.to_owned(),
    }
}

/// A path with a query, escaped.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    format!("{path}?{}", query.extend_pairs(pairs).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for hostile in [
            "",
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "javascript:alert(1)",
            "account",
            " /account",
            "/account\r\nset-cookie: a=b",
            "/a\u{0}b",
            "/caf\u{e9}",
        ] {
            assert_eq!(own(hostile), None, "{hostile:?}");
            assert_eq!(or_home(hostile), "/account");
        }
        assert_eq!(own(&format!("/{}", "a".repeat(1024))), None);
    }

    #[test]
    fn ones_own_paths_are_kept_with_their_query() {
        for own_path in ["/", "/account/security", "/watch/1?t=30", "/account/keys#new"] {
            assert_eq!(own(own_path), Some(own_path));
        }
    }

    #[test]
    fn nobody_is_sent_in_a_circle() {
        for circle in ["/account/sign-in", "/account/sign-in/?a=b", "/account/recover/finish"] {
            assert_eq!(own(circle), None, "{circle}");
        }
        assert_eq!(own("/account/sign-in-history"), Some("/account/sign-in-history"));
    }

    #[test]
    fn a_wish_is_escaped() {
        let to = with_wish("/account/sign-in", "/watch/1?a=b&c=d");
        assert_eq!(to, "/account/sign-in?return_to=%2Fwatch%2F1%3Fa%3Db%26c%3Dd");
        assert_eq!(with_wish("/account/sign-in", "//evil.example"), "/account/sign-in");
        assert_eq!(with_wish("/account/sign-in", "/account"), "/account/sign-in");
    }
}
