//! The doors that ask for no permission: `SignedIn` for what is one's own, `Called<C>` for what
//! only other components may ask.
//!
//! Knows what the host has proven: the principal and the calling component. Refuses to know whose
//! a row is: `SignedIn` proves who asks, the statement says whose it must be.

use std::marker::PhantomData;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::ctx::Ctx;
use crate::field;
use crate::principal::Kind;
use crate::problem::{Error, Result, standard};

/// The door for what is one's own: a person, or a program with a person's key. 401 without a
/// credential; no permission is asked. `principal().subject` is who it is.
#[derive(Debug)]
pub struct SignedIn(Ctx);

impl Deref for SignedIn {
    type Target = Ctx;

    fn deref(&self) -> &Ctx {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let ctx = Ctx::of_request(parts)?;
        match ctx.principal().kind {
            Kind::User | Kind::ApiKey | Kind::Operator => Ok(SignedIn(ctx)),
            Kind::Anonymous => Err(standard::Unauthenticated.into()),
            Kind::Service => Err(standard::Forbidden.because("this is for people").into()),
        }
    }
}

/// Which components may ask; `callers!` makes them.
pub trait Callers: 'static {
    /// Names of components; `*` stands for all of them.
    const NAMES: &'static [&'static str];
}

/// The door for other components of the suite: 404 for everybody else, who may not even know that
/// there is something. Tenant and principal are those of the call.
#[derive(Debug)]
pub struct Called<C> {
    ctx: Ctx,
    caller: String,
    callers: PhantomData<fn() -> C>,
}

impl<C> Called<C> {
    /// The component that asks.
    pub fn caller(&self) -> &str {
        &self.caller
    }
}

impl<C> Deref for Called<C> {
    type Target = Ctx;

    fn deref(&self) -> &Ctx {
        &self.ctx
    }
}

impl<C: Callers, S: Sync> FromRequestParts<S> for Called<C> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self> {
        let ctx = Ctx::of_request(parts)?;
        let caller = field::text(&parts.headers, &field::CALLER);
        match caller {
            Some(caller) if C::NAMES.iter().any(|name| matches!(*name, "*") || *name == caller) => {
                Ok(Called { ctx, caller: caller.to_owned(), callers: PhantomData })
            }
            _ => Err(standard::NotFound.into()),
        }
    }
}
