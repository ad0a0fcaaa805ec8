//! The doors: `Allowed<P>` and `Public` for HTTP, `System` for cron, and `Ctx` behind them.
//!
//! Knows who asks, when, for which tenant, and how to read and commit for them. Refuses to
//! be made by a service: a `Ctx` is the proof that one of the doors was passed.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::TimeDelta;
use spin_sdk::{key_value, variables};
use uuid::Uuid;

use crate::beside;
use crate::commit::{self, Errand, Writes};
use crate::db::Db;
use crate::field::{self, Text};
use crate::id::{Id, Mint, TenantId};
use crate::principal::{Kind, Permission, Principal};
use crate::problem::{Error, Failure, Result, standard};
use crate::respond::NoContent;
use crate::sql::Scope;
use crate::time::{self, Time};

/// One piece of work for one principal of one tenant: a request or an event.
#[derive(Debug)]
pub struct Ctx {
    origin: Origin,
    principal: Principal,
    now: Time,
    mint: Mint,
    db: Db,
}

/// Where a piece of work comes from; stands beside a request.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) service: &'static str,
    pub(crate) request_id: Text,
    pub(crate) trace: Option<Text>,
    pub(crate) errand: Option<Arc<Errand>>,
}

impl Ctx {
    pub(crate) fn new(origin: Origin, principal: Principal, now: Time) -> Ctx {
        let db = Db::new(Some(principal.tenant));
        Ctx { origin, principal, now, mint: Mint::new(now), db }
    }

    pub(crate) fn of_request(parts: &Parts) -> Result<Ctx> {
        let beside = beside::current();
        let beside = beside.ok_or_else(|| Failure::msg("the route was called past its service"))?;
        let trace = Text::of(&parts.headers, &field::TRACEPARENT);
        let origin = Origin { trace, ..beside.origin.clone() };
        let principal = Principal::of_request(&parts.headers)?;
        Ok(Ctx::new(origin, principal, time::of_request(&parts.headers)?))
    }

    /// Whose data this is about.
    pub fn tenant(&self) -> TenantId {
        self.principal.tenant
    }

    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Proves that whoever asks has shown who they are not long ago: a guard before what a stolen
    /// session must not do.
    ///
    /// # Errors
    /// 403 `step-up-required` (RFC 9470 in spirit) when the last proof is older or unknown.
    pub fn recently(&self, within: TimeDelta) -> Result<()> {
        let proven = self.principal.auth_time.unwrap_or(0);
        if self.now.timestamp() - proven <= within.num_seconds() {
            return Ok(());
        }
        Err(standard::StepUpRequired.into())
    }

    /// Proves that a person asks, with all that they may do: a guard before what a program, or a
    /// credential that was cut down, has no say over. What was cut down must not grow again.
    ///
    /// # Errors
    /// 403 `people-only` for keys and services, 403 `credential-limited` for a token with a scope.
    pub fn in_person(&self) -> Result<&str> {
        match self.principal.kind {
            Kind::User | Kind::Operator if self.principal.limited => {
                Err(standard::CredentialLimited.into())
            }
            Kind::User | Kind::Operator => Ok(&self.principal.subject),
            Kind::Anonymous | Kind::Service | Kind::ApiKey => Err(standard::PeopleOnly.into()),
        }
    }

    /// The instant of this piece of work: the same however often it is asked.
    pub fn now(&self) -> Time {
        self.now
    }

    /// A fresh UUIDv7; later ones sort after earlier ones.
    pub fn new_id<I: Id>(&self) -> I {
        self.mint.next().into()
    }

    /// For reading; `store.rs` takes it.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Runs all writes in one transaction, or none.
    ///
    /// # Errors
    /// A refusal that a write named (or 409 `conflict`), 409 for a busy idempotency key, 503
    /// when the database is away; after any of them nothing has changed.
    pub async fn commit(&self, writes: impl Writes) -> Result<NoContent> {
        commit::commit(self, writes.into_writes()).await
    }

    /// The same work beside its event or key: what it commits stays, whatever becomes of them. For
    /// what must be kept of an attempt that failed, since the event comes again.
    pub fn aside(&self) -> Ctx {
        let origin = Origin { errand: None, ..self.origin.clone() };
        Ctx::new(origin, self.principal.clone(), self.now)
    }

    /// The id under which this piece of work is logged.
    pub fn request_id(&self) -> &str {
        &self.origin.request_id
    }

    /// A variable that the component's fragment grants.
    ///
    /// # Errors
    /// One that is not granted or has no value is a failure.
    pub async fn variable(&self, name: &str) -> Result<String> {
        variable(name).await
    }

    /// A key-value store that the component's fragment grants.
    ///
    /// # Errors
    /// One that is not granted is a failure.
    pub async fn key_value(&self, label: &str) -> Result<key_value::Store> {
        key_value(label).await
    }

