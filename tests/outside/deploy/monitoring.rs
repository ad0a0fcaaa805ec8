//! Rules and dashboards against the page of a real host: every metric is exported, every label it
//! is asked by is one it has, every word of a legend or a summary can be filled in.

use super::pages::claim_heading;
use super::promql::{Asked, asked, grouped};
use super::{claim, files_of, folder, found, text, yaml};
use nexus_harness::prelude::*;
use nexus_observability::Scrape;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Families that have no series until something has happened, with the labels they then have.
const LATER: [(&str, &[&str]); 17] = [
    ("nexus_cron_caught_up_total", &["service"]),
    ("nexus_cron_fired_total", &["service"]),
    ("nexus_cron_held_total", &["service"]),
    ("nexus_cron_lateness_seconds", &["service"]),
    ("nexus_cron_lost_total", &["service"]),
    ("nexus_cron_missed_total", &["reason", "service"]),
    ("nexus_cron_skipped_total", &["reason", "service"]),
    ("nexus_jobs_calls_refused_total", &["problem"]),
    ("nexus_jobs_claimed_total", &["queue"]),
    ("nexus_jobs_dead", &["queue"]),
    ("nexus_jobs_finished_total", &["outcome"]),
    ("nexus_jobs_queued", &["queue"]),
    ("nexus_jobs_running", &["queue"]),
    ("nexus_queue_claimed_total", &["queue", "service"]),
    ("nexus_queue_died_total", &["queue", "service"]),
    ("nexus_queue_leases_expired_total", &["queue", "service"]),
    ("nexus_queue_pickup_seconds", &["queue", "service"]),
];

/// What Prometheus itself and its node exporter bring.
const OTHERS: [(&str, &[&str]); 6] = [
    ("node_cpu_seconds_total", &["cpu", "mode"]),
    ("node_filesystem_avail_bytes", &["device", "fstype", "mountpoint"]),
    ("node_filesystem_size_bytes", &["device", "fstype", "mountpoint"]),
    ("node_memory_MemAvailable_bytes", &[]),
    ("node_memory_MemTotal_bytes", &[]),
    ("up", &[]),
];

/// What Prometheus writes on every series it reads.
const TARGET: [&str; 2] = ["instance", "job"];

/// The series that can be asked for, with their labels.
struct Known(BTreeMap<String, BTreeSet<String>>);

impl Known {
    fn of(scrape: &Scrape) -> Self {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for series in scrape.series() {
            all.entry(series.name.clone()).or_default().extend(series.labels.keys().cloned());
        }
        for (family, labels) in LATER {
            assert!(scrape.kind(family).is_some(), "{family} is declared here and not exported");
            let labels: BTreeSet<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            let histogram = scrape.kind(family) == Some("histogram");
            let suffixes: &[&str] = if histogram { &["_bucket", "_count", "_sum"] } else { &[""] };
            for suffix in suffixes {
                let mut labels = labels.clone();
                labels.extend((*suffix == "_bucket").then(|| "le".to_owned()));
                let exported = all.entry(format!("{family}{suffix}")).or_insert(labels.clone());
                assert_eq!(*exported, labels, "labels of {family}");
            }
        }
        // Families of queues and components that are counted, but had nothing to count yet.
        for family in scrape.families().filter(|family| family.starts_with("nexus_queue_")) {
            if !all.contains_key(family) && scrape.kind(family) == Some("counter") {
                all.insert(family.into(), ["queue", "service"].map(str::to_owned).into());
            }
        }
        for (name, labels) in OTHERS {
            all.insert(name.into(), labels.iter().map(|label| (*label).to_owned()).collect());
        }
        all.values_mut().for_each(|labels| labels.extend(TARGET.map(str::to_owned)));
        Self(all)
    }

    fn check(&self, query: &str, of: &str) {
        for Asked { metric, labels } in asked(query) {
            let known = self.0.get(&metric);
            let known = known.unwrap_or_else(|| panic!("{of}: no host exports {metric}: {query}"));
            let missing: Vec<_> = labels.difference(known).collect();
            assert!(missing.is_empty(), "{of}: {metric} has no label {missing:?}: {query}");
        }
    }

    /// The labels of what a query gives.
    fn result(&self, query: &str) -> BTreeSet<String> {
        let own = || asked(query).into_iter().flat_map(|asked| self.0[&asked.metric].clone());
        grouped(query).unwrap_or_else(|| own().collect())
    }

    fn claim_words(&self, template: &str, marks: (&str, &str), query: &str, of: &str) {
        let has = self.result(query);
        for part in template.split(marks.0).skip(1) {
            let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let word = &part[..end.unwrap_or(part.len())];
            assert!(has.contains(word), "{of}: `{word}` of {template:?} is no label of {query}");
        }
        assert_eq!(template.matches("{{").count(), template.matches(marks.1).count(), "{of}");
    }
}

