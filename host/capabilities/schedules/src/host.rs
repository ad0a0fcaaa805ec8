//! The guest's side: `nexus:schedules/calendars` in terms of `nexus-calendar`.

use crate::{Schedules, answers};
use calendars::{Instant, Invalid};
use nexus_calendar::{Calendar, CalendarError, Gap, Options};
use nexus_runtime::{Has, View};
use std::time::{Duration, SystemTime};
use wasmtime::component::Accessor;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../../wit/nexus-schedules@0.1.0",
        world: "nexus:schedules/schedules",
    });
}

use bindings::nexus::schedules::calendars;
pub(crate) use calendars::add_to_linker;

impl calendars::Host for View<'_, Schedules> {}

impl<T: Send + 'static> calendars::HostWithStore<T> for Has<Schedules> {
    async fn preview(
        _accessor: &Accessor<T, Self>,
        expression: String,
        zone: String,
        options: calendars::Options,
        after: Instant,
        count: u32,
    ) -> Result<Vec<Instant>, Invalid> {
        let (options, after) = (options.into(), system(after));
        beside(move || {
            let found = answers::preview(&expression, &zone, &options, after, count)?;
            Ok(found.into_iter().map(millis).collect())
        })
        .await
    }

    async fn describe(
        _accessor: &Accessor<T, Self>,
        expression: String,
        zone: String,
        options: calendars::Options,
    ) -> Result<String, Invalid> {
        let options: Options = options.into();
        beside(move || Ok(Calendar::parse(&expression, &zone, &options)?.describe())).await
    }
}

/// On a thread beside the shard, which serves other requests meanwhile.
async fn beside<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, CalendarError> + Send + 'static,
) -> Result<R, Invalid> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Invalid::from),
        Err(_) => Err(Invalid { message: "the host is shutting down".into(), at: None }),
    }
}

fn system(instant: Instant) -> SystemTime {
    // Beyond the year 2200 nothing is due; this far the addition cannot overflow.
    SystemTime::UNIX_EPOCH + Duration::from_millis(instant.min(u64::from(u32::MAX) * 4_000))
}

fn millis(instant: SystemTime) -> Instant {
    let since = instant.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl From<calendars::Options> for Options {
    fn from(options: calendars::Options) -> Self {
        Self {
            gap: match options.gap {
                calendars::Gap::RunAfter => Gap::RunAfter,
                calendars::Gap::Skip => Gap::Skip,
            },
            starts_at: options.starts_at.map(system),
            ends_at: options.ends_at.map(system),
            anchor: options.anchor_at.map(system),
        }
    }
}

impl From<CalendarError> for Invalid {
    fn from(error: CalendarError) -> Self {
        let at = match &error {
            CalendarError::Expression { at, .. } => u32::try_from(*at).ok(),
            _ => None,
        };
        Self { message: error.to_string(), at }
    }
}
