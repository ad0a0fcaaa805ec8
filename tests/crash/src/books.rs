//! The books: what must balance whatever was killed. Every line that comes back is a fault; none is
//! the only good answer. Reads the tables of `migrations/platform/0004_queue.sql` and
//! `0005_schedules.sql`, those of the probe, and the history that [`crate::ground`] keeps.

use crate::ground::may_ask_again;
use crate::journal::{SERVICE, TOPIC};
use crate::load::Tally;
use nexus_storage::{Database, Error, Param};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// How many faults of a kind are told; the first few say what is wrong.
const FAULTS_MAX: i64 = 10;

/// A server that was killed is waited for.
const BACK_MAX: Duration = Duration::from_secs(60);

/// Where every message of every queue is. One statement, one snapshot.
const HELD: &str = "
    select queue_id, position, 'ready' as state from platform.queue_ready
    union all select queue_id, position, 'deferred' from platform.queue_deferred
    union all select queue_id, position, 'leased' from platform.queue_lease
    union all select queue_id, position, 'done' from platform.queue_done
    union all select queue_id, position, 'dead' from platform.queue_dead";

/// Every (event, queue) that was published: facts for each subscription that covers them, and what
/// was put into one queue.
const PUBLISHED: &str = "
    select q.id as queue_id, e.position from platform.queue q
    join platform.event e on e.queue_id is null and platform.topic_matches(q.topic, e.topic)
    where q.kind = 'subscription'
    union all
    select e.queue_id, e.position from platform.event e where e.queue_id is not null";

/// Messages that are in no state, in two, or in one without having been published.
fn misplaced() -> String {
    format!(
        "with held as ({HELD}), published as ({PUBLISHED})
         select format('queue %s, message %s: %s', coalesce(p.queue_id, h.queue_id),
           coalesce(p.position, h.position),
           case when count(p.queue_id) = 0 then 'never published, and ' else '' end
             || coalesce(string_agg(h.state, ' and ' order by h.state), 'nowhere'))
         from published p full join held h
           on h.queue_id = p.queue_id and h.position = p.position
         group by coalesce(p.queue_id, h.queue_id), coalesce(p.position, h.position)
         having count(h.state) <> 1 or count(p.queue_id) = 0"
    )
}

/// A row without its event, or an event without its row.
const HALF_WRITTEN: &str = "
    select format('entry %s: %s', coalesce(n.id::text, e.subject),
      case when n.id is null then 'told and not written' else 'written and not told' end)
    from probe_journal.entry n
    full join (select subject from platform.event where topic = 'probe.entry.written.v1') e
      on e.subject = n.id::text
    where n.id is null or e.subject is null";

/// Entries that were not filed just once, or not heard of just once; those that are refused are
/// dead in the one subscription and heard in the other.
const MISFILED: &str = "
    select format('entry %s (%s): filed %s times, heard %s times, dead %s times',
      n.id, n.mood, f.times, h.times, d.times)
    from probe_journal.entry n
    cross join lateral (
      select count(*) as times from probe_journal.filed where entry_id = n.id) f
    cross join lateral (
      select count(*) as times from probe_journal.heard where entry_id = n.id) h
    cross join lateral (
      select count(*) as times from platform.queue_dead where subject = n.id::text) d
    where (f.times, h.times, d.times) is distinct from
      (case n.mood when 'refuse' then 0 else 1 end, 1,
       case n.mood when 'refuse' then 1 else 0 end)";

/// Leases of one message overlapped, were left by somebody who did not hold them, or a claim did
/// not raise the number by one.
const BROKEN_LEASES: &str = "
    select format('queue %s, message %s: %s with number %s after %s with number %s', queue_id,
      position, what, number, coalesce(before, 'nothing'), earlier)
    from (
      select h.*, lag(what) over w as before, lag(number) over w as earlier, lag(xid) over w as last
      from crash.history h window w as (partition by queue_id, position order by turn)
    ) h
    where case
      when what = 'left' then before is distinct from 'taken' or number <> earlier
      when before is null then number <> 1
      when before = 'left' then number <> earlier + 1 and not (number = earlier and xid = last)
      else true
    end";

