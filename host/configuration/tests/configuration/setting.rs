//! Setting, showing, comparing, putting in force.

use crate::ground::{ADA, Ground, counted};
use nexus_configuration::{Applied, Change, Error, Origin, Revised, Sources};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_what_its_number_says_and_a_secret_is_never_shown() {
    let ground = Ground::begin().await;
    let host = ground.plain();
    let first = host.set("_", "greeting", "moin", false, ADA).await.unwrap();
    let second = host.set("catalog", "api_key", "s3cret-of-catalog", true, ADA).await.unwrap();
    let third = host.set("catalog", "greeting", "servus", false, ADA).await.unwrap();
    let at = async |version| host.values("catalog", version).await.unwrap();
    assert!(at(0).await.is_empty());
    assert_eq!(at(first).await["greeting"], "moin");
    assert_eq!(at(second).await["api_key"], "s3cret-of-catalog");
    assert_eq!(at(third).await["greeting"], "servus");
    // A revision that keeps its number keeps its values, whatever was set since.
    assert_eq!(at(second).await["greeting"], "moin");
    let shown = host.show("catalog").await.unwrap();
    let key = shown.iter().find(|name| name.name == "api_key").unwrap();
    assert!(key.secret && key.value.is_none());
    assert!(matches!(&key.origin, Origin::Set { scope, version, by, .. }
        if scope == "catalog" && *version == second && by == "ada"));
    assert!(!format!("{shown:?}").contains("s3cret"));
    let orders = host.show("orders").await.unwrap();
    assert_eq!(orders.len(), 1);
    assert_eq!((orders[0].name.as_str(), &orders[0].origin), ("limit", &Origin::Missing));
    // Nor does the database know what it says.
    let session = ground.database.host().await.unwrap();
    let sql = "select bool_or(position('s3cret'::bytea in sealed) > 0) \
               from platform.configuration_change where kind = 'secret'";
    let rows = session.query(sql, &[]).await.unwrap();
    assert!(!rows[0].get::<_, bool>(0));
    drop(session);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_declared_or_is_a_secret_in_the_open_is_refused() {
    let ground = Ground::begin().await;
    let host = ground.plain();
    let set = async |scope, name, secret| host.set(scope, name, "x", secret, ADA).await;
    let refused = set("catalog", "colour", false).await.unwrap_err();
    assert!(refused.to_string().contains("it has api_key, greeting"), "{refused}");
    assert!(matches!(set("catalog", "limit", false).await, Err(Error::Undeclared { .. })));
    assert!(matches!(set("nobody", "limit", false).await, Err(Error::NoComponent(_))));
    assert!(matches!(set("_", "api_key", false).await, Err(Error::Secret(_))));
    let long = "x".repeat(65_537);
    let refused = host.set("_", "greeting", &long, false, ADA).await;
    assert!(matches!(refused, Err(Error::TooLong { .. })));
    let without_key = ground.host(None, None, Sources::default());
    let refused = without_key.set("_", "api_key", "x", true, ADA).await;
    assert!(matches!(refused, Err(Error::NoKey)));
    // What is no secret may be kept as one.
    set("_", "limit", true).await.unwrap();
    assert!(host.show("orders").await.unwrap()[0].secret);
    assert_eq!(host.versions("catalog", None, 10).await.unwrap().len(), 1);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_numbers_are_compared_without_saying_what_a_secret_is() {
    let ground = Ground::begin().await;
    let host = ground.plain();
    let set = async |name, value, secret| {
        host.set("catalog", name, value, secret, ADA).await.unwrap();
    };
    set("api_key", "one-secret", true).await;
    set("greeting", "moin", false).await;
    let from = host.newest("catalog").await.unwrap();
    set("api_key", "one-secret", true).await;
    set("greeting", "servus", false).await;
    let same = host.newest("catalog").await.unwrap();
    set("api_key", "other-secret", true).await;
    host.unset("catalog", "greeting", ADA).await.unwrap();
    let to = host.newest("catalog").await.unwrap();
    let between = async |from, to| {
        let found = host.diff("catalog", from, to).await.unwrap();
        assert!(!format!("{found:?}").contains("-secret"));
        found.into_iter().map(|d| (d.name, d.change, d.before, d.after)).collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        between(from, same).await,
        [
            ("api_key".into(), Change::Same, None, None),
            ("greeting".into(), Change::Changed, text("moin"), text("servus")),
        ]
    );
    assert_eq!(
        between(same, to).await,
        [
            ("api_key".into(), Change::Changed, None, None),
            ("greeting".into(), Change::Removed, text("servus"), None),
        ]
    );
    assert_eq!(between(0, from).await.len(), 2);
    assert_eq!(between(to, to).await, []);
    ground.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_put_in_force_when_nothing_is_missing() {
    let ground = Ground::begin().await;
    let host = ground.plain();
    assert!(matches!(host.apply("orders", ADA).await, Err(Error::Missing { .. })));
    let version = host.set("orders", "limit", "7", false, ADA).await.unwrap();
    assert!(matches!(host.apply("orders", ADA).await, Err(Error::NoRevisions)));
    let made = counted(&host);
    let applied = host.apply("orders", ADA).await.unwrap();
    let revised = Revised { revision: 1, rollout: Some("rollout of orders".into()) };
    let expected = Applied { component: "orders".into(), configuration: version, revised };
    assert_eq!(applied, [expected]);
    // Of all: not while one of them lacks something.
    let refused = host.apply("_", ADA).await.unwrap_err();
    assert!(refused.to_string().contains("catalog") && refused.to_string().contains("api_key"));
    host.set("_", "api_key", "s3cret", true, ADA).await.unwrap();
    assert_eq!(host.apply("_", ADA).await.unwrap().len(), 2);
    assert_eq!(made.0.lock().unwrap().len(), 3);
    assert!(matches!(host.apply("nobody", ADA).await, Err(Error::NoComponent(_))));
    ground.end().await;
}