async fn exported() -> Known {
    let nexus = Nexus::setup().services(&["email", "kms", "scheduler"]).start().await;
    // One request, so that the front door has counted something.
    nexus.anonymous().get("/health").await.ok();
    eventually("depths of queues are exported", minutes(2), async || {
        let scrape = nexus.metrics().await;
        let queued = scrape.series().iter().any(|series| series.name == "nexus_queue_ready");
        queued && scrape.kind("nexus_cron_fired_total").is_some()
    })
    .await;
    Known::of(&nexus.metrics().await)
}

fn rules(file: &str) -> Vec<Value> {
    let all = yaml(&folder("prometheus").join(file));
    let groups = all["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// Learns what the recording rules add, after their own queries were found good.
fn record(known: &mut Known) {
    for rule in rules("recording.yml") {
        let (name, query) = (word(&rule, "record"), word(&rule, "expr"));
        known.check(query, name);
        let labels = grouped(query).unwrap_or_default();
        let level = name.split(':').next().unwrap_or_default();
        let right = (level == "suite" && labels.is_empty()) || labels.contains(level);
        assert!(right, "{name} is not of the level that its name says: {labels:?}");
        known.0.insert(name.to_owned(), labels);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_and_every_panel_asks_for_what_a_host_exports() {
    let mut known = exported().await;
    record(&mut known);
    for rule in rules("alerts.yml") {
        let (name, query) = (word(&rule, "alert"), word(&rule, "expr"));
        known.check(query, name);
        assert!(["critical", "warning"].contains(&word(&rule["labels"], "severity")), "{name}");
        let summary = word(&rule["annotations"], "summary");
        known.claim_words(summary, ("$labels.", "}}"), query, name);
        claim_heading("incident.md", word(&rule["annotations"], "runbook"));
    }
    for file in files_of(&folder("grafana"), ".json") {
        let of = file.file_name().unwrap().to_string_lossy().into_owned();
        let dashboard = read(&file);
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if variable["type"] == "query" {
                known.check(&values_of(word(variable, "query")), &of);
            }
        }
        for (query, legend) in queries(&dashboard) {
            known.check(&query, &of);
            known.claim_words(&legend, ("{{", "}}"), &query, &of);
        }
    }
}

/// `label_values(metric{…}, label)` as a query that asks for the same.
fn values_of(variable: &str) -> String {
    let inside = variable.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (metric, label) = inside.and_then(|inside| inside.rsplit_once(", ")).unwrap();
    format!("max by ({label}) ({metric})")
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&text(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every query of a dashboard, with its legend.
fn queries(value: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    match value {
        Value::Object(map) => {
            if let Some(query) = map.get("expr").and_then(Value::as_str) {
                let query = query.replace("$__rate_interval", "5m");
                let legend = map.get("legendFormat").or(map.get("titleFormat"));
                all.push((query, legend.and_then(Value::as_str).unwrap_or_default().to_owned()));
            }
            all.extend(map.values().flat_map(queries));
        }
        Value::Array(list) => all.extend(list.iter().flat_map(queries)),
        _ => {}
    }
    all
}

#[test]
fn dashboards_can_be_told_apart_and_their_panels_do_not_overlap() {
    let mut names = BTreeSet::new();
    for file in files_of(&folder("grafana"), ".json") {
        let dashboard = read(&file);
        let uid = word(&dashboard, "uid").to_owned();
        assert_eq!(file.file_stem().unwrap().to_string_lossy(), uid);
        assert!(names.insert(uid.clone()) && names.insert(word(&dashboard, "title").to_owned()));
        let mut cells = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            for (x, y) in (0..at("w")).flat_map(|x| (0..at("h")).map(move |y| (x, y))) {
                let (x, y) = (at("x") + x, at("y") + y);
                assert!(x < 24 && cells.insert((x, y)), "{uid}: two panels at {x},{y}");
            }
        }
    }
}

#[test]
fn prometheus_and_alertmanager_take_their_files() {
    let place = folder("prometheus");
    if let Some(mut tool) = found("promtool") {
        claim(tool.args(["check", "rules", "recording.yml", "alerts.yml"]).current_dir(&place));
        claim(found("promtool").unwrap().args(["test", "rules", "tests.yml"]).current_dir(&place));
        let syntax = ["check", "config", "--syntax-only", "prometheus.yml"];
        claim(found("promtool").unwrap().args(syntax).current_dir(&place));
        // The panels' queries, as rules: what promtool takes, Grafana's Prometheus takes.
        let mut panels = Vec::new();
        for file in files_of(&folder("grafana"), ".json") {
            for (query, _) in queries(&read(&file)) {
                panels.push(json!({ "record": format!("panel:{}", panels.len()), "expr": query }));
            }
        }
        assert!(panels.len() > 60, "only {} queries", panels.len());
        let home = tempfile::tempdir().unwrap();
        let page = json!({ "groups": [{ "name": "panels", "rules": panels }] });
        std::fs::write(home.path().join("panels.yml"), page.to_string()).unwrap();
        let all = ["check", "rules", "panels.yml"];
        claim(found("promtool").unwrap().args(all).current_dir(home.path()));
    }
    if let Some(mut tool) = found("amtool") {
        claim(tool.args(["check-config", "alertmanager.yml"]).current_dir(&place));
    }
}
