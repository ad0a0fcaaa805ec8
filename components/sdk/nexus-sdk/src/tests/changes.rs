//! Changing: all or nothing, once, and told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::catalog::{
    Answer, Asking, Product, ProductCreated, ProductId, ask, created_elsewhere, find, insert,
    member, on_created, tenant,
};
use super::cluster::Cluster;
use crate::prelude::*;
use crate::{Principal, standard};

const PRODUCTS: &str = "/api/catalog/v1/products";

fn post(who: &Principal, title: &str) -> Asking {
    ask(who, "POST", PRODUCTS).json(json!({ "title": title }))
}

/// A `Ctx` as a handler has it.
fn ctx() -> Ctx {
    let now = crate::time::now();
    let tick = crate::Tick { nominal: now, now, trace: None, request_id: "r-1".into() };
    tick.open("catalog").in_tenant(tenant(1))
}

fn product(ctx: &Ctx, title: &str) -> Product {
    let (title, created_at) = (title.to_owned(), ctx.now());
    Product { id: ctx.new_id(), title, version: 1, created_at, archived_at: None }
}

#[tokio::test]
async fn a_row_and_its_event_are_written_together() {
    let cluster = Cluster::start().await;
    let asking = post(&member(&["catalog:*"]), "Lamp").header("traceparent", "00-1-2-01");
    let created: Product = asking.answer().await.read();
    let row = cluster.connect("postgres").await;
    let row = row.query_one("select * from platform.event", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>("topic"), "commerce.product.created.v1");
    assert_eq!(row.get::<_, &str>("source"), "catalog");
    assert_eq!(row.get::<_, &str>("subject"), created.id.to_string());
    assert_eq!(row.get::<_, Value>("payload"), json!({ "id": created.id }));
    assert_eq!(row.get::<_, &str>("trace"), "00-1-2-01");
    assert_eq!(row.get::<_, Uuid>("tenant_id"), Uuid::from(tenant(1)));
}

#[tokio::test]
async fn a_violated_constraint_is_the_refusal_named_for_it_and_undoes_everything() {
    let cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    assert_eq!(post(&ada, "Lamp").answer().await.status, 201);
    post(&ada, "Lamp").answer().await.problem(409, "title-taken");
    assert_eq!(cluster.count("platform.event").await, 1);
    let ctx = ctx();
    let twice = ctx.commit([insert(&product(&ctx, "Shade")), insert(&product(&ctx, "Shade"))]);
    assert!(twice.await.unwrap_err().to_string().contains("title-taken"));
    assert_eq!(cluster.count("catalog.product").await, 1);
}

#[tokio::test]
async fn a_row_missed_or_one_too_many_undoes_the_whole_commit() {
    let cluster = Cluster::start().await;
    let ctx = ctx();
    ctx.commit(vec![insert(&product(&ctx, "a")), insert(&product(&ctx, "b"))]).await.unwrap();
    let archive_all = || {
        let at = ctx.now();
        sql!("update catalog.product set archived_at = {at} where tenant_id = {tenant}")
    };
    let refused = ctx.commit(archive_all().expect_rows(1)).await.unwrap_err();
    assert!(refused.is(&standard::Conflict));
    let refusal = standard::NotFound;
    let named = archive_all().expect_rows(4).or_refuse(refusal.clone());
    assert!(ctx.commit([insert(&product(&ctx, "c")), named]).await.unwrap_err().is(&refusal));
    assert_eq!(cluster.count("catalog.product where archived_at is null").await, 2);
    ctx.commit([archive_all().expect_rows(2)]).await.unwrap();
    assert_eq!(cluster.count("catalog.product where archived_at is null").await, 0);
}

#[tokio::test]
async fn a_version_that_moved_on_is_not_overwritten() {
    let _cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    let lamp = post(&ada, "Lamp").answer().await;
    let rename = |tag: &'static str, title: &str| {
        let asking = ask(&ada, "PUT", lamp.header("location")).header("if-match", tag);
        asking.json(json!({ "title": title })).answer()
    };
    assert_eq!(rename("\"1\"", "Shade").await.status, 204);
    rename("\"1\"", "Bulb").await.problem(412, "precondition-failed");
    let shown = ask(&ada, "GET", lamp.header("location")).answer().await;
    assert_eq!(shown.read::<Product>().title, "Shade");
    assert_eq!(shown.header("etag"), "\"2\"");
}

#[tokio::test]
async fn a_statement_that_forgets_the_tenant_changes_and_reads_nothing() {
    let cluster = Cluster::start().await;
    let ctx = ctx();
    ctx.commit(insert(&product(&ctx, "Lamp"))).await.unwrap();
    let careless = || sql!("delete from catalog.product");
    let failed = ctx.commit([insert(&product(&ctx, "Shade")), careless()]).await.unwrap_err();
    assert!(failed.to_string().contains("delete from catalog.product"), "{failed}");
    let failed = ctx.db().all::<Product>(sql!("select * from catalog.product")).await.unwrap_err();
    assert!(failed.to_string().contains("select * from catalog.product"), "{failed}");
    assert_eq!(cluster.count("catalog.product").await, 1);
    ctx.commit(careless().across_tenants()).await.unwrap();
    assert_eq!(cluster.count("catalog.product").await, 0);
}

