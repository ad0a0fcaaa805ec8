//! Rollouts: begun, held, moved, ordered about, frozen.

use super::rows::{self, ROLLOUT, signed, weights_value};
use super::{EventRow, FreezeRow, RolloutError, RolloutRow, Rollouts, Sample, State, Weights};
use crate::error::Error;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// What a rollout begins with.
#[derive(Debug, Clone)]
pub struct NewRollout<'a> {
    pub component: &'a str,
    pub revision: u32,
    pub plan: &'a Value,
    /// `deploy`, `rollback` or `configuration`.
    pub kind: &'a str,
    pub note: &'a str,
    pub by: &'a str,
    /// Whether it begins although it is frozen.
    pub despite_freeze: bool,
}

/// A rollout in the hands of one controller.
#[derive(Debug, Clone)]
pub struct Held {
    pub row: RolloutRow,
    /// Of the lease; every move carries it.
    pub fence: i64,
    /// By host and revision, as of the first step and of this one.
    pub samples_first: HashMap<(String, u32), Sample>,
    pub samples_step: HashMap<(String, u32), Sample>,
    /// How long it has been where it is, and how long all hosts have applied that.
    pub since_entered: Duration,
    pub since_settled: Option<Duration>,
}

/// Where a rollout goes.
#[derive(Debug, Clone)]
pub struct Move<'a> {
    pub to: State,
    pub step: Option<i32>,
    pub weight: Option<u16>,
    /// What the component serves from then on.
    pub traffic: Option<Weights>,
    /// Why it ends as it does.
    pub reason: Option<&'a str>,
    /// How one that rolls back ends.
    pub onward: Option<State>,
    /// For people.
    pub words: &'a str,
}

impl<'a> Move<'a> {
    /// Nothing but the next state.
    pub fn to(to: State, words: &'a str) -> Self {
        Self { to, step: None, weight: None, traffic: None, reason: None, onward: None, words }
    }
}

/// What an operator orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Pause,
    Resume,
    Promote,
    Abort,
    Rollback,
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote => "promote",
            Self::Abort => "abort",
            Self::Rollback => "rollback",
        }
    }
}

/// Why nothing may change now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    pub reason: String,
    pub by: String,
}

impl Rollouts {
    /// Begins a rollout. Its id is the answer.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Busy`], [`RolloutError::Frozen`], [`RolloutError::NoRevision`].
    pub async fn begin(&self, new: &NewRollout<'_>) -> Result<Uuid, RolloutError> {
        if let Some(frozen) = self.frozen(new.component).await?
            && !new.despite_freeze
        {
            return Err(RolloutError::Frozen { reason: frozen.reason });
        }
        self.end_draining(new.component).await?;
        let id = Uuid::now_v7();
        let sql = "with begun as ( \
              insert into platform.rollout (id, component, revision, baseline, before, plan, kind, \
                state, note, created_by) \
              select $1, $2, $3, (select w.key::int from jsonb_each_text(t.weights) w \
                  order by w.value::int desc, w.key::int limit 1), t.weights, $4, $5, \
                'verifying', $6, $7 \
              from (select 1) one left join platform.traffic t on t.component = $2 \
              returning id) \
            insert into platform.rollout_event (rollout, state, weight, words, by) \
            select id, 'verifying', 0, 'begun', $7 from begun";
        let values: [crate::session::Param<'_>; 7] =
            [&id, &new.component, &signed(new.revision), new.plan, &new.kind, &new.note, &new.by];
        match self.session().await?.execute(sql, &values).await {
            Ok(_) => Ok(id),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                let component = new.component.to_owned();
                match self.open_of(&component).await? {
                    Some(rollout) => Err(RolloutError::Busy { component, rollout }),
                    None => Err(error.into()),
                }
            }
            Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => {
                let (component, number) = (new.component.to_owned(), new.revision);
                Err(RolloutError::NoRevision { component, number })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a component's rollout that only waits for calls of what it has replaced: hosts let
    /// those finish, whatever is written of it.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn end_draining(&self, component: &str) -> Result<(), Error> {
        let sql = "select platform.rollout_move(r.id, r.fence, 'draining', 'done', null, null, \
              null, null, null, 'what it replaced still finishes calls') \
            from platform.rollout r where r.component = $1 and r.state = 'draining'";
        self.session().await?.query(sql, &[&component]).await?;
        Ok(())
    }

    /// The rollout of a component that is under way.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn open_of(&self, component: &str) -> Result<Option<Uuid>, Error> {
        let sql = "select id from platform.rollout where component = $1 and finished_at is null";
        let rows = self.session().await?.query(sql, &[&component]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// Every rollout that is under way.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn open(&self) -> Result<Vec<RolloutRow>, Error> {
        let sql = format!(
            "select {ROLLOUT} from platform.rollout r where r.finished_at is null order by r.id"
        );
        self.session().await?.query(&sql, &[]).await?.iter().map(rows::rollout).collect()
    }

    /// Takes what nobody holds and keeps what `holder` holds, for `lasts`.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn hold(&self, holder: Uuid, lasts: Duration) -> Result<Vec<Held>, Error> {
        let sql = format!(
            "select {ROLLOUT}, r.fence, r.samples_first, r.samples_step, \
               (extract(epoch from clock_timestamp() - r.entered_at) * 1000)::bigint as entered, \
               (extract(epoch from clock_timestamp() - r.settled_at) * 1000)::bigint as settled \
             from platform.rollout_hold($1, $2::bigint * interval '1 millisecond') r order by r.id"
        );
        let lasts = super::milliseconds(lasts);
        self.session().await?.query(&sql, &[&holder, &lasts]).await?.iter().map(held).collect()
    }

    /// Moves a rollout on; false when it is not held any more, or not where it was.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn advance(&self, held: &Held, to: &Move<'_>) -> Result<bool, Error> {
        let sql = "select platform.rollout_move($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (from, state) = (held.row.state.as_str(), to.to.as_str());
        let weight = to.weight.map(i32::from);
        let traffic = to.traffic.as_ref().map(weights_value);
        let onward = to.onward.map(State::as_str);
        let values: [crate::session::Param<'_>; 10] = [
            &held.row.id,
            &held.fence,
            &from,
            &state,
            &to.step,
            &weight,
            &traffic,
            &to.reason,
            &onward,
            &to.words,
        ];
        let rows = self.session().await?.query(sql, &values).await?;
        Ok(rows[0].try_get(0)?)
    }

