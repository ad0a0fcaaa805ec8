//! `nexus config`: the variables of components, their history, and putting them in force.

use super::Failure;
use super::host_api::{HostApi, MISSING};
use super::rollout;
use super::table::{Table, age, cell, list_of, say, say_json, say_list};
use crate::config::{
    ConfigCommand, ConfigOptions, ForceOptions, HostOptions, PageOptions, ReasonOptions,
    WaitOptions,
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) fn run(options: &ConfigOptions) -> Result<(), Failure> {
    let host = Host::new(&options.host)?;
    match &options.command {
        ConfigCommand::Ls { component } => host.list(component),
        ConfigCommand::Get { component, name } => host.get(component, name),
        ConfigCommand::Set { component, name, value, why, force } => {
            host.set(component, name, Put { value, secret: false, why, force: *force })
        }
        ConfigCommand::Unset { component, name } => host.unset(component, name),
        ConfigCommand::Diff { component, from, to } => host.diff(component, *from, *to),
        ConfigCommand::Versions { component, page } => host.versions(component, page),
        ConfigCommand::Apply { component, dry_run: true, .. } => host.diff(component, None, None),
        ConfigCommand::Apply { component, why, wait, .. } => host.apply(component, why, *wait),
    }
}

/// The host that is asked, as `config` and `secret` ask it.
pub(super) struct Host {
    pub(super) api: HostApi,
    pub(super) json: bool,
    options: HostOptions,
}

/// What a variable is to say.
pub(super) struct Put<'a> {
    pub(super) value: &'a str,
    pub(super) secret: bool,
    pub(super) why: &'a ReasonOptions,
    pub(super) force: ForceOptions,
}

impl Host {
    pub(super) fn new(options: &HostOptions) -> Result<Self, Failure> {
        let api = HostApi::new(options)?;
        Ok(Self { api, json: options.json, options: options.clone() })
    }

    pub(super) fn names(&self, component: &str) -> Result<Value, Failure> {
        self.api.get(&["configuration", component], &[])
    }

    fn list(&self, component: &str) -> Result<(), Failure> {
        let answer = self.names(component)?;
        if self.json {
            return say_json(&answer);
        }
        let mut table = Table::new(&["NAME", "VALUE", "FROM", "#VERSION"]);
        for name in list_of(&answer["names"]) {
            table.row(vec![cell(&name["name"]), value(name), place(name), cell(&name["version"])]);
        }
        say_list(&table, "it has no variables", &Value::Null)?;
        let (running, newest) = (&answer["running"], &answer["version"]);
        if running.is_u64() && running != newest {
            eprintln!(
                "it runs with version {running}; `nexus config apply {component}` puts {newest} in \
                 force"
            );
        }
        Ok(())
    }

    fn get(&self, component: &str, name: &str) -> Result<(), Failure> {
        let answer = self.names(component)?;
        let found = list_of(&answer["names"]).find(|known| known["name"] == name);
        let found = found.ok_or_else(|| Failure::Told {
            words: format!("{component} has no variable {name}"),
            code: MISSING,
        })?;
        if self.json {
            return say_json(found);
        }
        match found["value"].as_str() {
            Some(value) => say(&format!("{value}\n")),
            None => {
                let words = match found["secret"] == true {
                    true => format!("{name} is a secret: nobody is shown what it says"),
                    false => format!("{name} has no value"),
                };
                Err(Failure::Told { words, code: MISSING })
            }
        }
    }

    pub(super) fn set(&self, component: &str, name: &str, put: Put<'_>) -> Result<(), Failure> {
        let draft = json!({ "value": put.value, "secret": put.secret });
        let draft = self.order(draft, put.why);
        let answer = self.api.put(&["configuration", component, name], &draft)?;
        if !put.force.apply {
            return self.told(component, &answer, "set");
        }
        if !self.json {
            say(&line(&answer, "set"))?;
        }
        self.apply(component, put.why, put.force.wait)
    }

    pub(super) fn unset(&self, component: &str, name: &str) -> Result<(), Failure> {
        let answer = self.api.delete(&["configuration", component, name])?;
        self.told(component, &answer, "unset")
    }

