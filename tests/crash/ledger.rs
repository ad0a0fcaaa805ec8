//! The books themselves: whatever is put wrong by hand, they name. Without this, an audit that
//! finds nothing would prove nothing.

use crash::books::Books;
use crash::ground::Ground;
use crash::journal::{self, SERVICE, TOPIC};
use crash::load::Tally;
use nexus_storage::queue::{
    ClaimRequest, Leased, Outcome, Queue, Registered, Settings, Start, SubscriptionSpec,
};
use serde_json::json;
use uuid::Uuid;

struct Bed {
    ground: Ground,
    queue: Queue,
    registered: Registered,
}

impl Bed {
    async fn begin() -> Self {
        let ground = Ground::prepare().await.unwrap();
        journal::furnish(&ground).await.unwrap();
        ground.keep_history().await.unwrap();
        let queue = Queue::new(ground.database().clone());
        let spec = SubscriptionSpec {
            topic: TOPIC.into(),
            from: Start::Now,
            settings: Settings::default(),
        };
        queue.subscribe(SERVICE, &[spec]).await.unwrap();
        let registered = queue.named(SERVICE, TOPIC).await.unwrap().unwrap();
        Self { ground, queue, registered }
    }

    /// An entry with its event, as the probe writes it.
    async fn write(&self) -> Uuid {
        let (id, tenant) = (Uuid::now_v7(), Uuid::nil());
        let service = self.ground.database().service(SERVICE).await.unwrap();
        let insert =
            "insert into probe_journal.entry (tenant_id, id, mood) values ($1, $2, 'well')";
        service.execute(insert, &[&tenant, &id]).await.unwrap();
        let (subject, payload) = (id.to_string(), json!({ "id": id }));
        let publish = "select platform.publish($1, gen_random_uuid(), $2, $3, $4, null)";
        service.execute(publish, &[&TOPIC, &subject, &tenant, &payload]).await.unwrap();
        id
    }

    async fn claim(&self) -> Vec<Leased> {
        let queues = vec![self.registered.claim(100)];
        let request = ClaimRequest { queues, worker: "w".into(), lease: None };
        self.queue.claim(&request).await.unwrap()
    }

    /// Does it, and asserts that the books say nothing before and something after.
    async fn tamper(&self, sql: &str, read: impl AsyncFn(Books<'_>) -> Vec<String>) {
        let books = || Books(self.ground.database());
        assert_eq!(read(books()).await, Vec::<String>::new(), "before {sql}");
        self.ground.run(sql).await.unwrap();
        assert_eq!(read(books()).await.len(), 1, "after {sql}");
    }
}

#[tokio::test]
async fn the_books_name_a_message_that_is_nowhere_or_in_two_places_or_was_never_published() {
    let misplaced = async |books: Books<'_>| books.misplaced().await.unwrap();
    let bed = Bed::begin().await;
    bed.write().await;
    bed.write().await;
    let last = "(select max(position) from platform.queue_ready)";
    for (wrong, right) in [
        (
            format!(
                "insert into platform.queue_ready
                 select * from platform.queue_ready where position = {last}"
            ),
            format!(
                "delete from platform.queue_ready where ctid = (
                   select max(ctid) from platform.queue_ready where position = {last})"
            ),
        ),
        (
            format!(
                "insert into platform.queue_deferred
                 select now(), queue_id, position, day, 0, 0, 0, false, null
                 from platform.queue_ready where position = {last}"
            ),
            "delete from platform.queue_deferred".to_owned(),
        ),
        (
            "insert into platform.queue_done
             select current_date, id, 4711, 1, 1, 'acked', now() from platform.queue"
                .to_owned(),
            "delete from platform.queue_done where position = 4711".to_owned(),
        ),
        (format!("delete from platform.queue_ready where position = {last}"), String::new()),
    ] {
        bed.tamper(&wrong, misplaced).await;
        bed.ground.run(&right).await.unwrap();
    }
    bed.ground.end().await;
}

#[tokio::test]
async fn the_books_name_a_lost_write_a_row_without_its_event_and_a_second_filing() {
    let bed = Bed::begin().await;
    let (first, second) = (bed.write().await, bed.write().await);
    let tally = Tally { acknowledged: vec![first, second], ..Tally::default() };
    let file = format!(
        "insert into probe_journal.filed (tenant_id, entry_id, chapter)
         select tenant_id, id, '' from probe_journal.entry where id = '{first}';
         insert into probe_journal.heard select tenant_id, id, '' from probe_journal.entry"
    );
    bed.ground.run(&file).await.unwrap();
    bed.ground.run(&file.replace(&first.to_string(), &second.to_string())).await.unwrap();
    bed.ground
        .run(
            "delete from probe_journal.heard where ctid not in (
        select min(ctid) from probe_journal.heard group by entry_id)",
        )
        .await
        .unwrap();
    bed.tamper(
        &format!(
            "insert into probe_journal.filed (tenant_id, entry_id, chapter)
                  values (null, '{first}', '')"
        ),
        async |books| books.misfiled().await.unwrap(),
    )
    .await;
    let gone = format!("delete from probe_journal.entry where id = '{second}'");
    bed.tamper(&gone, async |books| books.half_written().await.unwrap()).await;
    let lost = Books(bed.ground.database()).lost(&tally).await.unwrap();
    assert_eq!(lost.len(), 1, "{lost:?}");
    bed.ground.end().await;
}

#[tokio::test]
async fn the_books_name_a_lease_that_was_given_twice_and_an_end_by_a_stale_one() {
    let bed = Bed::begin().await;
    bed.write().await;
    let leased = bed.claim().await;
    let broken = async |books: Books<'_>| books.broken_leases().await.unwrap();
    let outcomes: Vec<_> = leased.iter().map(|it| (it.lease, Outcome::Ack)).collect();
    bed.queue.finish(&outcomes).await.unwrap();
    bed.tamper("update platform.queue_done set number = number - 1", broken).await;
    bed.ground.run("update platform.queue_done set number = number + 1").await.unwrap();
    bed.write().await;
    assert_eq!(bed.claim().await.len(), 1);
    bed.tamper("insert into platform.queue_lease select * from platform.queue_lease", broken).await;
    bed.ground.end().await;
}
