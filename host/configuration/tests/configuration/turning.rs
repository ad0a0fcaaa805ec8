//! What turns while hosts run: the root key, files, folders.

use crate::ground::{ADA, Ground, counted, until};
use nexus_configuration::{Error, Origin, Sources};
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_key_takes_every_secret_of_the_history_along() {
    let ground = Ground::begin().await;
    let old = ground.plain();
    for n in 0..5 {
        old.set("catalog", "api_key", &format!("secret-{n}"), true, ADA).await.unwrap();
    }
    let stranger = ground.host(Some(2), None, Sources::default());
    assert!(matches!(stranger.values("catalog", 5).await, Err(Error::OtherKey { .. })));
    assert!(matches!(stranger.rotate().await, Err(Error::OtherKey { .. })));
    let new = ground.host(Some(2), Some(1), Sources::default());
    assert_eq!(new.values("catalog", 3).await.unwrap()["api_key"], "secret-2");
    assert_eq!(new.rotate().await.unwrap(), 5);
    assert_eq!(new.rotate().await.unwrap(), 0);
    assert_eq!(stranger.values("catalog", 2).await.unwrap()["api_key"], "secret-1");
    assert!(matches!(old.values("catalog", 2).await, Err(Error::OtherKey { .. })));
    ground.end().await;
}

fn write(file: &Path, text: &str) {
    let part = file.with_extension("part");
    std::fs::write(&part, text).unwrap();
    std::fs::rename(part, file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_gives_those_that_read_it_a_new_revision() {
    let ground = Ground::begin().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nexus.toml");
    write(&file, "limit = 7\n[catalog]\napi_key = \"from-file\"\n");
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    write(&secrets.join("greeting"), "grüezi\n");
    let sources =
        || Sources { file: Some(file.clone()), folders: vec![secrets.clone()], vault: None };
    let host = ground.host(Some(1), None, sources());
    host.look().await.unwrap();
    let made = counted(&host);
    // What operators have set is weaker than a file of the machine.
    let set = host.set("orders", "limit", "9", false, ADA).await.unwrap();
    assert_eq!(host.values("orders", set).await.unwrap()["limit"], "7");
    let shown = host.show("orders").await.unwrap();
    assert!(matches!(&shown[0].origin, Origin::Outside { place } if place.ends_with("nexus.toml")));
    assert_eq!(host.values("catalog", 0).await.unwrap()["greeting"], "grüezi");
    // A second host of the same files: the change is noted once.
    let second = ground.host(Some(1), None, sources());
    second.look().await.unwrap();
    let others = counted(&second);
    let watching = [tokio::spawn(host.clone().watch()), tokio::spawn(second.clone().watch())];
    let all = || [made.0.lock().unwrap().clone(), others.0.lock().unwrap().clone()].concat();
    write(&file, "limit = 8\n[catalog]\napi_key = \"from-file\"\n");
    until("a revision of orders", async || !all().is_empty()).await;
    let (component, configuration, by) = all()[0].clone();
    assert_eq!((component.as_str(), by.as_str()), ("orders", "host"));
    assert!(configuration > set);
    assert_eq!(host.values("orders", configuration).await.unwrap()["limit"], "8");
    // One that cannot be read changes nothing; then a secret of the other component comes.
    write(&file, "limit = \n");
    write(&secrets.join("greeting"), "salut\n");
    until("a revision of catalog", async || all().iter().any(|one| one.0 == "catalog")).await;
    assert_eq!(host.values("orders", configuration).await.unwrap()["limit"], "8");
    assert_eq!(host.values("catalog", 0).await.unwrap()["greeting"], "salut");
    until("both hosts have looked", async || {
        second.at_hand("catalog", "greeting").as_deref() == Some("salut")
    })
    .await;
    assert_eq!(all().len(), 2, "once for both hosts: {:?}", all());
    watching.iter().for_each(tokio::task::JoinHandle::abort);
    ground.end().await;
}
