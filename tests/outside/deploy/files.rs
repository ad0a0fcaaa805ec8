//! Units, images, compose file and proxy: every variable is read by the program it is given to,
//! every file that is copied is staged, nothing runs as root or carries a secret.

use super::{
    claim, claim_known, files_of, folder, found, host_variables, text, words, worker_variables,
    yaml,
};
use nexus::config::CommandLine;
use nexus_harness::repository;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// `NAME` of lines such as `NAME=value`.
fn set_in(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split_once('=')?.0)).collect()
}

/// The values of one key of a unit, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    unit.lines().filter_map(value).collect()
}

#[test]
fn units_set_what_the_programs_read_and_call_them_as_they_are_called() {
    let (host, worker) = (host_variables(), worker_variables());
    for (example, known) in [
        ("host.env.example", &host),
        ("credentials.env.example", &host),
        ("media.env.example", &worker),
    ] {
        claim_known(set_in(&text(&folder("systemd").join(example))), known, example);
    }
    for file in files_of(&folder("systemd"), ".service") {
        let unit = text(&file);
        let of = file.display().to_string();
        let starts = values(&unit, "ExecStart");
        let call =
            starts[0].split_once("/opt/nexus/bin/").expect("programs are in /opt/nexus/bin").1;
        let call = call.trim_end_matches('\'').replace("$(date +%%F)", "2027-01-31");
        let call: Vec<&str> = call.split(' ').collect();
        let known = if call[0] == "nexus" { &host } else { &worker };
        if call[0] == "nexus" {
            CommandLine::read_from(&call).unwrap_or_else(|error| panic!("{of}: {error:#}"));
        } else {
            assert_eq!(call, ["nx-media", "run"]);
        }
        claim_known(set_in(&values(&unit, "Environment").join("\n")), known, &of);
        let user = values(&unit, "User");
        assert!(matches!(user[..], ["nexus" | "nexus-media"]), "{of}: {user:?}");
        for hard in ["NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"] {
            assert!(unit.contains(hard), "{of} has no {hard}");
        }
    }
}

#[test]
fn systemd_takes_the_units_and_finds_them_little_exposed() {
    if found("systemd-analyze").is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    for file in files_of(&folder("systemd"), ".service") {
        // What the units start is not installed here; all else is as it ships.
        let unit = text(&file).replace("=/opt/nexus/bin/nexus ", "=/bin/true ");
        let unit = unit.replace("=/opt/nexus/bin/nx-media ", "=/bin/true ");
        let name = file.file_name().unwrap().to_string_lossy().replace("@.", "@1.");
        let copy = place.path().join(name);
        std::fs::write(&copy, unit).unwrap();
        let mut tool = found("systemd-analyze").unwrap();
        // In tenths: 2.5 of 10, where 10 is a unit without any protection.
        let limit = ["security", "--no-pager", "--offline=true", "--threshold=25"];
        claim(tool.args(limit).arg(&copy));
        let checked = found("systemd-analyze").unwrap().arg("verify").arg(&copy).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        let name = copy.file_name().unwrap().to_string_lossy().into_owned();
        let about_it: Vec<&str> = said.lines().filter(|line| line.contains(&name)).collect();
        assert!(about_it.is_empty(), "{about_it:?}");
    }
}

/// The instructions of a Containerfile, each on one line.
fn instructions(file: &Path) -> Vec<(String, String)> {
    let text = text(file).lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n");
    let joined = text.replace("\\\n", " ");
    let split = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.trim().to_owned()));
    joined.lines().filter(|line| !line.is_empty()).map(|line| split(line).unwrap()).collect()
}

