//! Conditional and range requests, decided from headers and what is known of an object.
//! Pure: no clock, no store, no bytes. Source: RFC 9110 sections 13 and 14.

use crate::store::{ByteRange, Object};
use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a GET is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Whole,
    /// Satisfiable for this object.
    Part(ByteRange),
    /// 304
    NotModified,
    /// 412
    Failed,
    /// 416
    Unsatisfiable,
}

/// The order is that of RFC 9110 section 13.2.2.
pub(crate) fn evaluate(headers: &HeaderMap, object: &Object) -> Answer {
    let modified = whole_seconds(object.modified);
    if let Some(etags) = text(headers, IF_MATCH) {
        if !lists(&etags, &object.etag, Comparison::Strong) {
            return Answer::Failed;
        }
    } else if date(headers, IF_UNMODIFIED_SINCE).is_some_and(|since| modified > since) {
        return Answer::Failed;
    }
    if let Some(etags) = text(headers, IF_NONE_MATCH) {
        if lists(&etags, &object.etag, Comparison::Weak) {
            return Answer::NotModified;
        }
    } else if date(headers, IF_MODIFIED_SINCE).is_some_and(|since| modified <= since) {
        return Answer::NotModified;
    }
    let wanted = text(headers, RANGE).as_deref().and_then(single_range);
    match wanted.filter(|_| is_still(headers, object, modified)) {
        None => Answer::Whole,
        Some(range) if range.within(object.size).is_ok() => Answer::Part(range),
        Some(_) => Answer::Unsatisfiable,
    }
}

