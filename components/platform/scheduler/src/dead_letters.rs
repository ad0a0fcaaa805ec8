//! Dead letters: jobs and runs that are not tried any more, sent again or thrown away, by a filter
//! that has to say something.

use crate::jobs::{Attempt, Job, State, Summary};
use crate::{Operate, View, store};
use nexus_sdk::prelude::*;
use platform_contract::{JobId, QueueId, ScheduleId};
use std::collections::BTreeMap;

nexus_sdk::refusals! {
    FilterMissing = 422, "say which: ids, a queue, a schedule, a part of the reason, or all";
    FilterIds = 422, "a filter takes at most 1000 ids";
    RedriveRate = 422, "a rate takes more than 0 and at most 1000 a second"
}

/// Letters per request; what is left is told, and taken by the next.
const LETTERS_MAX: usize = 1000;

pub fn router() -> Router {
    Router::new()
        .route("/dead-letters", get(list))
        .route("/dead-letters/{id}", get(show))
        .route("/dead-letters/redrive", post(redrive))
        .route("/dead-letters/discard", post(discard))
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    queue_id: Option<QueueId>,
    schedule_id: Option<ScheduleId>,
}

/// Newest first.
async fn list(
    by: Allowed<View>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Summary>> {
    let filter = Filter { queue_id: search.queue_id, schedule_id: search.schedule_id, ..all() };
    store::jobs::dead_page(by.db(), &filter, &cursor).await
}

/// A dead letter with the history of its errors.
#[derive(Serialize, JsonSchema)]
struct Letter {
    #[serde(flatten)]
    job: Job,
    /// The last of them, newest first.
    attempts: Vec<Attempt>,
}

async fn show(by: Allowed<View>, Path(id): Path<JobId>) -> Result<Json<Letter>> {
    let job = store::jobs::find(by.db(), id).await?;
    if job.summary.state != State::Dead {
        return Err(standard::NotFound.into());
    }
    let attempts = store::jobs::last_attempts(by.db(), id).await?;
    Ok(Json(Letter { job, attempts }))
}

/// Which letters; all that is said must fit.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    pub ids: Option<Vec<JobId>>,
    pub queue_id: Option<QueueId>,
    pub schedule_id: Option<ScheduleId>,
    /// A part of the last reason.
    pub reason: Option<String>,
    /// Died before.
    pub before: Option<Time>,
    /// Died at or after.
    pub after: Option<Time>,
    /// Says aloud that nothing else needs to fit.
    pub all: bool,
}

fn all() -> Filter {
    Filter { all: true, ..Filter::default() }
}

impl Filter {
    fn check(&self) -> Result<(), Refusal> {
        if *self == Filter::default() {
            return Err(FilterMissing.at("filter"));
        }
        match &self.ids {
            Some(ids) if ids.len() > LETTERS_MAX => Err(FilterIds.at("filter/ids")),
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Redrive {
    filter: Filter,
    /// Only counts.
    #[serde(default)]
    dry_run: bool,
    /// Spreads them; all at once if absent.
    #[serde(default)]
    per_second: Option<f64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Discard {
    filter: Filter,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, JsonSchema)]
struct Counted {
    letters: usize,
    /// Whether there may be more: ask again.
    more: bool,
}

/// A dead letter and the platform's queue it lies in; none when its queue was removed.
#[derive(Deserialize)]
pub struct Found {
    pub id: JobId,
    pub platform_queue: Option<String>,
}

/// By queue, since each is the platform's to search.
fn by_queue(found: Vec<Found>) -> BTreeMap<String, Vec<JobId>> {
    let mut queues: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
    for letter in found {
        if let Some(queue) = letter.platform_queue {
            queues.entry(queue).or_default().push(letter.id);
        }
    }
    queues
}

/// Sends them again, with all attempts before them. Those of removed queues stay.
async fn redrive(by: Allowed<Operate>, Json(order): Json<Redrive>) -> Result<Json<Counted>> {
    order.filter.check()?;
    if order.per_second.is_some_and(|rate| !(rate > 0.0 && rate <= 1000.0)) {
        return Err(RedriveRate.at("per_second").into());
    }
    let found = store::jobs::dead(by.db(), &order.filter, LETTERS_MAX).await?;
    let more = found.len() == LETTERS_MAX;
    let queues = by_queue(found);
    let ids: Vec<JobId> = queues.values().flatten().copied().collect();
    if order.dry_run {
        return Ok(Json(Counted { letters: ids.len(), more }));
    }
    let send =
        |(queue, ids): (&String, &Vec<JobId>)| store::jobs::redrive(queue, ids, order.per_second);
    by.commit(queues.iter().map(send).collect::<Vec<_>>()).await?;
    // One that has died this moment may not lie among the platform's letters yet.
    let left = usize::try_from(store::jobs::count_dead(by.db(), &ids).await?).unwrap_or(0);
    Ok(Json(Counted { letters: ids.len().saturating_sub(left), more: more || left > 0 }))
}

/// Forgets them, with their attempts.
async fn discard(by: Allowed<Operate>, Json(order): Json<Discard>) -> Result<Json<Counted>> {
    order.filter.check()?;
    let found = store::jobs::dead(by.db(), &order.filter, LETTERS_MAX).await?;
    let (letters, more) = (found.len(), found.len() == LETTERS_MAX);
    if !order.dry_run {
        let ids: Vec<JobId> = found.iter().map(|letter| letter.id).collect();
        let mut writes = vec![store::jobs::forget_dead(&ids)];
        writes.extend(by_queue(found).iter().map(|(q, ids)| store::jobs::discard(q, ids)));
        by.commit(writes).await?;
    }
    Ok(Json(Counted { letters, more }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_says_nothing_is_refused() {
        assert_eq!(Filter::default().check().unwrap_err().name, "FilterMissing");
        assert_eq!(all().check(), Ok(()));
        assert_eq!(Filter { reason: Some("500".into()), ..Filter::default() }.check(), Ok(()));
        let ids = vec![Uuid::nil().into(); LETTERS_MAX + 1];
        let many = Filter { ids: Some(ids), ..Filter::default() };
        assert_eq!(many.check().unwrap_err().name, "FilterIds");
    }

    #[test]
    fn letters_are_sent_by_queue_and_those_of_removed_queues_stay() {
        let letter = |n, queue: Option<&str>| Found {
            id: Uuid::from_u128(n).into(),
            platform_queue: queue.map(Into::into),
        };
        let found = vec![letter(1, Some("a")), letter(2, None), letter(3, Some("a"))];
        let queues = by_queue(found);
        assert_eq!(queues.len(), 1);
        assert_eq!(queues["a"], [Uuid::from_u128(1).into(), Uuid::from_u128(3).into()]);
    }
}
