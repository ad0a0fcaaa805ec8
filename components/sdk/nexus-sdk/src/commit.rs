//! `commit`: the only way to change anything.
//!
//! Knows how statements, events, the idempotency key of a request and the inbox row of an
//! event become one transaction, all or nothing, and when to try it again; `fold` says which of
//! them share a statement. Refuses sessions: a change is a list of values, and nothing of it is
//! left open when the call returns.

use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::ctx::Ctx;
use crate::outcome::Fault;
use crate::problem::{Error, Failure, OrLog, Refusal, Result, standard};
use crate::respond::NoContent;
use crate::session::{self, Session};
use crate::sql::{Statement, Write};

mod fold;

use fold::Step;

/// How often a transaction is tried that another one keeps disturbing. Each try is a fresh
/// race; three lose only where a design is at fault.
const ATTEMPTS_MAX: usize = 3;

/// The constraint that `platform.inbox_take` names for an event that was handled before.
const HANDLED: &str = "event_accepted_before";

/// What `commit` takes: an array, a vector or a single write.
pub trait Writes {
    /// The writes in the order in which they run.
    fn into_writes(self) -> Vec<Write>;
}

impl Writes for Write {
    fn into_writes(self) -> Vec<Write> {
        vec![self]
    }
}

impl Writes for Vec<Write> {
    fn into_writes(self) -> Vec<Write> {
        self
    }
}

impl<const N: usize> Writes for [Write; N] {
    fn into_writes(self) -> Vec<Write> {
        self.into()
    }
}

/// What a request or an event brings into its first commit.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) kind: ErrandKind,
    done: AtomicBool,
}

#[derive(Debug)]
pub(crate) enum ErrandKind {
    /// The idempotency key of a request.
    Key { subject: String, key: String, fingerprint: String },
    /// The event being handled, and for which of the service's subscriptions: two that match one
    /// event both act on it.
    Event { id: Uuid, subscription: String },
}

impl Errand {
    pub(crate) fn new(kind: ErrandKind) -> Errand {
        Errand { kind, done: AtomicBool::new(false) }
    }

    /// Whether a commit has taken it along.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

/// Why a transaction was undone.
enum Undone {
    /// By the database.
    Fault(Fault),
    /// By a write's own condition.
    Refused(Refusal),
    /// The event was handled before; there is nothing left to do.
    Handled,
}

impl<F: Into<Fault>> From<F> for Undone {
    fn from(fault: F) -> Undone {
        Undone::Fault(fault.into())
    }
}

pub(crate) async fn commit(ctx: &Ctx, writes: Vec<Write>) -> Result<NoContent> {
    for write in &writes {
        write.check()?;
    }
    let errand = errand_of(ctx)?;
    for attempt in 1.. {
        match attempt_once(ctx, errand, &writes).await {
            Ok(()) => break,
            Err(Undone::Handled) => return Ok(NoContent),
            Err(Undone::Refused(refusal)) => return Err(refusal.into()),
            Err(Undone::Fault(Fault::Raced(_))) if attempt < ATTEMPTS_MAX => {}
            Err(Undone::Fault(fault)) => return Err(translated(fault, &writes)),
        }
    }
    if let Some(errand) = errand {
        errand.done.store(true, Ordering::Relaxed);
    }
    Ok(NoContent)
}

/// The errand this commit takes along. A request's key goes with the first commit; an event
/// has one commit only, because a crash before a second one could never be made good.
fn errand_of(ctx: &Ctx) -> std::result::Result<Option<&Errand>, Failure> {
    match ctx.errand() {
        Some(errand) if errand.is_done() => match errand.kind {
            ErrandKind::Key { .. } => Ok(None),
            ErrandKind::Event { .. } => Err(Failure::msg("an event is handled by one commit")),
        },
        errand => Ok(errand),
    }
}

async fn attempt_once(
    ctx: &Ctx,
    errand: Option<&Errand>,
    writes: &[Write],
) -> std::result::Result<(), Undone> {
    let steps = fold::steps(&ctx.scope(), errand, writes)?;
    if steps.is_empty() {
        return Ok(());
    }
    // PostgreSQL makes one statement a transaction by itself. With a row count to check it needs
    // a real one: two rows where one was expected must be undone.
    if steps.len() == 1 && steps[0].rows.is_none() {
        return run(None, steps).await;
    }
    let session = Session::open().await?;
    command(&session, "begin").await?;
    match run(Some(&session), steps).await {
        Ok(()) => Ok(command(&session, "commit").await?),
        Err(undone) => {
            // Without its connection PostgreSQL has rolled back by itself, and the host rolls back
            // whatever comes back to it open.
            let rolled_back = command(&session, "rollback").await;
            if !matches!(rolled_back, Err(Fault::Away(_))) {
                rolled_back.map_err(Error::from).or_log("roll back");
            }
            Err(undone)
        }
    }
}

async fn command(session: &Session, text: &'static str) -> std::result::Result<(), Fault> {
    let command = Statement::from_template(text, Vec::new());
    session.execute(&command, Vec::new()).await.map(drop)
}

async fn run(session: Option<&Session>, steps: Vec<Step<'_>>) -> std::result::Result<(), Undone> {
    for Step { statement, params, rows } in steps {
        let touched = match session {
            Some(session) => session.execute(&statement, params).await,
            None => session::execute(&statement, params).await,
        };
        let touched = match touched {
            Ok(touched) => touched,
            Err(Fault::Constraint(name, _)) if name == HANDLED => return Err(Undone::Handled),
            Err(fault) => return Err(fault.into()),
        };
        if let Some((expected, refusal)) = rows
            && expected != touched
        {
            return Err(Undone::Refused(refusal.cloned().unwrap_or(standard::Conflict)));
        }
    }
    Ok(())
}

/// A constraint as the refusal that one of the writes named for it. Deferred constraints
/// speak at `commit`, so every write is asked, not only the one that ran last.
fn translated(fault: Fault, writes: &[Write]) -> Error {
    if let Fault::Constraint(violated, _) = &fault {
        let mut named = writes.iter().flat_map(|write| &write.conflicts);
        if let Some((_, refusal)) = named.find(|(name, _)| name == violated) {
            return refusal.clone().into();
        }
    }
    fault.into()
}
