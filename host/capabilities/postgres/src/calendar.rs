//! Days and microseconds, as PostgreSQL counts them, to and from the numbers people write: the
//! proleptic Gregorian calendar. Knows no zone but UTC and no clock.

/// Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
pub(crate) const EPOCH_DAYS: i64 = 10_957;

pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Year, month, day of a day counted from 1970-01-01. Year 0 is 1 BC.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub(crate) fn date_of(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |n: i64| u8::try_from(n).expect("months and days are below 32");
    (year, small(month), small(day))
}

/// Hour, minute, second, nanosecond of a time of day in microseconds. The end of a day is 24:00.
pub(crate) fn time_of(micros: i64) -> (u8, u8, u8, u32) {
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let part = |n: i64| u8::try_from(n).unwrap_or(u8::MAX);
    let nanos = u32::try_from(rest * 1000).unwrap_or_default();
    (part(seconds / 3600), part(seconds / 60 % 60), part(seconds % 60), nanos)
}

/// A year as PostgreSQL reads it: counted from 1 in both directions.
pub(crate) fn year_and_era(year: i64) -> (i64, &'static str) {
    if year > 0 { (year, "") } else { (1 - year, " BC") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days_have_their_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (EPOCH_DAYS, (2000, 1, 1)),
            (EPOCH_DAYS + 59, (2000, 2, 29)),
            (-1, (1969, 12, 31)),
            (-719_528, (0, 1, 1)),
            (-719_529, (-1, 12, 31)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(date_of(days), date, "{days}");
        }
    }

    #[test]
    fn a_day_ends_at_24_hours() {
        assert_eq!(time_of(MICROS_PER_DAY), (24, 0, 0, 0));
        assert_eq!(time_of(MICROS_PER_DAY - 1), (23, 59, 59, 999_999_000));
    }
}
