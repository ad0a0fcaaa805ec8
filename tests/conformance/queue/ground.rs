//! A host, and one of its queues as operators see it: looked at, paused, redriven and purged by the
//! admin API, whoever puts in and takes out.
//!
//! The API has no word for what is done (it is kept for replays, not for people), nor for time: the
//! number of the first is read from the database, and the second is moved there.

use super::SOON;
use nexus_harness::prelude::*;
use std::time::Duration;

/// How many messages are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct States {
    pub(super) ready: i64,
    pub(super) deferred: i64,
    pub(super) leased: i64,
    pub(super) dead: i64,
    pub(super) done: i64,
}

impl States {
    pub(super) fn sum(self) -> i64 {
        self.ready + self.deferred + self.leased + self.dead + self.done
    }
}

pub(crate) struct Ground {
    pub(super) nexus: Nexus,
    admin: Client,
    service: &'static str,
    name: &'static str,
}

impl Ground {
    pub(super) fn new(nexus: Nexus, service: &'static str, name: &'static str) -> Self {
        // Said of leases that the tests let lapse.
        nexus.expects_log("leases have lapsed");
        let admin = nexus.admin();
        Self { nexus, admin, service, name }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/queues/{}/{}{rest}", self.service, self.name)
    }

    /// The first column of the first row; `QUEUE` stands for the queue's id.
    pub(super) async fn value(&self, sql: &str) -> Option<String> {
        let queue = format!(
            "(select q.id from platform.queue q where q.service = '{}' and q.name = '{}')",
            self.service, self.name
        );
        let database = self.nexus.host().database().expect("there is a database");
        let session = database.host().await.expect("connect");
        let sql = sql.replace("QUEUE", &queue);
        let rows = session.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.first().and_then(|row| row.get(0))
    }

    pub(super) async fn run(&self, sql: &str) {
        self.value(&format!("with changed as ({sql} returning 1) select null::text")).await;
    }

    pub(super) async fn states(&self) -> States {
        let queue: Value = self.admin.get(&self.path("")).await.ok().json();
        let done = "select count(*)::text from platform.queue_done where queue_id = QUEUE";
        let done = self.value(done).await.expect("a count");
        let number = |state: &str| queue[state].as_i64().expect("a number");
        States {
            ready: number("ready"),
            deferred: number("deferred"),
            leased: number("leased"),
            dead: number("dead"),
            done: done.parse().expect("a number"),
        }
    }

    /// Waits until the queue is so: ends are written a moment after they are said.
    pub(super) async fn becomes(&self, wanted: States) {
        let mut found = States::default();
        let end = std::time::Instant::now() + SOON;
        while std::time::Instant::now() < end {
            found = self.states().await;
            if found == wanted {
                return;
            }
        }
        assert_eq!(found, wanted);
    }

    /// Attempts of the messages in a state.
    pub(super) async fn attempts(&self, state: &str) -> Vec<i64> {
        let path = self.path(&format!("/messages?state={state}"));
        let mut attempts = Vec::new();
        eventually("something is there", SOON, async || {
            let page: Value = self.admin.get(&path).await.ok().json();
            let messages = page["messages"].as_array().expect("a list").iter();
            attempts = messages.map(|message| message["attempt"].as_i64().unwrap()).collect();
            !attempts.is_empty()
        })
        .await;
        attempts
    }

    /// The only dead letter.
    pub(super) async fn letter(&self) -> Value {
        let path = format!("/api/v1/dead-letters?service={}&queue={}", self.service, self.name);
        let mut letters = Vec::new();
        eventually("a letter is dead", SOON, async || {
            let page: Value = self.admin.get(&path).await.ok().json();
            letters = page["dead_letters"].as_array().expect("a list").clone();
            !letters.is_empty()
        })
        .await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        letters.remove(0)
    }

    /// `pause` or `resume`.
    pub(super) async fn switch(&self, verb: &str) {
        self.admin.post(&self.path(&format!("/{verb}")), json!({})).await.ok();
    }

    /// How many dead letters went back to work, or would.
    pub(super) async fn redrive(&self, filter: &Value, dry_run: bool) -> u64 {
        let order = json!({ "filter": filter, "dry_run": dry_run });
        self.order("/redrive", &order).await
    }

    /// How many dead letters were thrown away, or would be.
    pub(super) async fn purge(&self, filter: &Value, dry_run: bool) -> u64 {
        let order = json!({ "state": "dead", "filter": filter, "dry_run": dry_run });
        self.order("/purge", &order).await
    }

    async fn order(&self, verb: &str, order: &Value) -> u64 {
        let reached: Value = self.admin.post(&self.path(verb), order).await.ok().json();
        reached["messages"].as_u64().expect("a number")
    }

    /// How long the deferred message waits.
    pub(super) async fn due_in(&self) -> Duration {
        let left = "select extract(epoch from due_at - now())::text from platform.queue_deferred
            where queue_id = QUEUE";
        let left = self.value(left).await.expect("a message waits");
        Duration::try_from_secs_f64(left.parse().expect("seconds")).expect("it is not due")
    }

    /// What waits for its time is due.
    pub(super) async fn hurry(&self) {
        self.run("update platform.queue_deferred set due_at = now() where queue_id = QUEUE").await;
    }

    /// Every holder was silent for too long; what has used an attempt up by that is due again.
    pub(super) async fn lapse(&self) {
        self.run("update platform.queue_lease set expires_at = now() where queue_id = QUEUE").await;
        eventually("the leases have lapsed", SOON, async || {
            let left = "select count(*)::text from platform.queue_lease where queue_id = QUEUE
                and expires_at <= now()";
            self.value(left).await.as_deref() == Some("0")
        })
        .await;
        self.hurry().await;
    }

    /// Every row of the queue, to be compared with itself.
    pub(super) async fn picture(&self) -> Option<String> {
        let rows = |table: &str, but: &str| {
            format!(
                "select (to_jsonb(t) {but})::text as line from platform.queue_{table} t \
                     where queue_id = QUEUE"
            )
        };
        // A lease that its holder keeps alive moves, in time and from slot to slot.
        let tables = [
            rows("ready", "- 'slot'"),
            rows("lease", "- 'slot' - 'expires_at'"),
            rows("deferred", ""),
            rows("dead", ""),
            rows("done", ""),
        ];
        let sql = format!(
            "select string_agg(line, '|' order by line) from ({}) l",
            tables.join(" union all ")
        );
        self.value(&sql).await
    }
}
