//! Artifacts: stored, pulled, listed, given back.

use super::{Asked, NO_ARTIFACT, broken, cursor, failed, failure, ok, page, shape};
use crate::problems;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use nexus_artifact::ARCHIVE;
use nexus_runtime::{Problem, Response, full};
use serde::Deserialize;
use serde_json::{Value, json};

const WASM: &str = "application/wasm";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    component: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    component: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pull {
    reference: String,
    #[serde(default)]
    insecure: bool,
}

impl Asked<'_> {
    pub(super) async fn store(&self) -> Result<Response, Problem> {
        let Named { component } = self.call.query()?;
        let by = self.call.actor.by(None)?;
        let stored = match (self.call.media_type.as_str(), component) {
            (WASM, Some(component)) => {
                self.rollout.store_wasm(&component, self.call.body.clone(), &by).await
            }
            (WASM, None) => {
                return Err(problems::QUERY.detail("say whose bytes these are: ?component="));
            }
            (ARCHIVE, _) => self.rollout.store(self.call.body.clone(), &by).await,
            (other, _) => {
                let detail = format!("{other:?} is not taken: send {ARCHIVE} or {WASM}");
                return Err(problems::BODY.detail(detail));
            }
        };
        Ok(ok(&shape::stored(&stored.map_err(failure)?)))
    }

    pub(super) async fn pull(&self) -> Result<Response, Problem> {
        let Pull { reference, insecure } = self.call.order()?;
        let by = self.call.actor.by(None)?;
        let stored = self.rollout.pull(&reference, insecure, &by).await.map_err(failure)?;
        Ok(ok(&shape::stored(&stored)))
    }

    pub(super) async fn artifacts(&self) -> Result<Response, Problem> {
        let Page { component, limit, cursor: after } = self.call.query()?;
        let limit = page(limit)?;
        let store = self.rollout.rollouts();
        let found = store.artifacts(component.as_deref(), after.as_deref(), limit).await;
        let found = found.map_err(failed)?;
        let last = || found.last().map(|row| row.digest.clone()).unwrap_or_default();
        let artifacts: Vec<Value> = found.iter().map(shape::artifact).collect();
        let next = cursor(found.len(), limit, last);
        Ok(ok(&json!({ "artifacts": artifacts, "cursor": next })))
    }

    pub(super) async fn artifact(&self, digest: &str) -> Result<Response, Problem> {
        let found = self.rollout.rollouts().artifact(digest).await.map_err(broken)?;
        let found = found.ok_or(NO_ARTIFACT)?;
        let mut value = shape::artifact(&found);
        value["fragment"] = found.fragment.into();
        Ok(ok(&value))
    }

    pub(super) async fn archive(&self, digest: &str) -> Result<Response, Problem> {
        let store = self.rollout.rollouts();
        let found = store.artifact(digest).await.map_err(broken)?.ok_or(NO_ARTIFACT)?;
        let bytes = store.blob(&found.archive_digest).await.map_err(broken)?.ok_or(NO_ARTIFACT)?;
        let mut response = Response::new(full(bytes));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(ARCHIVE));
        Ok(response)
    }
}