/// Messages that were ended under another number than that of their last lease: by a stale one.
const ENDED_STALE: &str = "
    select format('queue %s, message %s: ended under number %s, last claimed under %s',
      e.queue_id, e.position, e.number, h.number)
    from (
      select queue_id, position, number from platform.queue_done where outcome = 'acked'
      union all select queue_id, position, number from platform.queue_dead
    ) e
    join (select queue_id, position, max(number) as number from crash.history
          where what = 'taken' group by queue_id, position) h
      on h.queue_id = e.queue_id and h.position = e.position
    where h.number <> e.number";

/// Seconds that a schedule of every second did not name just once, and runs that were not made
/// good.
const MISFIRED: &str = "
    with fired as (
      select r.schedule_id, r.scheduled_at, count(*) as runs, min(h.state) as state
      from platform.schedule_run r join platform.schedule_history h on h.id = r.id
      where r.trigger in ('schedule', 'catchup')
      group by r.schedule_id, r.scheduled_at
    ), named as (
      select b.schedule_id, s.at from (
        select schedule_id, min(scheduled_at) as first_at, max(scheduled_at) as last_at
        from fired group by schedule_id
      ) b cross join lateral generate_series(b.first_at, b.last_at, interval '1 second') s (at)
    )
    select format('%s: %s runs, %s, counted %s times', n.at, coalesce(f.runs, 0),
      coalesce(f.state, 'no state'), c.times)
    from named n
    left join fired f on f.schedule_id = n.schedule_id and f.scheduled_at = n.at
    cross join lateral (
      select count(*) as times from probe_journal.counted where nominal = n.at) c
    where coalesce(f.runs, 0) <> 1 or f.state is distinct from 'done' or c.times < 1
    union all
    select format('counted at %s, which no run names', c.nominal)
    from probe_journal.counted c
    where not exists (
      select from platform.schedule_run r where r.scheduled_at = c.nominal)";

/// One queue at this moment.
#[derive(Debug, Clone)]
pub struct Account {
    pub queue: String,
    pub published: i64,
    pub ready: i64,
    pub deferred: i64,
    pub leased: i64,
    pub done: i64,
    pub dead: i64,
}

impl Account {
    /// What is still on its way.
    pub fn waiting(&self) -> i64 {
        self.ready + self.deferred + self.leased
    }
}

/// Reads the books of one database.
pub struct Books<'a>(pub &'a Database);

