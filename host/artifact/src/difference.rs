//! What changes between two versions of a component that an operator should know before one takes
//! the other's place: for people as lines of `+`, `-` and `~`, for programs as JSON. Refuses to
//! say whether a change is good.

use crate::grants::Grants;
use crate::interface::Interface;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What one version asks for and does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    pub interface: Interface,
    pub grants: Grants,
    /// Names of its migrations.
    pub migrations: Vec<String>,
}

/// What is different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Added,
    Removed,
    Changed,
}

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub change: Kind,
    pub name: String,
    /// What it was; none where the name says all.
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Everything that differs, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Changes {
    pub imports: Vec<Change>,
    pub exports: Vec<Change>,
    /// Outbound hosts, stores, buckets, variables and environment.
    pub grants: Vec<Change>,
    pub routes: Vec<Change>,
    pub limits: Vec<Change>,
    pub subscriptions: Vec<Change>,
    pub schedules: Vec<Change>,
    pub migrations: Vec<Change>,
}

/// What changes when `new` takes the place of `old`; everything is added where there is no `old`.
pub fn diff(old: Option<&Description>, new: &Description) -> Changes {
    let nothing = Description::default();
    let old = old.unwrap_or(&nothing);
    let (before, after) = (&old.grants, &new.grants);
    let mut grants = Vec::new();
    let lists = [
        ("outbound", &before.outbound_hosts, &after.outbound_hosts),
        ("store", &before.key_value_stores, &after.key_value_stores),
        ("bucket", &before.buckets, &after.buckets),
    ];
    for (word, before, after) in lists {
        grants.extend(named(word, of_lists(before, after)));
    }
    let maps = [
        ("variable", &before.variables, &after.variables),
        ("environment", &before.environment, &after.environment),
        ("declares", &before.declared, &after.declared),
    ];
    for (word, before, after) in maps {
        grants.extend(named(word, of_maps(before, after)));
    }
    Changes {
        imports: of_lists(&old.interface.imports, &new.interface.imports),
        exports: of_lists(&old.interface.exports, &new.interface.exports),
        grants,
        routes: of_lists(&before.routes, &after.routes),
        limits: of_maps(&before.limits, &after.limits),
        subscriptions: of_maps(&before.subscriptions, &after.subscriptions),
        schedules: of_maps(&before.schedules, &after.schedules),
        migrations: of_lists(&old.migrations, &new.migrations),
    }
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.areas().iter().all(|(_, changes)| changes.is_empty())
    }

    fn areas(&self) -> [(&'static str, &[Change]); 8] {
        [
            ("imports", &self.imports),
            ("exports", &self.exports),
            ("grants", &self.grants),
            ("routes", &self.routes),
            ("limits", &self.limits),
            ("subscriptions", &self.subscriptions),
            ("schedules", &self.schedules),
            ("migrations", &self.migrations),
        ]
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "nothing but the code differs");
        }
        for (area, changes) in self.areas() {
            if !changes.is_empty() {
                writeln!(f, "{area}")?;
            }
            for change in changes {
                writeln!(f, "  {change}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.change {
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::Changed => '~',
        };
        write!(f, "{sign} {}", self.name)?;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, ": {from} → {to}"),
            (Some(it), None) | (None, Some(it)) if !it.is_empty() => write!(f, ": {it}"),
            _ => Ok(()),
        }
    }
}

fn named(word: &'static str, changes: Vec<Change>) -> impl Iterator<Item = Change> {
    let name = move |change: Change| Change { name: format!("{word} {}", change.name), ..change };
    changes.into_iter().map(name)
}

fn of_lists(before: &[String], after: &[String]) -> Vec<Change> {
    let (before, after): (BTreeSet<_>, BTreeSet<_>) =
        (before.iter().collect(), after.iter().collect());
    let plain =
        |change: Kind, name: &String| Change { change, name: name.clone(), from: None, to: None };
    let removed = before.difference(&after).map(|name| plain(Kind::Removed, name));
    removed.chain(after.difference(&before).map(|name| plain(Kind::Added, name))).collect()
}

fn of_maps(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let (from, to) = (before.get(name), after.get(name));
        let change = match (from, to) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            (Some(from), Some(to)) if from == to => return None,
            _ => Kind::Changed,
        };
        Some(Change { change, name: name.clone(), from: from.cloned(), to: to.cloned() })
    };
    names.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::tests::FRAGMENT;

    fn description(fragment: &str) -> Description {
        Description {
            interface: Interface {
                imports: vec!["spin:redis/redis@3.0.0".into()],
                exports: vec!["wasi:http/handler@0.3.0".into()],
            },
            grants: Grants::read(fragment, None).unwrap(),
            migrations: vec!["0001_product.sql".into()],
        }
    }

    #[test]
    fn a_version_differs_from_itself_in_nothing() {
        let one = description(FRAGMENT);
        let changes = diff(Some(&one), &one);
        assert!(changes.is_empty());
        assert_eq!(changes.to_string(), "nothing but the code differs\n");
    }

    #[test]
    fn people_read_what_comes_what_goes_and_what_changes() {
        let old = description(FRAGMENT);
        let text = FRAGMENT
            .replace("wall_ms = 5000", "wall_ms = 9000")
            .replace("\"https://{{ shop_host }}\", ", "\"*://*:*\", ")
            .replace("/api/catalog/...", "/api/catalog/v1/...")
            .replace("15 3 * * *", "15 4 * * *");
        let mut new = description(&text);
        new.migrations.push("0002_price.sql".into());
        new.interface.imports = vec!["spin:redis/redis@3.1.0".into()];
        let shown = diff(Some(&old), &new).to_string();
        let expected = "\
imports
  - spin:redis/redis@3.0.0
  + spin:redis/redis@3.1.0
grants
  - outbound https://{{ shop_host }}
  + outbound *://*:*
routes
  - /api/catalog/...
  + /api/catalog/v1/...
limits
  ~ wall_ms: 5000 → 9000
schedules
  ~ purge_archived: schedule = \"15 3 * * *\" → schedule = \"15 4 * * *\"
migrations
  + 0002_price.sql
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn everything_of_a_first_version_is_added() {
        let changes = diff(None, &description(FRAGMENT));
        for (area, changes) in changes.areas() {
            let added = changes.iter().all(|it| it.change == Kind::Added);
            assert!(added && !changes.is_empty(), "{area}: {changes:?}");
        }
        let json = serde_json::to_value(&changes).unwrap();
        assert_eq!(json["imports"][0]["change"], "added");
        assert_eq!(json["limits"][0]["name"], "isolation");
        assert_eq!(json["limits"][0]["to"], "fresh");
    }
}
