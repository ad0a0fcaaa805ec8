//! The manifest: readable, its components built, each line of it possible. What a component imports
//! is compared with its grants when it is loaded (`nexus compile`).

use super::{Check, Finding, Ground};
use nexus_calendar::{Calendar, Options};
use nexus_configuration::{Configuration, Origin, Parts, Sources};
use nexus_runtime::{ComponentManifest, Manifest};
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) const CHECKS: &[Check] = &[
    Check::plain("manifest", "readable", |ground| match &ground.settings {
        Ok(settings) => Finding::ok(format!("{} components", settings.manifest.components.len())),
        Err(reason) => Finding::fail(reason.clone(), "correct it, or name another with -f"),
    }),
    Check::plain("manifest", "components built", |ground| with(ground, |all| built(all))),
    Check::plain("manifest", "compiled code", compiled),
    Check::plain("manifest", "names", |ground| with(ground, names)),
    Check::plain("manifest", "routes", |ground| with(ground, routes)),
    Check::plain("manifest", "variables declared", |ground| with(ground, declared)),
    Check::asking("manifest", "variables set", |ground| Box::pin(set(ground))),
    Check::plain("manifest", "outbound grants", |ground| with(ground, outbound)),
    Check::plain("manifest", "callees", |ground| with(ground, callees)),
    Check::plain("manifest", "subscriptions", |ground| with(ground, subscriptions)),
    Check::plain("manifest", "schedules", |ground| with(ground, schedules)),
    Check::plain("manifest", "migrations' folders", folders),
];

fn with(ground: &Ground, judge: impl FnOnce(&Manifest) -> Finding) -> Finding {
    match &ground.settings {
        Ok(settings) => judge(&settings.manifest),
        Err(_) => Finding::skip("the manifest cannot be read"),
    }
}

/// Nothing found is well; otherwise the first few, and what to do.
fn none(found: &[String], well: impl Into<String>, todo: &str) -> Finding {
    const SHOWN: usize = 5;
    match found.len() {
        0 => Finding::ok(well),
        many => {
            let more =
                if many > SHOWN { format!(" and {} more", many - SHOWN) } else { String::new() };
            let shown: Vec<&str> = found.iter().take(SHOWN).map(String::as_str).collect();
            Finding::fail(format!("{}{more}", shown.join("; ")), todo)
        }
    }
}

fn built(manifest: &Manifest) -> Finding {
    let missing: Vec<String> = manifest
        .components
        .iter()
        .filter(|component| !component.source.is_file())
        .map(|component| component.id.to_string())
        .collect();
    let well = format!("{} files", manifest.components.len());
    none(&missing, well, "`cargo xtask build` makes what is not there")
}

/// A start without it takes longer; with it, it only maps.
fn compiled(ground: &Ground) -> Finding {
    let Ok(settings) = &ground.settings else {
        return Finding::skip("the manifest cannot be read");
    };
    let files = std::fs::read_dir(&settings.compiled).into_iter().flatten().flatten();
    let files = files.filter(|file| file.path().extension().is_some_and(|e| e == "cwasm")).count();
    let wanted = settings.manifest.components.len();
    match files {
        0 if wanted == 0 => Finding::skip("there are no components"),
        files if files >= wanted => Finding::ok(format!("{files} files")),
        files => Finding::ok(format!("{files} of {wanted}; the first start compiles the rest")),
    }
}

/// Folder, role and schema are made of a name.
fn names(manifest: &Manifest) -> Finding {
    let odd = manifest.components.iter().filter_map(|component| {
        let odd = nexus_storage::role_of(component.id.as_str()).err()?;
        Some(odd.to_string())
    });
    none(&odd.collect::<Vec<_>>(), "each makes a role and a schema", "rename the component")
}

fn routes(manifest: &Manifest) -> Finding {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for route in &manifest.routes {
        let Some(pattern) = &route.pattern else { continue };
        if let Some(first) = seen.insert(pattern, route.component.as_str()) {
            twice.push(format!("{pattern} is of {first} and of {}", route.component));
        }
    }
    none(&twice, format!("{} patterns", seen.len()), "give each pattern to one component")
}

/// The names in `{{ }}` of a component.
fn templates(component: &ComponentManifest) -> BTreeSet<&str> {
    let templates = component.variables.values().chain(&component.allowed_outbound_hosts);
    let names = templates.flat_map(|text| {
        text.split("{{").skip(1).filter_map(|part| Some(part.split_once("}}")?.0.trim()))
    });
    names.collect()
}

