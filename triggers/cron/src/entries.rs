//! From the manifest's `cron` to the schedules of the database. Refuses to know calendars: whether
//! an expression means something is found out when its next instant is computed.

use crate::backend::Entries;
use nexus_runtime::Cron;
use nexus_storage::Error;
use nexus_storage::schedules::{Catchup, Overlap, ScheduleSpec, Schedules};
use std::time::Duration;

/// Makes the cron entries of the active components those of the database. What one component has
/// wrong is logged and keeps its schedules as they were; the others get theirs.
///
/// # Errors
///
/// When the database is away: all of it must be done again.
pub(crate) async fn synchronise(schedules: &Schedules, all: &[Entries]) -> Result<(), Error> {
    for entries in all {
        let component = entries.component.as_str();
        let specs: Result<Vec<_>, _> = entries.cron.iter().map(spec).collect();
        let done = match specs {
            Ok(specs) => schedules.sync(component, &specs).await,
            Err(reason) => {
                tracing::error!(component, reason, "its cron entries are not in force");
                continue;
            }
        };
        match done {
            Err(error) if error.is_unavailable() => return Err(error),
            Err(error) => {
                tracing::error!(component, %error, "its cron entries are not in force");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn spec(line: &Cron) -> Result<ScheduleSpec, String> {
    let wrong = |key: &str, word: &str, words: &str| {
        format!("cron entry `{}`: {key} = \"{word}\" is none of {words}", line.name)
    };
    let overlap = Overlap::of(&line.overlap).ok_or_else(|| {
        wrong("overlap", &line.overlap, "skip, buffer_one, buffer_all, cancel_other, allow")
    })?;
    let catchup = Catchup::of(&line.catchup)
        .ok_or_else(|| wrong("catchup", &line.catchup, "none, latest, all"))?;
    Ok(ScheduleSpec {
        zone: line.zone.clone(),
        overlap,
        catchup,
        jitter: Duration::from_millis(line.jitter_ms),
        ..ScheduleSpec::new(&line.name, &line.schedule)
    })
}
