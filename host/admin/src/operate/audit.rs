//! The journal: read backwards, verified from its beginning, exported as it was hashed.

use super::asked::{self, Asked, json, page};
use super::instant::Instant;
use super::{Stores, failure};
use bytes::Bytes;
use futures::stream;
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use nexus_runtime::{Problem, Response};
use nexus_storage::audit::{Audit, AuditFilter, Written, hex};
use serde::Deserialize;
use serde_json::{Value, json as object};

/// Lines read at once for an export.
const PAGE: u32 = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    outcome: Option<String>,
    since: Option<Instant>,
    before: Option<Instant>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(super) async fn list(stores: &Stores, asked: &Asked) -> Result<Response, Problem> {
    let query: ListQuery = asked.query()?;
    let limit = page(query.limit)?;
    let before = asked::read_cursor(query.cursor.as_deref(), |text| text.parse().ok())?;
    let filter = AuditFilter {
        actor: query.actor,
        action: query.action,
        subject: query.subject,
        outcome: query.outcome,
        since: query.since.map(Instant::sortable),
        before: query.before.map(Instant::sortable),
    };
    let found = stores.audit.list(&filter, before, limit).await.map_err(|e| failure(&e))?;
    let entries: Vec<Value> = found.iter().map(describe).collect();
    let last = || found.last().map(|w| w.position.to_string()).unwrap_or_default();
    let cursor = asked::cursor(found.len(), limit, last);
    Ok(json(&object!({ "entries": entries, "cursor": cursor })))
}

pub(crate) fn describe(written: &Written) -> Value {
    // The journal's own text is JSON: the column that is made from it says so.
    let mut entry: Value = serde_json::from_str(&written.entry).unwrap_or_default();
    entry["position"] = written.position.into();
    entry["hash"] = hex(&written.hash).into();
    entry
}

/// Reads everything; a journal that was touched is an answer, not a failure.
pub(super) async fn verify(stores: &Stores) -> Result<Response, Problem> {
    let found = stores.audit.verify().await.map_err(|e| failure(&e))?;
    let broken = found.broken.as_ref();
    Ok(json(&object!({
        "whole": broken.is_none(),
        "entries": found.entries,
        "hash": hex(&found.hash),
        "broken_at": broken.map(|broken| broken.position),
        "why": broken.map(|broken| broken.why),
    })))
}

/// A line for each entry, read as it is sent.
pub(super) fn export(stores: &Stores) -> Response {
    let pages = stream::try_unfold((stores.audit.clone(), 0), next_page);
    let body = StreamBody::new(pages).map_err(|error: nexus_storage::Error| {
        tracing::warn!(%error, "an export of the journal broke off");
        wasmtime_wasi_http::Error::InternalError(Some("the export broke off".into()))
    });
    let mut response = Response::new(body.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    let name = HeaderValue::from_static("attachment; filename=\"nexus-audit.jsonl\"");
    headers.insert(CONTENT_DISPOSITION, name);
    response
}

async fn next_page(
    (audit, after): (Audit, u64),
) -> Result<Option<(Frame<Bytes>, (Audit, u64))>, nexus_storage::Error> {
    let page = audit.after(after, PAGE).await?;
    let Some(last) = page.last().map(|written| written.position) else { return Ok(None) };
    let lines: String = page.iter().map(Written::to_line).collect();
    Ok(Some((Frame::data(lines.into()), (audit, last))))
}
