//! From bytes to text: by the mark at their beginning, or else by what they can be. Pure.

use nexus_sdk::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    Utf8,
    Utf16,
    /// ISO 8859-1, with what Windows has in the places of control characters.
    #[serde(rename = "latin-1")]
    Latin1,
}

impl ToParam for Encoding {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// Windows-1252 from 0x80 to 0x9F; five of them are nothing.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text without its mark; none of what is no text in any of them.
pub fn decode(bytes: &[u8]) -> Option<(String, Encoding)> {
    let (text, encoding) = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => (std::str::from_utf8(rest).ok()?.into(), Encoding::Utf8),
        [0xFF, 0xFE, rest @ ..] => (wide(rest, u16::from_le_bytes)?, Encoding::Utf16),
        [0xFE, 0xFF, rest @ ..] => (wide(rest, u16::from_be_bytes)?, Encoding::Utf16),
        bytes => unmarked(bytes)?,
    };
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    text.chars().all(plain).then_some((text, encoding))
}

fn unmarked(bytes: &[u8]) -> Option<(String, Encoding)> {
    // Half of the bytes of a European text in UTF-16 are zero, always the same half.
    let zeros = |from: usize| bytes.iter().skip(from).step_by(2).filter(|it| **it == 0).count();
    let half = bytes.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, 0) => {}
        (high, low) if high > low && high * 3 > half => {
            return Some((wide(bytes, u16::from_be_bytes)?, Encoding::Utf16));
        }
        (_, high) if high * 3 > half => {
            return Some((wide(bytes, u16::from_le_bytes)?, Encoding::Utf16));
        }
        _ => return None,
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some((text.to_owned(), Encoding::Utf8)),
        Err(_) => Some((bytes.iter().copied().map(latin).collect(), Encoding::Latin1)),
    }
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units = bytes.chunks_exact(2);
    let whole = units.remainder().is_empty();
    let units: Vec<u16> = units.map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok().filter(|_| whole)
}

fn latin(byte: u8) -> char {
    match byte {
        0x80..=0x9F => WINDOWS[usize::from(byte - 0x80)],
        byte => char::from(byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn a_text_is_read_in_whatever_encoding_it_comes() {
        let text = "Grüße – so";
        let le = utf16(text, u16::to_le_bytes);
        let be = utf16(text, u16::to_be_bytes);
        let marked = |mark: &[u8], rest: &[u8]| [mark, rest].concat();
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            (marked(&[0xEF, 0xBB, 0xBF], text.as_bytes()), Encoding::Utf8),
            (marked(&[0xFF, 0xFE], &le), Encoding::Utf16),
            (marked(&[0xFE, 0xFF], &be), Encoding::Utf16),
            (le, Encoding::Utf16),
            (be, Encoding::Utf16),
            (b"Gr\xFC\xDFe \x96 so".to_vec(), Encoding::Latin1),
        ] {
            let read = decode(&bytes).unwrap();
            assert_eq!((read.0.as_str(), read.1), (text, encoding), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for bytes in [
            &b"\x89PNG\r\n\x1a\n\x00\x00\x00"[..],
            b"a\x00b",
            b"\xFF\xFEa",
            b"\xEF\xBB\xBF\xFF",
            b"a\x07",
            b"\xFF\x81",
        ] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