    /// Notes that all hosts have applied what this state has set.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn settle(&self, held: &Held) -> Result<(), Error> {
        let sql = "update platform.rollout set settled_at = now() \
                   where id = $1 and fence = $2 and state = $3 and settled_at is null";
        let state = held.row.state.as_str();
        self.session().await?.execute(sql, &[&held.row.id, &held.fence, &state]).await?;
        Ok(())
    }

    /// Adds a word to a rollout's history, unless it was the last.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn note(&self, held: &Held, words: &str) -> Result<(), Error> {
        let sql = "insert into platform.rollout_event (rollout, state, weight, words, by) \
            select r.id, r.state, r.weight, $3, 'controller' from platform.rollout r \
            where r.id = $1 and r.fence = $2 and $3 is distinct from ( \
              select e.words from platform.rollout_event e where e.rollout = r.id \
              order by e.number desc limit 1)";
        self.session().await?.execute(sql, &[&held.row.id, &held.fence, &words]).await?;
        Ok(())
    }

    /// What all hosts have counted of a component's revisions.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn samples(&self, component: &str) -> Result<HashMap<(String, u32), Sample>, Error> {
        let sql = "select platform.sample_all($1)";
        let rows = self.session().await?.query(sql, &[&component]).await?;
        Ok(samples(rows[0].try_get(0)?))
    }

    /// Does what an operator orders.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Refused`] with the reason, [`RolloutError::Unknown`],
    /// [`RolloutError::Frozen`] for a promotion.
    pub async fn order(
        &self,
        id: Uuid,
        verb: Verb,
        by: &str,
        reason: &str,
        despite_freeze: bool,
    ) -> Result<RolloutRow, RolloutError> {
        let found = self.rollout(id).await?.ok_or(RolloutError::Unknown(id))?;
        if matches!(verb, Verb::Promote | Verb::Resume)
            && !despite_freeze
            && let Some(frozen) = self.frozen(&found.component).await?
        {
            return Err(RolloutError::Frozen { reason: frozen.reason });
        }
        let sql = "select platform.rollout_order($1, $2, $3, $4)";
        let verb = verb.as_str();
        let rows = self.session().await?.query(sql, &[&id, &verb, &by, &reason]).await?;
        match rows[0].try_get::<_, Option<String>>(0)? {
            Some(why) => Err(RolloutError::Refused(why)),
            None => self.rollout(id).await?.ok_or(RolloutError::Unknown(id)),
        }
    }

    /// Puts a component back to a revision at once, and writes that down as a rollout whose drain
    /// is under way.
    ///
    /// # Errors
    ///
    /// [`RolloutError::NoRevision`], [`RolloutError::Busy`].
    pub async fn put_back(&self, new: &NewRollout<'_>, reason: &str) -> Result<Uuid, RolloutError> {
        let id = self.begin(new).await?;
        let sql = "select platform.rollout_back($1, $2, $3)";
        self.session().await?.execute(sql, &[&id, &reason, &new.by]).await?;
        Ok(id)
    }

    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn rollout(&self, id: Uuid) -> Result<Option<RolloutRow>, Error> {
        let sql = format!("select {ROLLOUT} from platform.rollout r where r.id = $1");
        let rows = self.session().await?.query(&sql, &[&id]).await?;
        rows.first().map(rows::rollout).transpose()
    }

    /// Rollouts, the newest first, at most `rows_max` before `after`.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn list(
        &self,
        component: Option<&str>,
        state: Option<State>,
        after: Option<Uuid>,
        rows_max: u32,
    ) -> Result<Vec<RolloutRow>, Error> {
        let sql = format!(
            "select {ROLLOUT} from platform.rollout r \
             where ($1::text is null or r.component = $1) and ($2::text is null or r.state = $2) \
             and ($3::uuid is null or r.id < $3) order by r.id desc limit $4"
        );
        let (state, limit) = (state.map(State::as_str), i64::from(rows_max));
        let rows = self.session().await?.query(&sql, &[&component, &state, &after, &limit]).await?;
        rows.iter().map(rows::rollout).collect()
    }

    /// What happened in a rollout, in order.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn events(&self, id: Uuid) -> Result<Vec<EventRow>, Error> {
        let sql = "select at, state, weight, words, by from platform.rollout_event \
                   where rollout = $1 order by number limit 1000";
        self.session().await?.query(sql, &[&id]).await?.iter().map(rows::event).collect()
    }

    /// Why a component may not change now.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn frozen(&self, component: &str) -> Result<Option<Frozen>, Error> {
        let sql = "select reason, created_by from platform.freeze where lifted_at is null \
                   and (component is null or component = $1) order by created_at limit 1";
        let rows = self.session().await?.query(sql, &[&component]).await?;
        let frozen = |row: &Row| -> Result<_, Error> {
            Ok(Frozen { reason: row.try_get(0)?, by: row.try_get(1)? })
        };
        rows.first().map(frozen).transpose()
    }

    /// Freezes that hold, the oldest first.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn freezes(&self) -> Result<Vec<FreezeRow>, Error> {
        let sql = "select * from platform.freeze where lifted_at is null order by created_at";
        self.session().await?.query(sql, &[]).await?.iter().map(rows::freeze).collect()
    }

    /// Lets nobody change a component, or any.
    ///
    /// # Errors
    ///
    /// [`Error::Query`] for a reason that is none (class 23).
    pub async fn freeze(
        &self,
        component: Option<&str>,
        reason: &str,
        by: &str,
    ) -> Result<FreezeRow, Error> {
        let sql = "insert into platform.freeze (id, component, reason, created_by) \
                   values ($1, $2, $3, $4) returning *";
        let id = Uuid::now_v7();
        let rows = self.session().await?.query(sql, &[&id, &component, &reason, &by]).await?;
        rows::freeze(&rows[0])
    }

    /// Ends a freeze; false when there is none.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn thaw(&self, id: Uuid, by: &str) -> Result<bool, Error> {
        let sql = "update platform.freeze set lifted_at = now(), lifted_by = $2 \
                   where id = $1 and lifted_at is null";
        Ok(self.session().await?.execute(sql, &[&id, &by]).await? == 1)
    }
}

