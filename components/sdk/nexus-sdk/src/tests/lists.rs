//! Reading: pages, versions, tenants.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::catalog::{Answer, Product, ask, created_elsewhere, find, insert, member, tenant};
use super::cluster::Cluster;
use crate::prelude::*;
use crate::standard;
use crate::{Principal, Tick};

const PRODUCTS: &str = "/api/catalog/v1/products";

async fn create(who: &Principal, title: &str, now: &str) -> Answer {
    let asking = ask(who, "POST", PRODUCTS).header("nexus-now", now);
    let answer = asking.json(json!({ "title": title })).answer().await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer
}

#[tokio::test]
async fn pages_give_every_item_once_in_order_while_others_write() {
    let _cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    // Three of the seven share an instant, so the id has to decide.
    for n in 0..7 {
        create(&ada, &format!("lamp {n}"), &format!("2026-03-01T10:0{}:00Z", n / 3)).await;
    }
    let mut seen = Vec::new();
    let mut path = format!("{PRODUCTS}?limit=3");
    while !path.is_empty() {
        let answer = ask(&ada, "GET", &path).answer().await;
        let page: Page<Product> = answer.read();
        seen.extend(page.items);
        let link = answer.header("link");
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
        assert_eq!(page.next.is_some(), link.ends_with("; rel=\"next\""));
        create(&ada, &format!("late {}", seen.len()), "2026-03-01T11:00:00Z").await;
    }
    let keys: Vec<_> = seen.iter().map(|it| (it.created_at, it.id)).collect();
    assert!(keys.is_sorted_by(|a, b| a > b), "{keys:?}");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 7);
}

#[tokio::test]
async fn a_list_can_be_narrowed_and_a_foreign_cursor_is_refused() {
    let _cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    for title in ["lamp", "shade", "bulb"] {
        create(&ada, title, "2026-03-01T10:00:00Z").await;
    }
    let page: Page<Product> =
        ask(&ada, "GET", &format!("{PRODUCTS}?title=shade")).answer().await.read();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.next, None);
    let forged = |marks: Value| {
        use base64::Engine as _;
        let token = json!({ "by": "-created_at,id", "after": marks }).to_string();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(token)
    };
    let id = json!({ "uuid": "01890a5d-ac96-774b-bcce-b302099a8057" });
    for marks in [
        json!([{ "text": "x" }, id]),
        json!([{ "time": [2026, 13, 45, 0, 0, 0, 0] }, id]),
        json!([id]),
        json!([]),
    ] {
        let path = format!("{PRODUCTS}?cursor={}", forged(marks));
        ask(&ada, "GET", &path).answer().await.problem(400, "invalid-cursor");
    }
}

#[tokio::test]
async fn another_tenant_sees_nothing_of_it() {
    let _cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    let stranger = Principal { tenant: tenant(2), ..ada.clone() };
    let lamp = create(&ada, "lamp", "2026-03-01T10:00:00Z").await;
    assert_eq!(ask(&ada, "GET", lamp.header("location")).answer().await.status, 200);
    let hidden = ask(&stranger, "GET", lamp.header("location")).answer().await;
    hidden.problem(404, "not-found");
    let page: Page<Product> = ask(&stranger, "GET", PRODUCTS).answer().await.read();
    assert_eq!(page.items, []);
}

#[tokio::test]
async fn what_is_created_is_told_as_it_is_read_back() {
    let _cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    let created = create(&ada, "Lamp", "2026-03-01T10:00:00.123456789Z").await;
    let told: Product = created.read();
    assert_eq!(created.header("location"), format!("{PRODUCTS}/{}", told.id));
    let shown = ask(&ada, "GET", created.header("location")).answer().await;
    assert_eq!(shown.read::<Product>(), told);
    let etag = shown.header("etag");
    assert_eq!(etag, "\"1\"");
    let again = ask(&ada, "GET", created.header("location")).header("if-none-match", etag);
    let again = again.answer().await;
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, "\"1\""));
}

#[tokio::test]
async fn a_schedule_sees_all_tenants_but_binds_none() {
    let cluster = Cluster::start().await;
    let now = crate::time::now();
    let tick = Tick { nominal: now, now, trace: None, request_id: "r-1".into() };
    let system = tick.open("catalog");
    for n in [1, 2] {
        let ctx = system.in_tenant(tenant(n));
        let (id, title) = (ctx.new_id(), "lamp".into());
        let product = Product { id, title, version: 1, created_at: now, archived_at: None };
        ctx.commit(insert(&product)).await.unwrap();
    }
    let all = sql!("select count(*) from catalog.product").across_tenants();
    assert_eq!(system.db().one::<i64>(all).await.unwrap(), 2);
    let unseen = find(system.db(), system.new_id()).await.unwrap_err();
    assert!(unseen.to_string().contains("no tenant"), "{unseen}");
    let delivery = created_elsewhere(Uuid::from_u128(1), system.new_id());
    let (ctx, _) = delivery.open::<super::catalog::ProductCreated>("catalog").unwrap();
    assert!(find(ctx.db(), ctx.new_id()).await.unwrap_err().is(&standard::NotFound));
    assert_eq!(cluster.count("catalog.product").await, 2);
}

#[tokio::test]
async fn a_database_that_is_away_is_a_503_and_an_unhealthy_service() {
    let cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    let healthy = ask(&ada, "GET", "/api/catalog/health").answer().await;
    assert_eq!(healthy.status, 200);
    assert_eq!(healthy.read::<Value>()["checks"]["database"]["status"], "pass");
    cluster.close();
    let answer = ask(&ada, "GET", PRODUCTS).answer().await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    let sick = ask(&ada, "GET", "/api/catalog/health").answer().await;
    assert_eq!(sick.status, 503);
    assert_eq!(sick.read::<Value>()["checks"]["database"]["status"], "fail");
    cluster.open();
    assert_eq!(ask(&ada, "GET", "/api/catalog/health").answer().await.status, 200);
}
