//! W3C Trace Context, version 00: which trace a call belongs to and which span it is.
//! Source: <https://www.w3.org/TR/trace-context-1/>, section 3.2.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The value of a `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// Bytes of a header's value, of version 00.
const HEADER_BYTES: usize = 55;

/// Share of new traces that are recorded, as a bound for the low 64 bits of their id.
static ROOTS_SAMPLED_BELOW: AtomicU64 = AtomicU64::new(0);

/// Sets the share (0 to 1) of traces begun here that are recorded.
pub(crate) fn sample_roots(ratio: f64) {
    // A float of `u64::MAX` saturates in the cast, so 1.0 records all but one in 2^64.
    ROOTS_SAMPLED_BELOW.store((ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64, Ordering::Relaxed);
}

impl TraceParent {
    /// Begins a trace; it is recorded when spans are exported and the sampler says so.
    pub fn root() -> Self {
        let trace_id = rand::random_range(1..=u128::MAX);
        let sampled = (trace_id as u64) < ROOTS_SAMPLED_BELOW.load(Ordering::Relaxed);
        Self { trace_id, span_id: rand::random_range(1..=u64::MAX), sampled }
    }

    /// A new span of the trace that belongs to a message which came without one: the same trace,
    /// recorded or not, whenever and wherever it is asked for.
    pub(crate) fn of_message(id: u128) -> Self {
        // Ids begin with a time; the sampler looks at the low half, which has to be even.
        let trace_id = (id & !u128::from(u64::MAX)) | u128::from(spread(id as u64));
        let sampled = (trace_id as u64) < ROOTS_SAMPLED_BELOW.load(Ordering::Relaxed);
        Self { trace_id: trace_id.max(1), span_id: rand::random_range(1..=u64::MAX), sampled }
    }

    /// A new span of the same trace; recorded if its parent is.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: rand::random_range(1..=u64::MAX), ..*self }
    }

    /// Reads a header's value; None when it breaks the grammar or an id is all zeros, in which
    /// case the header is to be ignored (section 3.2.2.3).
    pub fn parse(header: &str) -> Option<Self> {
        let (version, rest) = header.split_at_checked(2)?;
        let version = hex_u128(version)?;
        // 55 characters for version 00; later versions may append fields after a dash.
        let exact = rest.len() == 53;
        let longer = rest.len() > 53 && rest.as_bytes()[53] == b'-';
        if version == 0xff || !(exact || version > 0 && longer) {
            return None;
        }
        let mut parts = rest.get(..53)?.strip_prefix('-')?.splitn(3, '-');
        let trace_id = parts.next().filter(|part| part.len() == 32).and_then(hex_u128)?;
        let span_id = parts.next().filter(|part| part.len() == 16).and_then(hex_u128)? as u64;
        let flags = parts.next().filter(|part| part.len() == 2).and_then(hex_u128)?;
        let valid = trace_id != 0 && span_id != 0;
        valid.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }

    /// 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> String {
        self.trace_digits().as_str().to_owned()
    }

    /// 16 lower-case hexadecimal digits.
    pub fn span_id(&self) -> String {
        self.span_digits().as_str().to_owned()
    }

    /// As [`TraceParent::trace_id`], where it is written and not kept.
    pub(crate) fn trace_digits(&self) -> Digits<32> {
        Digits::of(self.trace_id)
    }

    /// As [`TraceParent::span_id`], where it is written and not kept.
    pub(crate) fn span_digits(&self) -> Digits<16> {
        Digits::of(self.span_id.into())
    }

    /// The header's value.
    pub fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = *b"00-00000000000000000000000000000000-0000000000000000-00";
        header[3..35].copy_from_slice(&self.trace_digits().0);
        header[36..52].copy_from_slice(&self.span_digits().0);
        header[54] += u8::from(self.sampled);
        header
    }

    /// Whether the caller asked for this trace to be recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    pub(crate) fn trace_number(&self) -> u128 {
        self.trace_id
    }

    pub(crate) fn span_number(&self) -> u64 {
        self.span_id
    }

    pub(crate) fn from_parts(trace_id: u128, span_id: u64, sampled: bool) -> Self {
        Self { trace_id, span_id, sampled }
    }

    pub(crate) fn trace_id_bytes(&self) -> Vec<u8> {
        self.trace_id.to_be_bytes().to_vec()
    }

    pub(crate) fn span_id_bytes(&self) -> Vec<u8> {
        self.span_id.to_be_bytes().to_vec()
    }
}

