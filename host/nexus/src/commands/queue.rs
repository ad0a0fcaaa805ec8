//! `nexus queue`: what lies in the queues of a running host, and what is done about it.

use super::Failure;
use super::host_api::HostApi;
use super::table::{Table, age, cell, instant_of, list_of, pairs, say, say_json, say_list, span};
use crate::config::{
    DeadOptions, PageOptions, QueueCommand, QueueName, QueueOptions, WhichOptions,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(super) fn run(options: QueueOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    let by = options.host.by;
    match options.command {
        QueueCommand::Ls { service, page } => host.list(service, page),
        QueueCommand::Show { queue } => host.show(&queue),
        QueueCommand::Peek { queue, state, payload, page } => {
            host.peek(&queue, &state, payload, page)
        }
        QueueCommand::Dlq { service, queue, filter, payload, page } => {
            host.dead(service, queue, &filter, payload, page)
        }
        QueueCommand::Redrive { queue, which, rate } => host.redrive(&queue, &which, rate, &by),
        QueueCommand::Purge { queue, state, which } => host.purge(&queue, &state, &which, &by),
        QueueCommand::Pause { queue } => host.switch(&queue, "pause", &by),
        QueueCommand::Resume { queue } => host.switch(&queue, "resume", &by),
    }
}

struct Host {
    api: HostApi,
    json: bool,
}

impl Host {
    fn list(&self, service: Option<String>, page: PageOptions) -> Result<(), Failure> {
        let query = [
            ("service", service),
            ("limit", Some(page.limit.to_string())),
            ("cursor", page.cursor),
        ];
        let answer = self.api.get(&["queues"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let mut table = Table::new(&[
            "SERVICE",
            "QUEUE",
            "KIND",
            "#READY",
            "#DEFERRED",
            "#LEASED",
            "#DEAD",
            "OLDEST",
            "STATE",
        ]);
        for queue in list_of(&answer["queues"]) {
            table.row(vec![
                cell(&queue["service"]),
                cell(&queue["queue"]),
                cell(&queue["kind"]),
                cell(&queue["ready"]),
                cell(&queue["deferred"]),
                cell(&queue["leased"]),
                cell(&queue["dead"]),
                oldest(queue),
                state(queue).into(),
            ]);
        }
        say_list(&table, "there is no queue", &answer["cursor"])
    }

    fn show(&self, queue: &QueueName) -> Result<(), Failure> {
        let answer = self.api.get(&["queues", &queue.service, &queue.queue], &[])?;
        self.describe(&answer)
    }

    fn describe(&self, queue: &Value) -> Result<(), Failure> {
        if self.json {
            return say_json(queue);
        }
        let now = Timestamp::now();
        let paused = match queue["paused_at"].is_null() {
            true => String::new(),
            false => format!("{} by {}", age(&queue["paused_at"], now), cell(&queue["paused_by"])),
        };
        let done = queue["rates"]["done_per_second"].as_f64().unwrap_or_default();
        say(&pairs(&[
            ("service", cell(&queue["service"])),
            ("queue", cell(&queue["queue"])),
            ("kind", cell(&queue["kind"])),
            ("handler", cell(&queue["handler"])),
            ("state", state(queue).into()),
            ("paused", paused),
            ("retired", age(&queue["retired_at"], now)),
            ("ready", cell(&queue["ready"])),
            ("deferred", cell(&queue["deferred"])),
            ("leased", cell(&queue["leased"])),
            ("dead", cell(&queue["dead"])),
            ("oldest", oldest(queue)),
            ("done", format!("{done:.1}/s in the last minute")),
            ("died", format!("{} in the last hour", cell(&queue["rates"]["died_last_hour"]))),
            ("settings", queue["settings"].to_string()),
        ]))
    }

    fn peek(
        &self,
        queue: &QueueName,
        state: &str,
        payload: bool,
        page: PageOptions,
    ) -> Result<(), Failure> {
        let query = [
            ("state", Some(state.to_owned())),
            ("payload", payload.then(|| "true".into())),
            ("limit", Some(page.limit.to_string())),
            ("cursor", page.cursor),
        ];
        let path = ["queues", &queue.service, &queue.queue, "messages"];
        let answer = self.api.get(&path, &query)?;
        if self.json {
            return say_json(&answer);
        }
        let (head, at) = match state {
            "deferred" => ("DUE", "due_at"),
            "leased" => ("UNTIL", "leased_until"),
            "dead" => ("DIED", "died_at"),
            _ => ("READY", "ready_at"),
        };
        let mut table = Table::new(&[
            "ID",
            "TOPIC",
            head,
            "#ATTEMPT",
            "#PRIORITY",
            "GROUP",
            "WORKER",
            "LAST ERROR",
        ]);
        let now = Timestamp::now();
        for message in list_of(&answer["messages"]) {
            let error = list_of(&message["errors"]).last();
            table.row(vec![
                cell(&message["id"]),
                cell(&message["topic"]),
                age(&message[at], now),
                cell(&message["attempt"]),
                cell(&message["priority"]),
                cell(&message["group"]),
                cell(&message["worker"]),
                error.map(|error| cell(&error["reason"])).unwrap_or_default(),
            ]);
        }
        let nothing = format!("nothing is {state} in {} of {}", queue.queue, queue.service);
        say_list(&table, &nothing, &answer["cursor"])?;
        payloads(&answer["messages"], payload)
    }

    fn dead(
        &self,
        service: Option<String>,
        queue: Option<String>,
        filter: &DeadOptions,
        payload: bool,
        page: PageOptions,
    ) -> Result<(), Failure> {
        let now = Timestamp::now();
        let query = [
            ("service", service),
            ("queue", queue),
            ("topic", filter.topic.clone()),
            ("tenant_id", filter.tenant.map(|tenant| tenant.to_string())),
            ("reason", filter.reason.clone()),
            ("since", instant_of(filter.since.as_ref(), now)?),
            ("before", instant_of(filter.before.as_ref(), now)?),
            ("payload", payload.then(|| "true".into())),
            ("limit", Some(page.limit.to_string())),
            ("cursor", page.cursor),
        ];
        let answer = self.api.get(&["dead-letters"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let mut table =
            Table::new(&["SERVICE", "QUEUE", "ID", "TOPIC", "DIED", "#ATTEMPTS", "REASON"]);
        for letter in list_of(&answer["dead_letters"]) {
            table.row(vec![
                cell(&letter["service"]),
                cell(&letter["queue"]),
                cell(&letter["id"]),
                cell(&letter["topic"]),
                age(&letter["died_at"], now),
                cell(&letter["attempts"]),
                cell(&letter["reason"]),
            ]);
        }
        say_list(&table, "there is no such dead letter", &answer["cursor"])?;
        payloads(&answer["dead_letters"], payload)
    }

    fn redrive(
        &self,
        queue: &QueueName,
        which: &WhichOptions,
        rate: Option<f64>,
        by: &str,
    ) -> Result<(), Failure> {
        let order = json!({ "filter": filter(which)?, "dry_run": which.dry_run,
            "rate_per_second": rate, "by": by });
        let path = ["queues", &queue.service, &queue.queue, "redrive"];
        let answer = self.api.post(&path, &order)?;
        self.reached(&answer, "dead", "sent back to work")
    }

    fn purge(
        &self,
        queue: &QueueName,
        state: &str,
        which: &WhichOptions,
        by: &str,
    ) -> Result<(), Failure> {
        let order = json!({ "state": state, "filter": filter(which)?, "dry_run": which.dry_run,
            "by": by });
        let path = ["queues", &queue.service, &queue.queue, "purge"];
        let answer = self.api.post(&path, &order)?;
        self.reached(&answer, state, "thrown away")
    }

    fn reached(&self, answer: &Value, state: &str, done: &str) -> Result<(), Failure> {
        if self.json {
            return say_json(answer);
        }
        let number = answer["messages"].as_u64().unwrap_or_default();
        let (noun, was) = match number {
            1 => ("message", "was"),
            _ => ("messages", "were"),
        };
        let verb = if answer["dry_run"] == true { "would be" } else { was };
        say(&format!("{number} {state} {noun} {verb} {done}\n"))?;
        if answer["more"] == true {
            eprintln!("there may be more than that: say it again");
        }
        Ok(())
    }

    fn switch(&self, queue: &QueueName, verb: &str, by: &str) -> Result<(), Failure> {
        let path = ["queues", &queue.service, &queue.queue, verb];
        let answer = self.api.post(&path, &json!({ "by": by }))?;
        if !self.json && answer["changed"] == false {
            eprintln!("it was so already");
        }
        self.describe(&answer)
    }
}

fn oldest(queue: &Value) -> String {
    let seconds = queue["oldest_ready_seconds"].as_f64().unwrap_or_default();
    match queue["ready"].as_u64() {
        None | Some(0) => String::new(),
        // Ages are not negative, and their fractions tell nothing.
        Some(_) => span(seconds as u64),
    }
}

fn state(queue: &Value) -> &'static str {
    match (&queue["retired"], &queue["paused"]) {
        (Value::Bool(true), _) => "retired",
        (_, Value::Bool(true)) => "paused",
        _ => "open",
    }
}

/// The filter of an order, which must say something.
fn filter(which: &WhichOptions) -> Result<Value, Failure> {
    let now = Timestamp::now();
    let mut filter = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            filter.insert(name.into(), value);
        }
    };
    put("ids", (!which.ids.is_empty()).then(|| json!(which.ids)));
    put("topic", which.filter.topic.clone().map(Value::from));
    put("tenant_id", which.filter.tenant.map(|tenant| json!(tenant)));
    put("reason", which.filter.reason.clone().map(Value::from));
    put("since", instant_of(which.filter.since.as_ref(), now)?.map(Value::from));
    put("before", instant_of(which.filter.before.as_ref(), now)?.map(Value::from));
    put("all", which.all.then(|| true.into()));
    match filter.is_empty() {
        false => Ok(Value::Object(filter)),
        true => Err(Failure::Setting(anyhow::anyhow!(
            "say which messages: --id, --topic, --tenant, --reason, --since, --before, or --all \
             (--dry-run counts them first)"
        ))),
    }
}

fn payloads(messages: &Value, wanted: bool) -> Result<(), Failure> {
    if !wanted {
        return Ok(());
    }
    for message in list_of(messages) {
        let payload = message["payload"].to_string();
        say(&format!("\n{}", pairs(&[("id", cell(&message["id"])), ("payload", payload)])))?;
    }
    Ok(())
}
