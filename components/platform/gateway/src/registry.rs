//! What stands behind the entry: the registry's names (`core-os`), and for each service whether it
//! runs here and what it offers, asked of the service itself. Looked at twice a minute, and in the
//! request itself where the last look is too long ago.

use crate::document::{Document, bases};
use crate::naming::normalised;
use crate::store;
use nexus_sdk::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// The tenant that stands for the installation itself.
pub const INSTALLATION: Uuid = Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0001);

/// A look that is older is not shown without looking again.
const STALE_AFTER_SECONDS: i32 = 150;

/// As `core-os` tells it.
#[derive(Deserialize)]
struct Known {
    name: String,
    domain: String,
    duty: String,
    aliases: Vec<String>,
    modules: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It answers.
    Running,
    /// It is part of this installation and does not answer.
    Failing,
    /// This installation does not have it.
    Missing,
}

impl ToParam for State {
    fn to_param(&self) -> Param {
        word(self)
    }
}

/// One service, looked at.
#[derive(Serialize)]
struct Seen {
    name: String,
    domain: String,
    duty: String,
    alias_keys: Vec<String>,
    aliases: Vec<String>,
    modules: Vec<String>,
    state: State,
    version: Option<String>,
    bases: Vec<String>,
    count: usize,
    digest: Option<String>,
    /// None: as they were at the last look.
    operations: Option<Vec<Row>>,
}

#[derive(Serialize)]
struct Row {
    method: String,
    path: String,
    operation_id: String,
    door: String,
    permission: Option<String>,
}

/// Looks again if nobody has for a while: a fresh installation has not been looked at yet.
pub async fn ensure_fresh(by: &Ctx) -> Result<()> {
    let last = store::last_look(by.db()).await?;
    if last.is_some_and(|at| by.now() - at <= seconds(STALE_AFTER_SECONDS)) {
        return Ok(());
    }
    refresh(by).await.map(drop)
}

/// Asks `core-os` for the names and each service for what it offers.
pub async fn refresh(by: &Ctx) -> Result<NoContent> {
    #[derive(Deserialize)]
    struct Listing {
        items: Vec<Known>,
    }
    let known: Listing = call("core-os").get("/api/core-os/v1/services").read().await?;
    let before: BTreeMap<String, Option<String>> = store::digests(by.db()).await?;
    let mut seen = Vec::with_capacity(known.items.len());
    for service in known.items {
        let digest = before.get(&service.name).cloned().flatten();
        seen.push(look(service, digest).await);
    }
    let seen = serde_json::to_value(&seen).context("write down what was seen")?;
    by.aside().commit(store::record(seen, by.now())).await
}

async fn look(service: Known, digest: Option<String>) -> Seen {
    let (state, document) = ask(&service.name).await;
    let mut seen = Seen {
        alias_keys: service.aliases.iter().map(|alias| normalised(alias)).collect(),
        name: service.name,
        domain: service.domain,
        duty: service.duty,
        aliases: service.aliases,
        modules: service.modules,
        state,
        version: None,
        bases: Vec::new(),
        count: 0,
        digest: None,
        operations: None,
    };
    let Some((document, new)) = document else {
        // What is not here offers nothing; what only fails is described as it was last seen.
        seen.operations = (state == State::Missing && digest.is_some()).then(Vec::new);
        return seen;
    };
    let operations = document.operations();
    seen.version = Some(document.text("/info/version").to_owned()).filter(|it| !it.is_empty());
    seen.bases = bases(&operations);
    seen.count = operations.len();
    if digest.as_ref() != Some(&new) {
        let row = |it: &crate::document::Operation<'_>| Row {
            method: it.method.to_uppercase(),
            path: it.path.to_owned(),
            operation_id: it.id().to_owned(),
            door: it.door().to_owned(),
            permission: it.permission().map(str::to_owned),
        };
        seen.operations = Some(operations.iter().map(row).collect());
    }
    seen.digest = Some(new);
    seen
}

/// The document of a service with its digest, and what its answer says about the service.
async fn ask(service: &str) -> (State, Option<(Document, String)>) {
    if service == crate::FACTS.name {
        // Our own needs no call to ourselves.
        let document = crate::service().openapi();
        let digest = Etag::of_bytes(document.to_string().as_bytes()).to_string();
        return (State::Running, Some((Document(document), digest)));
    }
    match call(service).get(format!("/api/{service}/openapi.json")).send().await {
        Ok(reply) if reply.status.is_success() => {
            let digest = Etag::of_bytes(&reply.body).to_string();
            let read: Option<Value> = serde_json::from_slice(&reply.body).ok();
            (State::Running, read.map(|document| (Document(document), digest)))
        }
        Ok(reply) => {
            let kind = reply.problem().map(|problem| problem.r#type).unwrap_or_default();
            let missing = kind == "/problems/host/no-such-component";
            (if missing { State::Missing } else { State::Failing }, None)
        }
        Err(_unreachable) => (State::Failing, None),
    }
}

/// The document of one service, as it is now.
///
/// # Errors
/// 404 for what this installation does not have, 503 for what does not answer.
pub async fn document(service: &str) -> Result<Document> {
    match ask(service).await {
        (State::Running, Some((document, _))) => Ok(document),
        (State::Missing, _) => Err(standard::NotFound.into()),
        _ => {
            let words = format!("ask {service} what it offers");
            Err(Error::unavailable(Failure::msg(words)))
        }
    }
}
