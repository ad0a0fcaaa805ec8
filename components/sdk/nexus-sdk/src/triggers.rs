//! What arrives without a request: the host's messages and ticks on their way to the functions of
//! `service!`, and what becomes of them.
//!
//! Knows how a result reads to a queue: done, again, or never. Refuses to know how often is often
//! enough; attempts and backoff are the subscription's.

use std::time::Duration;

use crate::patience;
use crate::problem::{Error, Result, log_failure};
use crate::respond::NoContent;

/// What becomes of a delivery; `nexus:triggers/types.outcome` without its binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ack,
    /// An attempt is used up; again after so long, or after the queue's own backoff.
    Retry { after: Option<Duration>, reason: String },
    /// No attempt is used up; again after so long, or at once.
    Release { after: Option<Duration> },
    /// No attempt could succeed.
    Reject { reason: String },
}

/// Refusals that time may lift: somebody else was faster, too early, too often.
const PASSING: [u16; 4] = [408, 409, 425, 429];

/// The outcome that a function's result stands for. A refusal is final, unless its status says
/// that it passes; a failure is logged here, once, and tried again.
#[doc(hidden)]
pub fn outcome(service: &str, request_id: &str, result: Result<NoContent>) -> Outcome {
    let error = match result {
        Ok(NoContent) => return Outcome::Ack,
        Err(error) => error,
    };
    if let Some(postponed) = patience::of(&error) {
        return postponed;
    }
    let reason = error.to_string();
    match error {
        Error::Refused(refusal) if PASSING.contains(&refusal.status) => {
            Outcome::Retry { after: None, reason }
        }
        Error::Refused(_) => Outcome::Reject { reason },
        Error::Failed(failure) => {
            log_failure(service, request_id, &failure);
            Outcome::Retry { after: None, reason }
        }
        Error::Unavailable { failure, retry_after_seconds } => {
            log_failure(service, request_id, &failure);
            let after = Some(Duration::from_secs(retry_after_seconds.into()));
            Outcome::Retry { after, reason }
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use export::{bindings, concurrently, delivery, tick};

/// The meeting of `service!` with `nexus:triggers`.
#[cfg(target_arch = "wasm32")]
mod export {
    use std::future::{Future, poll_fn};
    use std::pin::Pin;
    use std::task::Poll;

    use chrono::DateTime;
    use uuid::Uuid;

    use super::Outcome;
    use crate::event::{Delivery, Tick};
    use crate::time::{self, Time};

    #[doc(hidden)]
    #[allow(missing_docs, unreachable_pub)]
    pub mod bindings {
        use spin_sdk::wit_bindgen;

        wit_bindgen::generate!({
            path: "../../../wit/nexus-triggers@0.1.0",
            world: "nexus:triggers/triggers",
            runtime_path: "::nexus_sdk::spin_sdk::wit_bindgen::rt",
            default_bindings_module: "::nexus_sdk::bindings",
            export_macro_name: "export_triggers",
            pub_export_macro: true,
        });
    }

    use bindings::nexus::triggers::types as wit;

    fn instant(millis: u64) -> Time {
        let millis = i64::try_from(millis).ok();
        millis.and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// A message as `service!` takes it. Ids that are none, which the host never sends, are nil.
    #[doc(hidden)]
    pub fn delivery(subscription: &str, message: wit::Message) -> Delivery {
        let tenant = message.tenant.and_then(|tenant| tenant.parse().ok());
        Delivery {
            id: message.id.parse().unwrap_or_default(),
            subscription: subscription.to_owned(),
            topic: message.topic,
            source: message.source,
            subject: message.subject.unwrap_or_default(),
            tenant: tenant.unwrap_or(Uuid::nil()).into(),
            payload: message.payload,
            published_at: instant(message.published_at),
            attempt: message.attempt,
            trace: message.traceparent,
            request_id: message.request_id,
            now: time::now(),
        }
    }

    #[doc(hidden)]
    pub fn tick(tick: wit::Tick) -> (String, Tick) {
        let run = Tick {
            nominal: instant(tick.scheduled_at),
            now: instant(tick.now),
            trace: tick.traceparent,
            request_id: tick.request_id,
        };
        (tick.name, run)
    }

    impl From<Outcome> for wit::Outcome {
        fn from(outcome: Outcome) -> Self {
            let millis = |after: std::time::Duration| after.as_millis().try_into().unwrap_or(0);
            match outcome {
                Outcome::Ack => Self::Ack,
                Outcome::Retry { after, reason } => {
                    Self::Retry(wit::Again { after_ms: after.map(millis), reason })
                }
                Outcome::Release { after } => Self::Release(after.map(millis)),
                Outcome::Reject { reason } => Self::Reject(reason),
            }
        }
    }

    /// Runs all at once and answers in their order: a batch waits for its slowest, not for the sum.
    #[doc(hidden)]
    pub async fn concurrently<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
        let mut running: Vec<_> = futures.map(|future| Ok(Box::pin(future))).collect();
        poll_fn(|cx| {
            let mut left = false;
            for slot in &mut running {
                if let Ok(future) = slot {
                    match Pin::new(future).poll(cx) {
                        Poll::Ready(done) => *slot = Err(done),
                        Poll::Pending => left = true,
                    }
                }
            }
            if left { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        running.into_iter().filter_map(Result::err).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Failure, standard};

    #[test]
    fn a_refusal_is_final_unless_it_passes_and_a_failure_is_tried_again() {
        let of = |error: Error| outcome("catalog", "r-1", Err(error));
        assert_eq!(outcome("catalog", "r-1", Ok(NoContent)), Outcome::Ack);
        assert!(matches!(of(standard::InvalidBody.into()), Outcome::Reject { .. }));
        assert!(matches!(of(standard::Conflict.into()), Outcome::Retry { after: None, .. }));
        let failed = of(Failure::msg("no row").context("read the price").into());
        let Outcome::Retry { after: None, reason } = failed else { panic!("{failed:?}") };
        assert!(reason.contains("read the price: no row"), "{reason}");
        let away = of(Error::unavailable(Failure::msg("no connection")));
        assert!(matches!(away, Outcome::Retry { after: Some(after), .. } if !after.is_zero()));
    }
}
