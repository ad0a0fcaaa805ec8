//! The history of configuration: numbers in the order of commits, a component's own before that of
//! all, and nothing that is rewritten but the key of a secret.

use crate::server::{Fresh, brisk, platform};
use nexus_storage::configuration::{Author, Configurations, Kept, Sealed, WriteError};
use std::convert::Infallible;

const ADA: Author<'static> = Author { by: "ada", reason: "the fair" };

async fn begin() -> (Fresh, Configurations) {
    let fresh = crate::server::empty(brisk()).await;
    platform().apply(&fresh.database).await.unwrap();
    let configurations = Configurations::new(fresh.database.clone());
    (fresh, configurations)
}

async fn put(store: &Configurations, scope: &str, name: &str, kept: Kept) -> u64 {
    store.write(scope, name, ADA, |_| Ok::<_, Infallible>(kept)).await.unwrap()
}

async fn at(store: &Configurations, component: &str, version: u64) -> Vec<(String, String)> {
    let settings = store.at(component, version).await.unwrap();
    let shown = settings.into_iter().map(|setting| match setting.kept {
        Kept::Value(value) => (setting.name, value),
        other => (setting.name, format!("{other:?}")),
    });
    shown.collect()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.into(), value.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_components_own_value_wins_and_what_was_is_still_what_it_was() {
    let (fresh, store) = begin().await;
    assert_eq!(store.newest("catalog").await.unwrap(), 0);
    let all = put(&store, "_", "greeting", Kept::Value("hello".into())).await;
    let own = put(&store, "catalog", "greeting", Kept::Value("servus".into())).await;
    let other = put(&store, "orders", "greeting", Kept::Value("moin".into())).await;
    let gone = put(&store, "catalog", "greeting", Kept::Unset).await;
    assert_eq!((all, own, other, gone), (1, 2, 3, 4));
    assert_eq!(at(&store, "catalog", 0).await, []);
    assert_eq!(at(&store, "catalog", all).await, [pair("greeting", "hello")]);
    assert_eq!(at(&store, "catalog", own).await, [pair("greeting", "servus")]);
    assert_eq!(at(&store, "catalog", other).await, [pair("greeting", "servus")]);
    assert_eq!(at(&store, "catalog", gone).await, [pair("greeting", "hello")]);
    assert_eq!(at(&store, "catalog", u64::MAX).await, [pair("greeting", "hello")]);
    assert_eq!(store.newest("catalog").await.unwrap(), gone);
    assert_eq!(store.newest("orders").await.unwrap(), other);
    assert_eq!(store.newest("users").await.unwrap(), all);
    fresh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_listed_without_values_the_newest_first() {
    let (fresh, store) = begin().await;
    for n in 0..5 {
        put(&store, "catalog", "limit", Kept::Value(n.to_string())).await;
    }
    let page = store.changes("catalog", None, 2).await.unwrap();
    assert_eq!(page.iter().map(|row| row.version).collect::<Vec<_>>(), [5, 4]);
    assert_eq!((page[0].changed_by.as_str(), page[0].reason.as_str()), ("ada", "the fair"));
    assert_eq!((page[0].kind.as_str(), page[0].name.as_deref()), ("value", Some("limit")));
    let rest = store.changes("catalog", Some(4), 10).await.unwrap();
    assert_eq!(rest.iter().map(|row| row.version).collect::<Vec<_>>(), [3, 2, 1]);
    fresh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_setting_is_refused_and_takes_no_number() {
    let (fresh, store) = begin().await;
    for (scope, name, value) in [
        ("Catalog", "greeting", "x"),
        ("catalog", "Greeting", "x"),
        ("catalog", "", "x"),
        ("catalog", "greeting", &"x".repeat(65_537)),
    ] {
        let kept = Kept::Value(value.to_owned());
        let refused = store.write(scope, name, ADA, |_| Ok::<_, Infallible>(kept)).await;
        let WriteError::Storage(error) = refused.unwrap_err();
        assert!(error.code().is_some_and(|code| code.code().starts_with("23")), "{error}");
    }
    let failed = store.write("catalog", "key", ADA, |_| Err("no key")).await;
    assert!(matches!(failed, Err(WriteError::Sealing("no key"))));
    assert_eq!(put(&store, "catalog", "greeting", Kept::Value("x".into())).await, 1);
    fresh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_write_at_once_get_numbers_without_gaps() {
    let (fresh, store) = begin().await;
    let other = Configurations::new(fresh.elsewhere().await);
    let write = async |store: &Configurations, scope: &'static str| {
        for _ in 0..10 {
            put(store, scope, "n", Kept::Value("x".into())).await;
        }
    };
    tokio::join!(write(&store, "catalog"), write(&other, "orders"), write(&store, "_"));
    let all = store.changes("catalog", None, 100).await.unwrap().len()
        + store.changes("orders", None, 100).await.unwrap().len();
    assert_eq!(all, 10 + 10 + 2 * 10);
    assert_eq!(put(&store, "_", "n", Kept::Unset).await, 31);
    fresh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_key_of_a_secret_may_change_in_the_history() {
    let (fresh, store) = begin().await;
    let sealed = |byte: u8, key: &str| Sealed { bytes: vec![byte; 40], key_id: key.repeat(16) };
    put(&store, "catalog", "api_key", Kept::Secret(sealed(1, "a"))).await;
    put(&store, "catalog", "greeting", Kept::Value("x".into())).await;
    assert_eq!(store.keys().await.unwrap(), [("a".repeat(16), 1)]);
    let stale = store.stale(&"b".repeat(16), 10).await.unwrap();
    assert_eq!(stale.len(), 1);
    assert_eq!((stale[0].component.as_str(), stale[0].name.as_str()), ("catalog", "api_key"));
    assert!(store.reseal(&stale[0], &sealed(2, "b")).await.unwrap());
    assert!(!store.reseal(&stale[0], &sealed(3, "b")).await.unwrap(), "another host was first");
    assert_eq!(store.keys().await.unwrap(), [("b".repeat(16), 1)]);
    let host = fresh.database.host().await.unwrap();
    for sql in [
        "update platform.configuration_change set value = 'y' where version = 2",
        "update platform.configuration_change set changed_by = 'eve' where version = 1",
        "delete from platform.configuration_change",
        "truncate platform.configuration_change",
    ] {
        assert!(host.batch(sql).await.is_err(), "{sql}");
        let _ended = host.batch("rollback").await;
    }
    fresh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_outside_is_noted_once_for_all_hosts() {
    let (fresh, store) = begin().await;
    let other = Configurations::new(fresh.elsewhere().await);
    let (first, again) = tokio::join!(
        store.note_outside("catalog", &[1; 32], ADA),
        other.note_outside("catalog", &[1; 32], ADA)
    );
    let noted: Vec<u64> = [first.unwrap(), again.unwrap()].into_iter().flatten().collect();
    assert_eq!(noted, [1]);
    assert_eq!(store.note_outside("catalog", &[2; 32], ADA).await.unwrap(), Some(2));
    assert_eq!(store.note_outside("catalog", &[1; 32], ADA).await.unwrap(), Some(3));
    assert_eq!(store.newest("catalog").await.unwrap(), 3);
    assert_eq!(at(&store, "catalog", 3).await, []);
    fresh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_reads_the_configuration_of_another() {
    let fresh = crate::server::two_services(brisk()).await;
    let alpha = fresh.as_alpha().await;
    for sql in [
        "select * from platform.configuration_change",
        "select * from platform.configuration_at('beta', 1)",
    ] {
        let refused = alpha.query(sql, &[]).await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("42501"), "{sql}");
    }
    drop(alpha);
    fresh.end().await;
}
