//! A host takes the place of another under load: nobody is refused, nothing is lost, and the
//! database never stops.

use crash::ground::{Ground, eventually, repository};
use crash::host::{HostProcess, program};
use crash::steady::Steady;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const CLIENTS: usize = 16;
const TAKEOVERS: u32 = 3;

fn manifest(ground: &Ground) -> std::path::PathBuf {
    let guest = repository().join(".nexus/probes/spin.wasm");
    let text = format!(
        r#"
spin_manifest_version = 2
[application]
name = "takeover"
version = "0.0.0"
[[trigger.http]]
route = "/..."
component = "spin"
[component.spin]
source = "{}"
key_value_stores = ["default"]
allowed_outbound_hosts = ["redis://nexus.internal", "postgres://nexus.internal"]
"#,
        guest.display()
    );
    let path = ground.folder().join("takeover.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn database_process(host: &HostProcess) -> String {
    let file = std::fs::read_to_string(host.home().join("nexus.pid")).unwrap();
    assert!(!file.is_empty());
    let lines = host.logged(&["the private PostgreSQL is ready"]);
    let last = lines.last().expect("it has a database").clone();
    let rest = last.split("\"pid\":").nth(1).expect("its process").to_owned();
    rest.chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_hosts_follow_each_other() {
    let ground = Ground::prepare().await.unwrap();
    let manifest = manifest(&ground);
    let host = HostProcess::new(&ground, &program().unwrap(), "one", &manifest).unwrap();
    let mut host = host.with("NEXUS_SHARDS", "2").with_its_own_database();
    host.spawn().unwrap();
    host.ready().await;
    let to = host.address();
    let server = database_process(&host);
    let put = crash::client::Client::default();
    let kept = put.put(to, "/key-value/kept", "through all of it".into()).await.unwrap();
    assert!(kept.status < 300, "{kept:?}");

    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let (done, answered) = (done.clone(), answered.clone());
        clients.spawn(async move {
            let mut client = Steady::to(to);
            let path = if number % 2 == 0 { "/hello" } else { "/key-value/kept" };
            while !done.load(Relaxed) {
                let body = client.get(path).await.map_err(|error| format!("{path}: {error}"))?;
                assert!(["hello", "through all of it"].contains(&body.as_str()), "{body}");
                answered.fetch_add(1, Relaxed);
            }
            Ok::<_, String>(())
        });
    }
    for _ in 0..TAKEOVERS {
        let more = async |wanted: usize| {
            let before = answered.load(Relaxed);
            let limit = Duration::from_secs(60);
            eventually("clients are answered", limit, async || {
                answered.load(Relaxed) >= before + wanted
            })
            .await;
        };
        more(200).await;
        let before = host.process();
        host.take_over().await.unwrap();
        host.ready().await;
        assert_ne!(host.process(), before);
        assert_eq!(database_process(&host), server, "its database ran on");
        more(200).await;
    }
    done.store(true, Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap().unwrap_or_else(|error| panic!("{error}\n{}", host.last_words()));
    }
    assert_eq!(host.stop().await.unwrap(), Some(0));
    let faults = host.logged(&["\"level\":\"error\"", "panicked"]);
    assert!(faults.is_empty(), "{faults:#?}");
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_stays_when_the_next_one_cannot_start() {
    let ground = Ground::prepare().await.unwrap();
    let manifest = manifest(&ground);
    let host = HostProcess::new(&ground, &program().unwrap(), "one", &manifest).unwrap();
    let mut host = host.with_its_own_database();
    host.spawn().unwrap();
    host.ready().await;
    let process = host.process();
    let sound = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, sound.replace("spin.wasm", "no-such.wasm")).unwrap();
    let code = host.take_over_in_vain().await.unwrap();
    assert_eq!(code, Some(1));
    assert!(host.is_ready().await, "{}", host.last_words());
    assert_eq!(host.process(), process);
    // Nobody follows one that was killed, and its home is free.
    std::fs::write(&manifest, sound).unwrap();
    assert!(host.kill());
    host.take_over().await.unwrap();
    host.ready().await;
    ground.end().await;
}
