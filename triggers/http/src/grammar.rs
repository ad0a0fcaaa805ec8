//! The lines of an HTTP/1 message, each by itself: request line, header field, length. As strict as
//! RFC 9112 allows. Refuses to know how lines make up a message.

use crate::problems;
use nexus_runtime::Problem;

pub(crate) fn malformed(detail: &'static str) -> Problem {
    problems::MALFORMED.detail(detail)
}

pub(crate) fn url_too_long(url_bytes_max: usize) -> Problem {
    problems::URL_TOO_LONG.detail(format!("a URL takes {} bytes", url_bytes_max))
}

/// `method SP target SP version`; true for HTTP/1.1.
pub(crate) fn request_line(line: &[u8], url_bytes_max: usize) -> Result<bool, Problem> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed("a request line is method, target and version"));
    };
    if !is_token(method) {
        return Err(malformed("the method is not a token"));
    }
    if target.len() > url_bytes_max {
        return Err(url_too_long(url_bytes_max));
    }
    if target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
        return Err(malformed("the target is not visible ASCII"));
    }
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(problems::VERSION_NOT_SUPPORTED)
        }
        _ => Err(malformed("the version is not HTTP/1.1")),
    }
}

/// `name: value`, without the white space around the value. A folded line begins with a space and
/// a name that ends in one is no token, so both fail here.
pub(crate) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Problem> {
    let Some(colon) = memchr::memchr(b':', line) else {
        return Err(malformed("a header field has no colon"));
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(malformed("a header field's name is not a token"));
    }
    if has_control(value) {
        return Err(malformed("a header field's value contains a control character"));
    }
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    Ok((name, &value[start..end]))
}

/// RFC 9110 section 8.6: digits and nothing else. More than 18 of them are no honest length.
pub(crate) fn decimal(value: &[u8]) -> Result<u64, Problem> {
    if !(1..=18).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return Err(malformed("content-length is not a number"));
    }
    Ok(value.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

/// Control characters but tab.
pub(crate) fn has_control(text: &[u8]) -> bool {
    text.iter().fold(false, |bad, b| bad | ((*b < 0x20) & (*b != b'\t')) | (*b == 0x7f))
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| TOKEN[*byte as usize])
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};
