//! A component of a manifest as the text of its own fragment, so that it can be kept and read again
//! by any host: what is the same gives the same text. What is as it would be anyway is left out.
//! Refuses to know the path of the bytes.

use nexus_runtime::{ComponentManifest, HttpRoute, Isolation, Limits, Subscription};
use std::time::Duration;
use toml::{Table, Value};

/// What stands for the bytes.
const SOURCE: &str = "component.wasm";

/// The fragment of a component.
pub(crate) fn render(component: &ComponentManifest, routes: &[HttpRoute]) -> String {
    let name = component.id.to_string();
    let mut body = Table::new();
    body.insert("source".into(), SOURCE.into());
    put_map(&mut body, "variables", component.variables.iter());
    put_map(&mut body, "environment", component.environment.iter());
    put_list(&mut body, "allowed_outbound_hosts", &component.allowed_outbound_hosts);
    put_list(&mut body, "key_value_stores", &component.key_value_stores);
    body.insert("tool".into(), table([("nexus", Value::Table(own(component)))]));
    let http = routes.iter().filter(|route| route.component == component.id).map(|route| {
        let pattern = match &route.pattern {
            Some(pattern) => Value::from(pattern.as_str()),
            None => table([("private", Value::from(true))]),
        };
        table([("route", pattern), ("component", name.as_str().into())])
    });
    let mut fragment = Table::new();
    let http: Vec<Value> = http.collect();
    if !http.is_empty() {
        fragment.insert("trigger".into(), table([("http", Value::Array(http))]));
    }
    let component = Table::from_iter([(name, Value::Table(body))]);
    fragment.insert("component".into(), Value::Table(component));
    fragment.to_string()
}

/// `[component.X.tool.nexus]`.
fn own(component: &ComponentManifest) -> Table {
    let mut own = limits(&component.limits);
    put_list(&mut own, "buckets", &component.buckets);
    if let Some(rate) = &component.rate {
        own.insert("rate".into(), rate.as_str().into());
    }
    if component.isolation == Isolation::Fresh {
        own.insert("isolation".into(), "fresh".into());
    }
    let subscribe: Vec<Value> = component.subscribe.iter().map(subscription).collect();
    if !subscribe.is_empty() {
        own.insert("subscribe".into(), Value::Array(subscribe));
    }
    let cron = component.cron.iter().map(|entry| {
        let usual = [("zone", "UTC"), ("overlap", "skip"), ("catchup", "latest")];
        let given = [&entry.zone, &entry.overlap, &entry.catchup];
        let mut table = Table::new();
        table.insert("name".into(), entry.name.as_str().into());
        table.insert("schedule".into(), entry.schedule.as_str().into());
        for ((key, usual), given) in usual.into_iter().zip(given) {
            if given != usual {
                table.insert(key.into(), given.as_str().into());
            }
        }
        if entry.jitter_ms > 0 {
            table.insert("jitter_ms".into(), number(entry.jitter_ms));
        }
        Value::Table(table)
    });
    let cron: Vec<Value> = cron.collect();
    if !cron.is_empty() {
        own.insert("cron".into(), Value::Array(cron));
    }
    own
}

/// Those that are not the default.
fn limits(limits: &Limits) -> Table {
    let (own, usual) = (spelled_out(limits), spelled_out(&Limits::default()));
    own.into_iter().filter(|(key, value)| usual.get(key) != Some(value)).collect()
}

fn spelled_out(limits: &Limits) -> Table {
    let ms = |time: Duration| number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    Table::from_iter([
        ("wall_ms".into(), ms(limits.wall)),
        ("cpu_ms".into(), ms(limits.cpu)),
        ("first_byte_ms".into(), ms(limits.first_byte)),
        ("stream_idle_ms".into(), ms(limits.stream_idle)),
        ("memory_mib".into(), number(limits.memory_mib)),
        ("body_in_bytes".into(), number(limits.body_in_bytes)),
        ("body_out_bytes".into(), number(limits.body_out_bytes)),
        ("inflight_max".into(), number(limits.inflight_max)),
        ("queue_max".into(), number(limits.queue_max)),
        ("outbound_max".into(), number(limits.outbound_max)),
        ("reuse_max".into(), number(limits.reuse_max)),
        ("concurrency_max".into(), number(limits.concurrency_max)),
    ])
}

fn subscription(subscription: &Subscription) -> Value {
    let Subscription { topic, from, max_concurrency, batch, wait_ms, wall_ms, .. } = subscription;
    let mut table = Table::new();
    table.insert("topic".into(), topic.as_str().into());
    if from != "now" {
        table.insert("from".into(), from.as_str().into());
    }
    let numbers = [
        ("max_concurrency", max_concurrency.map(u64::from)),
        ("batch", batch.map(u64::from)),
        ("wait_ms", *wait_ms),
        ("wall_ms", *wall_ms),
        ("attempts_max", subscription.attempts_max.map(u64::from)),
    ];
    for (key, value) in numbers {
        if let Some(value) = value {
            table.insert(key.into(), number(value));
        }
    }
    if let Some(ordered_by) = &subscription.ordered_by {
        table.insert("ordered_by".into(), ordered_by.as_str().into());
    }
    Value::Table(table)
}

/// TOML's numbers end before ours do.
fn number(number: impl Into<u64>) -> Value {
    Value::Integer(i64::try_from(number.into()).unwrap_or(i64::MAX))
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn put_list(table: &mut Table, key: &str, list: &[String]) {
    if !list.is_empty() {
        let list = list.iter().map(|entry| Value::from(entry.as_str())).collect();
        table.insert(key.into(), Value::Array(list));
    }
}

fn put_map<'a>(
    table: &mut Table,
    key: &str,
    map: impl ExactSizeIterator<Item = (&'a String, &'a String)>,
) {
    if map.len() > 0 {
        let map = map.map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
        table.insert(key.into(), Value::Table(map));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_runtime::{Fragment, Manifest};
    use std::path::Path;

    const MANIFEST: &str = r#"
spin_manifest_version = 2
[application]
name = "x"
[[trigger.http]]
route = "/api/lamp/..."
component = "lamp"
[[trigger.http]]
route = { private = true }
component = "desk"
[component.desk]
source = "desk.wasm"
[component.lamp]
source = "lamp.wasm"
variables = { pg_url = "{{ pg_url }}", mood = "a \"b\"" }
environment = { LANG = "C" }
allowed_outbound_hosts = ["https://*.example.com"]
key_value_stores = ["default"]
[component.lamp.tool.nexus]
cpu_ms = 5
memory_mib = 17
isolation = "fresh"
rate = "login"
buckets = ["a"]
subscribe = ["x.y.z.v1", { topic = "a.*", from = "earliest", batch = 3, ordered_by = "k" }]
cron = [{ name = "tidy", schedule = "15 3 * * *", zone = "Europe/Berlin", jitter_ms = 7 }]
"#;

    #[test]
    fn a_fragment_says_all_that_the_manifest_said() {
        let manifest = Manifest::parse(MANIFEST, Path::new("/x/spin.toml")).unwrap();
        for component in &manifest.components {
            let text = render(component, &manifest.routes);
            let name = component.id.as_str();
            let path = Path::new("fragment");
            let read = Fragment::parse(&text, name, &component.source, path).unwrap();
            assert_eq!(format!("{:?}", read.component), format!("{component:?}"), "{text}");
            let routes = manifest.routes.iter().filter(|route| route.component == component.id);
            assert_eq!(read.routes, routes.cloned().collect::<Vec<_>>());
            assert_eq!(render(&read.component, &read.routes), text);
        }
    }
}
