//! What an answer means, and how long to wait before the next try. Pure: the clock and the dice
//! come in as arguments.

use nexus_sdk::prelude::*;
use nexus_sdk::{Echo, Unanswered};
use std::time::Duration;

nexus_sdk::refusals! {
    Attempts = 422, "attempts take 1 to 50";
    Backoff = 422, "a backoff takes 1 to 86400 seconds, the longest not less than the first"
}

const ATTEMPTS: std::ops::RangeInclusive<i32> = 1..=50;
const SECONDS: std::ops::RangeInclusive<i64> = 1..=86_400;
/// A receiver that asks for more patience gets a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// How often, and how far apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Tries in all, the first among them.
    pub attempts_max: i32,
    /// The wait after the first failure is random, up to this; then it doubles.
    pub first_seconds: i64,
    pub longest_seconds: i64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts_max: 8, first_seconds: 5, longest_seconds: 900 }
    }
}

impl Retry {
    pub fn check(&self) -> Result<(), Refusal> {
        if !ATTEMPTS.contains(&self.attempts_max) {
            return Err(Attempts.at("retry/attempts_max"));
        }
        if !SECONDS.contains(&self.first_seconds) {
            return Err(Backoff.at("retry/first_seconds"));
        }
        if !SECONDS.contains(&self.longest_seconds) || self.longest_seconds < self.first_seconds {
            return Err(Backoff.at("retry/longest_seconds"));
        }
        Ok(())
    }

    /// The wait after this attempt, with full jitter: `dice` is anything from 0 to `u32::MAX`.
    pub fn wait(&self, attempt: i32, dice: u32) -> Duration {
        let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(30);
        let step = self.first_seconds.saturating_mul(1 << doublings).min(self.longest_seconds);
        let step = u64::try_from(step).unwrap_or(0) * 1000;
        Duration::from_millis(step * u64::from(dice) / u64::from(u32::MAX))
    }
}

/// What becomes of a job after one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Again, after so long.
    Again {
        after: Duration,
        reason: String,
    },
    /// Never again by itself.
    Dead {
        reason: String,
    },
    /// The receiver is gone for good (410): dead, and whatever sends to it pauses.
    Gone {
        reason: String,
    },
}

/// Judges the answer to try number `attempt`.
pub fn judge(
    answer: &Result<Echo, Unanswered>,
    attempt: i32,
    retry: &Retry,
    now: Time,
    dice: u32,
) -> Verdict {
    let (reason, asked) = match answer {
        Ok(echo) if echo.status.is_success() => return Verdict::Done,
        Ok(echo) if echo.status == StatusCode::GONE => {
            return Verdict::Gone { reason: "it answered 410: it is gone".into() };
        }
        Err(Unanswered::Refused(why)) => return Verdict::Dead { reason: why.clone() },
        Ok(echo) => (format!("it answered {}", echo.status.as_u16()), patience(echo, now)),
        Err(Unanswered::Away(why)) => (why.clone(), None),
    };
    if attempt >= retry.attempts_max {
        return Verdict::Dead { reason: format!("{reason}, and was the last of {attempt}") };
    }
    let own = retry.wait(attempt, dice);
    Verdict::Again { after: asked.map_or(own, |asked| asked.max(own)), reason }
}

/// `retry-after` of a 429 or 503 (RFC 9110 §10.2.3), in seconds or as a date.
fn patience(echo: &Echo, now: Time) -> Option<Duration> {
    if !matches!(echo.status.as_u16(), 429 | 503) {
        return None;
    }
    let text = echo.headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_not_a_number) => {
            let date = nexus_sdk::chrono::DateTime::parse_from_rfc2822(text).ok()?;
            (date.to_utc() - now).to_std().ok()?
        }
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Time {
        "2026-03-01T10:00:00Z".parse().unwrap()
    }

    fn echo(status: u16, retry_after: Option<&str>) -> Result<Echo, Unanswered> {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Echo { status, headers, body: Vec::new() })
    }

    fn after(answer: Result<Echo, Unanswered>) -> Option<u64> {
        match judge(&answer, 1, &Retry::default(), now(), 0) {
            Verdict::Again { after, .. } => Some(after.as_secs()),
            _ => None,
        }
    }

    #[test]
    fn any_success_is_done_and_410_is_gone() {
        for status in [200, 201, 202, 204, 299] {
            let verdict = judge(&echo(status, None), 1, &Retry::default(), now(), 0);
            assert_eq!(verdict, Verdict::Done, "{status}");
        }
        let gone = judge(&echo(410, None), 1, &Retry::default(), now(), 0);
        assert!(matches!(gone, Verdict::Gone { .. }));
    }

    #[test]
    fn a_redirect_a_mistake_and_an_outage_are_tried_again_until_the_last() {
        let retry = Retry { attempts_max: 3, ..Retry::default() };
        for answer in [
            echo(302, None),
            echo(404, None),
            echo(500, None),
            Err(Unanswered::Away("no answer in time".into())),
        ] {
            assert!(matches!(judge(&answer, 2, &retry, now(), 0), Verdict::Again { .. }));
            assert!(matches!(judge(&answer, 3, &retry, now(), 0), Verdict::Dead { .. }));
        }
    }

    #[test]
    fn what_the_host_refuses_is_dead_at_once() {
        let refused = Err(Unanswered::Refused("the address is not a public one".into()));
        let verdict = judge(&refused, 1, &Retry::default(), now(), 0);
        assert_eq!(verdict, Verdict::Dead { reason: "the address is not a public one".into() });
    }

    #[test]
    fn retry_after_is_honoured_where_it_means_something_and_up_to_a_day() {
        assert_eq!(after(echo(429, Some("120"))), Some(120));
        assert_eq!(after(echo(503, Some("Sun, 01 Mar 2026 10:02:00 GMT"))), Some(120));
        assert_eq!(after(echo(503, Some("Sun, 01 Mar 2026 09:00:00 GMT"))), Some(0));
        assert_eq!(after(echo(503, Some("9999999"))), Some(86_400));
        assert_eq!(after(echo(503, Some("soon"))), Some(0));
        assert_eq!(after(echo(500, Some("120"))), Some(0));
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest_and_is_random_in_between() {
        let retry = Retry { attempts_max: 50, first_seconds: 5, longest_seconds: 60 };
        let longest = |attempt| retry.wait(attempt, u32::MAX).as_secs();
        assert_eq!((longest(1), longest(2), longest(3)), (5, 10, 20));
        assert_eq!((longest(5), longest(50)), (60, 60));
        assert_eq!(retry.wait(5, 0), Duration::ZERO);
        assert_eq!(retry.wait(5, u32::MAX / 2).as_secs(), 29);
    }

    #[test]
    fn policies_have_bounds() {
        let check = |a, f, l| {
            let retry = Retry { attempts_max: a, first_seconds: f, longest_seconds: l };
            retry.check().err().map(|refusal| refusal.name)
        };
        assert_eq!(check(1, 1, 1), None);
        assert_eq!(check(0, 1, 1), Some("Attempts"));
        assert_eq!(check(51, 1, 1), Some("Attempts"));
        assert_eq!(check(1, 0, 1), Some("Backoff"));
        assert_eq!(check(1, 10, 9), Some("Backoff"));
        assert_eq!(check(1, 1, 86_401), Some("Backoff"));
    }
}
