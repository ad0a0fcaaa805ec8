//! One delivery: messages out of their queue into a component's call, and what the call's end means
//! for each of them. Refuses to know leases' upkeep and how ends are written.

use crate::backend::Backend;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::HeaderValue;
use nexus_observability::TraceParent;
use nexus_observability::work::{self, Place};
use nexus_runtime::{
    Call, CallError, ComponentId, DEFAULT_TENANT, Delivery, Message, Outcome, Principal,
    PrincipalKind, Problem, Tick, TraceContext, affinity_of,
};
use nexus_storage::queue::{Kind, Leased, Registered};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tracing::{Instrument as _, Span};
use uuid::Uuid;

/// A message that this host has claimed.
pub(crate) struct Claimed {
    pub(crate) leased: Leased,
    /// From before the claim, so that no clock but this one counts.
    pub(crate) since: Instant,
}

impl Claimed {
    /// Time that is left for it.
    fn left(&self) -> Duration {
        self.leased.wall().saturating_sub(self.since.elapsed())
    }
}

/// What became of one delivery.
pub(crate) struct Answered {
    /// In the order of the messages.
    pub(crate) outcomes: Vec<Outcome>,
    /// The component had no room: fewer at once would fare better.
    pub(crate) saturated: bool,
}

/// Whom a delivery goes to.
pub(crate) struct Addressee<B> {
    pub(crate) backend: B,
    pub(crate) component: ComponentId,
    pub(crate) queue: Arc<Registered>,
    /// See [`crate::QueueLimits::release_pause`].
    pub(crate) release_pause: Duration,
}

impl<B: Backend> Addressee<B> {
    /// Delivers messages of one queue: one, or a batch.
    pub(crate) async fn hand_over(&self, claimed: &[Claimed]) -> Answered {
        match self.call(claimed).await {
            Ok(outcomes) if outcomes.len() == claimed.len() => {
                Answered { outcomes, saturated: false }
            }
            // A batch tells nothing about its messages when it fails: each is tried by itself,
            // within the same lease, so that none pays for its neighbour.
            Ok(_) if claimed.len() > 1 => self.one_by_one(claimed).await,
            Err(error) if claimed.len() > 1 && is_fault(&error) => {
                tracing::debug!(component = %self.component, %error, "a batch is tried one by one");
                self.one_by_one(claimed).await
            }
            Ok(outcomes) => {
                let reason = format!("{} outcomes for {} messages", outcomes.len(), claimed.len());
                Answered { outcomes: vec![retry(&reason); claimed.len()], saturated: false }
            }
            Err(error) => Answered {
                outcomes: vec![self.outcome_of(&error); claimed.len()],
                saturated: matches!(error, CallError::Saturated { .. } | CallError::NoCapacity),
            },
        }
    }

    async fn one_by_one(&self, claimed: &[Claimed]) -> Answered {
        let mut answered = Answered { outcomes: Vec::new(), saturated: false };
        for one in claimed.chunks(1) {
            let outcome = match self.call(one).await {
                Ok(mut outcomes) if outcomes.len() == 1 => outcomes.remove(0),
                Ok(outcomes) => retry(&format!("{} outcomes for one message", outcomes.len())),
                Err(error) => {
                    answered.saturated |=
                        matches!(error, CallError::Saturated { .. } | CallError::NoCapacity);
                    self.outcome_of(&error)
                }
            };
            answered.outcomes.push(outcome);
        }
        answered
    }

    async fn call(&self, claimed: &[Claimed]) -> Result<Vec<Outcome>, CallError> {
        let left = claimed.iter().map(Claimed::left).min().unwrap_or_default();
        let wall = left.min(self.queue.settings.wall);
        // Too little of its time is left to be a fair try; the next claim has all of it.
        if wall < self.queue.settings.wall / 4 {
            return Ok(vec![Outcome::Release { after: None }; claimed.len()]);
        }
        let first = &claimed[0].leased;
        if self.queue.kind == Kind::Schedule {
            return self.run(first, wall).await;
        }
        let links: Vec<_> = claimed.iter().filter_map(|one| context(&one.leased)).collect();
        let alone = claimed.len() == 1;
        // One message has one cause; a batch is linked to those of all, which go on by themselves.
        let place = if alone { place(first) } else { Place::root() };
        let call = self.call_for(first, &place);
        let mut messages: Vec<_> = claimed.iter().map(|one| message(&one.leased)).collect();
        if alone {
            messages[0].trace = Some(place.own.to_string().into());
        }
        let span = work::Delivery {
            component: self.component.as_str(),
            request_id: &call.request_id,
            topic: &first.message.topic,
            subscription: &self.queue.handler,
            message: &first.message.id.to_string(),
            messages: claimed.len(),
            attempt: first.attempt,
            links: &links,
        }
        .span(&place);
        let delivery = Delivery {
            subscription: self.queue.handler.as_str().into(),
            messages,
            wall,
            batch: self.queue.settings.batch_max > 1,
        };
        let delivered = self.backend.deliver(&self.component, delivery, call);
        told(&span, delivered.instrument(span.clone()).await)
    }

