//! Asking a service for a visitor: in-process, as them, from their address.
//!
//! Knows which answers send the visitor elsewhere (sign in, prove it again) and which are to be
//! said on the page. Refuses to keep anything between two questions.

use crate::complaint::Refused;
use crate::trouble::Trouble;
use crate::visitor::Visitor;
use nexus_sdk::axum::http::{HeaderName, HeaderValue};
use nexus_sdk::prelude::*;
use nexus_sdk::serde::de::DeserializeOwned;
use nexus_sdk::{Problem, Question, Reply};

/// Where the visitor's request came from, for throttling and for the list of devices.
const CLIENT_ADDRESS: HeaderName = HeaderName::from_static("nexus-client-addr");
/// What the visitor's browser calls itself.
const CLIENT_AGENT: HeaderName = HeaderName::from_static("nexus-client-agent");

/// What a service did, and what it says to the browser.
#[derive(Debug)]
pub struct Done<T> {
    pub value: T,
    pub cookies: Vec<HeaderValue>,
}

impl Visitor {
    /// Asks; what the service refuses is for the page to say.
    ///
    /// # Errors
    /// [`Trouble`] when the service is away or fails, when nobody is signed in, or when the
    /// proof of who it is must be renewed.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        question: Question,
    ) -> Result<Result<Done<T>, Refused>, Trouble> {
        let reply = self.send(question).await?;
        if !reply.status.is_success() {
            return self.refusal(&reply).map(Err);
        }
        let cookies = reply.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        // 202 and 204 may have nothing to say.
        let body: &[u8] = if reply.body.is_empty() { b"null" } else { &reply.body };
        match serde_json::from_slice(body) {
            Ok(value) => Ok(Ok(Done { value, cookies })),
            Err(why) => {
                let failure = Failure::new(why).context("read what a service answered");
                Err(Trouble::failed(failure.into(), self.request_id()))
            }
        }
    }

    /// Asks for what the page cannot do without.
    ///
    /// # Errors
    /// As [`Visitor::ask`], and [`Trouble::Refused`].
    pub async fn need<T: DeserializeOwned>(&self, question: Question) -> Result<T, Trouble> {
        match self.ask(question).await? {
            Ok(done) => Ok(done.value),
            Err(refused) => Err(Trouble::Refused(refused)),
        }
    }

    /// Asks for what the page can do without: nothing, when the service is away or refuses.
    ///
    /// # Errors
    /// Only those that send the visitor elsewhere.
    pub async fn want<T: DeserializeOwned>(
        &self,
        question: Question,
    ) -> Result<Option<T>, Trouble> {
        match self.ask(question).await {
            Ok(answer) => Ok(answer.ok().map(|done| done.value)),
            Err(Trouble::Failed { error, request_id }) => {
                let line = json!({
                    "level": "warn", "request_id": request_id,
                    "message": format!("leave it out: {error}"),
                });
                eprintln!("{line}");
                Ok(None)
            }
            Err(elsewhere) => Err(elsewhere),
        }
    }

    async fn send(&self, mut question: Question) -> Result<Reply, Trouble> {
        if let Some(address) = self.address() {
            question = question.header(CLIENT_ADDRESS, address.clone());
        }
        if let Some(agent) = self.agent() {
            question = question.header(CLIENT_AGENT, agent.clone());
        }
        let reply = question.send().await;
        reply.map_err(|error| Trouble::failed(error, self.request_id()))
    }

    fn refusal(&self, reply: &Reply) -> Result<Refused, Trouble> {
        let status = reply.status.as_u16();
        let wait = reply.headers.get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok());
        let refused = match reply.problem() {
            Some(problem) => Refused::of(problem, wait.and_then(|wait| wait.parse().ok())),
            None => Refused::of(nameless(status), None),
        };
        match (status, refused.name.as_str()) {
            (401, "unauthenticated") => Err(Trouble::SignIn(self.back().to_owned())),
            (403, "step-up-required") => Err(Trouble::Confirm(self.back().to_owned())),
            (400..=499, _) => Ok(refused),
            _ => {
                let failure = Failure::msg(format!("a service answered {status} {}", refused.name));
                let error = match status {
                    502..=504 => Error::unavailable(failure),
                    _ => failure.into(),
                };
                Err(Trouble::failed(error, self.request_id()))
            }
        }
    }
}

fn nameless(status: u16) -> Problem {
    Problem {
        r#type: String::new(),
        title: String::new(),
        status,
        detail: String::new(),
        instance: String::new(),
        errors: Vec::new(),
    }
}
