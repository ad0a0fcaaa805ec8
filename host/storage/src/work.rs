//! The signal that there may be work: given once the transaction that made it has committed, heard
//! by whoever waits in this process. Business transactions themselves never notify anybody.
//!
//! Refuses to know what the work is, and to count: a signal may stand for many messages, or for one
//! that another host has taken already.

use tokio::sync::watch;

/// One end for all who make work in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Work(watch::Sender<u64>);

/// One who waits for work.
#[derive(Debug, Clone)]
pub struct Listening(watch::Receiver<u64>);

impl Default for Work {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Work {
    /// Wakes everybody who listens.
    pub fn poke(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears what is poked from now on.
    pub fn listen(&self) -> Listening {
        Listening(self.0.subscribe())
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

/// Functions of the platform that make work for a queue, as they stand in a statement.
const MARKS: [&str; 5] = ["publish", "enqueue", "job_submit", "schedule_", "queue_"];

/// Whether running the statement may make work.
pub(crate) fn makes_work(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(at) = rest.find("platform.") {
        rest = &rest[at + "platform.".len()..];
        if MARKS.iter().any(|mark| rest.starts_with(mark)) {
            return true;
        }
    }
    false
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
            ("select platform.schedule_fire($1)", true),
            ("select platform.inbox_accept($1, $2)", false),
            ("select publish from platform", false),
        ] {
            assert_eq!(makes_work(sql), makes, "{sql}");
        }
    }

    #[tokio::test]
    async fn a_poke_while_nobody_looks_is_not_missed() {
        let work = Work::default();
        let mut listening = work.listen();
        work.poke();
        work.poke();
        listening.poked().await;
        let again = tokio::time::timeout(std::time::Duration::from_millis(20), listening.poked());
        assert!(again.await.is_err());
    }
}