fn declared(manifest: &Manifest) -> Finding {
    let mut unknown = Vec::new();
    for component in &manifest.components {
        for name in templates(component) {
            if !manifest.variables.contains_key(name) && name != "pg_url" {
                unknown.push(format!("{name} of {}", component.id));
            }
        }
    }
    let well = format!("{} variables", manifest.variables.len());
    none(&unknown, well, "declare them in [variables]")
}

/// What the host answers by itself while it starts.
const OWN: [&str; 4] = ["pg_url", "public_url", "root_key", "playback_key"];

async fn set(ground: &Ground) -> Finding {
    let Ok(settings) = &ground.settings else {
        return Finding::skip("the manifest cannot be read");
    };
    let Ok(sources) = Sources::read(|name| ground.set(name).map(str::to_owned)) else {
        return Finding::skip("where configuration comes from cannot be read");
    };
    let environment = ground.environment.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("NEXUS_VARIABLE_").or(name.strip_prefix("SPIN_VARIABLE_"))?;
        Some((name.to_ascii_lowercase(), value.clone()))
    });
    let database = ground.opened().await.ok().flatten().cloned();
    let environment: HashMap<String, String> = environment.collect();
    let parts = Parts { database, keys: None, sources, environment };
    let Ok(configuration) = Configuration::new(parts) else {
        return Finding::skip("where configuration comes from cannot be read");
    };
    configuration.declare_all(&settings.manifest);
    // What is wrong with a source is another check's.
    let _told_there = configuration.look().await;
    let mut missing = Vec::new();
    for component in &settings.manifest.components {
        // A database that was not migrated yet has no configuration either.
        let Ok(shown) = configuration.show(component.id.as_str()).await else {
            return Finding::skip("the database has no configuration yet");
        };
        let without = shown.iter().filter(|name| name.origin == Origin::Missing);
        let without = without.filter(|name| !OWN.contains(&&*name.name));
        missing.extend(without.map(|name| format!("{} of {}", name.name, component.id)));
    }
    none(&missing, "each has a value", "set NEXUS_VARIABLE_<NAME>, or `nexus config set`")
}

fn outbound(manifest: &Manifest) -> Finding {
    let mut odd = Vec::new();
    for component in &manifest.components {
        for host in &component.allowed_outbound_hosts {
            let has_scheme = host.split_once("://").is_some_and(|(scheme, rest)| {
                !scheme.is_empty() && !rest.is_empty() && !rest.contains('/')
            });
            if !has_scheme && !host.contains("{{") {
                odd.push(format!("{host} of {}", component.id));
            }
        }
    }
    none(&odd, "each is scheme://host:port", "write scheme://host:port, without a path")
}

/// Calls of components to one another need the other one.
fn callees(manifest: &Manifest) -> Finding {
    let known: BTreeSet<&str> = manifest.components.iter().map(|c| c.id.as_str()).collect();
    let mut unknown = Vec::new();
    for component in &manifest.components {
        for host in &component.allowed_outbound_hosts {
            let name = host.strip_prefix("http://").and_then(|h| h.strip_suffix(".spin.internal"));
            if let Some(name) = name.filter(|name| *name != "*" && !known.contains(name)) {
                unknown.push(format!("{} calls {name}", component.id));
            }
        }
    }
    let well = "every component that one calls is there";
    match none(&unknown, well, "load it, too, or expect these calls to fail") {
        Finding { outcome: super::Outcome::Fail, found, todo } => Finding::warn(found, todo),
        found => found,
    }
}

fn subscriptions(manifest: &Manifest) -> Finding {
    let mut odd = Vec::new();
    let mut count = 0;
    for component in &manifest.components {
        for subscription in &component.subscribe {
            count += 1;
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-*".contains(c);
            let topic = &subscription.topic;
            let known = matches!(&*subscription.from, "now" | "earliest");
            if topic.is_empty() || !topic.chars().all(fits) || !known {
                odd.push(format!("{topic} from {} of {}", subscription.from, component.id));
            }
        }
    }
    none(
        &odd,
        format!("{count} topics"),
        "a topic is like media.upload.completed.v1, from now or earliest",
    )
}

fn schedules(manifest: &Manifest) -> Finding {
    let mut odd = Vec::new();
    let mut count = 0;
    for component in &manifest.components {
        for cron in &component.cron {
            count += 1;
            let options = Options::default();
            if let Err(error) = Calendar::parse(&cron.schedule, &cron.zone, &options) {
                odd.push(format!("{}/{}: {error}", component.id, cron.name));
            }
        }
    }
    none(&odd, format!("{count} schedules"), "correct the expression or the zone")
}

