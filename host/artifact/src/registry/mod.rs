//! Registries of others: artifacts are pulled from and pushed to whatever speaks the OCI
//! distribution specification 1.1, with their signatures as referrers. A tag is resolved once, to a
//! digest; everything after is asked for by digest and checked. Refuses to keep anything.

mod access;
mod credentials;
mod pull;
mod push;
mod reference;
mod wire;

pub use credentials::Credentials;
pub use reference::Reference;

use crate::error::Error;
use crate::oci;
use access::Challenge;
use http::Method;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use url::Url;
use wire::{Answer, Ask, Wire};
use zeroize::Zeroizing;

/// How registries are reached.
#[derive(Debug, Clone, Default)]
pub struct RegistryConfig {
    pub credentials: Credentials,
    /// Plain HTTP to other machines, too. This machine's own registry is always asked so.
    pub insecure: bool,
}

/// A client of registries; one is enough for all of them.
pub struct Registry {
    wire: Wire,
    config: RegistryConfig,
    /// What the last 401 of a repository led to, for reading or for writing.
    granted: Mutex<HashMap<(String, Right), Zeroizing<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Right {
    Pull,
    Push,
}

/// Repositories whose tokens are kept.
const GRANTED_MAX: usize = 100;

impl Registry {
    /// Asks nobody yet.
    pub fn new(config: RegistryConfig) -> Self {
        Self { wire: Wire::new(), config, granted: Mutex::default() }
    }

    /// `/v2/<repository>/<path>` of the registry.
    fn url(&self, reference: &Reference, path: &str) -> Result<Url, Error> {
        let plain = reference.is_loopback() || self.config.insecure;
        let scheme = if plain { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}/{path}", reference.host(), reference.repository());
        Url::parse(&text).map_err(|_| Error::Reference(reference.to_string()))
    }

    /// Asks with whatever credentials the registry wants.
    async fn ask(
        &self,
        reference: &Reference,
        right: Right,
        mut ask: Ask,
    ) -> Result<Answer, Error> {
        let own = self.url(reference, "")?.origin() == ask.url.origin();
        let key = (format!("{}/{}", reference.host(), reference.repository()), right);
        let known = self.granted.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(granted) = known.filter(|_| own) {
            authorize(&mut ask, reference, &granted)?;
        }
        let answer = self.send(reference, &ask).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !own {
            return Ok(answer);
        }
        let Some(granted) = self.meet(reference, right, &answer).await? else {
            return Ok(answer);
        };
        authorize(&mut ask, reference, &granted)?;
        {
            let mut kept = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= GRANTED_MAX {
                kept.clear();
            }
            kept.insert(key, granted);
        }
        self.send(reference, &ask).await
    }

    async fn send(&self, reference: &Reference, ask: &Ask) -> Result<Answer, Error> {
        let answer = self.wire.ask(ask).await;
        answer.map_err(|reason| Error::Registry { reference: reference.clone(), reason })
    }

    /// What a 401 asks for; none when we have nothing to meet it with.
    async fn meet(
        &self,
        reference: &Reference,
        right: Right,
        answer: &Answer,
    ) -> Result<Option<Zeroizing<String>>, Error> {
        let challenges = answer.headers.get_all(WWW_AUTHENTICATE).iter();
        let challenge = challenges.filter_map(|it| Challenge::read(it.to_str().ok()?)).next();
        let login = self.config.credentials.of(reference.host())?;
        match (challenge, login) {
            (None, _) | (Some(Challenge::Basic), None) => Ok(None),
            (Some(Challenge::Basic), Some(login)) => Ok(Some(login.basic())),
            (Some(Challenge::Bearer { realm, service, scope }), login) => {
                let actions = if right == Right::Push { "pull,push" } else { "pull" };
                let own = format!("repository:{}:{actions}", reference.repository());
                let mut query = vec![("scope", scope.as_deref().unwrap_or(&own))];
                query.extend(service.as_deref().map(|service| ("service", service)));
                let plain = reference.is_loopback() || self.config.insecure;
                let token = access::token(&self.wire, &realm, &query, login, plain).await;
                let wrong = |reason| Error::Registry { reference: reference.clone(), reason };
                token.map(Some).map_err(wrong)
            }
        }
    }
}

fn authorize(ask: &mut Ask, reference: &Reference, granted: &str) -> Result<(), Error> {
    let value = access::secret(granted)
        .map_err(|reason| Error::Credentials { host: reference.host().into(), reason })?;
    ask.headers.insert(AUTHORIZATION, value);
    Ok(())
}

/// Every kind of manifest that we can read.
fn manifest_ask(url: Url) -> Ask {
    let kinds = [oci::MANIFEST, oci::INDEX, oci::DOCKER_MANIFEST, oci::DOCKER_LIST].join(", ");
    let mut ask = Ask::new(Method::GET, url);
    let kinds = HeaderValue::from_str(&kinds).expect("media types are letters and dots");
    ask.headers.insert(ACCEPT, kinds);
    ask.bytes_max = oci::MANIFEST_BYTES_MAX;
    ask
}

/// What a refusal means to whoever has asked.
fn refused(reference: &Reference, answer: &Answer) -> Error {
    if answer.status == StatusCode::NOT_FOUND {
        return Error::NotFound(reference.clone());
    }
    let mut reason = answer.complaint();
    if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        reason += "; log in with `skopeo login` or `docker login`, which write the file that is \
                   read here";
    }
    Error::Registry { reference: reference.clone(), reason }
}
