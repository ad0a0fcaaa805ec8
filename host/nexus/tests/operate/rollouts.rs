//! Artifacts brought into service on a running host, over the API as operators' tools use it.

use http::Method;
use nexus_artifact::{Artifact, Parts};
use nexus_harness::prelude::*;

const TAR: &str = "application/vnd.oci.image.layout.v1.tar";

fn fragment(lines: &str) -> String {
    format!(
        "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"hello\"\n\
         [component.hello]\nsource = \"hello.wasm\"\n{lines}\n"
    )
}

/// The probe `guest` as an artifact of the component `hello`.
fn archive(guest: &str, lines: &str) -> Vec<u8> {
    let fragment = fragment(lines);
    let parts = Parts {
        component: "hello",
        version: Some("2.0.0"),
        created: None,
        wasm: std::fs::read(probe(guest)).unwrap().into(),
        fragment: Some(&fragment),
        migrations: Vec::new(),
    };
    Artifact::build(parts).unwrap().archive()
}

struct Bed {
    nexus: Nexus,
    admin: Client,
}

impl Bed {
    async fn begin() -> Self {
        let nexus = Nexus::with_components(&[probe("hello")]).await;
        let admin = nexus.admin();
        Self { nexus, admin }
    }

    async fn store(&self, bytes: Vec<u8>) -> Value {
        let request = self.admin.request(Method::POST, "/api/v1/artifacts");
        request.header("content-type", TAR).body(bytes).send().await.ok().json()
    }

    async fn post(&self, path: &str, order: Value) -> Answer {
        self.admin.post(&format!("/api/v1/{path}"), order).await
    }

    async fn get(&self, path: &str) -> Value {
        self.admin.get(&format!("/api/v1/{path}")).await.ok().json()
    }

    async fn deploy(&self, digest: &str, strategy: Value) -> String {
        let order = json!({ "artifact": digest, "strategy": strategy, "note": "a test" });
        let answer: Value = self.post("components/hello/deploy", order).await.status(202).json();
        answer["rollout"]["id"].as_str().unwrap().to_owned()
    }

