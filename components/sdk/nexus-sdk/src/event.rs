//! Facts that services tell each other, and the orders that schedules give.
//!
//! Knows how an event becomes a write and how one that arrives becomes a `Ctx` and a payload.
//! Refuses to know queues: who hears what, and how often it is tried, is the host's.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::commit::{Errand, ErrandKind};
use crate::ctx::{Ctx, Origin, System, service_principal};
use crate::extract::Json;
use crate::id::TenantId;
use crate::problem::{Failure, Result};
use crate::sql::{Bind, Write};
use crate::time::Time;

/// A fact with a topic; `event!` makes them.
pub trait Event: Serialize + DeserializeOwned {
    /// `context.entity.past_tense.vN`.
    const TOPIC: &'static str;

    /// The id of the thing the fact is about.
    fn subject(&self) -> String;
}

/// The statement of [`emit`].
pub(crate) const PUBLISH: &str = "select platform.publish($1, $2, $3, $4, $5, $6)";

/// The event as a write: it is told if, and only if, the commit around it succeeds.
pub fn emit<E: Event>(event: E) -> Write {
    Write::from_template(
        PUBLISH,
        vec![
            Bind::value(E::TOPIC),
            Bind::NewId,
            Bind::value(&event.subject()),
            Bind::Tenant,
            Bind::value(&Json(event)),
            Bind::Trace,
        ],
    )
}

/// One event as the host hands it to a subscriber.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The event's id; the inbox remembers it.
    pub id: Uuid,
    /// The topic or pattern that it was handed out for, as `service!` has it.
    pub subscription: String,
    /// The topic under which it was told.
    pub topic: String,
    /// The service that told it.
    pub source: String,
    /// What it is about.
    pub subject: String,
    /// Whose it is; nil for the platform's own.
    pub tenant: TenantId,
    /// The payload, JSON.
    pub payload: Vec<u8>,
    /// When it was told.
    pub published_at: Time,
    /// 1 at the first delivery.
    pub attempt: u32,
    /// W3C `traceparent` of the work that told it.
    pub trace: Option<String>,
    /// The id under which this handling is logged.
    pub request_id: String,
    /// The instant of this handling.
    pub now: Time,
}

/// What a subscriber's function can take: an event type of a contract, or the whole
/// `Delivery` where the subscription is a pattern.
pub trait Heard: Sized {
    #[doc(hidden)]
    fn hear(delivery: &Delivery) -> Result<Self, Failure>;
}

impl<E: Event> Heard for E {
    fn hear(delivery: &Delivery) -> Result<E, Failure> {
        if delivery.topic != E::TOPIC {
            let (got, wanted) = (&delivery.topic, E::TOPIC);
            return Err(Failure::msg(format!("{got} is handled by a function for {wanted}")));
        }
        let payload = serde_json::from_slice(&delivery.payload);
        payload.map_err(|why| Failure::new(why).context(format!("read {}", delivery.topic)))
    }
}

impl Heard for Delivery {
    fn hear(delivery: &Delivery) -> Result<Delivery, Failure> {
        Ok(delivery.clone())
    }
}

impl Delivery {
    #[doc(hidden)]
    pub fn open<E: Heard>(self, service: &'static str) -> Result<(Ctx, E)> {
        let event = E::hear(&self)?;
        let origin = Origin {
            service,
            request_id: self.request_id.into(),
            trace: self.trace.map(Into::into),
            errand: Some(Arc::new(Errand::new(ErrandKind::Event {
                id: self.id,
                subscription: self.subscription,
            }))),
        };
        let ctx = Ctx::new(origin, service_principal(service, self.tenant), self.now);
        Ok((ctx, event))
    }
}

/// One run of a schedule as the host orders it.
#[derive(Debug, Clone)]
pub struct Tick {
    /// The instant the schedule names.
    pub nominal: Time,
    /// The instant of this run.
    pub now: Time,
    /// W3C `traceparent`.
    pub trace: Option<String>,
    /// The id under which this run is logged.
    pub request_id: String,
}

