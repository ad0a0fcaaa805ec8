//! What a component imports against what its fragment grants and what the host provides: the same
//! judgement that a host makes when it activates a revision, before anything is compiled, and all
//! of it at once. Refuses to know values: a variable that is missing is found where it is read.

use crate::grants::Grants;
use crate::interface::{Interface, without_version};
use serde::Serialize;
use std::fmt;

/// Something that keeps a component from running here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub component: String,
    /// The import or the export that it is about.
    pub interface: String,
    pub reason: String,
    /// What to add to `[component.<name>]`; none where no line would help.
    pub line: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, interface, reason, line } = self;
        write!(f, "{component}: {interface} {reason}")?;
        match line {
            Some(line) => write!(f, ": add `{line}` to [component.{component}]"),
            None => Ok(()),
        }
    }
}

/// What has to be granted before an interface may be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    Store,
    Bucket,
    Redis,
}

/// What hosts of this version provide, by prefix: the capabilities' `INTERFACES`.
const PROVIDED: [(&str, Need); 13] = [
    ("nexus:blob/", Need::Bucket),
    // Held against the allowed hosts, as below.
    ("nexus:http/asking@", Need::Nothing),
    ("nexus:jobs/", Need::Nothing),
    ("nexus:password/", Need::Nothing),
    ("nexus:rsa/", Need::Nothing),
    ("nexus:schedules/", Need::Nothing),
    // Its own database is everybody's.
    ("nexus:sql/", Need::Nothing),
    ("spin:key-value/", Need::Store),
    ("spin:postgres/", Need::Nothing),
    ("spin:redis/", Need::Redis),
    ("spin:variables/", Need::Nothing),
    // Each call is held against the allowed hosts; without any, every call is refused.
    ("wasi:http/client@", Need::Nothing),
    ("wasi:http/outgoing-handler@", Need::Nothing),
];

/// The packages of WASI that the engine brings, in both versions.
const WASI: [&str; 7] = ["cli", "clocks", "filesystem", "http", "io", "random", "sockets"];

/// Everything that keeps a component from running with these grants; empty when nothing does.
pub fn check(interface: &Interface, grants: &Grants) -> Vec<Difference> {
    let differ = |interface: &str, reason: &str, line: Option<String>| Difference {
        component: grants.component.clone(),
        interface: interface.into(),
        reason: reason.into(),
        line,
    };
    let mut found = Vec::new();
    let mut told: Vec<Need> = Vec::new();
    for import in &interface.imports {
        let Some(need) = need_of(import) else {
            found.push(differ(import, "is imported, and no host of this version has it", None));
            continue;
        };
        let Some(line) = line_for(need, grants) else { continue };
        // One line allows every import of the same kind.
        if !told.contains(&need) {
            told.push(need);
            found.push(differ(import, "is imported without a grant", Some(line)));
        }
    }
    for line in grants.outbound_hosts.iter().filter(|line| !line.contains("://")) {
        let better = format!("allowed_outbound_hosts = [\"https://{line}\"]");
        found.push(differ("wasi:http/client", &format!("has no use for {line:?}"), Some(better)));
    }
    if !interface.exports("wasi:http/handler") && !interface.exports("wasi:http/incoming-handler") {
        let reason = "is not exported, and neither is wasi:http/incoming-handler@0.2";
        found.push(differ("wasi:http/handler@0.3", reason, None));
    }
    let triggers = [
        ("subscribe", grants.subscriptions.is_empty(), "nexus:triggers/messages"),
        ("cron", grants.schedules.is_empty(), "nexus:triggers/schedules"),
    ];
    for (key, empty, export) in triggers {
        if !empty && !interface.exports(export) {
            let reason = format!("is not exported, but the fragment has `{key}`");
            found.push(differ(export, &reason, None));
        }
    }
    found
}

/// None when nobody provides it.
fn need_of(import: &str) -> Option<Need> {
    let provided = PROVIDED.iter().find(|(prefix, _)| import.starts_with(prefix));
    if let Some((_, need)) = provided {
        return Some(*need);
    }
    let package = import.strip_prefix("wasi:").and_then(|it| it.split('/').next());
    let of_engine = package.is_some_and(|package| WASI.contains(&package));
    // Interfaces of types alone hold no function, and need nobody.
    let types = without_version(import).ends_with("types");
    (of_engine || types).then_some(Need::Nothing)
}

/// The line that is missing; none when what is needed is granted.
fn line_for(need: Need, grants: &Grants) -> Option<String> {
    let own = &grants.component;
    let to_redis = |host: &String| {
        let scheme = host.split("://").next().unwrap_or_default();
        matches!(scheme, "redis" | "rediss" | "*")
    };
    match need {
        Need::Nothing => None,
        Need::Store => {
            let line = || "key_value_stores = [\"default\"]".to_owned();
            grants.key_value_stores.is_empty().then(line)
        }
        Need::Bucket => {
            let line = || format!("tool.nexus.buckets = [\"{own}\"]");
            grants.buckets.is_empty().then(line)
        }
        Need::Redis => {
            let line = || "allowed_outbound_hosts = [\"redis://nexus.internal\"]".to_owned();
            (!grants.outbound_hosts.iter().any(to_redis)).then(line)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::tests::FRAGMENT;

    fn interface(imports: &[&str], exports: &[&str]) -> Interface {
        let owned = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
        Interface { imports: owned(imports), exports: owned(exports) }
    }

    const HTTP: &str = "wasi:http/handler@0.3.0";

    #[test]
    fn every_missing_grant_is_told_at_once_with_its_line() {
        let grants = Grants::read("[component.shop]\n", None).unwrap();
        let asks = [
            "nexus:blob/buckets@0.1.0",
            "nexus:blob/uploads@0.1.0",
            "spin:key-value/key-value@3.0.0",
            "spin:redis/redis@3.0.0",
            "spin:postgres/postgres@4.2.0",
            "wasi:cli/environment@0.2.3",
            "wasi:http/types@0.3.0",
        ];
        let lines: Vec<_> = check(&interface(&asks, &[HTTP]), &grants)
            .into_iter()
            .map(|it| it.line.unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                "tool.nexus.buckets = [\"shop\"]",
                "key_value_stores = [\"default\"]",
                "allowed_outbound_hosts = [\"redis://nexus.internal\"]",
            ]
        );
    }

    #[test]
    fn what_no_host_provides_is_refused_without_a_line() {
        let grants = Grants::read("[component.shop]\n", None).unwrap();
        let asks = interface(&["wasi:nn/inference@0.2.0", "acme:things/types@1.0.0"], &[HTTP]);
        let [only] = &check(&asks, &grants)[..] else { panic!("one of the two is no types") };
        assert_eq!(only.interface, "wasi:nn/inference@0.2.0");
        assert_eq!(only.line, None);
        assert!(only.to_string().starts_with("shop: wasi:nn/inference@0.2.0 is imported, and no"));
    }

    #[test]
    fn what_the_fragment_asks_of_the_component_is_checked_too() {
        let grants = Grants::read(FRAGMENT, None).unwrap();
        let whole = [HTTP, "nexus:triggers/messages@0.1.0", "nexus:triggers/schedules@0.1.0"];
        assert_eq!(check(&interface(&[], &whole), &grants), []);
        let told: Vec<_> =
            check(&interface(&[], &[]), &grants).into_iter().map(|it| it.interface).collect();
        let missing =
            ["wasi:http/handler@0.3", "nexus:triggers/messages", "nexus:triggers/schedules"];
        assert_eq!(told, missing);
    }
}
