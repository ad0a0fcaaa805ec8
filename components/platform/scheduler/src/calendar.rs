//! What an expression means, asked of the host that will fire it. Knows the questions and how a
//! mistake is pointed at; refuses to know any language of calendars.

use crate::timing::{Expression, Gap, Timing, Zone};
use bindings::nexus::schedules::calendars::{self, Invalid, Options};
use nexus_sdk::chrono::DateTime;
use nexus_sdk::prelude::*;

#[allow(missing_docs, unreachable_pub, dead_code)]
mod bindings {
    use nexus_sdk::spin_sdk::wit_bindgen;

    wit_bindgen::generate!({
        path: "../../../wit/nexus-schedules@0.1.0",
        world: "nexus:schedules/schedules",
        runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
    });
}

/// Instants per question; the host gives no more.
const ANSWERS_MAX: u32 = 1000;

/// Refuses what means nothing, or is never due from `now` on.
pub async fn check(timing: &Timing, now: Time) -> Result<()> {
    let next = ask(timing, now, millis(now), 1).await;
    match next {
        Ok(instants) if instants.is_empty() => {
            let never = Expression.because("this is never due from now on");
            Err(never.at(timing.when.field()).into())
        }
        Ok(_) => Ok(()),
        Err(_) if !is_zone(&timing.zone).await => Err(Zone.at("timing/zone").into()),
        Err(invalid) => Err(refused(timing, invalid).into()),
    }
}

/// The next instants after `now`; `every` counts from `anchor`.
pub async fn next(timing: &Timing, anchor: Time, now: Time, count: u32) -> Result<Vec<Time>> {
    let asked = ask(timing, anchor, millis(now), count).await;
    Ok(times(&asked.map_err(|invalid| refused(timing, invalid))?))
}

/// Instants from `from` on and before `to`, in order, at most so many.
pub async fn between(
    timing: &Timing,
    anchor: Time,
    from: Time,
    to: Time,
    most: u32,
) -> Result<Vec<Time>> {
    let mut found: Vec<u64> = Vec::new();
    let mut after = millis(from).saturating_sub(1);
    while (found.len() as u64) < u64::from(most) {
        let asked = ask(timing, anchor, after, ANSWERS_MAX).await;
        let answer = asked.map_err(|invalid| refused(timing, invalid))?;
        let Some(last) = answer.last() else { break };
        after = *last;
        let is_last = after >= millis(to);
        found.extend(answer.into_iter().filter(|instant| *instant < millis(to)));
        if is_last {
            break;
        }
    }
    found.truncate(most as usize);
    Ok(times(&found))
}

/// The rule in words.
pub async fn describe(timing: &Timing, anchor: Time) -> Result<String> {
    let (expression, zone) = (timing.when.expression(), timing.zone.clone());
    let words = calendars::describe(expression, zone, options(timing, anchor)).await;
    Ok(words.map_err(|invalid| refused(timing, invalid))?)
}

async fn ask(timing: &Timing, anchor: Time, after: u64, count: u32) -> Result<Vec<u64>, Invalid> {
    let (expression, zone) = (timing.when.expression(), timing.zone.clone());
    calendars::preview(expression, zone, options(timing, anchor), after, count).await
}

/// Whether the host knows the zone, whatever else is wrong.
async fn is_zone(zone: &str) -> bool {
    let options =
        Options { gap: calendars::Gap::RunAfter, starts_at: None, ends_at: None, anchor_at: None };
    calendars::preview("@daily".to_owned(), zone.to_owned(), options, 0, 1).await.is_ok()
}

fn refused(timing: &Timing, invalid: Invalid) -> Refusal {
    Expression.because(invalid.message).at(timing.when.field())
}

fn options(timing: &Timing, anchor: Time) -> Options {
    Options {
        gap: match timing.gap {
            Gap::RunAfter => calendars::Gap::RunAfter,
            Gap::Skip => calendars::Gap::Skip,
        },
        starts_at: timing.starts_at.map(millis),
        ends_at: timing.ends_at.map(millis),
        anchor_at: Some(millis(timing.anchor(anchor))),
    }
}

fn millis(instant: Time) -> u64 {
    u64::try_from(instant.timestamp_millis()).unwrap_or(0)
}

fn times(instants: &[u64]) -> Vec<Time> {
    let time = |instant: &u64| DateTime::from_timestamp_millis(i64::try_from(*instant).ok()?);
    instants.iter().filter_map(time).collect()
}