impl Tick {
    #[doc(hidden)]
    pub fn open(self, service: &'static str) -> System {
        let origin = Origin {
            service,
            request_id: self.request_id.into(),
            trace: self.trace.map(Into::into),
            errand: None,
        };
        System::new(origin, self.nominal, self.now)
    }
}

/// Whether `topic` is `context.entity.past_tense.vN`, as `platform.publish` demands.
#[doc(hidden)]
pub const fn is_topic(topic: &str) -> bool {
    let bytes = topic.as_bytes();
    let (mut at, mut start, mut segment) = (0, 0, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        let fits = match (segment, at - start) {
            (0..=2, 0) => byte.is_ascii_lowercase(),
            (3, 0) => byte == b'v',
            (3, 1) => matches!(byte, b'1'..=b'9'),
            (3, _) => byte.is_ascii_digit(),
            (_, _) if byte == b'.' => {
                segment += 1;
                start = at + 1;
                true
            }
            _ => byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_',
        };
        if !fits {
            return false;
        }
        at += 1;
    }
    segment == 3 && at >= start + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::event! {
        /// A product exists.
        "commerce.product.created.v1" => ProductCreated { id: TenantId, title: String }
        /// A price is another.
        "commerce.price.changed.v2" => PriceChanged about product_id { product_id: TenantId }
    }

    fn id(n: u128) -> TenantId {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn an_event_is_a_write_with_its_topic_subject_and_payload() {
        let write = emit(ProductCreated { id: id(1), title: "Lamp".into() });
        assert!(write.check().is_ok());
        let params = write.params();
        assert_eq!(params[0], "Str(\"commerce.product.created.v1\")");
        assert_eq!(params[1], "new id");
        assert_eq!(params[2], "Str(\"00000000-0000-0000-0000-000000000001\")");
        assert_eq!(params[3], "tenant");
        assert!(params[4].starts_with("Jsonb("));
        assert_eq!(params[5], "trace");
    }

    #[test]
    fn an_event_may_be_about_another_field_than_id() {
        assert_eq!(PriceChanged { product_id: id(2) }.subject(), id(2).to_string());
        assert_eq!(EVENTS, ["commerce.product.created.v1", "commerce.price.changed.v2"]);
    }

    fn delivery(topic: &str, payload: &str) -> Delivery {
        Delivery {
            id: Uuid::from_u128(3),
            subscription: topic.into(),
            topic: topic.into(),
            source: "catalog".into(),
            subject: String::new(),
            tenant: id(4),
            payload: payload.into(),
            published_at: crate::time::now(),
            attempt: 1,
            trace: None,
            request_id: "r".into(),
            now: crate::time::now(),
        }
    }

    #[test]
    fn a_delivery_opens_as_the_event_of_its_topic_only() {
        let json = format!(r#"{{"id": "{}", "title": "Lamp"}}"#, id(1));
        let created = delivery("commerce.product.created.v1", &json);
        let (ctx, event) = created.clone().open::<ProductCreated>("inventory").unwrap();
        assert_eq!((ctx.tenant(), event.title.as_str()), (id(4), "Lamp"));
        assert!(created.clone().open::<PriceChanged>("inventory").is_err());
        assert!(created.open::<Delivery>("inventory").is_ok());
        let broken = delivery("commerce.product.created.v1", "{}");
        assert!(broken.open::<ProductCreated>("inventory").is_err());
    }

    #[test]
    fn a_topic_is_four_words_the_last_of_them_a_version() {
        for (topic, fits) in [
            ("commerce.product.created.v1", true),
            ("commerce.order_line.taken_back.v12", true),
            ("commerce.product.created", false),
            ("commerce.product.created.v", false),
            ("commerce.product.created.1", false),
            ("commerce.product.created.v0", false),
            ("commerce.3d_model.created.v1", false),
            ("media.hls2_package.made.v1", true),
            ("commerce.product.created.v1.x", false),
            ("Commerce.product.created.v1", false),
            ("commerce..created.v1", false),
            ("", false),
        ] {
            assert_eq!(is_topic(topic), fits, "{topic:?}");
        }
    }
}
