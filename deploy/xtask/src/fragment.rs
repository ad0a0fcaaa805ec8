//! One `component.toml`: a literal piece of `spin.toml`, checked against the Spin v2 schema so
//! that a mistake is told with file and key. Refuses to judge `[component.X.tool.nexus]`: those
//! keys are the host's, which says at its start what it does not know.

use crate::workspace::{Member, Workspace, read};
use anyhow::{Result, bail};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Keys of `[component.X]` in a Spin v2 manifest.
const COMPONENT_KEYS: [&str; 16] = [
    "ai_models",
    "allowed_outbound_hosts",
    "build",
    "dependencies",
    "dependencies_inherit_configuration",
    "description",
    "environment",
    "exclude_files",
    "files",
    "key_value_stores",
    "profile",
    "source",
    "sqlite_databases",
    "targets",
    "tool",
    "variables",
];
/// Keys of `[[trigger.http]]`; Spin refuses every other.
const TRIGGER_KEYS: [&str; 5] = ["component", "dependencies", "executor", "id", "route"];
const VARIABLE_KEYS: [&str; 4] = ["default", "description", "required", "secret"];
/// Keys of `[component.X]` that are lists of strings.
const STRING_LISTS: [&str; 3] = ["ai_models", "allowed_outbound_hosts", "key_value_stores"];

/// A fragment that was read and checked.
#[derive(Debug, Clone)]
pub struct Fragment {
    /// Component id = crate = folder.
    pub id: String,
    /// Relative path of the file, for messages and for the joined file.
    pub path: String,
    /// As written, without the blank lines around it.
    pub text: String,
    /// Public HTTP routes, in order.
    pub routes: Vec<String>,
    /// Application variables that it declares.
    pub declares: BTreeSet<String>,
    /// Application variables that its templates name.
    pub uses: BTreeSet<String>,
    /// `[component.X]`.
    pub component: Table,
}

impl Fragment {
    /// Reads the fragment of one component's folder.
    pub fn read(ws: &Workspace, member: &Member) -> Result<Self> {
        let path = format!("{}/component.toml", member.folder);
        let text = read(&ws.root.join(&path))?;
        Self::parse(&path, &text, &member.name)
    }

    /// Checks the text of the fragment of component `id`; `path` is for messages.
    pub fn parse(path: &str, text: &str, id: &str) -> Result<Self> {
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => bail!("{path}: {error}"),
        };
        let mut reader = Reader { path, id, uses: BTreeSet::new() };
        reader.only_tables_at_the_top(text)?;
        let mut routes = Vec::new();
        let mut declares = BTreeSet::new();
        let mut component = None;
        for (key, value) in &table {
            match key.as_str() {
                "trigger" => routes = reader.triggers(value)?,
                "component" => component = Some(reader.component(value)?),
                "variables" => declares = reader.variables(value)?,
                _ => return reader.fail(key, "a fragment holds trigger, component, variables"),
            }
        }
        let Some(component) = component else {
            return reader.fail("component", &format!("[component.{id}] is missing"));
        };
        let uses = reader.uses;
        let text = text.trim().to_owned();
        Ok(Self { id: id.into(), path: path.into(), text, routes, declares, uses, component })
    }
}

/// Walks one fragment; every complaint names the file and the key.
struct Reader<'a> {
    path: &'a str,
    id: &'a str,
    uses: BTreeSet<String>,
}

