//! Calls and lines as JSON: lists, and one call with everything that its trace has.

use crate::operate::{Asked, Instant, asked, instant};
use crate::problems;
use nexus_observability::{Invocation, InvocationFilter, Line, LineFilter, recent};
use nexus_runtime::{Problem, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsQuery {
    component: Option<String>,
    trigger: Option<String>,
    outcome: Option<String>,
    limit: Option<u32>,
    cursor: Option<u64>,
}

pub(super) fn invocations(asked: &Asked) -> Result<Response, Problem> {
    let query: CallsQuery = asked.query()?;
    if !query.outcome.as_deref().is_none_or(|word| ["ok", "refused", "failed"].contains(&word)) {
        return Err(problems::QUERY.detail("outcome is ok, refused or failed"));
    }
    let limit = asked::page(query.limit)?;
    let filter = InvocationFilter {
        component: query.component,
        trigger: query.trigger,
        outcome: query.outcome,
    };
    let found = recent().invocations(&filter, query.cursor, limit as usize);
    let last = || found.last().map(|call| call.number.to_string()).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    let calls: Vec<Value> = found.iter().map(|found| call(found)).collect();
    Ok(asked::json(&json!({ "invocations": calls, "cursor": cursor })))
}

pub(super) fn invocation(id: &str) -> Result<Response, Problem> {
    let detail = "calls are kept in memory, the last ones of each component";
    let found = recent().invocation(id).ok_or(problems::NO_INVOCATION.detail(detail))?;
    let (calls, lines) = recent().trace(&found.trace_id());
    let mut shown = call(&found);
    shown["trace"] = calls.iter().map(|found| call(found)).collect();
    shown["lines"] = lines.iter().map(|found| line(found)).collect();
    Ok(asked::json(&shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinesQuery {
    component: Option<String>,
    level: Option<String>,
    since: Option<Instant>,
    request_id: Option<String>,
    trace_id: Option<String>,
    limit: Option<u32>,
    cursor: Option<u64>,
}

pub(super) fn lines(asked: &Asked) -> Result<Response, Problem> {
    let query: LinesQuery = asked.query()?;
    let limit = asked::page(query.limit)?;
    let filter = LineFilter {
        component: query.component,
        level: level(query.level)?,
        request_id: query.request_id,
        trace_id: query.trace_id,
        since: query.since.map(|at| at.0),
    };
    let found = recent().lines(&filter, query.cursor, limit as usize);
    let last = || found.last().map(|line| line.number.to_string()).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    let lines: Vec<Value> = found.iter().map(|found| line(found)).collect();
    Ok(asked::json(&json!({ "lines": lines, "cursor": cursor })))
}

/// The least grave level that is wanted.
pub(super) fn level(word: Option<String>) -> Result<Option<String>, Problem> {
    match word.map(|word| word.to_ascii_lowercase()) {
        Some(word) if !LEVELS.contains(&word.as_str()) => {
            Err(problems::QUERY.detail("level is error, warn, info, debug or trace"))
        }
        word => Ok(word),
    }
}

/// A call as lists and streams show it.
pub(crate) fn call(call: &Invocation) -> Value {
    let took = call.ended.duration_since(call.began).unwrap_or_default();
    json!({
        "id": call.id(),
        "number": call.number,
        "at": instant::text(call.began),
        "ms": (took.as_secs_f64() * 1e6).round() / 1e3,
        "component": call.component,
        "revision": call.revision,
        "trigger": call.trigger,
        "name": call.name,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "outcome": call.outcome(),
        "error": call.error,
        "request_id": &*call.request_id,
        "trace_id": call.trace_id(),
        "parent_id": call.parent_id(),
        "fields": fields(&call.more),
    })
}

/// A line as lists and streams show it.
pub(crate) fn line(line: &Line) -> Value {
    json!({
        "number": line.number,
        "at": instant::text(line.at),
        "level": line.level,
        "target": line.target,
        "component": line.component,
        "message": line.message,
        "request_id": line.request_id,
        "trace_id": line.trace_id,
        "span_id": line.span_id,
        "fields": fields(&line.more),
    })
}

fn fields(more: &[(&'static str, Value)]) -> Map<String, Value> {
    more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
