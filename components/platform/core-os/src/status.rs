//! The status page's data: what runs now, what is wrong, and how available each service was.
//! The sweep observes; targets are those of the service level agreement (99.95 % core, 99.5 %
//! workers).

use crate::health::{self, State as Health};
use crate::incidents::{Impact, Incident};
use crate::registry::SERVICES;
use crate::store;
use nexus_sdk::prelude::*;
use platform_contract::{ServiceDown, ServiceUp};
use std::collections::BTreeMap;

pub fn router() -> Router {
    Router::new().route("/status", get(show))
}

/// Days that the page looks back.
const DAYS: i32 = 90;

/// Availability that is promised for everything but background work.
const TARGET_CORE_PPM: i64 = 999_500;

#[derive(Serialize, JsonSchema)]
struct Status {
    indicator: Indicator,
    /// Unresolved incidents, newest first.
    incidents: Vec<Incident>,
    /// Services that the sweep has seen.
    services: Vec<ServiceStatus>,
    target_ppm: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Indicator {
    Operational,
    Degraded,
    PartialOutage,
    MajorOutage,
}

#[derive(Serialize, JsonSchema)]
struct ServiceStatus {
    service: String,
    up: bool,
    reason: String,
    since: Time,
    checked_at: Time,
    /// Parts per million of checks passed in the last 90 days; absent before the first check.
    availability_ppm: Option<i64>,
}

#[derive(Deserialize)]
pub struct SweepRow {
    pub service: String,
    pub up: bool,
    pub reason: String,
    pub since: Time,
    pub checked_at: Time,
}

#[derive(Deserialize)]
pub struct DaysRow {
    pub service: String,
    pub checks: i64,
    pub up_checks: i64,
}

async fn show(anyone: Public) -> Result<Json<Status>> {
    let db = anyone.db();
    let incidents = store::unresolved_incidents(db).await?;
    let seen = store::service_states(db).await?;
    let since = (anyone.now() - days(DAYS)).date_naive();
    let counted = store::service_days(db, since).await?;
    let share: BTreeMap<&str, i64> = counted
        .iter()
        .filter_map(|row| Some((row.service.as_str(), availability_ppm(row)?)))
        .collect();
    let services: Vec<ServiceStatus> = seen
        .into_iter()
        .map(|row| ServiceStatus {
            availability_ppm: share.get(row.service.as_str()).copied(),
            service: row.service,
            up: row.up,
            reason: row.reason,
            since: row.since,
            checked_at: row.checked_at,
        })
        .collect();
    let down = services.iter().filter(|service| !service.up).count();
    let worst = incidents.iter().map(|incident| incident.impact).max();
    let indicator = indicator(down, services.len(), worst);
    Ok(Json(Status { indicator, incidents, services, target_ppm: TARGET_CORE_PPM }))
}

fn availability_ppm(row: &DaysRow) -> Option<i64> {
    (row.checks > 0).then(|| row.up_checks * 1_000_000 / row.checks)
}

/// The worse of what the sweep saw and what people said.
fn indicator(down: usize, all: usize, worst: Option<Impact>) -> Indicator {
    match (down, worst) {
        (_, Some(Impact::Critical)) => Indicator::MajorOutage,
        (down, _) if down > 0 && down * 2 >= all => Indicator::MajorOutage,
        (_, Some(Impact::Major)) => Indicator::PartialOutage,
        (1.., _) => Indicator::PartialOutage,
        (0, Some(Impact::Minor)) => Indicator::Degraded,
        (0, None) => Indicator::Operational,
    }
}

/// Asks every service how it is, counts the answer for the day, and tells of changes. What is not
/// deployed is not counted: nobody promised it here.
pub async fn sweep(system: System) -> Result<NoContent> {
    let installation: TenantId = INSTALLATION.into();
    let ctx = system.in_tenant(installation);
    let known: BTreeMap<String, bool> = store::service_states(ctx.db())
        .await?
        .into_iter()
        .map(|row: SweepRow| (row.service, row.up))
        .collect();
    let mut writes = Vec::new();
    for service in SERVICES {
        let part = health::ask(service.name).await;
        if part.state == Health::NotDeployed {
            continue;
        }
        let up = part.state == Health::Up;
        writes.push(store::observe(service.name, up, &part.reason, ctx.now()));
        writes.push(store::count_check(service.name, ctx.now().date_naive(), i64::from(up)));
        let was = known.get(service.name).copied();
        if was != Some(up) && (was.is_some() || !up) {
            let service = service.name.to_string();
            writes.push(match up {
                true => emit(ServiceUp { service }),
                false => emit(ServiceDown { service, reason: part.reason }),
            });
        }
    }
    ctx.commit(writes).await
}

/// The tenant that stands for the installation itself.
const INSTALLATION: Uuid = Uuid::from_u128(0x01890000_0000_7000_8000_000000000001);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_indicator_is_the_worse_of_what_was_seen_and_what_was_said() {
        for (down, all, worst, expected) in [
            (0, 10, None, Indicator::Operational),
            (0, 10, Some(Impact::Minor), Indicator::Degraded),
            (1, 10, None, Indicator::PartialOutage),
            (0, 10, Some(Impact::Major), Indicator::PartialOutage),
            (5, 10, None, Indicator::MajorOutage),
            (0, 10, Some(Impact::Critical), Indicator::MajorOutage),
            (0, 0, None, Indicator::Operational),
        ] {
            assert_eq!(indicator(down, all, worst), expected, "{down}/{all} {worst:?}");
        }
    }

    #[test]
    fn availability_is_in_parts_per_million_and_unknown_before_the_first_check() {
        let row = |checks, up_checks| DaysRow { service: "x".into(), checks, up_checks };
        assert_eq!(availability_ppm(&row(2880, 2879)), Some(999_652));
        assert_eq!(availability_ppm(&row(0, 0)), None);
    }
}
