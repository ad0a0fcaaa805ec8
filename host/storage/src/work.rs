//! The signal that there may be work: given once the transaction that made it has committed, heard
//! by whoever waits in this process, and passed on to the other hosts of the database. Business
//! transactions themselves never notify anybody: `NOTIFY` takes a lock of the whole server at their
//! commit.
//!
//! Refuses to know what the work is, and to count: a signal may stand for many messages, or for one
//! that another host has taken already.

use crate::database::Database;
use crate::error::Error;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

/// The channel on which hosts tell each other of work.
const CHANNEL: &str = "nexus_work";

/// The channel on which they tell each other that a rollout has moved. One of its own: work is made
/// thousands of times a second, and whoever follows rollouts reads tables each time it is woken.
const ROLLOUTS: &str = "nexus_rollouts";

/// Other hosts are told at once, and then at most so often: a notification wakes all of them.
const RELAY_EVERY: Duration = Duration::from_millis(25);

/// How often the relay looks whether its connection still lives when there is nothing to say.
const RELAY_LOOK: Duration = Duration::from_secs(5);

/// Pause before the relay connects again. Hosts poll, so nothing but a moment is lost meanwhile.
const RELAY_PAUSE: Duration = Duration::from_secs(1);

/// One end for all who make work in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Work {
    queues: Signal,
    rollouts: Signal,
    /// Whose notifications are our own.
    host: Uuid,
}

/// That something has changed, here and on other hosts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signal {
    anywhere: watch::Sender<u64>,
    /// Of this process alone: what others are to be told.
    here: watch::Sender<u64>,
}

/// One who waits for work.
#[derive(Debug, Clone)]
pub struct Listening(watch::Receiver<u64>);

impl Default for Signal {
    fn default() -> Self {
        Self { anywhere: watch::Sender::new(0), here: watch::Sender::new(0) }
    }
}

impl Default for Work {
    fn default() -> Self {
        Self { queues: Signal::default(), rollouts: Signal::default(), host: Uuid::now_v7() }
    }
}

impl Signal {
    /// Wakes everybody who listens, here and, by the relay, on other hosts.
    pub fn poke(&self) {
        self.here.send_modify(|count| *count = count.wrapping_add(1));
        self.wake();
    }

    /// Wakes whoever listens here, and nobody else.
    pub fn wake(&self) {
        self.anywhere.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears what is poked from now on.
    pub fn listen(&self) -> Listening {
        Listening(self.anywhere.subscribe())
    }
}

impl Work {
    /// Wakes everybody who listens for work, here and, by the relay, on other hosts.
    pub fn poke(&self) {
        self.queues.poke();
    }

    /// Hears what is poked from now on.
    pub fn listen(&self) -> Listening {
        self.queues.listen()
    }

    /// That a rollout has moved, or that a host has done its part of one.
    pub fn rollouts(&self) -> &Signal {
        &self.rollouts
    }

    /// Another host has told of something; said once more here, it would go round for ever.
    pub(crate) fn told(&self, channel: &str, by: &str) {
        let signal = match channel {
            CHANNEL => &self.queues,
            ROLLOUTS => &self.rollouts,
            _ => return,
        };
        if by != self.host.to_string() {
            signal.wake();
        }
    }

    /// Tells the other hosts of `database` what is made here and wakes this one for what they make,
    /// on a connection of its own; never returns.
    pub async fn relay(database: Database) {
        loop {
            let Err(error) = database.work().relay_once(&database).await;
            tracing::debug!(%error, "other hosts are found by polling for a moment");
            tokio::time::sleep(RELAY_PAUSE).await;
        }
    }

