//! Claiming, holding and ending leases. Refuses to know what is done meanwhile: no transaction is
//! open while work runs.

use super::frontier::{LOOK_THROUGH, LOOK_THROUGH_IDLE, Reached};
use super::message::{Ended, Lease, Leased, Message, Outcome, QueueId};
use super::settings::{COLUMNS, Registered, registered};
use super::{Queue, may_try_again, millis};
use crate::error::Error;
use crate::session::{Param, Session};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Row;

/// How often a statement is tried that met a lease on its way from one slot to another.
const TRIES_MAX: usize = 5;

/// How much may be claimed from one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub queue: QueueId,
    pub most: u32,
    /// The queue has groups or a bound over all hosts ([`Registered::takes_turns`]).
    pub in_turn: bool,
}

/// What a holder is ready to take.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    pub queues: Vec<Claim>,
    /// Who will hold the leases; kept with errors.
    pub worker: Arc<str>,
    /// None is each queue's own.
    pub lease: Option<Duration>,
}

/// Leases of one queue that had lapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    pub queue: QueueId,
    pub expired: u64,
    /// Those of them that had no attempt left.
    pub dead: u64,
}

impl Registered {
    /// Whether claims of this queue take turns: it has groups, or a bound over all hosts.
    pub fn takes_turns(&self) -> bool {
        self.settings.grouped || self.settings.concurrency_max.is_some()
    }

    /// A claim of at most so many messages of this queue.
    pub fn claim(&self, most: u32) -> Claim {
        Claim { queue: self.id, most, in_turn: self.takes_turns() }
    }
}

impl Queue {
    /// Claims what is ready, highest priority first, then in order of writing; at most one of each
    /// ordering group, the groups in a circle. A paused queue gives nothing.
    ///
    /// What was made ready behind messages that were claimed a while ago, by a transaction that
    /// committed late or by another host, may be passed over for a quarter of a second.
    ///
    /// # Errors
    ///
    /// [`Error::Query`]. What earlier statements of the call had claimed lapses and comes again.
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Leased>, Error> {
        let session = self.session().await?;
        let mut leased = Vec::new();
        for claim in waiting(&session, &request.queues).await? {
            self.claim_in_turn(&session, claim, request, &mut leased).await?;
        }
        let at_once = request.queues.iter().filter(|claim| !claim.in_turn && claim.most > 0);
        let at_once: Vec<Claim> = at_once.copied().collect();
        let empty = self.claim_ahead(&session, &at_once, LOOK_THROUGH, request, &mut leased);
        let empty = empty.await?;
        // What came in behind, of queues that have nothing else.
        self.claim_ahead(&session, &empty, LOOK_THROUGH_IDLE, request, &mut leased).await?;
        Ok(leased)
    }

