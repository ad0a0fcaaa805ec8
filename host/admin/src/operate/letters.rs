//! Messages as they lie in their queue, and dead letters of all queues. Payloads are shown only
//! when asked for: they are the tenants' business first.

use super::asked::{self, Asked, json, page_within};
use super::instant::{self, Instant};
use super::queues::named;
use super::{Stores, failure};
use crate::problems;
use nexus_runtime::{Problem, Response};
use nexus_storage::queue::{
    DeadCursor, DeadFilter, DeadIn, Filter, Message, Peeked, QueueId, State,
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use uuid::Uuid;

/// A payload takes 256 KiB at most, and all of an answer 16 MiB.
const MESSAGES_MAX: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    state: Option<String>,
    #[serde(default)]
    payload: bool,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// What is in a queue, oldest first.
pub(super) async fn messages(
    stores: &Stores,
    service: &str,
    name: &str,
    asked: &Asked,
) -> Result<Response, Problem> {
    let query: MessagesQuery = asked.query()?;
    let state = match query.state.as_deref() {
        None | Some("ready") => State::Ready,
        Some("deferred") => State::Deferred,
        Some("leased") => State::Leased,
        Some("dead") => State::Dead,
        Some(_) => {
            return Err(problems::QUERY.detail("state is ready, deferred, leased or dead"));
        }
    };
    let limit = page_within(query.limit, MESSAGES_MAX)?;
    let after = asked::read_cursor(query.cursor.as_deref(), |text| text.parse().ok())?;
    let queue = named(stores, service, name).await?;
    let found = stores.queue.peek(queue.id, state, after.unwrap_or(0), limit).await;
    let found = found.map_err(|e| failure(&e))?;
    let messages: Vec<Value> = found.iter().map(|m| peeked(m, state, query.payload)).collect();
    let last = || found.last().map(|m| m.lease.position.to_string()).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    Ok(json(&object!({ "state": state.as_str(), "messages": messages, "cursor": cursor })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadQuery {
    service: Option<String>,
    queue: Option<String>,
    topic: Option<String>,
    tenant_id: Option<Uuid>,
    reason: Option<String>,
    since: Option<Instant>,
    before: Option<Instant>,
    #[serde(default)]
    payload: bool,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Dead letters, the latest death first.
pub(super) async fn dead(stores: &Stores, asked: &Asked) -> Result<Response, Problem> {
    let query: DeadQuery = asked.query()?;
    let limit = page_within(query.limit, MESSAGES_MAX)?;
    let after = asked::read_cursor(query.cursor.as_deref(), read_cursor)?;
    let wanted = DeadFilter {
        service: query.service,
        queue: query.queue,
        filter: Filter {
            topic: query.topic,
            tenant: query.tenant_id,
            reason: query.reason,
            since: query.since.map(|at| at.0),
            before: query.before.map(|at| at.0),
            ..Filter::default()
        },
    };
    let found = stores.queue.dead(&wanted, after, query.payload, limit).await;
    let found = found.map_err(|e| failure(&e))?;
    let letters: Vec<Value> = found.iter().map(|letter| dead_in(letter, query.payload)).collect();
    let last = || found.last().map(|letter| write_cursor(letter.cursor())).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    Ok(json(&object!({ "dead_letters": letters, "cursor": cursor })))
}

fn write_cursor(cursor: DeadCursor) -> String {
    let micros = instant::micros(cursor.died_at).unwrap_or_default();
    format!("{micros}.{}.{}", cursor.queue.0, cursor.position)
}

fn read_cursor(text: &str) -> Option<DeadCursor> {
    let mut parts = text.splitn(3, '.');
    Some(DeadCursor {
        died_at: instant::from_micros(parts.next()?)?,
        queue: QueueId(parts.next()?.parse().ok()?),
        position: parts.next()?.parse().ok()?,
    })
}

fn message(message: &Message, payload: bool) -> Value {
    let mut described = object!({
        "id": message.id,
        "topic": &*message.topic,
        "source": &*message.source,
        "subject": message.subject.as_deref(),
        "tenant_id": message.tenant,
        "trace": message.trace.as_deref(),
        "published_at": instant::text(message.published_at),
    });
    if payload {
        // What PostgreSQL writes as jsonb is JSON, but for numbers that cannot be held here.
        described["payload"] = serde_json::from_str(&message.payload).unwrap_or_default();
    }
    described
}

fn peeked(peeked: &Peeked, state: State, payload: bool) -> Value {
    let mut described = message(&peeked.message, payload);
    let at = match state {
        State::Ready => "ready_at",
        State::Deferred => "due_at",
        State::Leased => "leased_until",
        State::Dead | State::Done => "died_at",
    };
    described[at] = instant::text(peeked.at).into();
    described["attempt"] = peeked.attempt.into();
    described["priority"] = peeked.priority.into();
    described["group"] = peeked.group.as_deref().into();
    described["worker"] = peeked.worker.as_deref().into();
    described["errors"] = peeked.errors.clone();
    described
}

fn dead_in(dead: &DeadIn, payload: bool) -> Value {
    let letter = &dead.letter;
    let mut described = message(&letter.message, payload);
    described["service"] = dead.service.as_str().into();
    described["queue"] = dead.queue.as_str().into();
    described["died_at"] = instant::text(letter.died_at).into();
    described["reason"] = letter.reason.as_str().into();
    described["attempts"] = letter.attempts.into();
    described["group"] = letter.group.as_deref().into();
    described["errors"] = letter.errors.clone();
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nothing_else_is_one() {
        let died_at = instant::from_micros("1801365300000021").unwrap();
        let cursor = DeadCursor { died_at, queue: QueueId(7), position: i64::MAX };
        assert_eq!(read_cursor(&write_cursor(cursor)), Some(cursor));
        for text in ["", "1", "1.2", "1.2.3.4", "x.2.3", "-1.2.3"] {
            assert_eq!(read_cursor(text), None, "{text}");
        }
    }
}