/// If-Range (section 13.1.5): an etag, strongly compared, or the exact date of modification.
fn is_still(headers: &HeaderMap, object: &Object, modified: SystemTime) -> bool {
    match headers.get(IF_RANGE).map(|value| value.to_str().unwrap_or_default()) {
        None => true,
        Some(text) if text.contains('"') => lists(text, &object.etag, Comparison::Strong),
        Some(text) => httpdate::parse_http_date(text).is_ok_and(|date| date == modified),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags names this one (section 8.8.3.2). Ours hold no commas.
fn lists(list: &str, etag: &str, comparison: Comparison) -> bool {
    list.split(',').map(str::trim).any(|tag| {
        let opaque = match tag.strip_prefix("W/") {
            Some(weak) if comparison == Comparison::Weak => weak,
            _ => tag,
        };
        tag == "*" || opaque.strip_prefix('"').and_then(|t| t.strip_suffix('"')) == Some(etag)
    })
}

/// One range of bytes (section 14.1.2). Several at once, and what is no range, are ignored: a
/// server may, and the answer is then the whole object.
fn single_range(text: &str) -> Option<ByteRange> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // More digits than fit mean "beyond the end", never "nothing".
        plain.then(|| digits.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (unit.eq_ignore_ascii_case("bytes"), first, last) {
        (false, ..) => None,
        (true, "", last) => number(last).map(ByteRange::Last),
        (true, first, "") => number(first).map(ByteRange::From),
        (true, first, last) => {
            let (offset, last) = (number(first)?, number(last)?);
            let length = last.checked_sub(offset)?.saturating_add(1);
            Some(ByteRange::Slice { offset, length })
        }
    }
}

/// Several lines of one field are one list; a field that is no text cannot match.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// A date that is none is ignored (section 13.1.3).
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// HTTP dates have no fractions.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Checksums;
    use crate::name::{Attributes, Key};

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    /// 100 bytes, etag `e`, last modified at DATE and a half second.
    fn check(headers: &[(HeaderName, &str)]) -> Answer {
        let object = Object {
            key: Key::new("k").unwrap(),
            size: 100,
            etag: "e".into(),
            attributes: Attributes::default(),
            modified: httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(500),
            checksums: Checksums::default(),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        evaluate(&map, &object)
    }

    #[test]
    fn if_none_match_answers_304_by_weak_comparison() {
        for etags in ["\"e\"", "W/\"e\"", "\"x\", \"e\"", "*", "\"x\",W/\"e\""] {
            assert_eq!(check(&[(IF_NONE_MATCH, etags)]), Answer::NotModified, "{etags}");
        }
        for etags in ["\"x\"", "e", "\"e", ""] {
            assert_eq!(check(&[(IF_NONE_MATCH, etags)]), Answer::Whole, "{etags}");
        }
        let lines = [(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"e\"")];
        assert_eq!(check(&lines), Answer::NotModified);
    }

    #[test]
    fn if_match_answers_412_by_strong_comparison() {
        assert_eq!(check(&[(IF_MATCH, "\"e\"")]), Answer::Whole);
        assert_eq!(check(&[(IF_MATCH, "*")]), Answer::Whole);
        assert_eq!(check(&[(IF_MATCH, "W/\"e\"")]), Answer::Failed);
        assert_eq!(check(&[(IF_MATCH, "\"x\"")]), Answer::Failed);
    }

    #[test]
    fn dates_count_only_where_no_etag_does() {
        assert_eq!(check(&[(IF_MODIFIED_SINCE, DATE)]), Answer::NotModified);
        assert_eq!(check(&[(IF_MODIFIED_SINCE, BEFORE)]), Answer::Whole);
        assert_eq!(check(&[(IF_MODIFIED_SINCE, "yesterday")]), Answer::Whole);
        assert_eq!(check(&[(IF_UNMODIFIED_SINCE, DATE)]), Answer::Whole);
        assert_eq!(check(&[(IF_UNMODIFIED_SINCE, BEFORE)]), Answer::Failed);
        let both = [(IF_MODIFIED_SINCE, AFTER), (IF_NONE_MATCH, "\"x\"")];
        assert_eq!(check(&both), Answer::Whole);
        assert_eq!(check(&[(IF_UNMODIFIED_SINCE, BEFORE), (IF_MATCH, "\"e\"")]), Answer::Whole);
    }

    #[test]
    fn one_range_is_honoured_and_anything_else_ignored() {
        let slice = |offset, length| Answer::Part(ByteRange::Slice { offset, length });
        for (range, expected) in [
            ("bytes=0-0", slice(0, 1)),
            ("bytes=10-19", slice(10, 10)),
            ("Bytes=10-1000", slice(10, 991)),
            ("bytes=99-99999999999999999999", slice(99, u64::MAX - 98)),
            ("bytes=50-", Answer::Part(ByteRange::From(50))),
            ("bytes=-5", Answer::Part(ByteRange::Last(5))),
            ("bytes=-500", Answer::Part(ByteRange::Last(500))),
            ("bytes=100-", Answer::Unsatisfiable),
            ("bytes=-0", Answer::Unsatisfiable),
            ("bytes=99999999999999999999-", Answer::Unsatisfiable),
            ("bytes=0-1,5-6", Answer::Whole),
            ("bytes=5-2", Answer::Whole),
            ("bytes=-", Answer::Whole),
            ("bytes=a-b", Answer::Whole),
            ("bytes=+1-2", Answer::Whole),
            ("seconds=1-2", Answer::Whole),
            ("bytes", Answer::Whole),
        ] {
            assert_eq!(check(&[(RANGE, range)]), expected, "{range}");
        }
    }

    #[test]
    fn if_range_gives_the_whole_when_the_object_has_changed() {
        let range = (RANGE, "bytes=-5");
        let part = Answer::Part(ByteRange::Last(5));
        for (validator, expected) in [
            ("\"e\"", part),
            (DATE, part),
            ("W/\"e\"", Answer::Whole),
            ("\"x\"", Answer::Whole),
            (AFTER, Answer::Whole),
            ("nonsense", Answer::Whole),
        ] {
            assert_eq!(check(&[range.clone(), (IF_RANGE, validator)]), expected, "{validator}");
        }
    }
}
