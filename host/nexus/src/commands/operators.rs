//! `nexus operators`: who may operate an installation.

use super::Failure;
use super::host_api::HostApi;
use super::table::{Table, age, cell, list_of, pairs, say, say_json, say_list};
use crate::config::{OperatorsCommand, OperatorsOptions, Role};
use jiff::Timestamp;
use serde_json::json;

pub(super) fn run(options: &OperatorsOptions) -> Result<(), Failure> {
    let host = Host { api: HostApi::new(&options.host)?, json: options.host.json };
    match &options.command {
        OperatorsCommand::Ls => host.list(),
        OperatorsCommand::Add { name, role } => host.add(name, *role),
        OperatorsCommand::Rm { name } => host.remove(name),
    }
}

struct Host {
    api: HostApi,
    json: bool,
}

impl Host {
    fn list(&self) -> Result<(), Failure> {
        let answer = self.api.get(&["operators"], &[])?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        let mut table = Table::new(&["NAME", "ROLE", "CREATED", "LAST USED"]);
        for operator in list_of(&answer["operators"]) {
            table.row(vec![
                cell(&operator["name"]),
                cell(&operator["role"]),
                age(&operator["created_at"], now),
                age(&operator["last_used_at"], now),
            ]);
        }
        say_list(&table, "there is nobody but root", &answer["cursor"])
    }

    fn add(&self, name: &str, role: Role) -> Result<(), Failure> {
        let role = match role {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        };
        let answer = self.api.post(&["operators"], &json!({ "name": name, "role": role }))?;
        if self.json {
            return say_json(&answer);
        }
        let token = cell(&answer["token"]);
        say(&pairs(&[("name", name.into()), ("role", role.into()), ("token", token)]))?;
        eprintln!("nobody can show this token again; it goes into NEXUS_ADMIN_TOKEN");
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Failure> {
        // Its answer is empty.
        self.api.delete(&["operators", name])?;
        match self.json {
            true => say_json(&json!({ "removed": name })),
            false => say(&format!("{name} may operate no more\n")),
        }
    }
}