impl Reader<'_> {
    fn fail<T>(&self, key: &str, reason: &str) -> Result<T> {
        bail!("{}: {key}: {reason}", self.path)
    }

    /// Text that is joined after other text must open its own tables, and must not open one
    /// that the head of the joined file has opened already.
    fn only_tables_at_the_top(&self, text: &str) -> Result<()> {
        let mut lines = text.lines().map(str::trim);
        let first = lines.clone().find(|line| !line.is_empty() && !line.starts_with('#'));
        if let Some(first) = first
            && !first.starts_with('[')
        {
            let key = first.split('=').next().unwrap_or(first).trim();
            return self
                .fail(key, "a fragment starts with a [table], since it is joined to others");
        }
        if lines.any(|line| line == "[variables]") {
            return self.fail("variables", "declare one by one, as [variables.name]");
        }
        Ok(())
    }

    fn known(&self, place: &str, table: &Table, known: &[&str]) -> Result<()> {
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => self.fail(
                &format!("{place}.{key}"),
                &format!("Spin does not know this key; it knows {}", known.join(", ")),
            ),
        }
    }

    fn table<'v>(&self, place: &str, value: &'v Value) -> Result<&'v Table> {
        match value.as_table() {
            Some(table) => Ok(table),
            None => self.fail(place, "must be a table"),
        }
    }

    fn triggers(&self, value: &Value) -> Result<Vec<String>> {
        let mut routes = Vec::new();
        for (kind, list) in self.table("trigger", value)? {
            if kind != "http" {
                let reason = "only http is a Spin trigger here; queue and cron are lists in \
                              [component.X.tool.nexus]";
                return self.fail(&format!("trigger.{kind}"), reason);
            }
            let Some(list) = list.as_array() else {
                return self.fail("trigger.http", "is a list: write [[trigger.http]]");
            };
            for (index, trigger) in list.iter().enumerate() {
                let place = format!("trigger.http[{index}]");
                routes.extend(self.trigger(&place, trigger)?);
            }
        }
        Ok(routes)
    }

    fn trigger(&self, place: &str, trigger: &Value) -> Result<Option<String>> {
        let trigger = self.table(place, trigger)?;
        self.known(place, trigger, &TRIGGER_KEYS)?;
        if trigger.get("component").and_then(Value::as_str) != Some(self.id) {
            let reason = format!("must be \"{}\", the component of this folder", self.id);
            return self.fail(&format!("{place}.component"), &reason);
        }
        let key = format!("{place}.route");
        match trigger.get("route") {
            Some(Value::String(route)) if is_route(route) => Ok(Some(route.clone())),
            Some(Value::Table(table)) if is_private(table) => Ok(None),
            Some(Value::String(_)) => self
                .fail(&key, "must start with / and may end in /... ; a segment is a word or :name"),
            _ => self.fail(&key, "must be \"/path\", \"/path/...\" or { private = true }"),
        }
    }

    fn component(&mut self, value: &Value) -> Result<Table> {
        let components = self.table("component", value)?;
        let id = self.id;
        let Some(component) = components.get(id) else {
            return self.fail("component", &format!("[component.{id}] is missing"));
        };
        if let Some(other) = components.keys().find(|key| *key != id) {
            let reason = format!("this folder is the component {id}; one folder, one component");
            return self.fail(&format!("component.{other}"), &reason);
        }
        let place = format!("component.{id}");
        let component = self.table(&place, component)?;
        self.known(&place, component, &COMPONENT_KEYS)?;
        let source = format!(".nexus/components/{id}.wasm");
        if component.get("source").and_then(Value::as_str) != Some(&source) {
            let reason = format!("must be \"{source}\", where `cargo xtask build` puts it");
            return self.fail(&format!("{place}.source"), &reason);
        }
        for list in STRING_LISTS {
            self.strings(&format!("{place}.{list}"), component.get(list))?;
        }
        for map in ["variables", "environment"] {
            self.string_map(&format!("{place}.{map}"), component.get(map))?;
        }
        if let Some(tool) = component.get("tool") {
            let tool = self.table(&format!("{place}.tool"), tool)?;
            if let Some(nexus) = tool.get("nexus") {
                self.table(&format!("{place}.tool.nexus"), nexus)?;
            }
        }
        Ok(component.clone())
    }

    fn strings(&mut self, place: &str, list: Option<&Value>) -> Result<()> {
        let Some(list) = list else { return Ok(()) };
        let Some(list) = list.as_array() else {
            return self.fail(place, "must be a list of strings");
        };
        for item in list {
            let Some(item) = item.as_str() else {
                return self.fail(place, "must be a list of strings");
            };
            self.template(place, item)?;
        }
        Ok(())
    }

    fn string_map(&mut self, place: &str, map: Option<&Value>) -> Result<()> {
        let Some(map) = map else { return Ok(()) };
        for (name, value) in self.table(place, map)?.clone() {
            let place = format!("{place}.{name}");
            let Some(value) = value.as_str() else {
                return self.fail(&place, "must be a string");
            };
            if place.contains(".variables.") && !is_variable(&name) {
                return self.fail(&place, "a variable is lower_snake_case");
            }
            self.template(&place, value)?;
        }
        Ok(())
    }

    /// Notes the `{{ variables }}` of a template.
    fn template(&mut self, place: &str, text: &str) -> Result<()> {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                return self.fail(place, "a {{ has no }}");
            };
            if !is_variable(name.trim()) {
                return self.fail(place, "between {{ and }} stands one variable's name");
            }
            self.uses.insert(name.trim().into());
            rest = after;
        }
        Ok(())
    }

    fn variables(&self, value: &Value) -> Result<BTreeSet<String>> {
        let variables = self.table("variables", value)?;
        for (name, variable) in variables {
            let place = format!("variables.{name}");
            if !is_variable(name) {
                return self.fail(&place, "a variable is lower_snake_case");
            }
            let variable = self.table(&place, variable)?;
            self.known(&place, variable, &VARIABLE_KEYS)?;
            let required = variable.get("required").and_then(Value::as_bool) == Some(true);
            if required == variable.contains_key("default") {
                return self.fail(&place, "has either a default or required = true");
            }
        }
        Ok(variables.keys().cloned().collect())
    }
}

