//! `nexus doctor`: whether this machine, these settings and this installation are well. Each check
//! looks at one real thing, says what it found, and what to do. Looks only: nothing is mended, and
//! what a check writes to try something it takes away again.
//!
//! One file for each area. A check has two halves, where that is possible: one that looks, and one
//! that judges what was seen, so that both outcomes can be shown in a test. What cannot be looked
//! at here is skipped, and says why.

mod certificates;
mod database;
mod der;
mod ground;
mod home;
mod installation;
mod keys;
mod machine;
mod manifest;
mod media;
mod network;
mod programs;
mod running;
mod sources;
mod stores;
mod work;

pub(crate) use ground::{Answers, Ground};

use futures::future::BoxFuture;
use serde::Serialize;
use std::time::Duration;

/// One check; whatever hangs is of no use.
const CHECK_MAX: Duration = Duration::from_secs(20);

/// How a check has ended, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It could not be looked at, or does not apply here.
    Skipped,
    Ok,
    Warn,
    Fail,
}

impl Outcome {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What a check has found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) outcome: Outcome,
    pub(crate) found: String,
    pub(crate) todo: String,
}

impl Finding {
    fn of(outcome: Outcome, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { outcome, found: found.into(), todo: todo.into() }
    }

    fn ok(found: impl Into<String>) -> Self {
        Self::of(Outcome::Ok, found, "")
    }

    fn warn(found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::of(Outcome::Warn, found, todo)
    }

    fn fail(found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::of(Outcome::Fail, found, todo)
    }

    fn skip(why: impl Into<String>) -> Self {
        Self::of(Outcome::Skipped, why, "")
    }
}

/// One thing to look at.
pub(crate) struct Check {
    pub(crate) area: &'static str,
    pub(crate) name: &'static str,
    look: Look,
}

#[derive(Clone, Copy)]
enum Look {
    Plain(fn(&Ground) -> Finding),
    Asking(for<'a> fn(&'a Ground) -> BoxFuture<'a, Finding>),
}

impl Check {
    const fn plain(area: &'static str, name: &'static str, look: fn(&Ground) -> Finding) -> Self {
        Self { area, name, look: Look::Plain(look) }
    }

    const fn asking(
        area: &'static str,
        name: &'static str,
        look: for<'a> fn(&'a Ground) -> BoxFuture<'a, Finding>,
    ) -> Self {
        Self { area, name, look: Look::Asking(look) }
    }

    async fn run(&self, ground: &Ground) -> Finding {
        let looking = async {
            match self.look {
                Look::Plain(look) => look(ground),
                Look::Asking(look) => look(ground).await,
            }
        };
        let late = |_| {
            let found = format!("no answer within {} s", CHECK_MAX.as_secs());
            Finding::fail(found, "find out what hangs")
        };
        tokio::time::timeout(CHECK_MAX, looking).await.unwrap_or_else(late)
    }
}

/// A line of the matrix.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) area: &'static str,
    pub(crate) check: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) found: String,
    #[serde(rename = "do")]
    pub(crate) todo: String,
}

/// What to look at before a start: the machine, the settings, what the host stands on.
pub(crate) fn before() -> impl Iterator<Item = &'static Check> {
    [
        machine::CHECKS,
        home::CHECKS,
        network::CHECKS,
        programs::CHECKS,
        database::CHECKS,
        stores::CHECKS,
        certificates::CHECKS,
        keys::CHECKS,
        sources::CHECKS,
        manifest::CHECKS,
        media::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// What to look at while a host runs.
pub(crate) fn while_running() -> impl Iterator<Item = &'static Check> {
    [running::CHECKS, installation::CHECKS, work::CHECKS].into_iter().flatten()
}

/// Looks at everything, one after the other.
pub(crate) async fn run(checks: impl Iterator<Item = &'static Check>, ground: &Ground) -> Vec<Row> {
    let mut rows = Vec::new();
    for check in checks {
        let Finding { outcome, found, todo } = check.run(ground).await;
        rows.push(Row { area: check.area, check: check.name, outcome, found, todo });
    }
    rows
}

/// The exit code: 0 all is well, 1 something is wrong, 2 something may become so.
pub(crate) fn exit_code(rows: &[Row]) -> u8 {
    match rows.iter().map(|row| row.outcome).max() {
        Some(Outcome::Fail) => 1,
        Some(Outcome::Warn) => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_are_fifty_checks_and_more_and_each_has_a_name_of_its_own() {
        let all: Vec<_> = before().chain(while_running()).collect();
        let names: HashSet<_> = all.iter().map(|check| (check.area, check.name)).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() >= 50, "{}", all.len());
        for check in all {
            assert!(!check.area.is_empty() && !check.name.is_empty());
        }
    }

    #[test]
    fn the_worst_finding_is_the_exit_code() {
        let row = |outcome| Row {
            area: "a",
            check: "b",
            outcome,
            found: String::new(),
            todo: String::new(),
        };
        let code = |outcomes: &[Outcome]| {
            exit_code(&outcomes.iter().copied().map(row).collect::<Vec<_>>())
        };
        assert_eq!(code(&[Outcome::Ok, Outcome::Skipped]), 0);
        assert_eq!(code(&[Outcome::Warn, Outcome::Ok]), 2);
        assert_eq!(code(&[Outcome::Warn, Outcome::Fail, Outcome::Ok]), 1);
        assert_eq!(code(&[]), 0);
    }

    #[tokio::test]
    async fn every_check_ends_on_a_machine_that_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let ground = Ground::bare(folder.path());
        let rows = run(before().chain(while_running()), &ground).await;
        let silent: Vec<_> = rows.iter().filter(|row| row.found.is_empty()).collect();
        assert!(silent.is_empty(), "{silent:?}");
        for row in &rows {
            let helpless = row.outcome >= Outcome::Warn && row.todo.is_empty();
            assert!(!helpless, "{} {} does not say what to do", row.area, row.check);
        }
    }
}