    /// Runs a schedule.
    async fn run(&self, leased: &Leased, wall: Duration) -> Result<Vec<Outcome>, CallError> {
        let place = place(leased);
        let call = self.call_for(leased, &place);
        let mut tick = match tick(leased, wall) {
            Ok(tick) => tick,
            Err(error) => return Ok(vec![reject(&format!("the tick is not one: {error}"))]),
        };
        tick.trace = Some(place.own.to_string().into());
        let time = DateTime::<Utc>::from(tick.scheduled_at).to_rfc3339();
        let span = work::Run {
            component: self.component.as_str(),
            request_id: &call.request_id,
            schedule: &tick.name.clone(),
            time: &time,
            attempt: tick.attempt,
        }
        .span(&place);
        let ran = self.backend.tick(&self.component, tick, call).instrument(span.clone()).await;
        told(&span, ran.map(|outcome| vec![outcome]))
    }

    /// The component acts for itself, in the tenant of the (first) message.
    fn call_for(&self, leased: &Leased, place: &Place) -> Call {
        let principal = Principal {
            kind: PrincipalKind::Service,
            ..Principal::anonymous(leased.message.tenant.unwrap_or(DEFAULT_TENANT))
        };
        let principal = Principal { subject: self.component.to_string(), ..principal };
        // The same message at another attempt is another request.
        let id = format!("{}.{}", leased.message.id, leased.lease.number);
        let mut call = Call::new(id, Arc::new(principal));
        let traceparent = HeaderValue::from_str(&place.own.to_string()).ok();
        call.trace = TraceContext { traceparent, tracestate: None };
        // Messages of one group meet one revision.
        call.affinity = leased.group.as_ref().map(|group| affinity_of(group.as_bytes()));
        call
    }

    fn outcome_of(&self, error: &CallError) -> Outcome {
        if is_fault(error) {
            return retry(&error.to_string());
        }
        let pause = match error {
            // Nothing is wrong here; another instance is a moment away.
            CallError::InstanceLost | CallError::Withdrawn | CallError::ShuttingDown => {
                Duration::ZERO
            }
            _ => self.release_pause.mul_f64(rand::random_range(0.5..1.5)),
        };
        Outcome::Release { after: Some(pause) }
    }
}

/// Whether the message, or the component at its hands, is to blame, rather than this host.
fn is_fault(error: &CallError) -> bool {
    match error {
        CallError::NoSuchComponent(_)
        | CallError::NotActive { .. }
        | CallError::Saturated { .. }
        | CallError::NoCapacity
        | CallError::InstanceLost
        | CallError::NoSuchRevision { .. }
        | CallError::Withdrawn
        | CallError::ShuttingDown => false,
        CallError::FirstByteTimeout { .. }
        | CallError::WallTimeout { .. }
        | CallError::CpuExceeded { .. }
        | CallError::MemoryExceeded { .. }
        | CallError::BodyTooLarge { .. }
        | CallError::Trapped(_)
        | CallError::Refused(_)
        | CallError::Instantiation(_)
        | CallError::TooDeep(_) => true,
    }
}

/// The context that a message carries.
fn context(leased: &Leased) -> Option<TraceParent> {
    leased.message.trace.as_deref().and_then(TraceParent::parse)
}

fn place(leased: &Leased) -> Place {
    Place::of_message(leased.message.trace.as_deref(), leased.message.id.as_u128())
}

/// Tells a span how its work ended, and passes that on.
fn told(span: &Span, ended: Result<Vec<Outcome>, CallError>) -> Result<Vec<Outcome>, CallError> {
    match &ended {
        Ok(outcomes) => {
            let word = |outcome: &Outcome| match outcome {
                Outcome::Ack => "ack",
                Outcome::Retry { .. } => "retry",
                Outcome::Release { .. } => "release",
                Outcome::Reject { .. } => "reject",
            };
            let words = || outcomes.iter().map(word);
            // Of a batch, what went worst.
            let worst =
                ["reject", "retry", "release"].into_iter().find(|w| words().any(|x| x == *w));
            span.record("outcome", worst.unwrap_or("ack"));
            if let Some(failed @ ("retry" | "reject")) = worst {
                span.record("error.type", failed);
            }
        }
        Err(error) => {
            span.record("error.type", Problem::from(error).name);
        }
    }
    ended
}

fn retry(reason: &str) -> Outcome {
    Outcome::Retry { after: None, reason: reason.into() }
}

fn reject(reason: &str) -> Outcome {
    Outcome::Reject { reason: reason.into() }
}

fn message(leased: &Leased) -> Message {
    let message = &leased.message;
    Message {
        id: message.id,
        topic: message.topic.clone(),
        source: message.source.clone(),
        subject: message.subject.clone(),
        tenant: message.tenant,
        payload: Bytes::from(message.payload.clone()),
        published_at: message.published_at,
        attempt: leased.attempt,
        group: leased.group.clone(),
        trace: message.trace.clone(),
    }
}

/// What the message of a schedule's run says; see `platform.schedule_start`.
#[derive(Deserialize)]
struct Run {
    schedule: String,
    scheduled_at: DateTime<Utc>,
    fired_at: DateTime<Utc>,
}

fn tick(leased: &Leased, wall: Duration) -> Result<Tick, serde_json::Error> {
    let run: Run = serde_json::from_str(&leased.message.payload)?;
    let id: Uuid = leased.message.id;
    Ok(Tick {
        id,
        name: run.schedule.into(),
        scheduled_at: SystemTime::from(run.scheduled_at),
        fired_at: SystemTime::from(run.fired_at),
        attempt: leased.attempt,
        trace: leased.message.trace.clone(),
        wall,
    })
}