impl Books<'_> {
    /// Every message is in exactly one state. True at any instant, whatever runs.
    ///
    /// # Errors
    ///
    /// What the server says, here and below.
    pub async fn misplaced(&self) -> Result<Vec<String>, Error> {
        self.faults(&misplaced(), &[]).await
    }

    /// A row is there if, and only if, its event is. True at any instant.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn half_written(&self) -> Result<Vec<String>, Error> {
        self.faults(HALF_WRITTEN, &[]).await
    }

    /// No two leases of a message overlap and no stale one has changed anything. True at any
    /// instant.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn broken_leases(&self) -> Result<Vec<String>, Error> {
        let mut faults = self.faults(BROKEN_LEASES, &[]).await?;
        faults.extend(self.faults(ENDED_STALE, &[]).await?);
        Ok(faults)
    }

    /// What was acknowledged and is not there. True at any instant.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn lost(&self, tally: &Tally) -> Result<Vec<String>, Error> {
        let sql = "select format('entry %s was acknowledged and is lost', a.id)
                   from unnest($1::uuid[]) a (id)
                   where not exists (select from probe_journal.entry n where n.id = a.id)";
        self.faults(sql, &[&tally.acknowledged]).await
    }

    /// Each entry was filed and heard once. True when nothing is waiting any more.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn misfiled(&self) -> Result<Vec<String>, Error> {
        self.faults(MISFILED, &[]).await
    }

    /// Each second between the first and the last run has one run, which was made good. True when
    /// nothing is waiting any more.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn misfired(&self) -> Result<Vec<String>, Error> {
        self.faults(MISFIRED, &[]).await
    }

    /// Every queue with what was published to it and where that is.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let sql = format!(
            "with held as ({HELD}), published as ({PUBLISHED})
             select q.service || ' ' || q.name,
               (select count(*) from published p where p.queue_id = q.id),
               count(*) filter (where h.state = 'ready'),
               count(*) filter (where h.state = 'deferred'),
               count(*) filter (where h.state = 'leased'),
               count(*) filter (where h.state = 'done'),
               count(*) filter (where h.state = 'dead')
             from platform.queue q left join held h on h.queue_id = q.id
             group by q.id order by q.id"
        );
        let rows = self.rows(&sql, &[]).await?;
        let account = |row: &nexus_storage::tokio_postgres::Row| {
            Ok(Account {
                queue: row.try_get(0)?,
                published: row.try_get(1)?,
                ready: row.try_get(2)?,
                deferred: row.try_get(3)?,
                leased: row.try_get(4)?,
                done: row.try_get(5)?,
                dead: row.try_get(6)?,
            })
        };
        rows.iter().map(account).collect()
    }

    /// Messages on their way, in all queues.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn waiting(&self) -> Result<i64, Error> {
        let sql = "select (select count(*) from platform.queue_ready)
                   + (select count(*) from platform.queue_deferred)
                   + (select count(*) from platform.queue_lease)";
        Ok(self.rows(sql, &[]).await?[0].try_get(0)?)
    }

    /// The probe's subscriptions that are there.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn subscriptions(&self) -> Result<i64, Error> {
        let sql = "select count(*) from platform.queue
                   where service = $1 and kind = 'subscription' and retired_at is null";
        Ok(self.rows(sql, &[&SERVICE]).await?[0].try_get(0)?)
    }

    /// How many leases ended because nobody had kept them, and how many claims there were.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn claims(&self) -> Result<(i64, i64), Error> {
        let sql = "select count(*) filter (where what = 'taken' and number > 1),
                   count(*) filter (where what = 'taken') from crash.history";
        let rows = self.rows(sql, &[]).await?;
        Ok((rows[0].try_get(0)?, rows[0].try_get(1)?))
    }

    /// Messages of the entries' own subscription that a worker holds.
    ///
    /// # Errors
    ///
    /// As [`Books::misplaced`].
    pub async fn held_by(&self, worker: &str) -> Result<Vec<(i32, i64, i32)>, Error> {
        let sql = "select l.queue_id, l.position, l.number from platform.queue_lease l
                   join platform.queue q on q.id = l.queue_id
                   where q.name = $1 and l.worker like '%' || $2 || '%'";
        let rows = self.rows(sql, &[&TOPIC, &worker]).await?;
        let held = |row: &nexus_storage::tokio_postgres::Row| {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        };
        rows.iter().map(held).collect()
    }

    async fn faults(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<String>, Error> {
        let rows = self.rows(&format!("{sql} limit {FAULTS_MAX}"), params).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Asks again while the server, or only this session of it, is killed.
    async fn rows(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<nexus_storage::tokio_postgres::Row>, Error> {
        let end = Instant::now() + BACK_MAX;
        loop {
            let asked = async { self.0.host().await?.query(sql, params).await };
            match asked.await {
                Err(error) if may_ask_again(&error) && Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    }
}

/// The accounts as a table for people.
pub fn table(accounts: &[Account]) -> String {
    let mut text = String::new();
    for it in accounts {
        let _written = writeln!(
            text,
            "  {:<40} published {:>6}: ready {}, deferred {}, leased {}, done {}, dead {}",
            it.queue, it.published, it.ready, it.deferred, it.leased, it.done, it.dead
        );
    }
    text
}
