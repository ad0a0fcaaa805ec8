//! The macros a service starts with, as it writes them.

use crate::prelude::*;
use crate::{Delivery, Tick};

crate::id! { LampId }

crate::event! {
    /// A lamp is on.
    "home.lamp.lit.v1" => LampLit { id: LampId }
}

crate::refusals! {
    /// A lamp is lit once.
    AlreadyLit = 409, "the lamp is lit"
}

/// A whole service; this crate's name stands for the service's.
mod lamps {
    use super::*;

    crate::permissions! { View = "nexus-sdk:view"; Light = "nexus-sdk:light" }

    crate::service! {
        http: router,
        root: protocol,
        events: { "home.lamp.lit.v1" => on_lit, "home.**" => on_any },
        cron: [put_out, count],
    }

    fn router() -> Router {
        Router::new().route("/lamps", get(list).post(light))
    }

    fn protocol() -> Router {
        Router::new().route("/.well-known/lamps", get(list))
    }

    async fn list(_by: Allowed<View>) -> NoContent {
        NoContent
    }

    async fn light(_by: Allowed<Light>) -> Result<NoContent> {
        Err(AlreadyLit.into())
    }

    async fn on_lit(ctx: Ctx, lit: LampLit) -> Result<NoContent> {
        Err(AlreadyLit.because(format!("{} {}", ctx.tenant(), lit.id)).into())
    }

    /// Hears everything of its context: a last `**` matches any rest.
    async fn on_any(_ctx: Ctx, any: Delivery) -> Result<NoContent> {
        Err(AlreadyLit.because(any.topic).into())
    }

    async fn put_out(system: System) -> Result<NoContent> {
        Err(AlreadyLit.because(system.nominal().to_rfc3339()).into())
    }

    async fn count(_system: System) -> Result<NoContent> {
        Ok(NoContent)
    }
}

/// A service of which nothing is asked over HTTP, and one cron without brackets.
mod silent {
    use super::*;

    crate::service! { cron: sweep }

    async fn sweep(_system: System) -> Result<NoContent> {
        Ok(NoContent)
    }
}

fn delivery(topic: &str) -> Delivery {
    Delivery {
        id: Uuid::from_u128(1),
        subscription: topic.into(),
        topic: topic.into(),
        source: "home".into(),
        subject: String::new(),
        tenant: Uuid::from_u128(2).into(),
        payload: json!({ "id": Uuid::from_u128(3) }).to_string().into(),
        published_at: crate::time::now(),
        attempt: 1,
        trace: None,
        request_id: "r-1".into(),
        now: crate::time::now(),
    }
}

fn tick() -> Tick {
    let nominal = "2026-03-01T03:15:00Z".parse().unwrap();
    Tick { nominal, now: crate::time::now(), trace: None, request_id: "r-1".into() }
}

#[test]
fn the_tables_are_facts() {
    assert_eq!(lamps::PERMISSIONS, ["nexus-sdk:view", "nexus-sdk:light"]);
    assert_eq!(lamps::FACTS.topics, ["home.lamp.lit.v1", "home.**"]);
    assert_eq!(lamps::FACTS.crons, ["put_out", "count"]);
    assert_eq!(lamps::FACTS.name, "nexus-sdk");
    assert_eq!(silent::FACTS.crons, ["sweep"]);
    assert_eq!(EVENTS, ["home.lamp.lit.v1"]);
    assert_eq!(REFUSALS[0], AlreadyLit);
    let service = lamps::service();
    let paths: Vec<&str> = service.routes().iter().map(|route| route.path.as_str()).collect();
    let lamps = "/api/nexus-sdk/v1/lamps";
    assert_eq!(paths, ["/.well-known/lamps", lamps, lamps]);
    assert!(silent::service().routes().is_empty());
}

#[tokio::test]
async fn an_event_reaches_the_function_of_its_subscription() {
    let heard = async |subscription: &str, topic: &str| {
        lamps::__nexus_event(subscription, delivery(topic)).await.unwrap_err().to_string()
    };
    let lit = heard("home.lamp.lit.v1", "home.lamp.lit.v1").await;
    assert!(lit.contains(&format!("{} {}", Uuid::from_u128(2), Uuid::from_u128(3))), "{lit}");
    assert!(heard("home.**", "home.door.opened.v1").await.contains("home.door.opened.v1"));
    assert!(heard("home.door.opened.v1", "home.door.opened.v1").await.contains("no subscription"));
    assert!(silent::__nexus_event("home.**", delivery("home.lamp.lit.v1")).await.is_err());
}

#[tokio::test]
async fn a_schedule_runs_the_function_of_its_name() {
    let ran = lamps::__nexus_cron("put_out", tick()).await.unwrap_err();
    assert!(ran.to_string().contains("2026-03-01T03:15:00"), "{ran}");
    assert_eq!(lamps::__nexus_cron("count", tick()).await.unwrap(), NoContent);
    assert_eq!(silent::__nexus_cron("sweep", tick()).await.unwrap(), NoContent);
    let unknown = lamps::__nexus_cron("sweep", tick()).await.unwrap_err();
    assert!(unknown.to_string().contains("no schedule"), "{unknown}");
}
