//! What a fragment (`component.toml`) says about its component, as plain words that can be shown
//! and compared. Refuses to know what a word allows; `nexus-runtime` reads a fragment to act on it
//! and refuses what it does not know.

use crate::artifact::check_name;
use crate::error::Error;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// What one component asks for. Everything is sorted; a map's value is its setting as TOML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grants {
    pub component: String,
    /// Public route patterns; a private component has none.
    pub routes: Vec<String>,
    pub outbound_hosts: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub buckets: Vec<String>,
    /// Name and template of each variable the component reads.
    pub variables: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    /// Variables that the fragment itself declares, with their defaults.
    pub declared: BTreeMap<String, String>,
    /// `wall_ms`, `memory_mib`, `isolation`, `rate`, …
    pub limits: BTreeMap<String, String>,
    /// Topic, and how it is consumed.
    pub subscriptions: BTreeMap<String, String>,
    /// Name, and when it runs.
    pub schedules: BTreeMap<String, String>,
}

impl Grants {
    /// Reads a fragment, or a whole `spin.toml` of one component; it must be about `component`
    /// where that is given.
    pub fn read(text: &str, component: Option<&str>) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Fragment(reason);
        let table: Table = text.parse().map_err(|e: toml::de::Error| wrong(e.to_string()))?;
        let components = section(&table, "component")?;
        let mut names = components.keys();
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(wrong(format!("it is about {} components, not one", components.len())));
        };
        check_name(name)?;
        if let Some(wanted) = component.filter(|wanted| wanted != name) {
            return Err(wrong(format!("it is about {name}, not about {wanted}")));
        }
        let own = section(&components, name)?;
        let nexus = section(&section(&own, "tool")?, "nexus")?;
        let mut grants = Self {
            component: name.clone(),
            routes: routes(&table)?,
            outbound_hosts: texts(&own, "allowed_outbound_hosts")?,
            key_value_stores: texts(&own, "key_value_stores")?,
            buckets: texts(&nexus, "buckets")?,
            variables: settings(section(&own, "variables")?),
            environment: settings(section(&own, "environment")?),
            declared: settings(section(&table, "variables")?),
            subscriptions: named(&nexus, "subscribe", "topic")?,
            schedules: named(&nexus, "cron", "name")?,
            limits: BTreeMap::new(),
        };
        let elsewhere = ["buckets", "subscribe", "cron"];
        let limits = nexus.into_iter().filter(|(key, _)| !elsewhere.contains(&key.as_str()));
        grants.limits = settings(limits.collect());
        Ok(grants)
    }
}

/// A table in a table; empty where there is none.
fn section(table: &Table, key: &str) -> Result<Table, Error> {
    match table.get(key) {
        None => Ok(Table::new()),
        Some(Value::Table(inner)) => Ok(inner.clone()),
        Some(_) => Err(Error::Fragment(format!("{key} is no table"))),
    }
}

fn texts(table: &Table, key: &str) -> Result<Vec<String>, Error> {
    let wrong = || Error::Fragment(format!("{key} is no list of texts"));
    let Some(list) = table.get(key) else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(wrong)?.iter();
    let list = list.map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong));
    let mut list = list.collect::<Result<Vec<_>, _>>()?;
    list.sort();
    Ok(list)
}

/// Values as they would be written, but a text without its quotes.
fn settings(table: Table) -> BTreeMap<String, String> {
    table.into_iter().map(|(key, value)| (key, word(&value))).collect()
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `[{ <key> = "…", … }]`, by that key; a bare text is an entry of defaults.
fn named(table: &Table, list: &str, key: &str) -> Result<BTreeMap<String, String>, Error> {
    let wrong = || Error::Fragment(format!("{list} is no list of tables with a {key}"));
    let Some(entries) = table.get(list) else { return Ok(BTreeMap::new()) };
    let mut found = BTreeMap::new();
    for entry in entries.as_array().ok_or_else(wrong)? {
        let (name, rest) = match entry {
            Value::String(name) => (name.clone(), String::new()),
            Value::Table(settings) => {
                let mut settings = settings.clone();
                let name = settings.remove(key).ok_or_else(wrong)?;
                let name = name.as_str().ok_or_else(wrong)?.to_owned();
                let mut words: Vec<_> =
                    settings.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                words.sort();
                (name, words.join(", "))
            }
            _ => return Err(wrong()),
        };
        if found.insert(name.clone(), rest).is_some() {
            return Err(Error::Fragment(format!("{list} names {name} twice")));
        }
    }
    Ok(found)
}

fn routes(table: &Table) -> Result<Vec<String>, Error> {
    let wrong = || Error::Fragment("trigger.http is a list: write [[trigger.http]]".into());
    let triggers = section(table, "trigger")?;
    let Some(list) = triggers.get("http") else { return Ok(Vec::new()) };
    let routes = list.as_array().ok_or_else(wrong)?.iter();
    // `{ private = true }` is no route.
    let mut routes: Vec<_> =
        routes.filter_map(|trigger| trigger.get("route")?.as_str().map(str::to_owned)).collect();
    routes.sort();
    Ok(routes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const FRAGMENT: &str = r#"
[[trigger.http]]
component = "catalog"
route = "/api/catalog/..."

[component.catalog]
source = ".nexus/components/catalog.wasm"
allowed_outbound_hosts = ["https://{{ shop_host }}", "http://audit.spin.internal"]
key_value_stores = ["default"]
variables = { pg_url = "{{ pg_url }}" }

[component.catalog.tool.nexus]
wall_ms = 5000
isolation = "fresh"
buckets = ["covers"]
subscribe = ["commerce.order.placed.v1", { topic = "media.*", from = "earliest", batch = 10 }]
cron = [{ name = "purge_archived", schedule = "15 3 * * *" }]

[variables.shop_host]
default = "shop.example"
"#;

    #[test]
    fn a_fragment_tells_everything_it_asks_for() {
        let grants = Grants::read(FRAGMENT, Some("catalog")).unwrap();
        assert_eq!(grants.routes, ["/api/catalog/..."]);
        let hosts = ["http://audit.spin.internal", "https://{{ shop_host }}"];
        assert_eq!(grants.outbound_hosts, hosts);
        assert_eq!(grants.variables["pg_url"], "{{ pg_url }}");
        assert_eq!(grants.buckets, ["covers"]);
        assert_eq!(grants.limits["wall_ms"], "5000");
        assert_eq!(grants.limits["isolation"], "fresh");
        assert_eq!(grants.limits.len(), 2);
        assert_eq!(grants.subscriptions["commerce.order.placed.v1"], "");
        assert_eq!(grants.subscriptions["media.*"], "batch = 10, from = \"earliest\"");
        assert_eq!(grants.schedules["purge_archived"], "schedule = \"15 3 * * *\"");
        assert!(grants.declared["shop_host"].contains("shop.example"));
        assert_eq!(grants.component, "catalog");
    }

    #[test]
    fn a_fragment_is_about_one_component_and_the_right_one() {
        let told = |text: &str| Grants::read(text, Some("catalog")).unwrap_err().to_string();
        assert!(
            told(&FRAGMENT.replace("component.catalog", "component.cart")).contains("about cart")
        );
        assert!(told(&format!("{FRAGMENT}\n[component.cart]\n")).contains("2 components"));
        assert!(told("").contains("0 components"));
        assert!(told("[component.catalog").contains("cannot be used"));
        assert!(told("[component]\n\"../x\" = {}").contains("not a component's name"));
        let broken = FRAGMENT.replace("\"covers\"", "1");
        assert!(told(&broken).contains("buckets is no list of texts"));
    }
}
