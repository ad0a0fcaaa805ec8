//! How names are compared: lower case, every run of other characters one dash. Pure.

/// The one spelling of a name, empty where nothing of it is a letter or a digit.
pub fn normalised(name: &str) -> String {
    let mut dashed = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => dashed.push(c),
            _ if dashed.ends_with('-') || dashed.is_empty() => {}
            _ => dashed.push('-'),
        }
    }
    dashed.truncate(dashed.trim_end_matches('-').len());
    dashed
}

/// Whether a word can be one segment after `/api/`.
pub fn is_segment(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one() {
        for spelled in ["Backend API", "backend-api", " BACKEND_API ", "backend...api"] {
            assert_eq!(normalised(spelled), "backend-api", "{spelled}");
        }
        assert_eq!(normalised("--"), "");
    }

    #[test]
    fn a_segment_is_nothing_that_a_path_could_misread() {
        for (name, fits) in
            [("backend-api", true), ("v2", true), ("", false), ("..", false), ("a/b", false)]
        {
            assert_eq!(is_segment(name), fits, "{name}");
        }
        assert!(!is_segment("Ä") && !is_segment("2fa") && !is_segment("a%2f"));
    }
}
