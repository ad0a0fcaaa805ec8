//! `nexus tail` and `nexus logs`: what components are asked and what they say, as it happens or
//! afterwards. What a component logs may come from anybody: it reaches a terminal as text only.

use super::Failure;
use super::host_api::{Event, HostApi};
use super::table::{cell, instant_of, line, list_of, say};
use crate::config::{LogsOptions, TailOptions, Topic};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::ops::ControlFlow;

pub(super) fn tail(options: &TailOptions) -> Result<(), Failure> {
    let topics: Vec<&str> = options.topics.iter().map(|topic| word(*topic)).collect();
    let watch = Watch {
        api: HostApi::new(&options.host)?,
        json: options.host.json,
        component: options.component.clone(),
        level: None,
    };
    watch.follow(&topics.join(","), options.count)
}

pub(super) fn logs(options: &LogsOptions) -> Result<(), Failure> {
    let watch = Watch {
        api: HostApi::new(&options.host)?,
        json: options.host.json,
        component: options.component.clone(),
        level: options.level.clone(),
    };
    let query = [
        ("component", options.component.clone()),
        ("level", options.level.clone()),
        ("since", instant_of(options.since.as_ref(), Timestamp::now())?),
        ("limit", Some(options.page.limit.to_string())),
        ("cursor", options.page.cursor.clone()),
    ];
    let answer = watch.api.get(&["logs"], &query)?;
    let mut lines: Vec<&Value> = list_of(&answer["lines"]).collect();
    // As a person reads: the latest last.
    lines.sort_by_key(|line| cell(&line["at"]));
    if lines.is_empty() && !options.follow {
        eprintln!("nothing was logged that the host still has");
    }
    for line in lines {
        watch.tell("log", line)?;
    }
    if options.follow {
        return watch.follow("logs", None);
    }
    if let Some(cursor) = answer["cursor"].as_str() {
        eprintln!("more: --cursor '{cursor}'");
    }
    Ok(())
}

struct Watch {
    api: HostApi,
    json: bool,
    component: Option<String>,
    level: Option<String>,
}

impl Watch {
    /// Tells what comes, until interrupted or so many lines were told.
    fn follow(&self, topics: &str, count: Option<u64>) -> Result<(), Failure> {
        let query = [
            ("topics", Some(topics.to_owned())),
            ("component", self.component.clone()),
            ("level", self.level.clone()),
        ];
        let mut left = count;
        let mut each = |event: Event| {
            if !self.wants(&event) {
                return Ok(ControlFlow::Continue(()));
            }
            self.tell(&event.kind, &event.body)?;
            left = left.map(|left| left.saturating_sub(1));
            Ok(if left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        };
        self.api.follow(&["stream"], &query, &mut each)
    }

    /// A host may tell more than it was asked for.
    fn wants(&self, event: &Event) -> bool {
        let of = event.body["component"].as_str();
        let mine = of.is_none() || self.component.is_none() || of == self.component.as_deref();
        let heavy = match (&self.level, event.body["level"].as_str()) {
            (Some(least), Some(level)) => weight(level) >= weight(least),
            _ => true,
        };
        mine && heavy
    }

    fn tell(&self, kind: &str, body: &Value) -> Result<(), Failure> {
        match self.json {
            true => say(&format!("{}\n", json!({ "event": kind, "data": body }))),
            false => say(&format!("{}\n", line(&words(kind, body)))),
        }
    }
}

fn word(topic: Topic) -> &'static str {
    match topic {
        Topic::Invocations => "invocations",
        Topic::Logs => "logs",
        Topic::Rollouts => "rollouts",
        Topic::Conditions => "conditions",
    }
}

fn weight(level: &str) -> u8 {
    match level.to_ascii_lowercase().as_str() {
        "trace" => 0,
        "debug" => 1,
        "info" => 2,
        "warn" => 3,
        _ => 4,
    }
}

/// One event as a line: time, whose, what.
fn words(kind: &str, body: &Value) -> String {
    let at = cell(&body["at"]);
    // The time of day is enough beside others of the same day.
    let at = at.split_once('T').map_or(&*at, |(_, time)| time);
    let at = at.get(..12).unwrap_or(at);
    let component = cell(&body["component"]);
    let parts = match kind {
        "invocation" => {
            let ms = body["ms"].as_f64().map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
            let request = format!("{} {}", cell(&body["method"]), cell(&body["path"]));
            let outcome = cell(&body["outcome"]);
            let outcome = if outcome == "ok" { String::new() } else { outcome };
            let request = if request.trim().is_empty() { cell(&body["name"]) } else { request };
            let error = cell(&body["error"]);
            vec![cell(&body["trigger"]), request, cell(&body["status"]), ms, outcome, error]
        }
        "log" => {
            let told = body["fields"].as_object().into_iter().flatten();
            // Where a component wrote it is of no interest to who reads it.
            let told = told.filter(|(name, _)| *name != "stream");
            let told = told.map(|(name, value)| format!("{name}={}", cell(value)));
            let told = told.collect::<Vec<_>>().join(" ");
            vec![cell(&body["level"]).to_ascii_uppercase(), cell(&body["message"]), told]
        }
        "rollout" => vec![
            format!("revision {}", cell(&body["revision"])),
            cell(&body["state"]),
            super::rollout::share(&body["weight"]),
            cell(&body["reason"]),
        ],
        _ => {
            let met = if body["met"] == true { "met" } else { "not met" };
            vec![cell(&body["name"]), met.into(), cell(&body["detail"])]
        }
    };
    let all = [at.to_owned(), component].into_iter().chain(parts);
    all.filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_event_is_a_line() {
        let at = "2027-01-31T03:15:00.123456Z";
        for (kind, body, text) in [
            (
                "invocation",
                json!({ "at": at, "component": "catalog", "trigger": "http", "method": "GET",
                    "path": "/api/catalog/v1/products", "status": 200, "ms": 1.25,
                    "outcome": "ok" }),
                "03:15:00.123  catalog  http  GET /api/catalog/v1/products  200  1.2 ms",
            ),
            (
                "log",
                json!({ "at": at, "component": "cart", "level": "warn", "message": "low",
                    "target": "guest", "fields": { "stream": "stdout", "left": 2 } }),
                "03:15:00.123  cart  WARN  low  left=2",
            ),
            (
                "condition",
                json!({ "at": at, "name": "postgresql", "met": false, "detail": "away" }),
                "03:15:00.123  postgresql  not met  away",
            ),
            (
                "rollout",
                json!({ "at": at, "component": "cart", "revision": 8, "state": "stepping",
                    "weight": 1000 }),
                "03:15:00.123  cart  revision 8  stepping  10%",
            ),
        ] {
            assert_eq!(words(kind, &body), text);
        }
    }
}
