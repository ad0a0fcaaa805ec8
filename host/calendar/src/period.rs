//! The dates of a recurrence, period by period (RFC 5545, section 3.3.10): the table of which part
//! expands and which restricts.

use crate::civil::{date, days_in, weekday};
use crate::rrule::{Frequency, Recurrence};
use jiff::Span;
use jiff::civil::{Date, DateTime};

impl Recurrence {
    /// The first time by the rule alone, not before `from` and before `until`.
    pub(crate) fn first_by_rule(&self, from: DateTime, until: DateTime) -> Option<DateTime> {
        // A count is only known by counting; without one, periods before `from` do not matter.
        let mut period = if self.count.is_some() { 0 } else { self.period_before(from) };
        let mut left = self.count.unwrap_or(u32::MAX);
        loop {
            let start = self.period_start(period)?;
            if start.at(0, 0, 0, 0) >= until {
                return None;
            }
            for at in self.times_of(start) {
                if at < self.start {
                    continue;
                }
                if left == 0 || at >= until || self.until.is_some_and(|last| at > last) {
                    return None;
                }
                if self.count.is_some() {
                    left -= 1;
                }
                if at >= from {
                    return Some(at);
                }
            }
            period += 1;
        }
    }

    /// A period that does not begin after `from`, counted in intervals from the start.
    fn period_before(&self, from: DateTime) -> i64 {
        let (start, from) = (self.start.date(), from.date());
        let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
        let days = || (from.duration_since(start).as_hours()) / 24;
        let passed = match self.frequency {
            Frequency::Yearly => i64::from(from.year()) - i64::from(start.year()),
            Frequency::Monthly => months(from) - months(start),
            Frequency::Weekly => days() / 7,
            Frequency::Daily => days(),
        };
        (passed / self.interval - 1).max(0)
    }

    /// The first day of a period.
    fn period_start(&self, period: i64) -> Option<Date> {
        let units = period.checked_mul(self.interval)?;
        let first = self.start.date();
        match self.frequency {
            Frequency::Yearly => {
                let year = i64::from(first.year()).checked_add(units)?;
                date(i16::try_from(year).ok()?, 1, 1)
            }
            Frequency::Monthly => {
                let month = i64::from(first.year()) * 12 + i64::from(first.month()) - 1 + units;
                let year = i16::try_from(month.div_euclid(12)).ok()?;
                date(year, u32::try_from(month.rem_euclid(12)).ok()? + 1, 1)
            }
            Frequency::Weekly => {
                let into_week = (weekday(first) + 7 - self.week_start) % 7;
                let days = units.checked_mul(7)?.checked_sub(i64::from(into_week))?;
                first.checked_add(Span::new().try_days(days).ok()?).ok()
            }
            Frequency::Daily => first.checked_add(Span::new().try_days(units).ok()?).ok(),
        }
    }

    /// All times of one period, in order.
    fn times_of(&self, start: Date) -> Vec<DateTime> {
        let dates = match self.frequency {
            Frequency::Yearly => self.year(start.year()),
            Frequency::Monthly => {
                let month = u32::from(start.month().unsigned_abs());
                if self.allows_month(month) { self.month(start.year(), month) } else { Vec::new() }
            }
            Frequency::Weekly => self.week(start),
            Frequency::Daily => self.day(start),
        };
        let each = |date: Date| self.times.iter().map(move |time| date.to_datetime(*time));
        if self.positions.is_empty() {
            return dates.into_iter().flat_map(each).collect();
        }
        let all: Vec<DateTime> = dates.into_iter().flat_map(each).collect();
        let index = |position: i32| {
            let count = i32::try_from(all.len()).unwrap_or(i32::MAX);
            let at = if position > 0 { position - 1 } else { count + position };
            usize::try_from(at).ok().and_then(|at| all.get(at)).copied()
        };
        let mut chosen: Vec<_> = self.positions.iter().filter_map(|p| index(*p)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn allows_month(&self, month: u32) -> bool {
        self.months.is_empty() || self.months.has(month)
    }

    fn year(&self, year: i16) -> Vec<Date> {
        let own_month = u32::from(self.start.month().unsigned_abs());
        let by_days = !self.month_days.is_empty();
        if self.months.is_empty() && !by_days && !self.weekdays.is_empty() {
            return self.weekdays_of_year(year);
        }
        let all = by_days || !self.weekdays.is_empty();
        let wanted = |month: &u32| match self.months.is_empty() {
            true => all || *month == own_month,
            false => self.months.has(*month),
        };
        (1..=12).filter(wanted).flat_map(|month| self.month(year, month)).collect()
    }

    fn weekdays_of_year(&self, year: i16) -> Vec<Date> {
        let all = (1..=12).flat_map(|month| every_day(year, month));
        let days: Vec<Date> = all.collect();
        let count = i32::try_from(days.len()).unwrap_or(0);
        let fits = |date: &Date| {
            let at = i32::from(date.day_of_year()) - 1;
            self.fits_weekday(*date, at / 7 + 1, -((count - 1 - at) / 7 + 1))
        };
        days.iter().copied().filter(fits).collect()
    }

    fn month(&self, year: i16, month: u32) -> Vec<Date> {
        let count = i32::try_from(days_in(year, month)).unwrap_or(0);
        let plain = self.month_days.is_empty() && self.weekdays.is_empty();
        let fits = |date: &Date| {
            let day = i32::from(date.day());
            if plain {
                return date.day() == self.start.day();
            }
            let in_week = self.weekdays.is_empty()
                || self.fits_weekday(*date, (day - 1) / 7 + 1, -((count - day) / 7 + 1));
            self.fits_month_day(day, count) && in_week
        };
        every_day(year, month).filter(fits).collect()
    }

    fn fits_month_day(&self, day: i32, count: i32) -> bool {
        self.month_days.is_empty()
            || self.month_days.iter().any(|wanted| *wanted == day || *wanted == day - count - 1)
    }

    fn fits_weekday(&self, date: Date, nth: i32, from_end: i32) -> bool {
        let day = weekday(date);
        self.weekdays.iter().any(|wanted| {
            let numbered = [0, nth, from_end].contains(&wanted.nth);
            wanted.weekday == day && numbered
        })
    }

    fn week(&self, start: Date) -> Vec<Date> {
        let day = |n: i64| start.checked_add(Span::new().days(n)).ok();
        let fits = |date: &Date| {
            let own = self.weekdays.is_empty() && weekday(*date) == weekday(self.start.date());
            let month = u32::from(date.month().unsigned_abs());
            self.allows_month(month) && (own || self.fits_weekday(*date, 0, 0))
        };
        (0..7).filter_map(day).filter(fits).collect()
    }

    fn day(&self, date: Date) -> Vec<Date> {
        let month = u32::from(date.month().unsigned_abs());
        let count = i32::try_from(days_in(date.year(), month)).unwrap_or(0);
        let fits = self.allows_month(month)
            && self.fits_month_day(i32::from(date.day()), count)
            && (self.weekdays.is_empty() || self.fits_weekday(date, 0, 0));
        if fits { vec![date] } else { Vec::new() }
    }
}

fn every_day(year: i16, month: u32) -> impl Iterator<Item = Date> {
    (1..=days_in(year, month)).filter_map(move |day| date(year, month, day))
}
