//! What operators look for: one queue's depth and pace, and dead letters of all queues by what they
//! say. Refuses to change anything.

use super::Queue;
use super::message::QueueId;
use super::operate::{DeadLetter, Depth, Filter, read_dead, read_depth};
use crate::error::Error;
use crate::session::Param;
use std::time::SystemTime;

/// Newest messages from which [`Pace::done_per_second`] is estimated.
const PACE_ROWS: i64 = 1_000;

/// Dead letters are counted so far: more of them are a flood however many there are.
const DEATHS_MAX: i64 = 10_000;

/// How fast a queue is worked off, over all hosts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    /// Over the last minute; an estimate from the 1000 newest messages that are done.
    pub done_per_second: f64,
    /// Messages that died within the last hour and are still dead; counted up to 10000.
    pub died_last_hour: u64,
}

/// Which dead letters, newest death first.
#[derive(Debug, Clone, Default)]
pub struct DeadFilter {
    pub service: Option<String>,
    /// The queue's name.
    pub queue: Option<String>,
    /// An empty one lets everything through.
    pub filter: Filter,
}

/// Where a page of dead letters ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadCursor {
    pub died_at: SystemTime,
    pub queue: QueueId,
    pub position: i64,
}

/// A dead letter and where it lies.
#[derive(Debug, Clone)]
pub struct DeadIn {
    pub service: String,
    pub queue: String,
    pub letter: DeadLetter,
}

impl Queue {
    /// The depth of one queue; counts every row of it.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn depth(&self, queue: QueueId) -> Result<Option<Depth>, Error> {
        let session = self.session().await?;
        let sql = "select * from platform.queue_demand where queue_id = $1";
        session.query(sql, &[&queue.0]).await?.first().map(read_depth).transpose()
    }

    /// How fast one queue is worked off; reads a bounded number of rows.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn pace(&self, queue: QueueId) -> Result<Pace, Error> {
        let session = self.session().await?;
        let sql = "with recent as ( \
                     select f.finished_at from platform.queue_done f \
                     where f.queue_id = $1 and f.outcome = 'acked' \
                     order by f.position desc limit $2 \
                   ), minute as ( \
                     select count(*) as messages, min(m.finished_at) as since from recent m \
                     where m.finished_at > now() - interval '1 minute' \
                   ) \
                   select m.messages / case when m.messages < $2 then 60.0 \
                     else greatest(extract(epoch from now() - m.since), 0.001) end::float8, \
                   (select count(*) from (select from platform.queue_dead d \
                     where d.queue_id = $1 and d.died_at > now() - interval '1 hour' limit $3) h) \
                   from minute m";
        let rows = session.query(sql, &[&queue.0, &PACE_ROWS, &DEATHS_MAX]).await?;
        Ok(Pace {
            done_per_second: rows[0].try_get(0)?,
            died_last_hour: rows[0].try_get::<_, i64>(1)?.cast_unsigned(),
        })
    }

    /// Dead letters of every queue, newest death first, at most `rows_max` after `after`. Their
    /// payloads are `null` unless asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Query`]; [`Error::TooLarge`] when the payloads together are.
    pub async fn dead(
        &self,
        wanted: &DeadFilter,
        after: Option<DeadCursor>,
        payloads: bool,
        rows_max: u32,
    ) -> Result<Vec<DeadIn>, Error> {
        let session = self.session().await?;
        let sql = "select q.service, q.name as queue, d.queue_id, d.position, d.id, d.topic, \
                     d.source, d.subject, d.tenant_id, d.trace, d.published_at, d.attempt, \
                     d.group_key::text, d.errors, d.reason, d.died_at as at, \
                     case when $8 then d.payload else 'null' end as payload \
                   from platform.queue_dead d join platform.queue q on q.id = d.queue_id \
                   where ($1::text is null or q.service = $1) \
                     and ($2::text is null or q.name = $2) \
                     and platform.queue_filter_passes( \
                       $3, d.id, d.topic, d.tenant_id, d.reason, d.died_at) \
                     and ($4::timestamptz is null \
                       or (d.died_at, d.queue_id, d.position) < ($4, $5, $6)) \
                   order by d.died_at desc, d.queue_id desc, d.position desc limit $7";
        let (died_at, queue) = (after.map(|a| a.died_at), after.map(|a| a.queue.0));
        let (position, filter) = (after.map(|a| a.position), wanted.filter.to_json());
        let rows_max = i64::from(rows_max);
        let params: [Param<'_>; 8] = [
            &wanted.service,
            &wanted.queue,
            &filter,
            &died_at,
            &queue,
            &position,
            &rows_max,
            &payloads,
        ];
        let rows = session.query(sql, &params).await?;
        let read = |row: &tokio_postgres::Row| {
            let id = QueueId(row.try_get("queue_id")?);
            let letter = read_dead(row, id)?;
            Ok(DeadIn { service: row.try_get("service")?, queue: row.try_get("queue")?, letter })
        };
        rows.iter().map(read).collect()
    }
}

impl DeadIn {
    /// The next page begins after this one.
    pub fn cursor(&self) -> DeadCursor {
        let DeadLetter { queue, position, died_at, .. } = self.letter;
        DeadCursor { died_at, queue, position }
    }
}
