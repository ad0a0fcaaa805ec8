//! The operators' API over configuration: what a component's variables are and where they come
//! from, setting them, their history, and putting them in force. Knows paths, queries and bodies;
//! refuses to have rules of its own, and to answer with the value of a secret.
//!
//! | path under `/api/v1/` | what it does |
//! |---|---|
//! | `configuration/{component}` | each name, its source, and its value unless it is a secret |
//! | `PUT configuration/{component}/{name}` | `{value, secret, reason, by}` |
//! | `DELETE configuration/{component}/{name}` | takes the value away |
//! | `configuration/{component}/versions` | the history: `?limit=&cursor=` |
//! | `configuration/{component}/diff` | `?from=&to=`: what runs and the newest, by default |
//! | `POST configuration/{component}/apply` | `{reason, by}`: a new revision of what runs |
//! | `POST configuration/{component}/rotate` | of `_`: all secrets under the current root key |
//!
//! The component `_` is all of them.

use crate::operate::asked::{self, reason};
use crate::{Facts, operate, problems};
use bytes::Bytes;
use http::{Method, Request, StatusCode as S};
use http_body_util::Full;
use jiff::Timestamp;
use nexus_configuration::{ALL, ChangeRow, Configuration, Difference, Error, Order, Origin, Shown};
use nexus_runtime::{ComponentId, Problem, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::SystemTime;

const PREFIX: &str = "/api/v1/configuration/";

const AWAY: Problem = Problem::new(
    "configuration-away",
    S::SERVICE_UNAVAILABLE,
    "the configuration of this host is not there yet",
);
const REFUSED: Problem = Problem::new(
    "configuration-refused",
    S::UNPROCESSABLE_ENTITY,
    "a component cannot be configured so",
);
const UNKNOWN: Problem =
    Problem::new("no-such-variable", S::NOT_FOUND, "there is no such component or variable");
const NO_KEY: Problem = Problem::new(
    "secrets-unreadable",
    S::CONFLICT,
    "this host does not have the key that a secret is under",
);
const NOT_APPLIED: Problem =
    Problem::new("configuration-not-applied", S::CONFLICT, "no revision was made");

/// Whether a path belongs here.
pub(crate) fn is_for(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// A call, and what it is about.
struct Asked<'a> {
    configuration: &'a Configuration,
    facts: &'a Facts,
    call: operate::Asked,
}

/// Answers one call of an operator who was let in.
pub(crate) async fn answer(
    facts: &Facts,
    request: Request<Full<Bytes>>,
) -> Result<Response, Problem> {
    let configuration = facts.configured().ok_or(AWAY.retry_after(1))?;
    let call = operate::Asked::read(request, PREFIX).await?;
    let asked = Asked { configuration, facts, call };
    let segments: Vec<&str> = asked.call.segments.iter().map(String::as_str).collect();
    match (&segments[..], &asked.call.method) {
        ([component], &Method::GET | &Method::HEAD) => asked.show(component).await,
        ([component, "versions"], &Method::GET | &Method::HEAD) => asked.versions(component).await,
        ([component, "diff"], &Method::GET | &Method::HEAD) => asked.diff(component).await,
        ([component, "apply"], &Method::POST) => asked.apply(component).await,
        ([component, "rotate"], &Method::POST) => asked.rotate(component).await,
        ([component, name], &Method::PUT) => asked.set(component, name).await,
        ([component, name], &Method::DELETE) => asked.unset(component, name).await,
        _ => Err(problems::NOT_FOUND),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    value: String,
    #[serde(default)]
    secret: bool,
    reason: Option<String>,
    by: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    reason: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
    cursor: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    from: Option<u64>,
    to: Option<u64>,
}

impl Asked<'_> {
    async fn show(&self, component: &str) -> Result<Response, Problem> {
        let shown = self.configuration.show(component).await.map_err(|e| failure(&e))?;
        let newest = self.configuration.newest(component).await.map_err(|e| failure(&e))?;
        let names: Vec<Value> = shown.iter().map(name).collect();
        let running = self.running(component);
        Ok(ok(&json!({
            "component": component, "version": newest, "running": running, "names": names,
        })))
    }

    async fn versions(&self, component: &str) -> Result<Response, Problem> {
        let page: Page = self.call.query()?;
        let limit = asked::page(page.limit)?;
        let found = self.configuration.versions(component, page.cursor, limit).await;
        let found = found.map_err(|error| failure(&error))?;
        let versions: Vec<Value> = found.iter().map(change).collect();
        let last = || found.last().map(|row| row.version.to_string()).unwrap_or_default();
        let next = asked::cursor(found.len(), limit, last);
        Ok(ok(&json!({ "versions": versions, "cursor": next })))
    }

    async fn diff(&self, component: &str) -> Result<Response, Problem> {
        let between: Between = self.call.query()?;
        let newest = self.configuration.newest(component).await.map_err(|e| failure(&e))?;
        let from = between.from.or(self.running(component)).unwrap_or_default();
        let to = between.to.unwrap_or(newest);
        let found = self.configuration.diff(component, from, to).await.map_err(|e| failure(&e))?;
        let differences: Vec<Value> = found.iter().map(difference).collect();
        Ok(ok(&json!({ "from": from, "to": to, "differences": differences })))
    }

    async fn set(&self, component: &str, name: &str) -> Result<Response, Problem> {
        let draft: Draft = serde_json::from_slice(&self.call.body).map_err(|error| {
            // Serde's words may quote what was sent, which may be a secret.
            let (line, column) = (error.line(), error.column());
            problems::BODY.detail(format!(
                "it takes value, secret, reason and by (line {line}, column {column})"
            ))
        })?;
        let by = self.call.actor.by(draft.by.as_deref())?;
        let order = Order { by: &by, reason: reason(draft.reason.as_deref())? };
        let set = self.configuration.set(component, name, &draft.value, draft.secret, order).await;
        let version = set.map_err(|error| failure(&error))?;
        tracing::info!(by, component, name, version, secret = draft.secret, "a variable was set");
        Ok(ok(&json!({
            "component": component, "name": name, "version": version, "secret": draft.secret,
        })))
    }

    async fn unset(&self, component: &str, name: &str) -> Result<Response, Problem> {
        let why: Why = self.call.query()?;
        let by = self.call.actor.by(why.by.as_deref())?;
        let order = Order { by: &by, reason: reason(why.reason.as_deref())? };
        let unset = self.configuration.unset(component, name, order).await;
        let version = unset.map_err(|error| failure(&error))?;
        tracing::info!(by, component, name, version, "a variable was unset");
        Ok(ok(&json!({ "component": component, "name": name, "version": version })))
    }

    async fn apply(&self, component: &str) -> Result<Response, Problem> {
        let why: Why = self.call.order()?;
        let by = self.call.actor.by(why.by.as_deref())?;
        let order = Order { by: &by, reason: reason(why.reason.as_deref())? };
        let applied = self.configuration.apply(component, order).await;
        let applied = applied.map_err(|error| failure(&error))?;
        let applied: Vec<Value> = applied
            .iter()
            .map(|one| {
                json!({
                    "component": one.component, "configuration": one.configuration,
                    "revision": one.revised.revision, "rollout": one.revised.rollout,
                })
            })
            .collect();
        tracing::info!(by, component, revisions = applied.len(), "configuration was applied");
        Ok(ok(&json!({ "applied": applied })))
    }

    async fn rotate(&self, component: &str) -> Result<Response, Problem> {
        let why: Why = self.call.order()?;
        let by = self.call.actor.by(why.by.as_deref())?;
        if component != ALL {
            return Err(REFUSED.detail("the root key is that of all components: rotate `_`"));
        }
        let rotated = self.configuration.rotate().await.map_err(|error| failure(&error))?;
        tracing::info!(by, rotated, "secrets are under the current root key");
        Ok(ok(&json!({ "rotated": rotated })))
    }

    /// The number of the configuration that a component runs with, where that is known.
    fn running(&self, component: &str) -> Option<u64> {
        let id = ComponentId::new(component).ok()?;
        let active = self.facts.runtime()?.active();
        let fleet = active.components.get(&id)?.as_ref().ok()?;
        Some(fleet.lead().manifest.configuration)
    }
}

fn ok(value: &Value) -> Response {
    crate::routes::json(S::OK, value)
}

fn text(at: SystemTime) -> String {
    let micros = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
    let at = i64::try_from(micros).ok().and_then(|us| Timestamp::from_microsecond(us).ok());
    at.unwrap_or_default().to_string()
}

fn name(shown: &Shown) -> Value {
    let mut described = json!({
        "name": shown.name, "secret": shown.secret, "required": shown.required,
        "description": shown.description, "value": shown.value, "origin": shown.origin.word(),
    });
    match &shown.origin {
        Origin::Outside { place } => described["place"] = place.as_str().into(),
        Origin::Set { scope, version, by, at } => {
            described["scope"] = scope.as_str().into();
            described["version"] = (*version).into();
            described["by"] = by.as_str().into();
            described["at"] = text(*at).into();
        }
        _ => {}
    }
    described
}

fn change(row: &ChangeRow) -> Value {
    json!({
        "version": row.version, "component": row.scope, "name": row.name, "kind": row.kind,
        "at": text(row.changed_at), "by": row.changed_by, "reason": row.reason,
    })
}

fn difference(found: &Difference) -> Value {
    json!({
        "name": found.name, "secret": found.secret, "change": found.change.word(),
        "before": found.before, "after": found.after,
    })
}

fn failure(error: &Error) -> Problem {
    match error {
        Error::Storage(error) => operate::failure(error),
        Error::NoComponent(_) | Error::Undeclared { .. } => UNKNOWN.detail(error.to_string()),
        Error::Secret(_) | Error::TooLong { .. } | Error::Missing { .. } => {
            REFUSED.detail(error.to_string())
        }
        Error::NoKey | Error::Key(_) | Error::OtherKey { .. } | Error::Forged { .. } => {
            NO_KEY.detail(error.to_string())
        }
        Error::Revision { .. } | Error::NoRevisions => NOT_APPLIED.detail(error.to_string()),
        Error::Source { .. } => AWAY.detail(error.to_string()),
    }
}