#[tokio::test]
async fn a_transaction_that_another_one_disturbed_is_tried_again() {
    let cluster = Cluster::start().await;
    let ctx = ctx();
    let (a, b) = (product(&ctx, "a"), product(&ctx, "b"));
    ctx.commit([insert(&a), insert(&b)]).await.unwrap();
    let touch = |p: &Product| {
        let id = p.id;
        sql!(
            "update catalog.product set version = version + 1
             where tenant_id = {tenant} and id = {id}"
        )
        .expect_rows(1)
    };
    // Somebody holds b and then wants a, which the commit holds while it wants b. PostgreSQL
    // aborts whoever looks for a deadlock first (40P01), and the other one takes its time.
    let (other, observer) = (cluster.connect("postgres").await, cluster.connect("postgres").await);
    let theirs =
        |id: ProductId| format!("update catalog.product set version = 10 where id = '{id}'");
    let patiently = "begin; set local deadlock_timeout = '10min'";
    other.batch_execute(&format!("{patiently}; {}", theirs(b.id))).await.unwrap();
    let disturb = async {
        let waiting = "select from pg_stat_activity where wait_event_type = 'Lock'";
        let deadline = Instant::now() + Duration::from_secs(30);
        while observer.query(waiting, &[]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "the commit never waited");
        }
        other.batch_execute(&format!("{}; commit", theirs(a.id))).await.unwrap();
    };
    let (committed, ()) = tokio::join!(ctx.commit([touch(&a), touch(&b)]), disturb);
    committed.unwrap();
    assert_eq!(cluster.count("catalog.product where version = 11").await, 2);
}

#[tokio::test]
async fn an_event_delivered_twice_is_handled_once() {
    let cluster = Cluster::start().await;
    let event = Uuid::from_u128(77);
    let id = ctx().new_id();
    for _ in 0..2 {
        let delivery = created_elsewhere(event, id);
        let (ctx, event) = delivery.open::<ProductCreated>("catalog").unwrap();
        on_created(ctx, event).await.unwrap();
    }
    assert_eq!(cluster.count("catalog.product").await, 1);
    assert_eq!(cluster.count("platform.inbox where consumer like 'commerce.product.%'").await, 1);
}

#[tokio::test]
async fn of_two_deliveries_of_one_event_at_the_same_time_one_is_handled() {
    let cluster = Cluster::start().await;
    for n in 0..20_u128 {
        let handle = async |title: &str| {
            let delivery = created_elsewhere(Uuid::from_u128(n), ctx().new_id());
            let (ctx, _) = delivery.open::<ProductCreated>("catalog").unwrap();
            let product = product(&ctx, title);
            ctx.commit([insert(&product), emit(ProductCreated { id: product.id })]).await.unwrap();
        };
        let (one, other) = (format!("one {n}"), format!("other {n}"));
        tokio::join!(handle(&one), handle(&other));
    }
    assert_eq!(cluster.count("catalog.product").await, 20);
    assert_eq!(cluster.count("platform.inbox").await, 20);
    assert_eq!(cluster.count("platform.event").await, 20, "told by the one that acted");
}

#[tokio::test]
async fn an_event_whose_handling_fails_stays_unhandled_and_one_event_has_one_commit() {
    let cluster = Cluster::start().await;
    let delivery = created_elsewhere(Uuid::from_u128(78), ctx().new_id());
    let (ctx, _) = delivery.open::<ProductCreated>("catalog").unwrap();
    let nameless = product(&ctx, "");
    assert!(ctx.commit(insert(&nameless)).await.is_err());
    assert_eq!(cluster.count("platform.inbox").await, 0);
    ctx.commit(insert(&product(&ctx, "Lamp"))).await.unwrap();
    assert_eq!(cluster.count("platform.inbox").await, 1);
    let second = ctx.commit(insert(&product(&ctx, "Shade"))).await.unwrap_err();
    assert!(second.to_string().contains("one commit"), "{second}");
}

fn keyed(who: &Principal, title: &str, key: &str) -> Asking {
    post(who, title).header("idempotency-key", key)
}

fn told(answer: &Answer) -> (u16, String, Bytes) {
    (answer.status, answer.header("location").to_owned(), answer.body.clone())
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_changes_nothing() {
    let cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    let first = keyed(&ada, "Lamp", "\"k-1\"").answer().await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    let again = keyed(&ada, "Lamp", "\"k-1\"").answer().await;
    assert_eq!(told(&again), told(&first));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("content-type"), "application/json");
    keyed(&ada, "Shade", "\"k-1\"").answer().await.problem(422, "idempotency-key-reused");
    keyed(&ada, "Shade", "two words").answer().await.problem(400, "idempotency-key-invalid");
    let other = Principal { subject: "bob".into(), ..ada.clone() };
    keyed(&other, "Shade", "\"k-1\"").answer().await.read::<Product>();
    assert_eq!(cluster.count("catalog.product").await, 2);
    assert_eq!(cluster.count("platform.event").await, 2);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free_for_a_better_one() {
    let cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    keyed(&ada, " ", "k").answer().await.problem(422, "title-length");
    assert_eq!(keyed(&ada, "Lamp", "k").answer().await.status, 201);
    keyed(&ada, "Lamp", "l").answer().await.problem(409, "title-taken");
    assert_eq!(cluster.count("platform.idempotency").await, 1);
}

#[tokio::test]
async fn of_two_requests_with_one_key_at_the_same_time_one_is_done() {
    let cluster = Cluster::start().await;
    let ada = member(&["catalog:*"]);
    let both = tokio::join!(keyed(&ada, "Lamp", "k").answer(), keyed(&ada, "Lamp", "k").answer());
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    // The second may come so late that it finds the first one's answer.
    assert!(statuses == [201, 409] || statuses == [201, 201], "{statuses:?}");
    assert_eq!(cluster.count("catalog.product").await, 1);
}

#[tokio::test]
async fn a_read_back_of_nothing_is_not_found() {
    let _cluster = Cluster::start().await;
    let ctx = ctx();
    assert!(find(ctx.db(), ctx.new_id()).await.unwrap_err().is(&standard::NotFound));
}
