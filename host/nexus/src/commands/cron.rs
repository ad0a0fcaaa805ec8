//! `nexus cron`: when schedules of a running host are due, what became of them, and runs by hand.

use super::Failure;
use super::host_api::{HostApi, MISSING};
use super::invoke::UNWELL;
use super::table::{Table, age, cell, instant, list_of, pairs, say, say_json, say_list, span};
use crate::config::{CronCommand, CronOptions, PageOptions, RunCronOptions, ScheduleName};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

pub(super) fn run(options: CronOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    let by = options.host.by;
    match options.command {
        CronCommand::Ls { service, page } => host.list(service, page),
        CronCommand::Next { schedule, count, zone } => host.next(&schedule, count, zone),
        CronCommand::Run { schedule, overlap } => host.run(&schedule, overlap, &by),
        CronCommand::Backfill { schedule, from, to, overlap, dry_run } => {
            let now = Timestamp::now();
            let from = instant(&from, now).map_err(Failure::Setting)?;
            let to = instant(&to, now).map_err(Failure::Setting)?;
            let order = json!({ "from": from, "to": to, "overlap": overlap, "preview": dry_run,
                "by": by });
            host.backfill(&schedule, &order)
        }
        CronCommand::Pause { schedule, reason } => {
            host.switch(&schedule, "pause", &json!({ "by": by, "reason": reason }))
        }
        CronCommand::Resume { schedule } => host.switch(&schedule, "resume", &json!({ "by": by })),
        CronCommand::History { schedule, page } => host.history(&schedule, page),
    }
}

