//! Which of the instants that have come are run, and which were missed. Pure: the calendar, the
//! policy and the clock come in as arguments.

use super::spec::{Catchup, RunTrigger};
use nexus_calendar::{ANSWERS_MAX, Calendar};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// A fire that comes later than this was missed, and is made up for by the schedule's policy.
/// Longer than a transaction that waits, a host that restarts fast, or a poll while PostgreSQL is
/// slow.
pub const ON_TIME: Duration = Duration::from_secs(10);

/// Fires that were missed get a row each, up to so many; those before them share one.
const MISSED_ROWS_MAX: usize = 100;

/// Default of [`Policy::window`] for [`Catchup::All`].
const ALL_WINDOW: Duration = Duration::from_secs(3_600);

/// And for [`Catchup::Latest`].
const LATEST_WINDOW: Duration = Duration::from_secs(31 * 86_400);

const DISABLED: &str = "nobody was there, and nothing is made up for";
const SUPERSEDED: &str = "a later one runs";
const TOO_OLD: &str = "older than the catch-up window";
const TOO_MANY: &str = "more than are made up for";

/// What a schedule says about late fires.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) catchup: Catchup,
    pub(super) window: Option<Duration>,
    pub(super) most: usize,
    pub(super) jitter: Jitter,
}

/// How late each fire of a schedule is: the same on every host, another for every instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jitter {
    pub(super) schedule: Uuid,
    pub(super) most: Duration,
}

impl Jitter {
    /// When a nominal instant is fired.
    pub(super) fn due(&self, nominal: SystemTime) -> SystemTime {
        let most = u64::try_from(self.most.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return nominal;
        }
        let since = nominal.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (high, low) = self.schedule.as_u64_pair();
        let mixed = mix(mix(high) ^ mix(low) ^ since.as_millis() as u64);
        nominal + Duration::from_millis(mixed % most)
    }
}

/// Finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): every bit depends on every bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// One instant that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) scheduled_at: SystemTime,
    pub(super) trigger: RunTrigger,
    /// Why it is not run.
    pub(super) missed: Option<&'static str>,
    /// How many instants it stands for, itself the last of them.
    pub(super) fires: i64,
}

/// All instants from `first` to `now`, in order, and the first one after them.
pub(super) fn plan(
    calendar: &Calendar,
    policy: &Policy,
    first: SystemTime,
    now: SystemTime,
) -> (Vec<Planned>, Option<SystemTime>) {
    let (instants, unseen) = come(calendar, policy, first, now);
    let late = |at: SystemTime| now > policy.jitter.due(at) + ON_TIME;
    let on_time = instants.iter().filter(|at| !late(**at)).count();
    let late_count = instants.len() - on_time;
    let window = policy.window.unwrap_or(match policy.catchup {
        Catchup::All => ALL_WINDOW,
        Catchup::Latest | Catchup::None => LATEST_WINDOW,
    });
    let mut planned = Vec::new();
    for (index, scheduled_at) in instants.iter().copied().enumerate() {
        let after_it = late_count.saturating_sub(index + 1);
        let age = now.duration_since(scheduled_at).unwrap_or_default();
        let missed = match policy.catchup {
            _ if !late(scheduled_at) => None,
            Catchup::None => Some(DISABLED),
            Catchup::Latest if on_time > 0 || after_it > 0 => Some(SUPERSEDED),
            _ if age > window => Some(TOO_OLD),
            Catchup::All if after_it >= policy.most => Some(TOO_MANY),
            Catchup::Latest | Catchup::All => None,
        };
        let trigger = if late(scheduled_at) && missed.is_none() {
            RunTrigger::Catchup
        } else {
            RunTrigger::Schedule
        };
        planned.push(Planned { scheduled_at, trigger, missed, fires: 1 });
    }
    let next = match instants.last() {
        Some(last) => calendar.next_after(*last),
        None => calendar.next_after(first - Duration::from_micros(1)),
    };
    (folded(planned, unseen), next)
}

/// The instants from `first` on whose time has come. Of a very long absence the last ones only, and
/// how many are known to lie before them.
fn come(
    calendar: &Calendar,
    policy: &Policy,
    first: SystemTime,
    now: SystemTime,
) -> (Vec<SystemTime>, i64) {
    let end = now + Duration::from_micros(1);
    let has_come = |at: &SystemTime| policy.jitter.due(*at) <= now;
    let mut instants = calendar.between(first, end, ANSWERS_MAX);
    if instants.len() < ANSWERS_MAX {
        let come = instants.iter().take_while(|at| has_come(at)).count();
        instants.truncate(come);
        return (instants, 0);
    }
    let wanted = policy.most.max(MISSED_ROWS_MAX);
    let mut back = Duration::from_secs(60);
    loop {
        let from = now.checked_sub(back).unwrap_or(first).max(first);
        let mut last = calendar.between(from, end, ANSWERS_MAX);
        let come = last.iter().take_while(|at| has_come(at)).count();
        last.truncate(come);
        if last.len() >= wanted || from <= first {
            let cut = last.len().saturating_sub(wanted);
            let seen = i64::try_from(ANSWERS_MAX - wanted.min(ANSWERS_MAX)).unwrap_or(i64::MAX);
            return (last.split_off(cut), seen);
        }
        back *= 2;
    }
}

