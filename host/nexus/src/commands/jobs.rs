//! `nexus jobs`: the jobs of native workers, and ending them.

use super::Failure;
use super::host_api::HostApi;
use super::table::{Table, age, cell, pairs, say, say_json, say_list};
use crate::config::{JobsCommand, JobsOptions, PageOptions};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) fn run(options: JobsOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    match options.command {
        JobsCommand::Ls { state, kind, service, page } => host.list(state, kind, service, page),
        JobsCommand::Show { id } => host.show(id),
        JobsCommand::Cancel { id } => host.cancel(id, &options.host.by),
    }
}

struct Host {
    api: HostApi,
    json: bool,
}

impl Host {
    fn list(
        &self,
        state: Option<String>,
        kind: Option<String>,
        service: Option<String>,
        page: PageOptions,
    ) -> Result<(), Failure> {
        let query = [
            ("state", state),
            ("kind", kind),
            ("service", service),
            ("limit", Some(page.limit.to_string())),
            ("cursor", page.cursor),
        ];
        let answer = self.api.get(&["jobs"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        let mut table = Table::new(&[
            "ID", "KIND", "SERVICE", "STATE", "#DONE", "#ATTEMPT", "CREATED", "WORKER", "WHAT",
        ]);
        for job in answer["jobs"].as_array().into_iter().flatten() {
            table.row(vec![
                cell(&job["id"]),
                cell(&job["kind"]),
                cell(&job["service"]),
                state_of(job),
                done(job),
                format!("{}/{}", cell(&job["attempt"]), cell(&job["attempts_max"])),
                age(&job["created_at"], now),
                cell(&job["worker"]),
                what(job),
            ]);
        }
        say_list(&table, "there is no such job", &answer["cursor"])
    }

    fn show(&self, id: Uuid) -> Result<(), Failure> {
        let answer = self.api.get(&["jobs", &id.to_string()], &[])?;
        self.describe(&answer)
    }

    fn cancel(&self, id: Uuid, by: &str) -> Result<(), Failure> {
        let answer = self.api.post(&["jobs", &id.to_string(), "cancel"], &json!({ "by": by }))?;
        if !self.json && answer["state"] == "running" {
            eprintln!("its worker is asked to stop");
        }
        self.describe(&answer)
    }

    fn describe(&self, job: &Value) -> Result<(), Failure> {
        if self.json {
            return say_json(job);
        }
        let now = Timestamp::now();
        let json_of = |name: &str| match &job[name] {
            Value::Null => String::new(),
            some => some.to_string(),
        };
        say(&pairs(&[
            ("id", cell(&job["id"])),
            ("kind", cell(&job["kind"])),
            ("service", cell(&job["service"])),
            ("tenant", cell(&job["tenant_id"])),
            ("state", state_of(job)),
            ("done", done(job)),
            ("stage", cell(&job["stage"])),
            ("attempt", format!("{} of {}", cell(&job["attempt"]), cell(&job["attempts_max"]))),
            ("worker", cell(&job["worker"])),
            ("requires", json_of("requires")),
            ("created", age(&job["created_at"], now)),
            ("started", age(&job["started_at"], now)),
            ("finished", age(&job["finished_at"], now)),
            ("error", cell(&job["error"])),
            ("checkpoint", json_of("checkpoint")),
            ("args", json_of("args")),
            ("output", json_of("output")),
        ]))
    }
}

/// One that runs may have been told to stop.
fn state_of(job: &Value) -> String {
    match job["state"] == "running" && !job["cancel_requested_at"].is_null() {
        true => "stopping".into(),
        false => cell(&job["state"]),
    }
}

fn done(job: &Value) -> String {
    format!("{:.0}%", job["fraction"].as_f64().unwrap_or_default() * 100.0)
}

/// What it is about at the moment, or what went wrong.
fn what(job: &Value) -> String {
    match &job["error"] {
        Value::Null => cell(&job["stage"]),
        error => cell(error),
    }
}