    /// An order with who gives it, and why.
    fn order(&self, mut order: Value, why: &ReasonOptions) -> Value {
        order["by"] = self.options.by.as_str().into();
        if let Some(reason) = &why.reason {
            order["reason"] = reason.as_str().into();
        }
        order
    }

    fn told(&self, component: &str, answer: &Value, done: &str) -> Result<(), Failure> {
        if self.json {
            return say_json(answer);
        }
        say(&line(answer, done))?;
        eprintln!("`nexus config apply {component}` puts it in force");
        Ok(())
    }

    fn diff(&self, component: &str, from: Option<u64>, to: Option<u64>) -> Result<(), Failure> {
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        let query = [("from", text(from)), ("to", text(to))];
        let answer = self.api.get(&["configuration", component, "diff"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let mut table = Table::new(&["NAME", "CHANGE", "BEFORE", "AFTER"]);
        for found in list_of(&answer["differences"]) {
            let shown = |side: &Value| match found["secret"] == true {
                true => "‹secret›".to_owned(),
                false => cell(side),
            };
            let (before, after) = (shown(&found["before"]), shown(&found["after"]));
            table.row(vec![cell(&found["name"]), cell(&found["change"]), before, after]);
        }
        let nothing = format!("nothing differs between {} and {}", answer["from"], answer["to"]);
        say_list(&table, &nothing, &Value::Null)
    }

    fn versions(&self, component: &str, page: &PageOptions) -> Result<(), Failure> {
        let query = [("limit", Some(page.limit.to_string())), ("cursor", page.cursor.clone())];
        let answer = self.api.get(&["configuration", component, "versions"], &query)?;
        if self.json {
            return say_json(&answer);
        }
        let now = Timestamp::now();
        let mut table = Table::new(&["#VERSION", "OF", "NAME", "KIND", "WHEN", "BY", "REASON"]);
        for change in list_of(&answer["versions"]) {
            table.row(vec![
                cell(&change["version"]),
                cell(&change["component"]),
                cell(&change["name"]),
                cell(&change["kind"]),
                age(&change["at"], now),
                cell(&change["by"]),
                cell(&change["reason"]),
            ]);
        }
        say_list(&table, "nothing was ever set", &answer["cursor"])
    }

    /// Puts what is set in force, and waits for it where that is wanted: the answer is the same.
    fn apply(
        &self,
        component: &str,
        why: &ReasonOptions,
        wait: WaitOptions,
    ) -> Result<(), Failure> {
        let order = self.order(json!({}), why);
        let answer = self.api.post(&["configuration", component, "apply"], &order)?;
        if !self.json {
            for applied in list_of(&answer["applied"]) {
                let (component, revision) = (cell(&applied["component"]), &applied["revision"]);
                let version = &applied["configuration"];
                say(&format!("{component}: revision {revision} with configuration {version}\n"))?;
            }
        }
        if wait.wait {
            // What serves already is brought by none.
            let rollouts = list_of(&answer["applied"]).filter_map(|one| one["rollout"].as_str());
            rollout::follow(&self.options, rollouts, wait.timeout)?;
        }
        if self.json { say_json(&answer) } else { Ok(()) }
    }
}

/// What was done to a variable.
fn line(answer: &Value, done: &str) -> String {
    let (name, version) = (cell(&answer["name"]), cell(&answer["version"]));
    format!("{name} is {done} in version {version}\n")
}

/// What a name says, as far as one may see it.
fn value(name: &Value) -> String {
    match (name["origin"].as_str(), name["secret"] == true) {
        (Some("missing"), _) => "(missing)".into(),
        (_, true) => "‹secret›".into(),
        (Some("host"), _) => "(the host's)".into(),
        _ => cell(&name["value"]),
    }
}

/// Where it comes from.
pub(super) fn place(name: &Value) -> String {
    match name["origin"].as_str() {
        Some("outside") => cell(&name["place"]),
        Some("set") if name["scope"] == "_" => format!("set for all by {}", cell(&name["by"])),
        Some("set") => format!("set by {}", cell(&name["by"])),
        Some("missing") | None => String::new(),
        Some(other) => other.to_owned(),
    }
}
