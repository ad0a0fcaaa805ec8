//! The chart, rendered by helm's own library: what comes out keeps to the rules of a guarded
//! cluster, hangs together, and asks the real database the real question. Refuses to imitate a
//! cluster: what Kubernetes and KEDA do with it is not seen here.

use super::{claim_known, documents, folder, host_variables, text, words, worker_variables, yaml};
use crate::tools::{claim_success, python, scripts};
use nexus_harness::prelude::*;
use nexus_harness::{TestDatabase, forward, repository};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};

const EXAMPLES: [&str; 2] = ["small.yaml", "gpu.yaml"];

fn example(name: &str) -> Value {
    yaml(&folder("helm/examples").join(name))
}

fn helm(values: &Value) -> Output {
    let chart = folder("helm/nexus");
    let mut python = python();
    python.arg(scripts().join("chart.py")).arg(chart).arg(values.to_string());
    python.output().expect("python runs")
}

/// Every object that the chart makes of these values.
fn rendered(values: &Value) -> Vec<Value> {
    let output = helm(values);
    claim_success(&output, "helm");
    let files: std::collections::BTreeMap<String, String> =
        serde_json::from_slice(&output.stdout).unwrap();
    let templates = files.iter().filter(|(name, _)| name.ends_with(".yaml"));
    let all = templates.flat_map(|(name, text)| documents(text, name));
    all.filter(|object| !object.is_null()).collect()
}

fn word<'a>(value: &'a Value, pointer: &str) -> &'a str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

fn of<'a>(all: &'a [Value], kind: &str) -> Vec<&'a Value> {
    all.iter().filter(|object| object["kind"] == kind).collect()
}