    pub(crate) fn service(&self) -> &'static str {
        self.origin.service
    }

    pub(crate) fn errand(&self) -> Option<&Errand> {
        self.origin.errand.as_deref()
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        let trace = self.origin.trace.as_deref();
        Scope { tenant: self.db.tenant(), trace, mint: Some(&self.mint) }
    }
}

async fn variable(name: &str) -> Result<String> {
    let value = variables::get(name).await;
    Ok(value.map_err(|why| Failure::msg(format!("read the variable {name}: {why:?}")))?)
}

async fn key_value(label: &str) -> Result<key_value::Store> {
    let store = key_value::Store::open(label).await;
    Ok(store.map_err(|why| Failure::msg(format!("open the store {label}: {why:?}")))?)
}

/// The door that opens with permission `P`: 401 without a credential, 403 without the
/// permission.
#[derive(Debug)]
pub struct Allowed<P> {
    ctx: Ctx,
    permission: PhantomData<fn() -> P>,
}

impl<P> Deref for Allowed<P> {
    type Target = Ctx;

    fn deref(&self) -> &Ctx {
        &self.ctx
    }
}

impl<P: Permission, S: Sync> FromRequestParts<S> for Allowed<P> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let ctx = Ctx::of_request(parts)?;
        if !ctx.principal.is_authenticated() {
            return Err(standard::Unauthenticated.into());
        }
        if !ctx.principal.may(P::NAME) {
            return Err(standard::Forbidden.because(format!("this needs {}", P::NAME)).into());
        }
        Ok(Allowed { ctx, permission: PhantomData })
    }
}

/// The open door: the tenant is known, nothing else is asked. Whoever it is stands in
/// `principal()`.
#[derive(Debug)]
pub struct Public(Ctx);

impl Deref for Public {
    type Target = Ctx;

    fn deref(&self) -> &Ctx {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Public {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        Ctx::of_request(parts).map(Public)
    }
}

/// The schedule's door: work for all tenants. It has no tenant of its own, so a statement
/// that binds `{tenant}` fails here; `in_tenant` gives a `Ctx` that has one.
#[derive(Debug)]
pub struct System {
    ctx: Ctx,
    nominal: Time,
}

impl System {
    pub(crate) fn new(origin: Origin, nominal: Time, now: Time) -> System {
        let nobody = Uuid::nil().into();
        let mut ctx = Ctx::new(origin.clone(), service_principal(origin.service, nobody), now);
        ctx.db = Db::new(None);
        System { ctx, nominal }
    }

    /// The instant of this run.
    pub fn now(&self) -> Time {
        self.ctx.now
    }

    /// The instant at which the schedule meant this run to be; a late or repeated run differs
    /// from `now`.
    pub fn nominal(&self) -> Time {
        self.nominal
    }

    /// A fresh UUIDv7; later ones sort after earlier ones.
    pub fn new_id<I: Id>(&self) -> I {
        self.ctx.new_id()
    }

    /// For reading across tenants.
    pub fn db(&self) -> &Db {
        &self.ctx.db
    }

    /// Runs all writes in one transaction, or none; see [`Ctx::commit`].
    ///
    /// # Errors
    /// As [`Ctx::commit`]; an event needs a tenant, so emit it from `in_tenant`.
    pub async fn commit(&self, writes: impl Writes) -> Result<NoContent> {
        self.ctx.commit(writes).await
    }

    /// The id under which this run is logged.
    pub fn request_id(&self) -> &str {
        self.ctx.request_id()
    }

    /// The same work for one tenant, as this service.
    pub fn in_tenant(&self, tenant: TenantId) -> Ctx {
        let principal = service_principal(self.ctx.service(), tenant);
        Ctx::new(self.ctx.origin.clone(), principal, self.ctx.now)
    }

    /// A variable that the component's fragment grants; see [`Ctx::variable`].
    ///
    /// # Errors
    /// As [`Ctx::variable`].
    pub async fn variable(&self, name: &str) -> Result<String> {
        variable(name).await
    }

    /// A key-value store that the component's fragment grants; see [`Ctx::key_value`].
    ///
    /// # Errors
    /// As [`Ctx::key_value`].
    pub async fn key_value(&self, label: &str) -> Result<key_value::Store> {
        key_value(label).await
    }
}

/// A service acting by itself: it has no permissions, because none are checked behind a door.
pub(crate) fn service_principal(service: &str, tenant: TenantId) -> Principal {
    Principal {
        subject: service.to_owned(),
        kind: Kind::Service,
        tenant,
        organisation: None,
        permissions: Vec::new(),
        session: None,
        auth_time: None,
        acr: None,
        limited: false,
    }
}
