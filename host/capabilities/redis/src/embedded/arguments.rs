//! Numbers and options as Redis reads them. Refuses what Redis refuses, in its words.
//! Source: `string2ll` and `getLongDoubleFromObject` of Redis 7.0 define what a number is.

use super::value::Score;
use crate::RedisError;
use bytes::Bytes;
use nexus_redis_link::Reply;

pub(crate) fn syntax() -> RedisError {
    RedisError::refused("ERR", "syntax error")
}

/// Strictly: no blanks, no plus sign, no leading zero.
pub(crate) fn integer(argument: &[u8]) -> Result<i64, RedisError> {
    let text = std::str::from_utf8(argument).ok();
    let number = text.and_then(|text| text.parse::<i64>().ok().filter(|n| n.to_string() == text));
    number.ok_or_else(|| RedisError::refused("ERR", "value is not an integer or out of range"))
}

pub(crate) fn float(argument: &[u8]) -> Result<Score, RedisError> {
    let text = std::str::from_utf8(argument).ok();
    let number = text.and_then(|text| text.parse().ok()).and_then(Score::new);
    number.ok_or_else(|| RedisError::refused("ERR", "value is not a valid float"))
}

/// A sum of integers, as `INCRBY` and `HINCRBY` make it.
pub(crate) fn sum(a: i64, b: i64) -> Result<i64, RedisError> {
    let overflow = || RedisError::refused("ERR", "increment or decrement would overflow");
    a.checked_add(b).ok_or_else(overflow)
}

pub(crate) fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

pub(crate) fn count(n: usize) -> Reply {
    Reply::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(crate) fn flag(yes: bool) -> Reply {
    Reply::Int(i64::from(yes))
}

pub(crate) fn bytes(value: &Bytes) -> Reply {
    Reply::Bytes(value.to_vec())
}

pub(crate) fn maybe(value: Option<&Bytes>) -> Reply {
    value.map_or(Reply::Nil, bytes)
}

/// A score as text: shortest digits that read back the same, `inf` for the ends.
pub(crate) fn score(score: Score) -> Reply {
    Reply::Bytes(score.value().to_string().into_bytes())
}

/// `start` and `stop` of a list or ranking, both inclusive, negative from the end.
#[derive(Clone, Copy)]
pub(crate) struct Span(i64, i64);

impl Span {
    pub(crate) fn read(start: &[u8], stop: &[u8]) -> Result<Self, RedisError> {
        Ok(Self(integer(start)?, integer(stop)?))
    }

    /// As a half-open range of the positions of something that has `len`.
    pub(crate) fn within(self, len: usize) -> (usize, usize) {
        let len = i64::try_from(len).unwrap_or(i64::MAX);
        let from_front = |n: i64| if n < 0 { len.saturating_add(n) } else { n };
        let start = from_front(self.0).clamp(0, len);
        let stop = from_front(self.1).clamp(-1, len - 1) + 1;
        let position = |n: i64| usize::try_from(n).expect("clamped to 0..=len above");
        (position(start), position(stop.max(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_strictly() {
        assert_eq!(integer(b"-9223372036854775808"), Ok(i64::MIN));
        for text in ["", " 1", "1 ", "+1", "01", "-0", "1.0", "9223372036854775808", "x"] {
            assert!(integer(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(float(b"nan").is_err());
        assert_eq!(float(b"-0").map(Score::value), Ok(0.0));
    }

    #[test]
    fn a_span_never_leaves_its_list() {
        let cases: [(&[u8], &[u8], _); 6] = [
            (b"0", b"-1", (0, 5)),
            (b"-2", b"-1", (3, 5)),
            (b"1", b"1", (1, 2)),
            (b"3", b"1", (3, 3)),
            (b"-100", b"100", (0, 5)),
            (b"9", b"10", (5, 5)),
        ];
        for (start, stop, expected) in cases {
            let span = Span::read(start, stop).unwrap();
            assert_eq!(span.within(5), expected, "{start:?} {stop:?}");
        }
        assert_eq!(Span(0, -1).within(0), (0, 0));
    }
}
