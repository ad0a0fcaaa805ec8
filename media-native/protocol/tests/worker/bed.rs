//! A host with one service that has jobs, seen from all sides.

use nexus_harness::prelude::*;
use nexus_media_protocol::wire::{ClaimReply, ClaimRequest, Claimed};
use nexus_media_protocol::{Client as Worker, Error, Token};
use std::time::{Duration, Instant};

/// The service whose jobs they are; a guest that does nothing for this.
const SERVICE: &str = "hello";

pub struct Bed {
    pub nexus: Nexus,
    pub worker: Worker,
}

impl Bed {
    pub async fn begin() -> Self {
        let nexus = Nexus::setup().components(&[probe(SERVICE)]).start().await;
        let token = Token::new(nexus.host().worker_token()).unwrap();
        let worker = Worker::new(&Self::address(&nexus), token).unwrap();
        Self { nexus, worker }
    }

    pub fn address(nexus: &Nexus) -> String {
        format!("http://{}", nexus.host().admin_address())
    }

    /// Whoever shows the workers' token, without any of this crate's code.
    pub fn bare(&self) -> Client {
        Client::new(&Self::address(&self.nexus)).bearer(self.nexus.host().worker_token())
    }

    /// Submits a job as the service; returns its id.
    pub async fn submit(&self, kind: &str, args: Value, options: Value) -> String {
        let database = self.nexus.host().database().expect("there is a database");
        let session = database.service(SERVICE).await.expect("log in as the service");
        let sql = "select platform.job_submit($1, gen_random_uuid(), null, $2::text::jsonb, null, \
                   $3::text::jsonb)::text";
        let (args, options) = (args.to_string(), options.to_string());
        let rows = session.query(sql, &[&kind, &args, &options]).await.expect("submit");
        rows[0].get(0)
    }

    /// The first column of a query, as text.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let database = self.nexus.host().database().expect("there is a database");
        let session = database.host().await.expect("connect");
        let rows = session.query(sql, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()).collect()
    }

    pub async fn text(&self, sql: &str) -> String {
        self.texts(sql).await.pop().unwrap_or_default()
    }

    pub async fn state(&self, id: &str) -> String {
        self.text(&format!("select platform.job_state(j) from platform.job j where id = '{id}'"))
            .await
    }

    pub async fn is(&self, id: &str, state: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = self.state(id).await;
            if found == state {
                return;
            }
            assert!(Instant::now() < deadline, "the job stays {found}, never {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What would happen in a minute: leases that nobody keeps are over, waiting is over.
    pub async fn lapse(&self) {
        // The host may find them before this does.
        self.nexus.expects_log("leases have lapsed");
        self.texts(
            "with aged as (update platform.queue_lease set expires_at = now() - interval '1 s') \
             select null::text",
        )
        .await;
        self.texts("select count(*)::text from platform.queue_expire(100)").await;
        self.hurry().await;
    }

    /// What waits for its time is due.
    pub async fn hurry(&self) {
        self.texts(
            "with due as (update platform.queue_deferred set due_at = now() - interval '1 s') \
             select null::text",
        )
        .await;
        self.texts("select platform.queue_promote(100)::text").await;
    }

    pub fn wish(kind: &str, wait: Duration) -> ClaimRequest {
        ClaimRequest {
            worker: "w-1".into(),
            kinds: vec![kind.into()],
            offers: Default::default(),
            most: 4,
            wait_ms: wait.as_millis() as u64,
        }
    }

    pub async fn claim(&self, kind: &str) -> Result<ClaimReply, Error> {
        self.worker.claim(&Self::wish(kind, Duration::ZERO)).await
    }

    pub async fn claim_one(&self, kind: &str) -> Claimed {
        self.claim(kind).await.unwrap().jobs.pop().expect("there is a job")
    }
}