/// The template of an object's pods, if it makes some.
fn pods(object: &Value) -> Option<&Value> {
    let places =
        ["/spec/template", "/spec/jobTargetRef/template", "/spec/jobTemplate/spec/template"];
    places.into_iter().find_map(|place| object.pointer(place))
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

#[test]
fn every_pod_of_the_chart_is_guarded_and_its_variables_are_read() {
    let (host, worker) = (host_variables(), worker_variables());
    for name in EXAMPLES {
        let all = rendered(&example(name));
        assert!(of(&all, "Secret").is_empty(), "{name}: a secret was rendered");
        let templates: Vec<_> = all.iter().filter_map(pods).collect();
        assert!(templates.len() >= 2, "{name}");
        for pod in templates {
            let spec = &pod["spec"];
            assert_eq!(spec["automountServiceAccountToken"], false);
            assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
            assert_eq!(word(spec, "/securityContext/seccompProfile/type"), "RuntimeDefault");
            let volumes: BTreeSet<&str> =
                list(spec, "/volumes").map(|volume| word(volume, "/name")).collect();
            for container in list(spec, "/containers") {
                let guard = &container["securityContext"];
                assert_eq!(guard["readOnlyRootFilesystem"], true);
                assert_eq!(guard["allowPrivilegeEscalation"], false);
                assert_eq!(words(&guard["capabilities"]["drop"]), ["ALL"]);
                word(container, "/resources/limits/memory");
                word(container, "/resources/requests/cpu");
                let mounts = list(container, "/volumeMounts").map(|mount| word(mount, "/name"));
                assert_eq!(mounts.collect::<BTreeSet<_>>(), volumes, "{name}");
                let known = if container["name"] == "media" { &worker } else { &host };
                let given = list(container, "/env").map(|variable| word(variable, "/name"));
                claim_known(given, known, name);
                for variable in list(container, "/env") {
                    let secret = variable.get("value").is_none();
                    let named = ["_TOKEN", "_URL", "_KEY", "_KEY_ID"];
                    let name = word(variable, "/name");
                    let looks = named.iter().any(|end| name.ends_with(end));
                    assert_eq!(secret, looks && name != "NEXUS_PUBLIC_URL", "{name}");
                }
            }
        }
    }
}

#[test]
fn what_the_chart_makes_hangs_together() {
    for name in EXAMPLES {
        let values = example(name);
        let all = rendered(&values);
        let named = |kind: &str| -> BTreeSet<&str> {
            of(&all, kind).into_iter().map(|object| word(object, "/metadata/name")).collect()
        };
        for object in all.iter().filter(|object| pods(object).is_some()) {
            let labels = &pods(object).unwrap()["metadata"]["labels"];
            for (label, value) in
                object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten()
            {
                assert_eq!(&labels[label], value, "{name}: a selector that finds nothing");
            }
        }
        for object in
            of(&all, "HorizontalPodAutoscaler").into_iter().chain(of(&all, "ScaledObject"))
        {
            let target = word(object, "/spec/scaleTargetRef/name");
            assert!(named("Deployment").contains(target), "{name}: {target}");
            let scaled = of(&all, "Deployment");
            let scaled = scaled.iter().find(|has| word(has, "/metadata/name") == target).unwrap();
            assert!(scaled["spec"].get("replicas").is_none(), "{target} is scaled by two");
        }
        for object in of(&all, "ScaledObject").into_iter().chain(of(&all, "ScaledJob")) {
            for trigger in list(object, "/spec/triggers") {
                let by = word(trigger, "/authenticationRef/name");
                assert!(named("TriggerAuthentication").contains(by), "{name}: {by}");
            }
        }
        let backup = values.pointer("/backup/enabled") == Some(&json!(true));
        assert_eq!(named("CronJob").len(), usize::from(backup), "{name}");
        let mut reached = BTreeSet::from(["suite-host", "suite-media"]);
        reached.extend(backup.then_some("suite-backup"));
        assert_eq!(named("NetworkPolicy"), reached, "{name}");
        for object in of(&all, "NetworkPolicy") {
            let chosen = object["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
            let meant = |pod: &Value| {
                chosen.iter().all(|(label, value)| &pod["metadata"]["labels"][label] == value)
            };
            let policy = word(object, "/metadata/name");
            assert!(all.iter().filter_map(pods).any(meant), "{name}: {policy} is about nobody");
        }
        assert_eq!(named("PodDisruptionBudget"), BTreeSet::from(["suite-host"]));
        let scaled = values.pointer("/host/autoscaling/enabled") != Some(&json!(false));
        assert_eq!(named("HorizontalPodAutoscaler").len(), usize::from(scaled), "{name}");
        let ingress = values.pointer("/ingress/enabled") == Some(&json!(true));
        assert_eq!(named("Ingress").len(), usize::from(ingress), "{name}");
    }
}

#[test]
fn values_that_cannot_work_are_refused_before_anything_is_installed() {
    let pool = example("gpu.yaml")["pools"][1].clone();
    let with = |key: &str, value: Value| {
        let mut pool = pool.clone();
        pool[key] = value;
        json!([pool])
    };
    for (pointer, value) in [
        ("publicUrl", json!("")),
        ("publicUrl", json!("https://nexus.example/path")),
        ("objects", json!({ "bucket": "", "region": "us-east-1" })),
        ("surprise", json!(1)),
        ("host", json!({ "replicas": 0 })),
        ("pools", with("jobSeconds", json!(0))),
        ("pools", with("image", json!("host"))),
        ("keda", json!({ "enabled": false })),
        ("backup", json!({ "enabled": true, "claim": "" })),
        ("backup", json!({ "enabled": true, "claim": "backups", "schedule": "at night" })),
        ("backup", json!({ "enabled": true, "claim": "backups", "keepDaily": 0 })),
    ] {
        let mut values = example("gpu.yaml");
        values[pointer] = value;
        assert!(!helm(&values).status.success(), "accepted: {pointer} = {}", values[pointer]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chart_runs_each_night_makes_a_backup_that_can_be_verified() {
    let database = TestDatabase::create().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _way = forward(port, &database).await;
    let name = database.database().name();
    let url = format!("postgres://nexus@127.0.0.1:{port}/{name}?sslmode=disable");
    let all = rendered(&example("gpu.yaml"));
    let cron = of(&all, "CronJob")[0];
    let spec = &pods(cron).unwrap()["spec"];
    let container = list(spec, "/containers").next().unwrap();
    let place = tempfile::tempdir().unwrap();
    // Everything that the pod gets stands in a folder of the test instead.
    let at = |path: &str| place.path().join(path.trim_start_matches('/'));
    for mount in list(container, "/volumeMounts") {
        std::fs::create_dir_all(at(word(mount, "/mountPath"))).unwrap();
    }
    let keys = list(spec, "/volumes").find(|volume| volume["name"] == "keys").unwrap();
    for key in list(keys, "/secret/items") {
        let file = at("/run/nexus").join(word(key, "/path"));
        std::fs::write(file, format!("{}=\n", "A".repeat(43))).unwrap();
    }
    let manifest = place.path().join("spin.toml");
    let nothing = "spin_manifest_version = 2\n[application]\nname = \"t\"\nversion = \"0\"\n";
    std::fs::write(&manifest, nothing).unwrap();
    let program = || {
        let mut program = Command::new(repository().join(".nexus/bin/nexus"));
        program.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        program.env("NEXUS_HOME", at("/var/lib/nexus")).env("NEXUS_MANIFEST", &manifest);
        for variable in list(container, "/env") {
            let (name, value) = (word(variable, "/name"), variable["value"].as_str());
            match value {
                // Objects of this host are in a folder, not in a bucket.
                _ if name.starts_with("NEXUS_S3") || name.starts_with("AWS") => continue,
                Some(path) if path.starts_with('/') => program.env(name, at(path)),
                Some(value) => program.env(name, value),
                None => program.env(name, &url),
            };
        }
        program
    };
    let moved = |word: &str| if word.starts_with('/') { at(word) } else { PathBuf::from(word) };
    let args = words(&container["args"]).into_iter().map(moved);
    let made = program().args(args).arg("--json").output().unwrap();
    claim_success(&made, "nexus backup");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(made["tables"].as_u64().unwrap() > 50, "{made}");
    assert_eq!(made["pruned"]["backups"], json!([]));
    let verify = ["backup", "verify", "--from", made["to"].as_str().unwrap()];
    claim_success(&program().args(verify).output().unwrap(), "nexus backup verify");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_and_the_question_of_the_autoscaler_are_answered_by_a_real_host() {
    let nexus = Nexus::setup().services(&["email", "kms"]).start().await;
    let all = rendered(&example("gpu.yaml"));
    let hosts = all.iter().filter_map(pods).flat_map(|pod| list(pod, "/spec/containers"));
    let host = hosts.into_iter().find(|container| container["name"] == "host").unwrap();
    for probe in ["livenessProbe", "readinessProbe"] {
        nexus.anonymous().get(word(host, &format!("/{probe}/httpGet/path"))).await.ok();
    }
    let session = nexus.host().database().expect("the host has a database").host().await.unwrap();
    let scaled = of(&all, "ScaledObject").into_iter().chain(of(&all, "ScaledJob"));
    let queries: Vec<&str> = scaled
        .flat_map(|object| list(object, "/spec/triggers"))
        .map(|trigger| word(trigger, "/metadata/query"))
        .collect();
    assert_eq!(queries.len(), 2);
    assert_ne!(queries[0], queries[1], "two pools would answer to the same jobs");
    for query in queries {
        // KEDA reads one number.
        let rows = session.query(&format!("select ({query})::float8"), &[]).await.unwrap();
        assert!(rows[0].get::<_, f64>(0) >= 0.0);
    }
    // The role of the runbook may read the view, and needs nothing else for it.
    let runbook = text(&folder("docs/runbooks/deploy.md"));
    let grants = runbook.lines().filter(|line| line.starts_with("grant "));
    let role = format!("nx_autoscaler_{}", std::process::id());
    let grants: Vec<String> = grants.map(|line| line.replace("nexus_autoscaler", &role)).collect();
    assert_eq!(grants.len(), 2);
    session.batch(&format!("create role {role}; {}", grants.join(" "))).await.unwrap();
    let sql = "select has_table_privilege($1, 'platform.queue_demand', 'select') \
               and has_schema_privilege($1, 'platform', 'usage') \
               and not has_table_privilege($1, 'platform.queue_dead', 'select')";
    let rows = session.query(sql, &[&role.as_str()]).await.unwrap();
    let may = rows[0].get::<_, bool>(0);
    let revokes =
        grants.iter().map(|line| line.replace("grant", "revoke").replace(" to ", " from "));
    let revokes: String = revokes.collect();
    session.batch(&format!("{revokes} drop role {role}")).await.unwrap();
    assert!(may, "the grants of the runbook are not what the autoscaler needs");
}
