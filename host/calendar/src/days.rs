//! The two day fields of a cron expression: which days of a month they mean.

use crate::CalendarError;
use crate::civil::{date, days_in, weekday};
use crate::error::Reading;
use crate::field::{self, DAY, Set, WEEKDAY};

/// Day of month and day of week.
#[derive(Debug, Clone)]
pub(crate) struct Days {
    pub(crate) of_month: Set,
    /// `L` is 0, `L-3` is 3: days before the last one, as bits.
    pub(crate) from_last: u32,
    /// `15W`: the weekday nearest to a day, as bits.
    pub(crate) nearest: u32,
    pub(crate) last_weekday: bool,
    pub(crate) of_week: Set,
    /// `5#2`: bit `n` of the weekday is its nth in the month; bit 0 is the last one.
    pub(crate) nth: [u8; 7],
    /// A day must fit both fields.
    pub(crate) both: bool,
    /// Whether each field says anything at all.
    pub(crate) by_month: bool,
    pub(crate) by_week: bool,
}

impl Days {
    pub(crate) fn parse(
        of_month: &str,
        of_week: &str,
        reading: &Reading<'_>,
    ) -> Result<Self, CalendarError> {
        let (both, of_week) = match of_week.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, of_week),
        };
        let mut days = Self {
            of_month: Set::none(DAY),
            from_last: 0,
            nearest: 0,
            last_weekday: false,
            of_week: Set::none(WEEKDAY),
            nth: [0; 7],
            both,
            by_month: !matches!(of_month, "*" | "?"),
            by_week: !matches!(of_week, "*" | "?"),
        };
        if days.by_month {
            for item in of_month.split(',') {
                days.add_day(item, reading)?;
            }
        }
        if days.by_week {
            for item in of_week.split(',') {
                days.add_weekday(item, reading)?;
            }
        }
        // What names every day restricts nothing, however it is written.
        days.by_month &= !days.of_month.is_full(DAY);
        days.by_week &= !(0..7).all(|day| days.of_week.has(day));
        Ok(days)
    }

    fn add_day(&mut self, item: &str, reading: &Reading<'_>) -> Result<(), CalendarError> {
        let upper = item.to_ascii_uppercase();
        if upper == "L" {
            self.from_last |= 1;
        } else if upper == "LW" || upper == "WL" {
            self.last_weekday = true;
        } else if upper.starts_with("L-") {
            let before = field::number(&item[2..]).filter(|n| *n <= 30);
            let before = before.ok_or_else(|| reading.wrong(item, "L-1 to L-30"))?;
            self.from_last |= 1 << before;
        } else if upper.ends_with('W') {
            let day = field::value(&item[..item.len() - 1], DAY, reading)?;
            self.nearest |= 1 << day;
        } else {
            field::add_item(&mut self.of_month, item, DAY, reading)?;
        }
        Ok(())
    }

    fn add_weekday(&mut self, item: &str, reading: &Reading<'_>) -> Result<(), CalendarError> {
        let day = |text: &str| field::value(text, WEEKDAY, reading).map(|day| day as usize % 7);
        if let Some((of, nth)) = item.split_once('#') {
            let bit = match field::number(nth) {
                Some(n @ 1..=5) => n,
                None if nth.eq_ignore_ascii_case("l") => 0,
                _ => return Err(reading.wrong(nth, "after # stands 1 to 5, or L for the last")),
            };
            self.nth[day(of)?] |= 1 << bit;
        } else if item.eq_ignore_ascii_case("l") {
            return Err(reading.wrong(item, "L after a day of the week, as in 5L, is its last one"));
        } else if let Some(of) = item.strip_suffix(['l', 'L']) {
            self.nth[day(of)?] |= 1;
        } else {
            field::add_item(&mut self.of_week, item, WEEKDAY, reading)?;
            if self.of_week.has(7) {
                self.of_week.add(0);
            }
        }
        Ok(())
    }

    /// The days of a month, bit `d` for day `d`.
    pub(crate) fn of(&self, year: i16, month: u32) -> u32 {
        let count = days_in(year, month);
        let Some(first) = date(year, month, 1).map(weekday) else { return 0 };
        let every = ((1_u64 << (count + 1)) - 2) as u32;
        match (self.by_month, self.by_week, self.both) {
            (false, false, _) => every,
            (true, false, _) => self.month_days(count, first),
            (false, true, _) => self.week_days(count, first),
            (true, true, false) => self.month_days(count, first) | self.week_days(count, first),
            (true, true, true) => self.month_days(count, first) & self.week_days(count, first),
        }
    }

    fn month_days(&self, count: u32, first: u32) -> u32 {
        let mut days = 0;
        for day in 1..=count {
            let last = self.from_last & (1 << (count - day)) != 0;
            if last || self.of_month.has(day) {
                days |= 1 << day;
            }
            if self.nearest & (1 << day) != 0 {
                days |= 1 << nearest_weekday(day, count, first);
            }
        }
        if self.last_weekday {
            days |= 1 << last_weekday(count, first);
        }
        days
    }

    fn week_days(&self, count: u32, first: u32) -> u32 {
        let fits = |day: u32| {
            let weekday = (first + day - 1) % 7;
            let nth = self.nth[weekday as usize];
            let last = nth & 1 != 0 && day + 7 > count;
            self.of_week.has(weekday) || last || nth & (1 << day.div_ceil(7)) != 0
        };
        (1..=count).filter(|day| fits(*day)).fold(0, |days, day| days | 1 << day)
    }
}

/// Monday to Friday nearest to `day`, within the month.
fn nearest_weekday(day: u32, count: u32, first: u32) -> u32 {
    match (first + day - 1) % 7 {
        6 if day == 1 => 3,
        6 => day - 1,
        0 if day == count => day - 2,
        0 => day + 1,
        _ => day,
    }
}

fn last_weekday(count: u32, first: u32) -> u32 {
    match (first + count - 1) % 7 {
        6 => count - 1,
        0 => count - 2,
        _ => count,
    }
}