fn held(row: &Row) -> Result<Held, Error> {
    let read = |name: &str| -> Result<_, Error> {
        Ok(samples(row.try_get::<_, Option<Value>>(name)?.unwrap_or_default()))
    };
    let time = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    Ok(Held {
        row: rows::rollout(row)?,
        fence: row.try_get("fence")?,
        samples_first: read("samples_first")?,
        samples_step: read("samples_step")?,
        since_entered: time(row.try_get("entered")?),
        since_settled: row.try_get::<_, Option<i64>>("settled")?.map(time),
    })
}

/// `{"<host>:<number>": {…}}`.
pub(super) fn samples(value: Value) -> HashMap<(String, u32), Sample> {
    let Value::Object(all) = value else { return HashMap::new() };
    let one = |(key, value): (String, Value)| {
        let (host, number) = key.rsplit_once(':')?;
        let number = number.parse().ok()?;
        let count = |name: &str| value[name].as_i64().unwrap_or_default();
        let latency = value["latency"].as_array().into_iter().flatten();
        let sample = Sample {
            component: String::new(),
            number,
            calls: count("calls"),
            server_errors: count("server_errors"),
            failures: count("failures"),
            traps: count("traps"),
            timeouts: count("timeouts"),
            cpu_kills: count("cpu_kills"),
            refused: count("refused"),
            latency: latency.map(|count| count.as_i64().unwrap_or_default()).collect(),
        };
        Some(((host.to_owned(), number), sample))
    };
    all.into_iter().filter_map(one).collect()
}