    async fn reaches(&self, id: &str, state: &str) -> Value {
        eventually(&format!("the rollout is {state}"), seconds(60), async || {
            self.get(&format!("rollouts/{id}")).await["state"] == state
        })
        .await;
        self.get(&format!("rollouts/{id}")).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_artifact_is_stored_rolled_out_and_put_back_by_the_api() {
    let bed = Bed::begin().await;
    let tar = archive("hello", "environment = { N = \"2\" }");
    let stored = bed.store(tar.clone()).await;
    assert_eq!(
        (&stored["component"], &stored["version"], &stored["existed"]),
        (&json!("hello"), &json!("2.0.0"), &json!(false))
    );
    assert_eq!(stored["signature"]["state"], "unsigned");
    assert_eq!(bed.store(tar.clone()).await["existed"], true);
    let digest = stored["digest"].as_str().unwrap();
    let given = bed.admin.get(&format!("/api/v1/artifacts/{digest}/archive")).await.ok();
    assert_eq!(Artifact::read_archive(&given.body).unwrap().digest().to_string(), digest);

    let dry = json!({ "artifact": digest, "dry_run": true });
    let planned: Value = bed.post("components/hello/deploy", dry).await.ok().json();
    assert_eq!((&planned["strategy"], &planned["objections"]), (&json!("canary"), &json!([])));
    assert!(planned["diff"]["grants"].to_string().contains("environment"), "{planned}");

    let id = bed.deploy(digest, json!("instant")).await;
    let done = bed.reaches(&id, "done").await;
    assert_eq!(
        (&done["revision"], &done["from"], &done["by"]),
        (&json!(2), &json!(1), &json!("root"))
    );
    assert!(done["events"].as_array().unwrap().len() > 5, "{done}");
    let traffic = bed.get("components/hello/traffic").await;
    assert_eq!(traffic["weights"], json!({ "2": 10_000 }));
    assert_eq!(bed.nexus.anonymous().get("/x").await.ok().text(), "hello");

    let order = json!({ "reason": "a premiere" });
    let freeze: Value = bed.post("freezes", order).await.ok().json();
    let order = json!({ "revision": 1 });
    bed.post("components/hello/deploy", order.clone()).await.problem(409, "frozen");
    let back = json!({ "reason": "it flickers" });
    let back: Value = bed.post("components/hello/rollback", back).await.status(202).json();
    let back = bed.reaches(back["rollout"]["id"].as_str().unwrap(), "done").await;
    assert_eq!((&back["revision"], &back["kind"]), (&json!(1), &json!("rollback")));
    let path = format!("/api/v1/freezes/{}", freeze["id"].as_str().unwrap());
    bed.admin.delete(&path).await.ok();
    let listed = bed.get("components/hello/revisions").await;
    let numbers: Vec<_> = listed["revisions"].as_array().unwrap().iter().collect();
    assert_eq!(
        numbers.iter().map(|one| &one["number"]).collect::<Vec<_>>(),
        [&json!(2), &json!(1)]
    );
    let hosts = bed.get("hosts").await;
    assert_eq!(
        (&hosts["hosts"][0]["alive"], &hosts["hosts"][0]["failures"]),
        (&json!(true), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_notice_nothing_of_a_revision_that_traps_but_its_first_calls() {
    let bed = Bed::begin().await;
    bed.nexus.expects_log("a rollout goes back");
    bed.nexus.expects_log("instance lost");
    bed.nexus.expects_log("trap");
    let lines = "variables = { pg_url = \"{{ pg_url }}\" }\n\
                 allowed_outbound_hosts = [\"postgres://nexus.internal\"]";
    let stored = bed.store(archive("hostile", lines)).await;
    let steps = json!({ "steps": [1_000, 10_000], "step_seconds": 600 });
    let id = bed.deploy(stored["digest"].as_str().unwrap(), steps).await;
    bed.reaches(&id, "stepping").await;
    let client = bed.nexus.anonymous();
    let mut failed = 0;
    eventually("it goes back", seconds(60), async || {
        for _ in 0..20 {
            failed += u32::from(client.get("/trap").await.status.is_server_error());
        }
        bed.get("components/hello/traffic").await["weights"] == json!({ "1": 10_000 })
    })
    .await;
    let row = bed.reaches(&id, "rolled_back").await;
    // Which of the two is seen first depends on when the host looks.
    let reason = row["reason"].as_str().unwrap();
    assert!(failed > 0 && (reason.contains("traps") || reason.contains("failed")), "{row}");
    eventually("the host has gone back", seconds(20), async || {
        let served = bed.nexus.runtime().revisions();
        served.iter().all(|one| one.draining || one.number == 1)
    })
    .await;
    for _ in 0..50 {
        client.get("/trap").await.ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_make_no_sense_are_refused_with_the_reason() {
    let bed = Bed::begin().await;
    let request = bed.admin.request(Method::POST, "/api/v1/artifacts");
    let request = request.header("content-type", TAR).body("not a tar");
    request.send().await.problem(422, "artifact-unfit");
    let request = bed.admin.request(Method::POST, "/api/v1/artifacts");
    let request = request.header("content-type", "text/plain").body("x");
    request.send().await.problem(400, "unreadable-body");
    for (path, order, status, name) in [
        ("components/hello/deploy", json!({}), 422, "artifact-unfit"),
        ("components/hello/deploy", json!({ "artifact": "sha256:0" }), 404, "no-such-artifact"),
        ("components/hello/deploy", json!({ "revision": 9 }), 404, "no-such-revision"),
        ("components/hello/deploy", json!({ "strategy": "bold" }), 400, "unreadable-body"),
        ("components/hello/deploy", json!({ "word": 1 }), 400, "unreadable-body"),
        ("components/hello/rollback", json!({}), 422, "artifact-unfit"),
        ("components/hello/rollback", json!({ "to": 9 }), 404, "no-such-revision"),
    ] {
        bed.post(path, order).await.problem(status, name);
    }
    let weights = json!({ "weights": { "1": 9_999 } });
    let put = bed.admin.put("/api/v1/components/hello/traffic", weights).await;
    put.problem(409, "order-refused");
    let nobody = uuid::Uuid::nil();
    bed.post(&format!("rollouts/{nobody}/abort"), json!({})).await.problem(404, "no-such-rollout");
    assert_eq!(bed.get("rollouts").await["rollouts"], json!([]));
}