/// The low end of a number as so many lower-case hexadecimal digits. Several are written for each
/// request, and what formats numbers of any kind takes ten times as long.
pub(crate) struct Digits<const COUNT: usize>([u8; COUNT]);

impl<const COUNT: usize> Digits<COUNT> {
    pub(crate) fn of(number: u128) -> Self {
        let mut digits = [0; COUNT];
        let (pairs, _) = digits.as_chunks_mut();
        let bytes = number.to_be_bytes();
        for (pair, byte) in pairs.iter_mut().zip(&bytes[bytes.len() - COUNT / 2..]) {
            *pair = PAIRS[usize::from(*byte)];
        }
        Self(digits)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

/// Each byte's two digits.
const PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 0xf]];
        byte += 1;
    }
    pairs
};

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.header()).expect("digits and dashes are ASCII"))
    }
}

/// Each number to another one, evenly (the last steps of SplitMix64).
fn spread(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Lower-case digits only, as the grammar demands, and no more than a number of them.
pub(crate) fn hex_u128(text: &str) -> Option<u128> {
    if !(1..=32).contains(&text.len()) {
        return None;
    }
    // In halves: a shift of 128 bits takes several of 64.
    let (high, low) = text.as_bytes().split_at(text.len().saturating_sub(16));
    Some(u128::from(hex_u64(high)?) << 64 | u128::from(hex_u64(low)?))
}

fn hex_u64(text: &[u8]) -> Option<u64> {
    let mut number = 0;
    let mut all = 0;
    for byte in text {
        let value = DIGITS[usize::from(*byte)];
        all |= value;
        number = number << 4 | u64::from(value);
    }
    (all < 16).then_some(number)
}

/// The value of each digit; of all else, more than a digit has.
const DIGITS: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_header_reads_back_as_it_was() {
        let parent = TraceParent::parse(VALID).unwrap();
        assert_eq!(parent.to_string(), VALID);
        assert!(parent.is_sampled());
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id(), "00f067aa0ba902b7");
    }

    #[test]
    fn digits_are_a_number_and_the_number_again() {
        for number in [0, 1, 0xab, u128::from(u64::MAX), u128::MAX, 0x0123_4567_89ab_cdef << 64] {
            let digits = Digits::<32>::of(number);
            assert_eq!(digits.as_str(), format!("{number:032x}"));
            assert_eq!(hex_u128(digits.as_str()), Some(number));
        }
        assert_eq!(hex_u128("7"), Some(7));
        for text in ["", "g", "A", "+1", &"0".repeat(33)] {
            assert_eq!(hex_u128(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_child_stays_in_the_trace_and_has_its_own_span() {
        let parent = TraceParent::parse(VALID).unwrap();
        let child = parent.child();
        assert_eq!(child.trace_id(), parent.trace_id());
        assert_ne!(child.span_id(), parent.span_id());
        assert!(child.is_sampled());
    }

    #[test]
    fn a_later_version_with_more_fields_is_read_as_far_as_known() {
        let header = format!("cc{}-more", &VALID[2..]);
        assert!(TraceParent::parse(&header).is_some());
    }

    #[test]
    fn broken_headers_are_ignored() {
        let upper = VALID.to_uppercase();
        let longer = format!("{VALID}-more");
        for header in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-000f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "00-4bf92f3577b34da6a3ce929d0e0e47é6-00f067aa0ba902b7-01",
            &upper,
            &longer,
        ] {
            assert_eq!(TraceParent::parse(header), None, "{header:?}");
        }
    }
}
