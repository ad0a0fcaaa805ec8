//! A number of frames per second, or a shape of pixels: a ratio, because 29.97 is 30000/1001.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub numerator: u32,
    pub denominator: u32,
}

impl Rate {
    /// Reads `30000/1001` or `4:3`. What is zero or divided by zero says nothing.
    pub fn read(text: &str) -> Option<Self> {
        let (numerator, denominator) = text.split_once(['/', ':'])?;
        let rate =
            Self { numerator: numerator.parse().ok()?, denominator: denominator.parse().ok()? };
        (rate.numerator > 0 && rate.denominator > 0).then_some(rate)
    }
}

#[test]
fn a_rate_is_a_ratio_or_unknown() {
    let of = |text| Rate::read(text).map(|rate| (rate.numerator, rate.denominator));
    assert_eq!(of("30000/1001"), Some((30_000, 1001)));
    assert_eq!(of("4:3"), Some((4, 3)));
    for text in ["0/0", "0:1", "25", "", "-1/1", "1/0"] {
        assert_eq!(of(text), None, "{text}");
    }
}