fn of<'a>(all: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    all.iter().filter(|(has, _)| has == name).map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn images_hold_what_a_build_stages_run_as_nobody_and_keep_no_secret() {
    let (host, mut worker) = (host_variables(), worker_variables());
    // What NVIDIA's container toolkit reads.
    worker.extend(["NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"].map(str::to_owned));
    for file in files_of(&folder("images"), ".Containerfile") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let all = instructions(&file);
        let from = of(&all, "FROM");
        assert!(from.len() == 1 && from[0].contains(':') && !from[0].contains("latest"), "{name}");
        assert!(of(&all, "ADD").is_empty(), "{name} fetches something");
        let mut allowed = BTreeSet::new();
        let mut copied = Vec::new();
        for copy in of(&all, "COPY") {
            let (source, target) = copy.split_once(' ').unwrap();
            assert!(repository().join(source).exists(), "{name}: {source} is not staged");
            allowed.insert(format!("!{source}"));
            copied.push(target.to_owned());
        }
        let ignore = text(&folder("images").join(format!("{name}.dockerignore")));
        let let_in: BTreeSet<_> = ignore.lines().filter(|line| line.starts_with('!')).collect();
        assert!(ignore.lines().any(|line| line == "*"), "{name} is sent everything");
        let allowed: BTreeSet<_> = allowed.iter().map(String::as_str).collect();
        assert_eq!(let_in, allowed, "{name}");
        let user = of(&all, "USER");
        assert!(user.len() == 1 && user[0].starts_with("100") && user[0].contains(':'), "{name}");
        let entry: Vec<String> = serde_json::from_str(of(&all, "ENTRYPOINT")[0]).unwrap();
        assert!(copied.contains(&entry[0]), "{name}: {entry:?}");
        let is_worker = name.starts_with("media");
        let known = if is_worker { &worker } else { &host };
        for line in of(&all, "ENV") {
            let names: Vec<_> =
                line.split_whitespace().filter_map(|w| Some(w.split_once('=')?.0)).collect();
            for secret in ["_TOKEN", "_SECRET", "PASSWORD", "ROOT_KEY", "DATABASE_URL"] {
                assert!(!names.iter().any(|name| name.ends_with(secret)), "{name}: {secret}");
            }
            claim_known(names.iter().copied(), known, &name);
        }
    }
}

#[test]
fn the_compose_file_names_what_is_there() {
    let file = folder("compose/compose.yml");
    let all = yaml(&file);
    let services = all["services"].as_object().unwrap();
    let has = |list: &str, name: &str| all[list].get(name).is_some();
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        assert!(!image.contains("latest"), "{name}: {image}");
        let after: Vec<&str> = match &service["depends_on"] {
            Value::Object(map) => map.keys().map(String::as_str).collect(),
            list => words(list),
        };
        assert!(after.iter().all(|other| services.contains_key(*other)), "{name}: {after:?}");
        for volume in words(&service["volumes"]) {
            assert!(has("volumes", volume.split(':').next().unwrap()), "{name}: {volume}");
        }
        assert!(words(&service["secrets"]).iter().all(|secret| has("secrets", secret)), "{name}");
        if let Some(build) = service["build"]["dockerfile"].as_str() {
            assert!(repository().join(build).is_file(), "{build}");
        }
    }
    for (name, known) in [("host", host_variables()), ("media", worker_variables())] {
        let given = services[name]["environment"].as_object().unwrap();
        claim_known(given.keys().map(String::as_str), &known, name);
        assert_eq!(services[name]["read_only"], true, "{name}");
        assert_eq!(words(&services[name]["cap_drop"]), ["ALL"], "{name}");
    }
    // Whatever has no default stands in the example of the settings.
    let compose = text(&file);
    let example = text(&folder("compose/env.example"));
    let example: BTreeSet<_> = set_in(&example).into_iter().collect();
    for variable in compose.split("${").skip(1).filter_map(|rest| rest.split('}').next()) {
        let name = variable.split([':', '-']).next().unwrap();
        assert!(variable.contains(":-") || example.contains(name), "{name} is not in env.example");
    }
}

#[test]
fn nginx_takes_its_settings() {
    let Some(mut nginx) = found("nginx") else { return };
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let certificate = rcgen::generate_simple_self_signed(["nexus.example".to_owned()]).unwrap();
    std::fs::write(at("nexus.example.crt"), certificate.cert.pem()).unwrap();
    std::fs::write(at("nexus.example.key"), certificate.signing_key.serialize_pem()).unwrap();
    let site = text(&folder("nginx/nexus.conf"));
    let site = site.replace("/etc/nginx/tls", &place.path().display().to_string());
    std::fs::write(at("site.conf"), site).unwrap();
    let place = place.path().display();
    let whole = format!(
        "pid {place}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         client_body_temp_path {place};\nproxy_temp_path {place};\nfastcgi_temp_path {place};\n\
         uwsgi_temp_path {place};\nscgi_temp_path {place};\ninclude {place}/site.conf;\n}}\n"
    );
    std::fs::write(at("nginx.conf"), whole).unwrap();
    claim(nginx.arg("-t").arg("-c").arg(at("nginx.conf")));
}
