//! Who may do what: the one door of `/api/v1` and of the pages. A credential becomes an [`Actor`],
//! the table of routes says which role a call needs, and what is ordered is written into the
//! journal before it is carried out and after.
//!
//! Refuses to know what any route does.

mod journal;
pub(crate) mod openapi;
mod sessions;
pub(crate) mod table;

pub(crate) use journal::now;
pub(crate) use sessions::{COOKIE, Flash, LIFETIME, Seat, Sessions};

use crate::token::{self, Token};
use crate::{Facts, problems};
use bytes::Bytes;
use http::header::COOKIE as COOKIE_FIELD;
use http::{HeaderMap, Method};
use journal::Order;
use nexus_runtime::{Problem, Response};
use nexus_storage::audit::{Operators, Role, digest_of, hex};
use std::net::IpAddr;
use table::Route;

/// Name of whoever holds `NEXUS_ADMIN_TOKEN`, and of that credential.
const ROOT: &str = "root";
const BY_CHARS_MAX: usize = 100;

/// Who calls. In the extensions of every request that comes through the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub name: String,
    pub role: Role,
    /// The beginning of the token's digest, or `root`.
    pub credential: String,
}

impl Actor {
    pub fn root() -> Self {
        Self { name: ROOT.into(), role: Role::Admin, credential: ROOT.into() }
    }

    /// Who did it, for the record: the name, and in brackets who the caller says it is for.
    ///
    /// # Errors
    ///
    /// A problem when the note has no characters or more than 100.
    pub fn by(&self, note: Option<&str>) -> Result<String, Problem> {
        match note {
            None => Ok(self.name.clone()),
            Some(note) if (1..=BY_CHARS_MAX).contains(&note.chars().count()) => {
                Ok(format!("{} ({note})", self.name))
            }
            Some(_) => {
                Err(problems::BODY.detail(format!("by takes 1 to {BY_CHARS_MAX} characters")))
            }
        }
    }
}

/// What a browser session stands for; looked up again at each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Root,
    /// By the digest of the operator's token.
    Operator([u8; 32]),
}

/// The door. Clones share the sessions.
#[derive(Clone)]
pub(crate) struct Access {
    root: Token,
    facts: Facts,
    pub(crate) sessions: Sessions,
}

impl Access {
    pub(crate) fn new(root: Token, facts: Facts) -> Self {
        Self { root, facts, sessions: Sessions::default() }
    }

    pub(crate) fn is_root(&self, token: &str) -> bool {
        self.root.is(token)
    }

    /// Whoever calls the API: by token, or from a page by its session.
    ///
    /// # Errors
    ///
    /// A problem: no credential, a wrong one, or a page's order without the page's own token.
    pub(crate) async fn caller(
        &self,
        headers: &HeaderMap,
        method: &Method,
    ) -> Result<Actor, Problem> {
        if let Some(offered) = token::offered(headers) {
            return Ok(self.holder_of(offered).await?.1);
        }
        let seat = self.seat(headers).ok_or(problems::NO_CREDENTIAL)?;
        let shown = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
        if !is_question(method) && shown != Some(seat.csrf.as_str()) {
            return Err(problems::NO_CSRF);
        }
        self.seated(&seat).await
    }

    /// Who holds a token.
    pub(crate) async fn holder_of(&self, token: &str) -> Result<(Holder, Actor), Problem> {
        if self.is_root(token) {
            return Ok((Holder::Root, Actor::root()));
        }
        let holder = Holder::Operator(digest_of(token));
        Ok((holder, self.actor(holder).await?))
    }

    /// The browser session of a request, if there is one.
    pub(crate) fn seat(&self, headers: &HeaderMap) -> Option<Seat> {
        let sent = headers.get_all(COOKIE_FIELD).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            sent.flat_map(|text| text.split(';')).filter_map(|p| p.trim().split_once('='));
        let (_, id) = pairs.find(|(name, _)| *name == COOKIE)?;
        self.sessions.find(id)
    }

    /// Who sits there, if still an operator.
    pub(crate) async fn seated(&self, seat: &Seat) -> Result<Actor, Problem> {
        self.actor(seat.holder).await
    }

    async fn actor(&self, holder: Holder) -> Result<Actor, Problem> {
        let Holder::Operator(digest) = holder else { return Ok(Actor::root()) };
        // Without a database there are no operators but root.
        let stores = self.facts.operated().ok_or(problems::WRONG_CREDENTIAL)?;
        let operators = Operators::new(stores.database().clone());
        let found = operators.known_by(&digest).await.map_err(|e| crate::operate::failure(&e))?;
        let found = found.ok_or(problems::WRONG_CREDENTIAL)?;
        Ok(Actor { name: found.name, role: found.role, credential: hex(&digest[..8]) })
    }

    /// Lets a call through if the actor's role allows it, with everything that is ordered in the
    /// journal: first that it is about to be done, then what came of it. What cannot be written
    /// down is not done.
    pub(crate) async fn carry_out(
        &self,
        call: &Called<'_>,
        work: impl Future<Output = Result<Response, Problem>>,
    ) -> Result<Response, Problem> {
        let needed = call.route.needed(call.query, call.body);
        let allowed = call.actor.role >= needed;
        if is_question(call.method) {
            return if allowed { work.await } else { Err(role_problem(needed, call.actor)) };
        }
        let order = Order::of(call, &self.facts)?;
        if !allowed {
            let problem = role_problem(needed, call.actor);
            order.refused(&problem).await?;
            return Err(problem);
        }
        order.begun().await?;
        let answer = work.await;
        order.ended(journal::end_of(&answer)).await;
        answer
    }
}

/// One call that has come through the door.
pub(crate) struct Called<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) route: &'static Route,
    pub(crate) method: &'a Method,
    /// Below `/api/v1/`, as it was asked.
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) body: &'a Bytes,
    pub(crate) address: IpAddr,
    pub(crate) id: &'a str,
}

pub(crate) fn is_question(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn role_problem(needed: Role, actor: &Actor) -> Problem {
    let (needed, own) = (needed.as_str(), actor.role.as_str());
    problems::ROLE.detail(format!("this takes the role {needed}; {} is {own}", actor.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stands_beside_the_name_and_never_instead_of_it() {
        let actor = Actor::root();
        assert_eq!(actor.by(None), Ok("root".into()));
        assert_eq!(actor.by(Some("ada")), Ok("root (ada)".into()));
        assert!(actor.by(Some("")).is_err());
        assert!(actor.by(Some(&"x".repeat(101))).is_err());
    }
}