/// Puts the oldest of those that were missed into one row.
fn folded(mut planned: Vec<Planned>, unseen: i64) -> Vec<Planned> {
    let leading = planned.iter().take_while(|p| p.missed.is_some()).count();
    let fold = leading.saturating_sub(MISSED_ROWS_MAX);
    if fold > 0 {
        planned.drain(..fold);
    }
    if let Some(oldest) = planned.first_mut().filter(|oldest| oldest.missed.is_some()) {
        oldest.fires += i64::try_from(fold).unwrap_or(i64::MAX) + unseen;
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_calendar::Options;

    const DAY: u64 = 86_400;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 / DAY * DAY + seconds)
    }

    fn policy(catchup: Catchup) -> Policy {
        let jitter = Jitter { schedule: Uuid::from_u128(7), most: Duration::ZERO };
        Policy { catchup, window: None, most: 3, jitter }
    }

    fn planned(
        expression: &str,
        policy: &Policy,
        first: u64,
        now: u64,
    ) -> (Vec<Planned>, Option<SystemTime>) {
        let calendar = Calendar::parse(expression, "UTC", &Options::default()).unwrap();
        plan(&calendar, policy, at(first), at(now))
    }

    fn runs(planned: &[Planned]) -> Vec<(SystemTime, &'static str)> {
        let run = planned.iter().filter(|p| p.missed.is_none());
        run.map(|p| (p.scheduled_at, p.trigger.as_str())).collect()
    }

    #[test]
    fn what_is_on_time_runs_whatever_the_policy() {
        for catchup in [Catchup::None, Catchup::Latest, Catchup::All] {
            let (all, next) = planned("* * * * *", &policy(catchup), 60, 69);
            assert_eq!(runs(&all), [(at(60), "schedule")]);
            assert_eq!((all.len(), next), (1, Some(at(120))));
        }
    }

    #[test]
    fn nothing_is_made_up_for_where_the_policy_says_none() {
        let (all, next) = planned("0 * * * *", &policy(Catchup::None), 3_600, 4 * 3_600 + 5);
        assert_eq!(runs(&all), [(at(4 * 3_600), "schedule")]);
        let missed: Vec<_> = all.iter().filter_map(|p| p.missed).collect();
        assert_eq!((missed, next), (vec![DISABLED; 3], Some(at(5 * 3_600))));
    }

    #[test]
    fn the_latest_is_made_up_for_unless_one_is_on_time() {
        let (all, _) = planned("0 0 * * *", &policy(Catchup::Latest), DAY, 4 * DAY - 100);
        assert_eq!(runs(&all), [(at(3 * DAY), "catchup")]);
        assert_eq!(all[0].missed, Some(SUPERSEDED));
        let (all, _) = planned("0 0 * * *", &policy(Catchup::Latest), DAY, 3 * DAY + 1);
        assert_eq!(runs(&all), [(at(3 * DAY), "schedule")]);
        let narrow = Policy { window: Some(Duration::from_secs(60)), ..policy(Catchup::Latest) };
        let (all, _) = planned("0 0 * * *", &narrow, DAY, 2 * DAY - 100);
        assert_eq!((runs(&all), all[0].missed), (vec![], Some(TOO_OLD)));
    }

    #[test]
    fn all_are_made_up_for_within_window_and_number() {
        let (all, _) = planned("*/15 * * * *", &policy(Catchup::All), 900, 5 * 3_600 - 60);
        let expected = [16_200, 15_300, 17_100].map(|s| (at(s), "catchup"));
        let mut found = runs(&all);
        found.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(all.iter().filter(|p| p.missed == Some(TOO_OLD)).count(), 15);
        assert_eq!(all.iter().filter(|p| p.missed == Some(TOO_MANY)).count(), 1);
    }

    #[test]
    fn a_long_absence_costs_a_bounded_number_of_rows() {
        let (all, next) = planned("* * * * * *", &policy(Catchup::Latest), 1, 20 * DAY - 1);
        assert!(all.len() <= MISSED_ROWS_MAX + 20, "{}", all.len());
        assert!(all[0].fires > 9_000, "{:?}", all[0]);
        assert_eq!(next, Some(at(20 * DAY)));
        let (all, _) = planned("* * * * *", &policy(Catchup::Latest), 60, DAY);
        assert_eq!(all.iter().map(|p| p.fires).sum::<i64>(), 1_440);
        assert_eq!(all.len(), MISSED_ROWS_MAX + 1);
    }

    #[test]
    fn jitter_is_within_its_bound_and_holds_back_what_has_not_come() {
        let jitter = Jitter { schedule: Uuid::from_u128(9), most: Duration::from_secs(40) };
        let late: Vec<_> =
            (0..50).map(|n| jitter.due(at(n)).duration_since(at(n)).unwrap()).collect();
        assert!(late.iter().all(|by| *by < Duration::from_secs(40)));
        assert!(late.iter().any(|by| *by != late[0]));
        let policy = Policy { jitter, ..policy(Catchup::Latest) };
        let due = jitter.due(at(60)).duration_since(at(0)).unwrap().as_secs();
        assert_eq!(planned("* * * * *", &policy, 60, due - 1), (vec![], Some(at(60))));
        assert_eq!(planned("* * * * *", &policy, 60, due + 1).0.len(), 1);
    }
}
