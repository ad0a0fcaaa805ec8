//! `Upload-Metadata` of tus: keys with values in base64, and what is made of them. Pure.
//!
//! A name is a text of the client's: it is shown, and never is a path.

use crate::domain::MetadataMalformed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_sdk::prelude::*;
use nexus_sdk::serde_json::{Map, Value};

/// The whole field: what proxies let through beside other fields.
const LINE_BYTES_MAX: usize = 4096;
/// Keys of one upload.
const KEYS_MAX: usize = 32;
/// Bytes of a file's name that are kept: the store takes 255, and most disks.
const NAME_BYTES_MAX: usize = 200;

/// What a client says beside the bytes. Values that are no text are left out.
pub fn parse(line: &str) -> Result<Map<String, Value>, Refusal> {
    let mut pairs = Map::new();
    if line.len() > LINE_BYTES_MAX {
        let detail = format!("upload-metadata takes {LINE_BYTES_MAX} bytes");
        return Err(MetadataMalformed.because(detail));
    }
    if line.trim().is_empty() {
        return Ok(pairs);
    }
    let mut keys = Vec::new();
    for pair in line.split(',') {
        let mut words = pair.split(' ').filter(|word| !word.is_empty());
        let key = words.next().ok_or(MetadataMalformed)?;
        let value = STANDARD.decode(words.next().unwrap_or_default());
        let value =
            value.map_err(|_| MetadataMalformed.because(format!("the value of {key:?}")))?;
        let is_key = key.len() <= 64 && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_key || words.next().is_some() || keys.contains(&key) || keys.len() == KEYS_MAX {
            return Err(MetadataMalformed.because("a key is odd, or comes twice"));
        }
        keys.push(key);
        if let Ok(text) = String::from_utf8(value)
            && !text.contains('\0')
        {
            pairs.insert(key.to_owned(), text.into());
        }
    }
    Ok(pairs)
}

/// The text behind the first of `keys` that is there.
pub fn text<'m>(metadata: &'m Map<String, Value>, keys: &[&str]) -> Option<&'m str> {
    keys.iter().find_map(|key| metadata.get(*key)?.as_str())
}

/// A name that can be shown and offered for saving, of whatever a client calls its file.
pub fn file_name(said: Option<&str>) -> String {
    let said = said.unwrap_or_default();
    let last = said.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = last.chars().filter(|c| !c.is_control() && !is_invisible(*c));
    let mut name = String::new();
    for c in plain {
        if name.len() + c.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        name.push(c);
    }
    let name = name.trim().trim_matches('.').trim();
    if name.is_empty() { "untitled".to_owned() } else { name.to_owned() }
}

/// Whether these are pairs as `upload-metadata` could say them.
pub fn are_texts(pairs: &Map<String, Value>) -> bool {
    let is_short = |text: &str| text.len() <= LINE_BYTES_MAX && !text.contains('\0');
    let is_text = |value: &Value| value.as_str().is_some_and(is_short);
    pairs.len() <= KEYS_MAX && pairs.iter().all(|(key, value)| is_short(key) && is_text(value))
}

/// Whether a header can say this media type (RFC 9110 section 8.3.1, without parameters).
pub fn is_media_type(text: &str) -> bool {
    let token = |word: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte);
        !word.is_empty() && word.bytes().all(fits)
    };
    let words = text.split_once('/');
    text.len() <= 127 && words.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// Marks that turn the direction of writing, by which `exe.mp4` can be made of `4pm.exe`.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_protocol_is_understood() {
        let line = "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential";
        let read = parse(line).unwrap();
        assert_eq!(text(&read, &["filename"]), Some("world_domination_plan.pdf"));
        assert_eq!(text(&read, &["is_confidential"]), Some(""));
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused() {
        for odd in ["a !", "a YQ== b", "a YQ==,a YQ==", ",", "a YQ==,", "k\u{fc}r YQ==", " , "] {
            assert!(parse(odd).is_err(), "{odd:?}");
        }
        assert!(parse(&format!("a {}", "A".repeat(LINE_BYTES_MAX))).is_err());
    }

    #[test]
    fn a_value_that_is_no_text_is_left_out() {
        assert!(parse("a /w==").unwrap().is_empty());
    }

    #[test]
    fn a_file_is_called_by_the_end_of_its_path() {
        for (said, name) in [
            (None, "untitled"),
            (Some(""), "untitled"),
            (Some("../../etc/passwd"), "passwd"),
            (Some("C:\\films\\a b.mov"), "a b.mov"),
            (Some("..."), "untitled"),
            (Some("a\r\nb.mp4"), "ab.mp4"),
            (Some("\u{202e}4pm.exe"), "4pm.exe"),
            (Some("Käse.mp4"), "Käse.mp4"),
        ] {
            assert_eq!(file_name(said), name, "{said:?}");
        }
    }

    #[test]
    fn a_media_type_is_two_words() {
        for (text, is) in [
            ("video/mp4", true),
            ("application/vnd.apple.mpegurl", true),
            ("", false),
            ("video", false),
            ("video/", false),
            ("video/mp4; codecs=x", false),
            ("video/\r\nx", false),
        ] {
            assert_eq!(is_media_type(text), is, "{text:?}");
        }
    }

    fn written(pairs: &Map<String, Value>) -> String {
        let pair = |(key, value): (&String, &Value)| {
            format!("{key} {}", STANDARD.encode(value.as_str().unwrap_or_default()))
        };
        pairs.iter().map(pair).collect::<Vec<_>>().join(",")
    }

    proptest! {
        #[test]
        fn what_a_client_writes_is_what_is_read(
            pairs in proptest::collection::btree_map("[a-z][a-z0-9_-]{0,15}", "[^\0]{0,40}", 0..8),
        ) {
            let pairs: Map<String, Value> =
                pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
            prop_assert_eq!(parse(&written(&pairs)).unwrap(), pairs);
        }

        #[test]
        fn no_line_breaks_the_parser(line in "\\PC{0,200}") {
            let _either = parse(&line);
        }

        #[test]
        fn no_name_is_a_path(said in "\\PC{0,80}") {
            let name = file_name(Some(&said));
            prop_assert!(!name.is_empty() && !name.contains(['/', '\\']));
            prop_assert!(name != "." && name != ".." && name.len() <= NAME_BYTES_MAX);
        }
    }
}
