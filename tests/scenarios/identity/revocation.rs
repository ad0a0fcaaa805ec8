//! What is taken back opens nothing on any host, in less than a second: two hosts, one database,
//! and nothing else between them.

use super::sessions_ground::{SESSIONS, TOKENS, browser, may, person, sign_in};
use nexus_harness::prelude::*;
use nexus_harness::{Client, DatabaseChoice, Forward, TestDatabase, forward};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const ROUNDS: usize = 20;

/// A second is promised. Half of the time it must take clearly less, on a busy machine too.
const MEDIAN_MAX: Duration = Duration::from_millis(750);

/// Longer is not slow but broken, whatever else this machine does.
const MAX: Duration = seconds(5);

const FLAGS: &str = "/api/core-os/v1/flags";

/// Of both hosts: 32 bytes.
const ROOT_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

struct Two {
    /// Where things are taken back.
    here: Nexus,
    /// Where that must be known; it reaches the database by a way of its own.
    there: Nexus,
    _way: Forward,
}

impl Two {
    async fn start() -> Self {
        let database = TestDatabase::create().await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let way = forward(port, &database).await;
        let name = database.database().name().to_owned();
        let url = format!("postgres://nexus@127.0.0.1:{port}/{name}?sslmode=disable");
        let open = DatabaseChoice::Open(database.database().clone());
        let here = host(open).await;
        let there = host(DatabaseChoice::Url(url)).await;
        Self { here, there, _way: way }
    }
}

async fn host(database: DatabaseChoice) -> Nexus {
    Nexus::setup()
        .services(&["core-os", "kms", "session-mgr", "token-mgr"])
        .settings(move |settings| {
            settings.database = database;
            settings.root_key = Some(ROOT_KEY.into());
        })
        .start()
        .await
}

/// How long a request is still answered otherwise.
async fn until(client: &Client, path: &str, status: u16) -> Duration {
    let began = Instant::now();
    let so = async || client.get(path).await.status == status;
    eventually(&format!("{status} for {path}"), MAX, so).await;
    began.elapsed()
}

fn judged(what: &str, mut samples: Vec<Duration>) {
    samples.sort();
    let (least, median, most) =
        (samples[0], samples[samples.len() / 2], samples[samples.len() - 1]);
    println!("{what}: {least:?} at least, {median:?} in the middle, {most:?} at most");
    assert!(median < MEDIAN_MAX, "{what}: {samples:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_here_is_refused_there_in_less_than_a_second() {
    let two = Two::start().await;
    let (here, there) = (&two.here, &two.there);
    let current = format!("{SESSIONS}/sessions/current");
    let (mut sessions, mut keys, mut permissions) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let ada = person(here, &["core-os:view"]).await;
        let session = sign_in(here, &ada).await;
        let owner = browser(here, &session);
        let draft = json!({ "name": "Deploy", "permissions": ["core-os:view"] });
        let key = owner.post(&format!("{TOKENS}/apikeys"), draft).await.created().json;
        let program = there.anonymous().header("x-api-key", key["key"].as_str().unwrap());
        let device = browser(there, &session);
        // Known there, so that it must be forgotten.
        program.get(FLAGS).await.ok();
        device.get(&current).await.ok();

        may(here, &ada, &[]).await;
        permissions.push(until(&program, FLAGS, 403).await);
        owner.delete(&format!("{TOKENS}/apikeys/{}", key["id"].as_str().unwrap())).await;
        keys.push(until(&program, FLAGS, 401).await);
        owner.delete(&current).await;
        sessions.push(until(&device, &current, 401).await);
    }
    judged("a permission", permissions);
    judged("an API key", keys);
    judged("a session", sessions);
}
