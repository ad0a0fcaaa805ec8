//! When words are shown: `00:00:01,000 --> 00:00:02,500`, with a comma in SubRip and a point in
//! WebVTT; hours may be left out. Pure.

/// Longer than anything is.
const HOURS_MAX: i64 = 100;

/// The beginning, the end, and what follows on the line.
pub fn read(line: &str) -> Option<(i64, i64, &str)> {
    let (from, rest) = line.split_once("-->")?;
    let rest = rest.trim();
    let (to, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    Some((instant(from.trim())?, instant(to)?, rest.trim()))
}

/// Milliseconds.
fn instant(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once([',', '.']).unwrap_or((text, "0"));
    let mut parts = whole.split(':').rev().map(digits);
    let (seconds, minutes) = (parts.next()??, parts.next()??);
    let hours = parts.next().unwrap_or(Some(0))?;
    let is_clock = seconds < 60 && minutes < 60 && hours < HOURS_MAX && parts.next().is_none();
    // `,5` is half a second, as decimals are.
    let scale = *[100, 10, 1].get(part.len().checked_sub(1)?)?;
    let ms = digits(part)? * scale;
    is_clock.then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + ms)
}

fn digits(text: &str) -> Option<i64> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// `hours:minutes:seconds.milliseconds`.
pub fn written(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_players_read_it() {
        for (line, expected) in [
            ("00:00:01,000 --> 00:00:02,500", Some((1_000, 2_500, ""))),
            ("00:01.000-->01:02:03.004 align:start", Some((1_000, 3_723_004, "align:start"))),
            (" 0:0:1,5  -->  0:0:2  X1:40", Some((1_500, 2_000, "X1:40"))),
            ("00:00:61,000 --> 00:02:00,000", None),
            ("00:00:01,0000 --> 00:02:00,000", None),
            ("00:00:0a,000 --> 00:02:00,000", None),
            ("-1:00 --> 00:02", None),
            ("1 --> 2", None),
            ("a --> b", None),
            ("00:00:01,000 -> 00:00:02,000", None),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        assert_eq!(written(3_723_004), "01:02:03.004");
    }
}