/// `nexus run-cron`: as `nexus cron run`, and what becomes of the run.
pub(super) fn run_once(options: &RunCronOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    if options.dry_run {
        return host.next(&options.schedule, 5, None);
    }
    if !options.wait {
        return host.run(&options.schedule, options.overlap.clone(), &options.host.by);
    }
    let id = host.id(&options.schedule)?;
    let order = json!({ "overlap": options.overlap, "by": options.host.by });
    let run = cell(&host.api.post(&["schedules", &id, "run"], &order)?["id"]);
    let end = Instant::now() + Duration::from_secs(u64::from(options.timeout));
    loop {
        let answer = host.api.get(&["schedules", &id, "runs"], &[("limit", Some("200".into()))])?;
        let found = list_of(&answer["runs"]).find(|one| one["id"] == *run);
        if let Some(found) = found.filter(|found| !found["finished_at"].is_null()) {
            return host.ended(found);
        }
        if Instant::now() > end {
            return Err(Failure::Told {
                words: format!("it is not over; `nexus cron history {id}` says what becomes of it"),
                code: NOT_OVER,
            });
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A run takes as long as its component wants; looking costs a query.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// It was not over in time.
const NOT_OVER: u8 = 7;

struct Host {
    api: HostApi,
    json: bool,
}

impl Host {
    /// What became of a run.
    fn ended(&self, run: &Value) -> Result<(), Failure> {
        let (state, reason) = (cell(&run["state"]), cell(&run["reason"]));
        if self.json {
            say_json(run)?;
        } else {
            say(&pairs(&[
                ("run", cell(&run["id"])),
                ("state", state.clone()),
                ("took", took(run)),
                ("reason", reason.clone()),
            ]))?;
        }
        match state.as_str() {
            "succeeded" | "done" => Ok(()),
            _ => Err(Failure::Told { words: format!("the run {state}: {reason}"), code: UNWELL }),
        }
    }

    fn list(&self, service: Option<String>, page: PageOptions) -> Result<(), Failure> {
        let query = [
            ("service", service),
            ("limit", Some(page.limit.to_string())),
            ("cursor", page.cursor),
        ];
        let answer = self.api.get(&["schedules"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        let mut table =
            Table::new(&["SERVICE", "NAME", "EXPRESSION", "ZONE", "NEXT", "LAST", "STATE", "ID"]);
        for schedule in list_of(&answer["schedules"]) {
            table.row(vec![
                cell(&schedule["service"]),
                cell(&schedule["name"]),
                cell(&schedule["expression"]),
                cell(&schedule["zone"]),
                age(&schedule["next_fire_at"], now),
                age(&schedule["last_fired_at"], now),
                state(schedule).into(),
                cell(&schedule["id"]),
            ]);
        }
        say_list(&table, "there is no schedule", &answer["cursor"])
    }

    /// The id of a schedule that may be named by service and name.
    fn id(&self, name: &ScheduleName) -> Result<String, Failure> {
        let text = &name.schedule;
        if text.parse::<Uuid>().is_ok() {
            return Ok(text.clone());
        }
        let Some((service, name)) = text.split_once('/') else {
            return Err(Failure::Setting(anyhow::anyhow!(
                "{text} is neither an id nor service/name; `nexus cron ls` lists both"
            )));
        };
        let query = [("service", Some(service.to_owned())), ("name", Some(name.to_owned()))];
        let answer = self.api.get(&["schedules"], &query)?;
        let id = answer["schedules"][0]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| Failure::Told {
            words: format!("{service} has no schedule {name}; `nexus cron ls` lists what there is"),
            code: MISSING,
        })
    }

    fn next(&self, name: &ScheduleName, count: u32, zone: Option<String>) -> Result<(), Failure> {
        let query = [("count", Some(count.to_string())), ("zone", zone)];
        let answer = self.api.get(&["schedules", &self.id(name)?, "next"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        if answer["paused"] == true {
            eprintln!("it is paused: none of these fires before it is resumed");
        }
        self.times(&answer, "it is never due again")
    }

    fn times(&self, answer: &Value, nothing: &str) -> Result<(), Failure> {
        let now = Timestamp::now();
        let mut table = Table::new(&["DUE", "WHEN"]);
        for time in list_of(&answer["times"]) {
            table.row(vec![cell(time), age(time, now)]);
        }
        say_list(&table, nothing, &Value::Null)
    }

    fn run(&self, name: &ScheduleName, overlap: Option<String>, by: &str) -> Result<(), Failure> {
        let order = json!({ "overlap": overlap, "by": by });
        let answer = self.api.post(&["schedules", &self.id(name)?, "run"], &order)?;
        if self.json {
            return say_json(&answer);
        }
        let (run, schedule) = (cell(&answer["id"]), cell(&answer["schedule_id"]));
        say(&format!("run {run}\n"))?;
        eprintln!("`nexus cron history {schedule}` says what becomes of it");
        Ok(())
    }

    fn backfill(&self, name: &ScheduleName, order: &Value) -> Result<(), Failure> {
        let answer = self.api.post(&["schedules", &self.id(name)?, "backfill"], order)?;
        if self.json {
            return say_json(&answer);
        }
        if answer["preview"] == true {
            self.times(&answer, "nothing was due in this stretch")?;
            eprintln!("{} would run", runs(&answer));
            return Ok(());
        }
        say(&format!("{} ordered\n", runs(&answer)))
    }

    fn switch(&self, name: &ScheduleName, verb: &str, order: &Value) -> Result<(), Failure> {
        let answer = self.api.post(&["schedules", &self.id(name)?, verb], order)?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        say(&pairs(&[
            ("service", cell(&answer["service"])),
            ("name", cell(&answer["name"])),
            ("state", state(&answer).into()),
            ("by", cell(&answer["paused_by"])),
            ("reason", cell(&answer["paused_reason"])),
            ("next", age(&answer["next_fire_at"], now)),
            ("id", cell(&answer["id"])),
        ]))
    }

    fn history(&self, name: &ScheduleName, page: PageOptions) -> Result<(), Failure> {
        let query = [("limit", Some(page.limit.to_string())), ("cursor", page.cursor)];
        let answer = self.api.get(&["schedules", &self.id(name)?, "runs"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        let mut table = Table::new(&[
            "SCHEDULED",
            "FIRED",
            "TRIGGER",
            "STATE",
            "#ATTEMPT",
            "TOOK",
            "REASON",
            "BY",
            "ID",
        ]);
        for run in list_of(&answer["runs"]) {
            table.row(vec![
                cell(&run["scheduled_at"]),
                age(&run["fired_at"], now),
                cell(&run["trigger"]),
                cell(&run["state"]),
                cell(&run["attempt"]),
                took(run),
                cell(&run["reason"]),
                cell(&run["requested_by"]),
                cell(&run["id"]),
            ]);
        }
        say_list(&table, "it has not run in the last 30 days", &answer["cursor"])
    }
}

fn runs(answer: &Value) -> String {
    match answer["runs"].as_u64() {
        Some(1) => "1 run".into(),
        number => format!("{} runs", number.unwrap_or_default()),
    }
}

/// From the fire to the end.
fn took(run: &Value) -> String {
    let at = |name: &str| run[name].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let (Some(from), Some(to)) = (at("fired_at"), at("finished_at")) else { return String::new() };
    span(u64::try_from(to.as_second() - from.as_second()).unwrap_or(0))
}

fn state(schedule: &Value) -> &'static str {
    if !schedule["refused"].is_null() {
        "refused"
    } else if schedule["paused_at"].is_null() {
        "on"
    } else {
        "paused"
    }
}
