//! An order in the journal: that it is about to be carried out, and what came of it. The body
//! itself stays out, since it may hold a secret; its digest says which it was.

use super::Called;
use crate::operate::failure;
use crate::{Facts, problems};
use http::StatusCode;
use jiff::Timestamp;
use nexus_runtime::{Problem, Response};
use nexus_storage::audit::{Audit, Entry, Outcome, hex};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Longest wait for the journal: whoever appends holds it for a moment only.
const WRITE_MAX: Duration = Duration::from_secs(10);

/// Words of a body that say why.
const REASONS: [&str; 2] = ["reason", "note"];
/// Words of a body that say to what, where the path does not.
const SUBJECTS: [&str; 3] = ["component", "name", "reference"];

/// An order on its way.
pub(super) struct Order {
    audit: Audit,
    entry: Entry,
}

impl Order {
    /// Knows everything about the order but its end.
    ///
    /// # Errors
    ///
    /// A problem while there is no database.
    pub(super) fn of(call: &Called<'_>, facts: &Facts) -> Result<Self, Problem> {
        let stores = facts.operated().ok_or_else(|| problems::DATABASE_AWAY.retry_after(1))?;
        let action = call.route.action();
        let mut entry = Entry::new(now(), &call.actor.name, &action, Outcome::Begun);
        entry.role = Some(call.actor.role.as_str().into());
        entry.credential = Some(call.actor.credential.clone());
        entry.address = Some(call.address.to_canonical().to_string());
        entry.path = Some(call.path.to_owned());
        let named = || SUBJECTS.iter().find_map(|word| member(call.body, word));
        entry.subject = call.route.subject(call.path).or_else(named);
        entry.body_sha256 = (!call.body.is_empty()).then(|| hex(&Sha256::digest(call.body)));
        entry.reason = REASONS.iter().find_map(|word| member(call.body, word));
        entry.call = Some(call.id.to_owned());
        Ok(Self { audit: Audit::new(stores.database().clone()), entry })
    }

    pub(super) async fn begun(&self) -> Result<(), Problem> {
        self.write(&self.entry).await
    }

    /// It was never begun.
    pub(super) async fn refused(&self, problem: &Problem) -> Result<(), Problem> {
        let mut entry = self.entry.clone();
        entry.outcome = Outcome::Refused;
        entry.status = Some(problem.status.as_u16());
        entry.reason = Some(problem.name.into());
        self.write(&entry).await
    }

    /// It is over, whatever the journal says to that: the next verification finds an order without
    /// an end, and the log says why.
    pub(super) async fn ended(&self, (status, said_no): End) {
        let mut entry = self.entry.clone();
        entry.at = now();
        entry.status = Some(status.as_u16());
        entry.outcome = match status {
            status if status.is_server_error() => Outcome::Failed,
            status if status.is_client_error() => Outcome::Refused,
            _ => Outcome::Done,
        };
        if let Some(name) = said_no {
            entry.reason = Some(name.into());
        }
        if let Err(problem) = self.write(&entry).await {
            let action = entry.action.as_str();
            tracing::warn!(action, why = problem.name, "the end of an order is not in the journal");
        }
    }

    async fn write(&self, entry: &Entry) -> Result<(), Problem> {
        match tokio::time::timeout(WRITE_MAX, self.audit.append(entry)).await {
            Ok(written) => written.map(drop).map_err(|error| failure(&error)),
            Err(_) => Err(problems::OPERATION_SLOW.retry_after(5)),
        }
    }
}

/// Status of an answer, and the name of the problem that it is.
pub(super) type End = (StatusCode, Option<&'static str>);

pub(super) fn end_of(answer: &Result<Response, Problem>) -> End {
    match answer {
        Ok(response) => (response.status(), None),
        Err(problem) => (problem.status, Some(problem.name)),
    }
}

/// In UTC, to the microsecond and always written as long: so texts sort as instants do.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A text of the body.
fn member(body: &[u8], word: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body.get(word)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