/// A component that has a schema has a folder; one without keeps nothing.
fn folders(ground: &Ground) -> Finding {
    let Ok(settings) = &ground.settings else {
        return Finding::skip("the manifest cannot be read");
    };
    let Some(folder) = &settings.migrations else {
        return Finding::skip("there is no folder of migrations");
    };
    let known: BTreeSet<&str> =
        settings.manifest.components.iter().map(|c| c.id.as_str()).collect();
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.path().is_dir());
    let folders: Vec<String> = folders.filter_map(|e| e.file_name().into_string().ok()).collect();
    let strangers: Vec<&String> = folders
        .iter()
        .filter(|name| name.as_str() != "platform" && !known.contains(name.as_str()))
        .collect();
    match strangers.len() {
        0 => Finding::ok(format!("{} folders", folders.len())),
        many => Finding::ok(format!(
            "{} folders, {many} of components that are left out",
            folders.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome::{Fail, Ok, Skipped, Warn};
    use super::*;
    use std::path::Path;
    use std::sync::Arc;

    const SOUND: &str = r#"
spin_manifest_version = 2
[application]
name = "suite"
[variables]
greeting = { default = "hello" }
api_key = { required = true, secret = true }
[[trigger.http]]
route = "/api/catalog/..."
component = "catalog"
[component.catalog]
source = "catalog.wasm"
variables = { key = "{{ api_key }}", title = "{{ greeting }}" }
allowed_outbound_hosts = ["http://orders.spin.internal", "https://*:443"]
[component.catalog.tool.nexus]
subscribe = ["commerce.product.created.v1"]
cron = [{ name = "purge", schedule = "15 3 * * *", zone = "Europe/Berlin" }]
[component.orders]
source = "orders.wasm"
"#;

    fn ground(folder: &Path, text: &str) -> Ground {
        let mut ground = Ground::bare(folder);
        let manifest = Manifest::parse(text, &folder.join("spin.toml")).unwrap();
        ground.settings.as_mut().unwrap().manifest = Arc::new(manifest);
        ground
    }

    fn outcome(
        folder: &Path,
        replaced: &str,
        by: &str,
        judge: fn(&Manifest) -> Finding,
    ) -> super::super::Outcome {
        assert!(SOUND.contains(replaced));
        let ground = ground(folder, &SOUND.replacen(replaced, by, 1));
        with(&ground, judge).outcome
    }

    #[tokio::test]
    async fn a_sound_manifest_is_well_but_for_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let mut ground = ground(folder.path(), SOUND);
        let at = async |ground: &Ground, name: &str| {
            let check = CHECKS.iter().find(|check| check.name == name).unwrap();
            check.run(ground).await.outcome
        };
        assert_eq!(at(&ground, "components built").await, Fail);
        for name in ["catalog.wasm", "orders.wasm"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(at(&ground, "variables set").await, Fail);
        ground.environment = vec![("NEXUS_VARIABLE_API_KEY".into(), "s3cret".into())];
        for check in CHECKS {
            let found = check.run(&ground).await;
            assert!(matches!(found.outcome, Ok | Skipped), "{}: {found:?}", check.name);
        }
        ground.settings = Err("there is no spin.toml here".into());
        assert_eq!(at(&ground, "readable").await, Fail);
    }

    #[test]
    fn each_line_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |replaced, by, judge| outcome(folder.path(), replaced, by, judge);
        assert_eq!(at("{{ greeting }}", "{{ typo }}", declared), Fail);
        assert_eq!(at("https://*:443", "example.com/path", outbound), Fail);
        assert_eq!(at("http://orders.spin", "http://ordres.spin", callees), Warn);
        assert_eq!(at("commerce.product.created.v1", "Commerce Product", subscriptions), Fail);
        assert_eq!(at("15 3 * * *", "61 3 * * *", schedules), Fail);
        assert_eq!(at("Europe/Berlin", "Europe/Berlyn", schedules), Fail);
        let twice = "[[trigger.http]]\nroute = \"/api/catalog/...\"\ncomponent = \"orders\"\n\
                     [component.orders]";
        assert_eq!(at("[component.orders]", twice, routes), Fail);
        let long = format!("[component.{}]", "x".repeat(80));
        assert_eq!(at("[component.orders]", &long, names), Fail);
    }
}
