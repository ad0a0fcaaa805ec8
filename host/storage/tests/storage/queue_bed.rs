//! A database with queues, and what the tests of the queue do over and over.

use crate::server::{Fresh, brisk, two_services, until, value};
use nexus_storage::Session;
use nexus_storage::queue::{
    ClaimRequest, Depth, EnqueueRequest, Kind, Leased, Queue, QueueId, Settings,
};
use std::time::SystemTime;
use uuid::Uuid;

pub const TOPIC: &str = "test.thing.happened.v1";

pub struct Bed {
    pub fresh: Fresh,
    pub queue: Queue,
}

impl Bed {
    pub async fn new() -> Self {
        let fresh = two_services(brisk()).await;
        let queue = Queue::new(fresh.database.clone());
        Self { fresh, queue }
    }

    pub async fn end(self) {
        drop(self.queue);
        self.fresh.end().await;
    }

    pub async fn host(&self) -> Session {
        self.fresh.database.host().await.expect("the database answers")
    }

    /// The queue `work` of the service alpha.
    pub async fn queue_with(&self, settings: &Settings) -> QueueId {
        self.named_queue("work", settings).await
    }

    pub async fn named_queue(&self, name: &str, settings: &Settings) -> QueueId {
        self.queue
            .ensure("alpha", name, Kind::Service, "on_work", settings)
            .await
            .expect("the database answers")
    }

    pub fn request(&self, queue: QueueId) -> EnqueueRequest {
        EnqueueRequest::new(queue, TOPIC, "alpha", serde_json::json!({}))
    }

    pub async fn put(&self, queue: QueueId, count: usize) -> Vec<Uuid> {
        let mut put = Vec::new();
        for _ in 0..count {
            put.push(self.queue.enqueue(&self.request(queue)).await.expect("the database answers"));
        }
        put
    }

    pub async fn put_group(&self, queue: QueueId, group: &str, count: usize) -> Vec<Uuid> {
        let mut put = Vec::new();
        for _ in 0..count {
            let request = EnqueueRequest { group: Some(group.into()), ..self.request(queue) };
            put.push(self.queue.enqueue(&request).await.expect("the database answers"));
        }
        put
    }

    pub async fn claim(&self, queue: QueueId, most: u32) -> Vec<Leased> {
        let after = QueueId(queue.0 - 1);
        let known = self.queue.registered(after, 1).await.expect("the database answers").remove(0);
        let queues = vec![known.claim(most)];
        let request = ClaimRequest { queues, worker: "worker".into(), lease: None };
        self.queue.claim(&request).await.expect("the database answers")
    }

    /// Publishes as the service alpha.
    pub async fn publish(&self, topic: &str, subject: &str, payload: &str) -> Uuid {
        let id = Uuid::now_v7();
        let session = self.fresh.as_alpha().await;
        session
            .query(&publishing(topic, id, subject, payload), &[])
            .await
            .expect("the database answers");
        id
    }

    pub async fn depth(&self, queue: QueueId) -> Depth {
        let all = self.queue.list(("", ""), 1000).await.expect("the database answers");
        all.into_iter().find(|depth| depth.queue == queue).expect("the queue is known")
    }

    /// Whatever is deferred is due.
    pub async fn make_due(&self) {
        let sql = "update platform.queue_deferred set due_at = now(); \
                   select setval('platform.queue_deferred_low', 0)";
        self.host().await.batch(sql).await.expect("the database answers");
        self.queue.promote(1000).await.expect("the database answers");
    }

    pub async fn now(&self) -> SystemTime {
        value(&self.host().await, "select clock_timestamp()").await
    }

    pub async fn until_somebody_waits(&self) {
        let host = self.host().await;
        let blocked = "select count(*) from pg_stat_activity where datname = current_database() \
                       and wait_event_type = 'Lock'";
        until("somebody waits", async || value::<i64>(&host, blocked).await >= 1).await;
    }

    /// Every message of a queue by its position, with the state it is in.
    pub async fn states(&self, queue: QueueId) -> Vec<(i64, String)> {
        let sql = format!(
            "select position, state from (\
             select position, queue_id, 'ready' state from platform.queue_ready union all \
             select position, queue_id, 'deferred' from platform.queue_deferred union all \
             select position, queue_id, 'leased' from platform.queue_lease union all \
             select position, queue_id, 'dead' from platform.queue_dead union all \
             select position, queue_id, 'done' from platform.queue_done\
             ) m where queue_id = {} order by position",
            queue.0
        );
        let rows = self.host().await.query(&sql, &[]).await.expect("the database answers");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

pub fn publishing(topic: &str, id: Uuid, subject: &str, payload: &str) -> String {
    format!("select platform.publish('{topic}', '{id}', '{subject}', null, '{payload}', null)")
}

pub fn ids(leased: &[Leased]) -> Vec<Uuid> {
    leased.iter().map(|leased| leased.message.id).collect()
}

/// All leases lapse.
pub async fn lapse(bed: &Bed) {
    let sql = "update platform.queue_lease set expires_at = now()";
    bed.host().await.batch(sql).await.expect("the database answers");
}