    /// Claims from where earlier claims have come to. Returns the queues that gave nothing and were
    /// not looked through; with `age_max` below [`LOOK_THROUGH`], asks only those whose last look
    /// is so old.
    async fn claim_ahead(
        &self,
        session: &Session,
        claims: &[Claim],
        age_max: Duration,
        request: &ClaimRequest,
        leased: &mut Vec<Leased>,
    ) -> Result<Vec<Claim>, Error> {
        let (asked, columns) = self.stretches(claims, age_max);
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let (queues, mosts): (Vec<_>, Vec<_>) =
            asked.iter().map(|(claim, _)| (claim.queue.0, limit(claim.most))).unzip();
        let (of, highs, lows, starts) = columns;
        let lease = request.lease.map(millis);
        let worker = &*request.worker;
        let sql = "select * from platform.queue_claim_from($1, $2, $3, $4, $5, $6, $7, $8)";
        let params: [Param<'_>; 8] =
            [&queues, &mosts, &worker, &lease, &of, &highs, &lows, &starts];
        // Read one by one: all payloads together may be more than one result may hold.
        let mut rows = session.rows(sql, &params).await?;
        let before = leased.len();
        while let Some(row) = rows.next().await {
            leased.push(read_leased(&row?)?);
        }
        let empty = self.note(&asked, &leased[before..]);
        Ok(empty)
    }

    /// What to ask for, each with whether that is everything, and the stretches as columns.
    fn stretches(&self, claims: &[Claim], age_max: Duration) -> (Vec<(Claim, bool)>, Stretches) {
        let (mut asked, mut columns) = (Vec::new(), Stretches::default());
        let now = Instant::now();
        for claim in claims {
            let (stretches, is_everything) = self.frontiers.stretches(claim.queue, now, age_max);
            if !is_everything && age_max < LOOK_THROUGH {
                continue;
            }
            asked.push((*claim, is_everything));
            for stretch in stretches {
                columns.0.push(claim.queue.0);
                columns.1.push(stretch.high);
                columns.2.push(stretch.low);
                columns.3.push(stretch.start);
            }
        }
        (asked, columns)
    }

    /// Notes how far each queue was claimed; returns those of which only a part was looked at and
    /// gave nothing.
    fn note(&self, asked: &[(Claim, bool)], leased: &[Leased]) -> Vec<Claim> {
        let mut came: HashMap<QueueId, Vec<(i16, i64)>> = HashMap::new();
        for leased in leased {
            let place = (leased.priority, leased.lease.position);
            came.entry(leased.lease.queue).or_default().push(place);
        }
        let (mut empty, now) = (Vec::new(), Instant::now());
        for (claim, was_through) in asked {
            let Some(messages) = came.get(&claim.queue) else {
                empty.extend((!was_through).then_some(*claim));
                continue;
            };
            let is_full = messages.len() >= claim.most as usize;
            let reached = Reached { messages, is_full, was_through: *was_through };
            self.frontiers.reached(claim.queue, &reached, now);
        }
        empty
    }

    async fn claim_in_turn(
        &self,
        session: &Session,
        claim: Claim,
        request: &ClaimRequest,
        leased: &mut Vec<Leased>,
    ) -> Result<(), Error> {
        let queue = claim.queue;
        let after = self.turns().get(&queue).cloned().unwrap_or_default();
        let sql = "select * from platform.queue_claim_in_turn($1, $2, $3, $4, $5)";
        let lease = request.lease.map(millis);
        let most = limit(claim.most);
        let params: [Param<'_>; 5] = [&queue.0, &most, &&*request.worker, &lease, &after];
        let mut rows = session.rows(sql, &params).await?;
        while let Some(row) = rows.next().await {
            let row = row?;
            let cursor: Option<String> = row.try_get("cursor")?;
            if let Some(cursor) = cursor {
                self.turns().insert(queue, cursor);
            }
            if row.try_get::<_, Option<i64>>("position")?.is_some() {
                leased.push(read_leased(&row)?);
            }
        }
        Ok(())
    }

    fn turns(&self) -> std::sync::MutexGuard<'_, HashMap<QueueId, String>> {
        self.turns.lock().expect("nothing panics while it is held")
    }

    /// Keeps leases for `by` more, up to a grace after their deadline. Says for each, in order,
    /// whether it is still held.
    ///
    /// # Errors
    ///
    /// [`Error::Query`]; the leases are as they were.
    pub async fn extend(&self, leases: &[Lease], by: Duration) -> Result<Vec<bool>, Error> {
        let session = self.session().await?;
        let (queues, positions, numbers) = columns(leases.iter());
        let by = millis(by);
        let sql = "select * from platform.queue_extend($1, $2, $3, $4)";
        let rows = session.query(sql, &[&queues, &positions, &numbers, &by]).await?;
        let mut held = vec![false; leases.len()];
        for row in rows {
            if let Some(held) = place(&row)?.and_then(|n| held.get_mut(n)) {
                *held = true;
            }
        }
        Ok(held)
    }

    /// Ends leases, all in one transaction. Says for each, in order, what has become of its
    /// message; reported only once it is committed.
    ///
    /// # Errors
    ///
    /// [`Error::Query`]. When the connection was lost, it is unknown whether they ended; saying it
    /// again is safe, and is answered with [`Ended::Stale`] if they had.
    pub async fn finish(&self, outcomes: &[(Lease, Outcome)]) -> Result<Vec<Ended>, Error> {
        let session = self.session().await?;
        let (queues, positions, numbers) = columns(outcomes.iter().map(|(lease, _)| lease));
        let (mut words, mut afters, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        for (_, outcome) in outcomes {
            let (word, after, reason) = match outcome {
                Outcome::Ack => ("ack", None, None),
                Outcome::Retry { after, reason } => ("retry", *after, Some(&**reason)),
                Outcome::Release { after } => ("release", *after, None),
                Outcome::Reject { reason } => ("reject", None, Some(&**reason)),
            };
            words.push(word);
            afters.push(after.map(millis));
            // PostgreSQL has no zero bytes in its texts; a guest has.
            reasons.push(reason.map(|reason| reason.replace('\0', "\u{fffd}")));
        }
        let params: [Param<'_>; 6] = [&queues, &positions, &numbers, &words, &afters, &reasons];
        let sql = "select * from platform.queue_finish($1, $2, $3, $4, $5, $6)";
        let mut tries = 1;
        let rows = loop {
            match session.query(sql, &params).await {
                // A lease was on its way to another slot: an extension had it.
                Err(e) if may_try_again(&e) && tries < TRIES_MAX => tries += 1,
                other => break other?,
            }
        };
        let mut ended = vec![Ended::Stale; outcomes.len()];
        for row in rows {
            if let Some(ended) = place(&row)?.and_then(|n| ended.get_mut(n)) {
                *ended = Ended::from_word(row.try_get(1)?);
            }
        }
        if ended.contains(&Ended::Ready) {
            self.frontiers.look_through();
        }
        Ok(ended)
    }

    /// Ends leases that have lapsed: an attempt is used up, and the message goes the way of a
    /// retry. At most `rows_max`; any number of hosts may do so at once.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn expire(&self, rows_max: u32) -> Result<Vec<Expired>, Error> {
        let session = self.session().await?;
        let rows_max = limit(rows_max);
        let rows = session.query("select * from platform.queue_expire($1)", &[&rows_max]).await?;
        let count = |row: &Row, name: &str| {
            row.try_get::<_, i64>(name).map(i64::cast_unsigned).map_err(Error::from)
        };
        let mut expired = Vec::with_capacity(rows.len());
        for row in &rows {
            let queue = QueueId(row.try_get("queue_id")?);
            let (all, dead) = (count(row, "expired")?, count(row, "dead")?);
            expired.push(Expired { queue, expired: all, dead });
        }
        if !expired.is_empty() {
            self.database().work().poke();
        }
        Ok(expired)
    }

    /// The queues that hosts claim from, job queues left out: those of `services`, retired ones
    /// included while they have messages.
    ///
    /// # Errors
    ///
    /// [`Error::Query`].
    pub async fn deliverable(&self, services: &[&str]) -> Result<Vec<Registered>, Error> {
        let session = self.session().await?;
        let sql = format!(
            "select {COLUMNS} from platform.queue q where q.service = any ($1) \
             and q.kind <> 'job' order by q.id"
        );
        let rows = session.query(&sql, &[&services]).await?;
        rows.iter().map(registered).collect()
    }
}

fn limit(most: u32) -> i32 {
    i32::try_from(most).unwrap_or(i32::MAX)
}

/// Those of the claims that take turns whose queues have something. One alone is not asked for.
async fn waiting(session: &Session, claims: &[Claim]) -> Result<Vec<Claim>, Error> {
    let in_turn = claims.iter().filter(|claim| claim.in_turn && claim.most > 0);
    let mut in_turn: Vec<Claim> = in_turn.copied().collect();
    if in_turn.len() < 2 {
        return Ok(in_turn);
    }
    let queues: Vec<i32> = in_turn.iter().map(|claim| claim.queue.0).collect();
    let rows = session.query("select platform.queue_waiting($1)", &[&queues]).await?;
    let mut found = std::collections::HashSet::with_capacity(rows.len());
    for row in rows {
        found.insert(QueueId(row.try_get(0)?));
    }
    in_turn.retain(|claim| found.contains(&claim.queue));
    Ok(in_turn)
}

type Columns = (Vec<i32>, Vec<i64>, Vec<i32>);

/// Queues, highest and lowest priorities, positions.
type Stretches = (Vec<i32>, Vec<i16>, Vec<i16>, Vec<i64>);

fn columns<'a>(leases: impl Iterator<Item = &'a Lease>) -> Columns {
    let mut columns = Columns::default();
    for lease in leases {
        columns.0.push(lease.queue.0);
        columns.1.push(lease.position);
        columns.2.push(lease.number);
    }
    columns
}

/// The first column, which counts from 1, as an index.
fn place(row: &Row) -> Result<Option<usize>, Error> {
    Ok(usize::try_from(row.try_get::<_, i64>(0)? - 1).ok())
}

pub(super) fn read_message(row: &Row, payload: String) -> Result<Message, Error> {
    let text = |name: &str| row.try_get::<_, &str>(name).map(Arc::from);
    let maybe = |name: &str| row.try_get::<_, Option<&str>>(name).map(|text| text.map(Arc::from));
    Ok(Message {
        id: row.try_get("id")?,
        topic: text("topic")?,
        source: text("source")?,
        subject: maybe("subject")?,
        tenant: row.try_get("tenant_id")?,
        payload,
        trace: maybe("trace")?,
        published_at: row.try_get("published_at")?,
    })
}

fn read_leased(row: &Row) -> Result<Leased, Error> {
    let time = |name: &str| row.try_get::<_, SystemTime>(name);
    Ok(Leased {
        lease: Lease {
            queue: QueueId(row.try_get("queue_id")?),
            position: row.try_get("position")?,
            number: row.try_get("number")?,
        },
        message: read_message(row, row.try_get("payload")?)?,
        attempt: row.try_get::<_, i32>("attempt")?.cast_unsigned(),
        priority: row.try_get("priority")?,
        group: row.try_get::<_, Option<&str>>("group_key")?.map(Arc::from),
        ready_at: time("ready_at")?,
        claimed_at: time("claimed_at")?,
        expires_at: time("expires_at")?,
        deadline: time("deadline")?,
    })
}