/// Spin's rule for a variable's name: lower snake case, starting with a letter.
fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(word)
        && !name.ends_with('_')
        && !name.contains("__")
}

fn is_private(table: &Table) -> bool {
    table.len() == 1 && table.get("private").and_then(Value::as_bool) == Some(true)
}

fn is_route(route: &str) -> bool {
    let Some(path) = route.strip_prefix('/') else {
        return false;
    };
    let segments = match path.strip_suffix("...") {
        None => path,
        Some("") => return true,
        Some(before) => match before.strip_suffix('/') {
            Some(before) if !before.is_empty() => before,
            _ => return false,
        },
    };
    segments.is_empty()
        || segments.split('/').all(|segment| {
            let name = segment.strip_prefix(':').unwrap_or(segment);
            !name.is_empty() && !name.contains([' ', '?', '#', ':', '*']) && !name.contains("...")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
# grants sit beside the code that uses them
[[trigger.http]]
component = "catalog"
route = "/api/catalog/..."

[component.catalog]
source = ".nexus/components/catalog.wasm"
allowed_outbound_hosts = ["https://{{ shop_host }}"]
variables = { pg_url = "{{ pg_url }}" }

[component.catalog.tool.nexus]
cron = [{ name = "purge_archived", schedule = "15 3 * * *" }]

[variables.shop_host]
default = "shop.example"
"#;

    fn complaint(text: &str) -> String {
        let error = Fragment::parse("components/commerce/catalog/component.toml", text, "catalog");
        error.expect_err("this fragment is wrong").to_string()
    }

    #[test]
    fn a_good_fragment_tells_its_routes_and_variables() {
        let fragment = Fragment::parse("p", GOOD, "catalog").expect("it is good");
        assert_eq!(fragment.routes, ["/api/catalog/..."]);
        assert_eq!(fragment.declares.iter().collect::<Vec<_>>(), ["shop_host"]);
        assert_eq!(fragment.uses.iter().collect::<Vec<_>>(), ["pg_url", "shop_host"]);
    }

    #[test]
    fn every_mistake_is_told_with_file_and_key() {
        let cases = [
            ("source = ", "sorce = ", "component.catalog.sorce: Spin does not know this key"),
            ("component = \"catalog\"", "component = \"cart\"", "trigger.http[0].component: must"),
            ("\"/api/catalog/...\"", "\"api\"", "trigger.http[0].route: must start with /"),
            ("trigger.http", "trigger.cron", "trigger.cron: only http"),
            ("\"https://{{ shop_host }}\"", "1", "allowed_outbound_hosts: must be a list"),
            ("{{ pg_url }}", "{{ pg_url", "component.catalog.variables.pg_url: a {{ has no }}"),
            ("pg_url = ", "PgUrl = ", "component.catalog.variables.PgUrl: a variable is lower"),
            ("default = ", "required = true\ndefault = ", "variables.shop_host: has either"),
            ("[variables.shop_host]\ndefault", "[variables]\nshop_host", "declare one by one"),
            ("[[trigger.http]]", "name = 1\n[[trigger.http]]", "name: a fragment starts with"),
        ];
        for (good, bad, expected) in cases {
            let complaint = complaint(&GOOD.replacen(good, bad, 1));
            assert!(complaint.starts_with("components/commerce/catalog/component.toml: "));
            assert!(complaint.contains(expected), "{bad:?} gave {complaint:?}");
        }
    }

    #[test]
    fn a_folder_holds_one_component_only() {
        let two = format!("{GOOD}\n[component.cart]\nsource = \"x\"\n");
        assert!(complaint(&two).contains("component.cart: this folder is the component catalog"));
        assert!(
            complaint("[[trigger.http]]\ncomponent = \"catalog\"\nroute = \"/\"\n")
                .contains("[component.catalog] is missing")
        );
    }

    #[test]
    fn routes_follow_spins_patterns() {
        for good in ["/", "/...", "/a", "/a/...", "/a/:id/b", "/.well-known/jwks.json"] {
            assert!(is_route(good), "{good}");
        }
        for bad in ["", "a", "//", "//...", "/a...", "/a/", "/a//b", "/a?b", "/a/.../b", "/:"] {
            assert!(!is_route(bad), "{bad}");
        }
    }
}
