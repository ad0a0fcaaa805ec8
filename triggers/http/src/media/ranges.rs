//! Which bytes of an object a request asks for (RFC 9110 sections 13 and 14): one range at most;
//! several are answered by everything, as the RFC allows.

use http::header::{HeaderMap, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE};
use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Whole,
    Part(Range<u64>),
    /// The client has it.
    Known,
    /// No byte of the range is there.
    Nothing,
}

/// What is asked of an object of `size` bytes with a strong `etag` (without quotes).
pub(super) fn asked(headers: &HeaderMap, size: u64, etag: &str) -> Asked {
    let field = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let known = |tag: &str| tag.trim() == "*" || opaque(tag) == Some(etag);
    if field(&IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(known)) {
        return Asked::Known;
    }
    // A weak tag or a date proves nothing about bytes (section 13.1.5).
    let current =
        |tag: &str| tag.strip_prefix('"').and_then(|it| it.strip_suffix('"')) == Some(etag);
    if field(&IF_RANGE).is_some_and(|tag| !current(tag.trim())) {
        return Asked::Whole;
    }
    field(&RANGE).map_or(Asked::Whole, |range| one(range, size))
}

/// A tag without quotes and weakness.
fn opaque(tag: &str) -> Option<&str> {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?.strip_suffix('"')
}

/// What cannot be read is as if it were not there (section 14.2).
fn one(range: &str, size: u64) -> Asked {
    let Some(set) = range.strip_prefix("bytes=") else {
        return Asked::Whole;
    };
    let Some((from, to)) = set.trim().split_once('-').filter(|_| !set.contains(',')) else {
        return Asked::Whole;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(from) || !digits(to) {
        return Asked::Whole;
    }
    let range = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from > to => return Asked::Whole,
        (Ok(from), Ok(to)) => from..to.saturating_add(1).min(size),
        (Ok(from), Err(_)) => from..size,
        (Err(_), Ok(last)) => size.saturating_sub(last)..size,
        (Err(_), Err(_)) => return Asked::Whole,
    };
    if range.is_empty() { Asked::Nothing } else { Asked::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(fields: &[(&str, &str)], expected: Asked) {
        let headers = fields
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        assert_eq!(asked(&headers.collect(), 1000, "e1"), expected, "{fields:?}");
    }

    #[test]
    fn a_range_is_cut_to_what_is_there() {
        check(&[], Asked::Whole);
        check(&[("range", "bytes=0-99")], Asked::Part(0..100));
        check(&[("range", "bytes=900-")], Asked::Part(900..1000));
        check(&[("range", "bytes=-10")], Asked::Part(990..1000));
        check(&[("range", "bytes=-5000")], Asked::Part(0..1000));
        check(&[("range", "bytes=999-99999999999999999999")], Asked::Part(999..1000));
        check(&[("range", "bytes=1000-")], Asked::Nothing);
        check(&[("range", "bytes=-0")], Asked::Nothing);
    }

    #[test]
    fn what_is_no_single_range_is_answered_by_everything() {
        for range in
            ["bytes=5-4", "bytes=1-2,4-5", "bytes=a-b", "bytes=-", "items=0-1", "bytes=+1-2"]
        {
            check(&[("range", range)], Asked::Whole);
        }
    }

    #[test]
    fn conditions_are_about_the_object_as_it_is() {
        check(&[("if-none-match", "\"e1\"")], Asked::Known);
        check(&[("if-none-match", "\"x\", W/\"e1\"")], Asked::Known);
        check(&[("if-none-match", "*"), ("range", "bytes=0-1")], Asked::Known);
        check(&[("if-none-match", "\"x\"")], Asked::Whole);
        check(&[("if-range", "\"e1\""), ("range", "bytes=0-0")], Asked::Part(0..1));
        check(&[("if-range", "\"x\""), ("range", "bytes=0-0")], Asked::Whole);
        check(&[("if-range", "W/\"e1\""), ("range", "bytes=0-0")], Asked::Whole);
    }

    proptest! {
        #[test]
        fn no_range_ever_leaves_the_object(text in "bytes=[0-9]{0,21}-[0-9]{0,21}", size: u64) {
            let headers = HeaderMap::from_iter([(RANGE, text.parse().unwrap())]);
            if let Asked::Part(range) = asked(&headers, size, "e") {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }
}
