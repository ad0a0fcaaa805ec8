//! What benchmarks compare does the same everywhere: the guest of our SDK, the guest that
//! `wasmtime serve` is given, and the native twin.

use nexus_harness::prelude::*;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_compared_gives_the_same_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let twin = Client::new(&format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(peers::serve(listener, peers::router()));
    let nexus = Nexus::with_components(&[probe("measured"), probe("plain")]).await;
    let guests = nexus.anonymous();
    let person =
        json!({ "name": "Ada", "email": "ada@example.org", "age": 36, "tags": ["a", "b"] });
    for guest in ["measured", "plain"] {
        for path in ["hello", "stream", "events"] {
            let wanted = twin.get(&format!("/{path}")).await.ok().text();
            let given = guests.get(&format!("/{guest}/{path}")).await.ok().text();
            assert!(given == wanted, "{guest}: {} of {} bytes", given.len(), wanted.len());
        }
        let wanted = twin.post("/echo", &person).await.ok().text();
        let given = guests.post(&format!("/{guest}/echo"), &person).await.ok().text();
        assert_eq!(given, wanted, "{guest}");
    }
    twin.post("/echo", json!({ "name": "Ada" })).await.status(422);
    guests.post("/measured/echo", json!({ "name": "Ada" })).await.status(422);
    guests.post("/plain/echo", json!({ "name": "Ada" })).await.status(422);
}
