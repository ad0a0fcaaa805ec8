//! Following a rollout to its end: each thing that happens is a line on stderr, what became of it
//! the answer and the exit code.

use super::{Host, is_good, is_over, list, share, state_of};
use crate::commands::Failure;
use crate::commands::table::{self, age, cell, list_of, say, say_json};
use jiff::Timestamp;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The rollout was rolled back, failed or was aborted.
pub(super) const BAD_END: u8 = 6;
/// It was not over in time.
pub(super) const NOT_OVER: u8 = 7;

/// The controller looks at its gates as often.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How long somebody waits.
#[derive(Clone, Copy)]
pub(super) struct Until {
    end: Instant,
    seconds: u32,
}

impl Until {
    pub(super) fn after(seconds: u32) -> Self {
        Self { end: Instant::now() + Duration::from_secs(u64::from(seconds)), seconds }
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() > self.end
    }
}

/// Waits for the end of a rollout.
pub(super) fn until_over(host: &Host, id: &str, until: Until) -> Result<(), Failure> {
    let mut told = Told::default();
    loop {
        let rollout = host.api.get(&["rollouts", id], &[])?;
        told.tell(&rollout);
        if is_over(&rollout) {
            return ended(host, &rollout);
        }
        if until.is_over() {
            return Err(Failure::Told {
                words: format!(
                    "it is still {} after {} s and goes on: `nexus rollout show {id}`",
                    state_of(&rollout),
                    until.seconds
                ),
                code: NOT_OVER,
            });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn ended(host: &Host, rollout: &Value) -> Result<(), Failure> {
    if is_good(rollout) && host.is_quiet {
        return Ok(());
    }
    if host.json {
        say_json(rollout)?;
    }
    if is_good(rollout) {
        let line = format!("{}\n", list::sentence(rollout));
        return if host.json { Ok(()) } else { say(&line) };
    }
    let component = cell(&rollout["component"]);
    Err(Failure::Told {
        words: format!(
            "{}; `nexus logs {component} --level warn` says what it logged",
            list::sentence(rollout)
        ),
        code: BAD_END,
    })
}

/// What was told already.
#[derive(Default)]
struct Told {
    events: usize,
    state: String,
}

impl Told {
    fn tell(&mut self, rollout: &Value) {
        let now = Timestamp::now();
        let events: Vec<&Value> = list_of(&rollout["events"]).collect();
        for event in events.iter().skip(self.events) {
            eprintln!("{}", line(event, now));
        }
        self.events = events.len();
        // A host that keeps no events of it still has a state.
        let state = format!("{} {}", cell(&rollout["state"]), share(&rollout["weight"]));
        if events.is_empty() && state != self.state {
            eprintln!("{state}");
        }
        self.state = state;
    }
}

/// An event in a line.
fn line(event: &Value, now: Timestamp) -> String {
    let at = age(&event["at"], now);
    let words = ["words", "reason", "detail"].map(|name| cell(&event[name]));
    let words = words.into_iter().find(|words| !words.is_empty()).unwrap_or_default();
    let state = cell(&event["state"]);
    let weight = share(&event["weight"]);
    let parts = [at, state, weight, words];
    let parts = parts.iter().filter(|part| !part.is_empty());
    table::line(&parts.map(String::as_str).collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_a_line_that_steers_no_terminal() {
        let now: Timestamp = "2027-01-31T03:15:00Z".parse().unwrap();
        let event = json!({ "at": "2027-01-31T03:14:58Z", "state": "stepping", "weight": 1000,
            "words": "10 %\u{1b}[2J" });
        assert_eq!(line(&event, now), "2 s ago  stepping  10%  10 %\u{fffd}[2J");
        assert_eq!(line(&json!({ "state": "probing" }), now), "probing");
    }
}
