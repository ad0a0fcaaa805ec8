//! The door of a component of our SDK, the probe `journal`: it puts messages in with a commit, is
//! called with each, and says by the result of its function what becomes of it. The function asks a
//! table what to answer, so that a message stays in its hands until a claim here has decided.
//!
//! The host claims by itself, as much as it may: what was taken is seen in the table of leases.
//! A component has no word for a lease; what its host is told late shows in the host's counters.

use super::ground::Ground;
use super::{Door, End, Put, Rules, SOON, Taken};
use nexus_harness::prelude::*;
use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;
use uuid::Uuid;

const SERVICE: &str = "probe-journal";
const TOPIC: &str = "probe.order.given.v1";
const ORDERS: &str = "/api/probe-journal/v1/orders";

const TABLES: &str = "
    create table probe_journal.verdict (
      request_id text, word text, after_ms bigint, reason text);
    create table probe_journal.obeyed (tenant_id uuid, order_id uuid)";

pub(crate) struct Sdk {
    ground: Ground,
    author: Client,
    seen: Mutex<HashSet<String>>,
    put: Mutex<Vec<Uuid>>,
}

impl Door for Sdk {
    async fn open(rules: Rules) -> Self {
        let (attempts, at_once) = (rules.attempts_max, rules.at_once);
        let ordered = if rules.grouped { ", ordered_by = \"group\"" } else { "" };
        // The second subscription hears the same, and shows when the host has been at work.
        let lines = format!(
            "subscribe = [{{ topic = \"{TOPIC}\", attempts_max = {attempts}, \
             max_concurrency = {at_once}{ordered} }}, \"probe.**\"]"
        );
        let nexus = nexus_harness::journal(&lines).await;
        for words in ["this order is refused", "a lease was lost", "is dead"] {
            nexus.expects_log(words);
        }
        let session = nexus.host().database().expect("a database").host().await.expect("connect");
        session.batch(TABLES).await.expect("make the probe's tables");
        drop(session);
        let author = nexus.member_with(["probe-journal:write"]).await;
        let ground = Ground::new(nexus, SERVICE, TOPIC);
        Self { ground, author, seen: Mutex::default(), put: Mutex::default() }
    }

    fn ground(&self) -> &Ground {
        &self.ground
    }

    async fn put(&self, put: Put) -> Uuid {
        let id = Uuid::now_v7();
        let mut options = json!({});
        if put.priority != 0 {
            options["priority"] = put.priority.into();
        }
        if let Some(delay) = put.delay {
            options["delay_ms"] = u64::try_from(delay.as_millis()).expect("a number").into();
        }
        if let Some(key) = put.dedup_key {
            options["dedup_key"] = key.into();
        }
        let order = json!({ "id": id, "group": put.group.unwrap_or_default(), "options": options });
        self.author.post(ORDERS, order).await.no_content();
        // What waits is not heard by anybody yet; of a second with one key nobody ever hears.
        if put.delay.is_none() && put.dedup_key.is_none() {
            self.put.lock().unwrap().push(id);
        }
        id
    }

    async fn try_take(&self) -> Option<Taken> {
        let held = "select concat_ws(' ', e.id, l.number, l.attempt, e.subject)
            from platform.queue_lease l
            join platform.event e on e.position = l.position and e.day = l.day
            where l.queue_id = QUEUE and not concat_ws('.', e.id, l.number) = any (SEEN)
            order by l.claimed_at, l.position limit 1";
        let seen: Vec<String> = self.seen.lock().unwrap().iter().cloned().collect();
        let held = held.replace("SEEN", &format!("'{{{}}}'::text[]", seen.join(",")));
        let held = self.ground.value(&held).await?;
        let words: Vec<&str> = held.split(' ').collect();
        let [event, number, attempt, id] = words[..] else { panic!("{held}") };
        // As the host calls this delivery, and the component hears it.
        let lease = format!("{event}.{number}");
        self.seen.lock().unwrap().insert(lease.clone());
        let attempt = attempt.parse().expect("a number");
        Some(Taken { id: id.parse().expect("an id"), attempt, lease })
    }

    async fn finish(&self, taken: &Taken, end: End) -> bool {
        let (word, after, reason) = match end {
            End::Ack => ("ack", Duration::ZERO, ""),
            End::Retry { after, reason } => ("retry", after, reason),
            End::Release => ("release", Duration::ZERO, ""),
            End::Reject { reason } => ("reject", Duration::ZERO, reason),
        };
        let was_held = self.is_held(taken).await;
        let late = self.late().await;
        let (lease, after) = (&taken.lease, after.as_millis());
        self.ground
            .run(&format!(
                "insert into probe_journal.verdict \
                 values ('{lease}', '{word}', {after}, '{reason}')"
            ))
            .await;
        eventually("the host has heard of it", SOON, async || match was_held {
            true => !self.is_held(taken).await,
            false => self.late().await > late,
        })
        .await;
        was_held
    }

    /// The host takes what it may without being asked. It has had its chance by the time the other
    /// subscription was given all there is.
    async fn nothing_comes(&self) {
        let put = self.put.lock().unwrap().clone();
        let put: Vec<String> = put.iter().map(Uuid::to_string).collect();
        let deaf = format!(
            "select count(*)::text from unnest('{{{}}}'::uuid[]) p (id) where not exists (
               select from probe_journal.heard h where h.entry_id = p.id)",
            put.join(",")
        );
        eventually("everything was heard", SOON, async || {
            self.ground.value(&deaf).await.as_deref() == Some("0")
        })
        .await;
        let taken = self.try_take().await;
        assert!(taken.is_none(), "nobody should be given {taken:?}");
    }

    async fn end(self) {
        // Whatever is still in the component's hands is given back, so that the host can go.
        self.ground
            .run("insert into probe_journal.verdict values ('everything', 'release', 3600000, '')")
            .await;
        self.ground.nexus.stop().await.expect("the host stops");
    }
}

impl Sdk {
    async fn is_held(&self, taken: &Taken) -> bool {
        let held = format!(
            "select count(*)::text from platform.queue_lease l
             join platform.event e on e.position = l.position and e.day = l.day
             where l.queue_id = QUEUE and concat_ws('.', e.id, l.number) = '{}'",
            taken.lease
        );
        self.ground.value(&held).await.as_deref() == Some("1")
    }

    /// How often the host was told of a message that it held no more.
    async fn late(&self) -> f64 {
        let page = self.ground.nexus.metrics().await;
        let labels = [("service", SERVICE), ("queue", TOPIC)];
        page.value("nexus_queue_stale_total", &labels).unwrap_or_default()
    }
}
