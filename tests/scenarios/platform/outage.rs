//! PostgreSQL is killed under load: clients are told 503 while it is away, nothing wrong is ever
//! answered, and it comes back by itself.

use nexus_harness::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Clients at once.
const CLIENTS: usize = 200;

/// The least time of load on either side of the kill; the long mode is `NEXUS_LONG=1`.
fn each_side() -> Duration {
    seconds(if std::env::var_os("NEXUS_LONG").is_some() { 30 } else { 3 })
}

/// Right answers wanted on either side: few, because this is no benchmark.
fn answers_each_side() -> u64 {
    100 * each_side().as_secs()
}

/// What all of this may log: PostgreSQL goes away, and whoever was about to use it says so.
const OUTAGE: [&str; 8] = [
    "ERROR guest: ",
    "PostgreSQL at ",
    "no messages could be claimed",
    "schedules are not fired",
    "the private PostgreSQL has died",
    "PostgreSQL is away",
    "no database connection",
    "ending a session without a server",
];

#[derive(Default)]
struct Tally {
    right: AtomicU64,
    away: AtomicU64,
    right_since_the_kill: AtomicU64,
    killed: AtomicBool,
    over: AtomicBool,
}

/// Reads one value over and over; whatever is neither that value nor a 503 problem is wrong.
async fn read_on(client: Client, tally: Arc<Tally>) {
    while !tally.over.load(Relaxed) {
        let answer = client.get("/api/core-os/v1/config/global").await;
        match answer.status.as_u16() {
            200 => {
                let body: Value = answer.json();
                assert_eq!(body["values"], json!({ "theme": "dark" }));
                tally.right.fetch_add(1, Relaxed);
                if tally.killed.load(Relaxed) {
                    tally.right_since_the_kill.fetch_add(1, Relaxed);
                }
            }
            // The component waits for connections; more callers than may wait are sent away.
            503 | 429 => {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                let problem: Value = answer.json();
                assert!(problem["type"].as_str().unwrap().starts_with("/problems/"), "{problem}");
                tally.away.fetch_add(1, Relaxed);
            }
            _ => panic!("{answer:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_503_while_postgres_is_away_and_right_answers_come_back() {
    let private = |settings: &mut nexus_harness::Settings| {
        settings.database = nexus_harness::DatabaseChoice::Private;
        settings.migrations = Some(nexus_harness::repository().join("migrations"));
    };
    let nexus = Nexus::setup().settings(private).start().await;
    OUTAGE.iter().for_each(|words| nexus.expects_log(words));
    let operator = nexus.operator();
    let theme = json!({ "value": "dark" });
    operator.put("/api/core-os/v1/config/global/theme", theme).await.no_content();
    let tally = Arc::new(Tally::default());
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(read_on(nexus.operator(), tally.clone()))).collect();
    let (limit, began) = (seconds(30) + 2 * each_side(), Instant::now());
    eventually("load before the kill", limit, async || {
        began.elapsed() >= each_side() && tally.right.load(Relaxed) > answers_each_side()
    })
    .await;
    let before = tally.right.load(Relaxed);
    let postmaster = nexus.host().postgres_process().expect("a private cluster runs");
    let kill = std::process::Command::new("kill").args(["-9", &postmaster.to_string()]).status();
    assert!(kill.unwrap().success());
    let killed = Instant::now();
    tally.killed.store(true, Relaxed);
    eventually("somebody is told that it is away", limit, async || tally.away.load(Relaxed) > 0)
        .await;
    let since = tally.right_since_the_kill.load(Relaxed);
    eventually("right answers come back", limit, async || {
        tally.right_since_the_kill.load(Relaxed) > since + answers_each_side()
    })
    .await;
    let back = killed.elapsed();
    eventually("load after the kill", limit, async || killed.elapsed() >= each_side()).await;
    tally.over.store(true, Relaxed);
    for client in clients {
        client.await.expect("no client got a wrong answer");
    }
    println!(
        "{CLIENTS} clients, {:?}: {before} right before the kill, {} after it, {} told 503 or 429; \
         {} right again {back:?} after the kill",
        began.elapsed(),
        tally.right.load(Relaxed) - before,
        tally.away.load(Relaxed),
        answers_each_side(),
    );
    nexus.stop().await.unwrap();
}