    async fn relay_once(&self, database: &Database) -> Result<std::convert::Infallible, Error> {
        let session = database.host().await?;
        session.batch(&format!("listen {CHANNEL}; listen {ROLLOUTS}")).await?;
        let (mut work, mut moves) = (self.queues.here.subscribe(), self.rollouts.here.subscribe());
        // Whatever was told before this connection was there.
        self.queues.wake();
        self.rollouts.wake();
        let host = self.host.to_string();
        loop {
            let said = async {
                tokio::select! {
                    _ = work.changed() => CHANNEL,
                    _ = moves.changed() => ROLLOUTS,
                }
            };
            match tokio::time::timeout(RELAY_LOOK, said).await {
                Ok(channel) => {
                    let notify = "select pg_notify($1, $2)";
                    session.execute(notify, &[&channel, &host]).await?;
                    tokio::time::sleep(RELAY_EVERY).await;
                }
                Err(_) => drop(session.execute("select 1", &[]).await?),
            }
        }
    }
}

impl Listening {
    /// Resolves once there was a poke since the last call, at once if there was one meanwhile.
    pub async fn poked(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left who could make work here.
            std::future::pending::<()>().await;
        }
    }
}

/// Functions of the platform that make work for a queue, or change what hosts know of identity, as
/// they stand in a statement. The end of a job is told to whoever submitted it.
const MARKS: [&str; 8] = [
    "publish",
    "enqueue",
    "job_submit",
    "job_finish",
    "job_cancel",
    "schedule_",
    "queue_",
    "identity_",
];

/// Those among them that hosts call over and over without being asked to: what woke whoever waits
/// for work would have hosts ask again for ever. What these find, the host tells by itself.
const OWN_ROUNDS: [&str; 16] = [
    "identity_credentials_seen",
    "identity_permissions",
    "identity_purge",
    "queue_claim",
    "queue_claim_from",
    "queue_claim_in_turn",
    "queue_days",
    "queue_expire",
    "queue_extend",
    "queue_make_day",
    "queue_promote",
    "queue_purge_expired",
    "queue_replay_step",
    "queue_rotate",
    "schedule_purge",
    "schedule_sweep",
];

/// Whether running the statement may make work: whether it calls such a function. Its tables are
/// read all the time.
pub(crate) fn makes_work(sql: &str) -> bool {
    sql.split("platform.").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_mark = MARKS.iter().any(|mark| name.starts_with(mark));
        is_mark && after.starts_with('(') && !OWN_ROUNDS.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_work_is_seen_in_the_statement() {
        for (sql, makes) in [
            ("select platform.publish($1, $2, $3, $4, $5, $6)", true),
            ("select platform.caller(), platform.enqueue($1)", true),
            ("select platform.job_submit($1)", true),
            ("select platform.job_finish($1, $2)", true),
            ("select platform.job_beat($1)", false),
            ("select platform.schedule_fire($1)", true),
            ("select platform.identity_credential_revoke($1, $2)", true),
            ("select platform.queue_redrive($1)", true),
            ("select * from platform.queue_claim_from($1, $2)", false),
            ("select n.key from platform.identity_notice n", false),
            ("delete from platform.queue_dead", false),
            ("select platform.inbox_accept($1, $2)", false),
            ("select publish from platform", false),
        ] {
            assert_eq!(makes_work(sql), makes, "{sql}");
        }
    }

    #[tokio::test]
    async fn what_another_host_tells_wakes_this_one_and_is_not_passed_on() {
        let work = Work::default();
        let (mut listening, here) = (work.listen(), work.queues.here.subscribe());
        work.told("another_channel", "somebody");
        work.told(CHANNEL, &work.host.to_string());
        let woken = tokio::time::timeout(Duration::from_millis(20), listening.poked());
        assert!(woken.await.is_err());
        work.told(CHANNEL, "somebody");
        listening.poked().await;
        assert!(!here.has_changed().unwrap());
    }

    #[tokio::test]
    async fn a_rollout_that_moves_elsewhere_wakes_nobody_who_waits_for_work() {
        let work = Work::default();
        let (mut queues, mut rollouts) = (work.listen(), work.rollouts().listen());
        work.told(ROLLOUTS, "somebody");
        rollouts.poked().await;
        let woken = tokio::time::timeout(Duration::from_millis(20), queues.poked());
        assert!(woken.await.is_err());
    }

    #[tokio::test]
    async fn a_poke_while_nobody_looks_is_not_missed() {
        let work = Work::default();
        let mut listening = work.listen();
        work.poke();
        work.poke();
        listening.poked().await;
        let again = tokio::time::timeout(Duration::from_millis(20), listening.poked());
        assert!(again.await.is_err());
    }
}
