//! Feature flags: kept over our own API, evaluated over OFREP 0.2 (OpenFeature Remote Evaluation
//! Protocol), so that any OpenFeature SDK is a client.

use crate::evaluation::{
    self, Decision, Definition, FlagKey, FlagState, Reason, Segments, TargetingKeyMissing,
};
use crate::{Configure, View, store};
use nexus_sdk::prelude::*;
use platform_contract::FlagChanged;
use serde_json::Value;

nexus_sdk::refusals! {
    FlagExists = 409, "a flag with this key exists";
    FlagArchived = 409, "an archived flag does not change any more"
}

pub fn router() -> Router {
    Router::new()
        .route("/flags", get(list).post(create))
        .route("/flags/{key}", get(show).put(replace))
        .route("/flags/{key}/state", put(switch))
        .route("/flags/{key}/changes", get(changes))
}

pub fn ofrep() -> Router {
    Router::new()
        .route("/ofrep/v1/evaluate/flags", post(evaluate_all))
        .route("/ofrep/v1/evaluate/flags/{key}", post(evaluate_one))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Flag {
    pub key: String,
    pub description: String,
    pub state: FlagState,
    #[serde(flatten)]
    pub definition: Definition,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

/// A row, before its jsonb columns are put together.
#[derive(Deserialize)]
pub struct FlagRow {
    pub key: String,
    pub description: String,
    pub state: FlagState,
    pub variants: std::collections::BTreeMap<String, Value>,
    pub default_variant: String,
    pub off_variant: String,
    pub rules: Vec<evaluation::Rule>,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<FlagRow> for Flag {
    fn from(row: FlagRow) -> Self {
        Self {
            key: row.key,
            description: row.description,
            state: row.state,
            definition: Definition {
                variants: row.variants,
                default_variant: row.default_variant,
                off_variant: row.off_variant,
                rules: row.rules,
            },
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
pub struct Draft {
    pub key: String,
    #[serde(default)]
    pub description: String,
    #[serde(flatten)]
    pub definition: Definition,
}

#[derive(Deserialize, JsonSchema)]
pub struct Revision {
    #[serde(default)]
    pub description: String,
    #[serde(flatten)]
    pub definition: Definition,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Switch {
    state: FlagState,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub version: i64,
    pub state: FlagState,
    pub definition: Value,
    pub changed_by: String,
    pub changed_at: Time,
}

async fn list(by: Allowed<View>, cursor: Cursor) -> Result<Page<Flag>> {
    let page: Page<FlagRow> = store::flags(by.db(), &cursor).await?;
    Ok(page.map(Flag::from))
}

async fn show(by: Allowed<View>, Path(key): Path<String>) -> Result<Tagged<Json<Flag>>> {
    let flag: Flag = store::flag(by.db(), &key).await?.into();
    Ok(Tagged(Etag::of_version(flag.version), Json(flag)))
}

async fn create(by: Allowed<Configure>, Json(draft): Json<Draft>) -> Result<Created<Flag>> {
    if !evaluation::is_key(&draft.key) {
        return Err(FlagKey.at("key").into());
    }
    evaluation::check(&draft.definition)?;
    let flag = Flag {
        key: draft.key,
        description: draft.description,
        state: FlagState::Off,
        definition: draft.definition,
        version: 1,
        created_at: by.now(),
        updated_at: by.now(),
    };
    let insert = store::insert_flag(&flag).on_conflict_refuse("flag_pkey", FlagExists);
    by.commit([insert, recorded(&by, &flag), emit(changed(&flag))]).await?;
    Ok(Created(flag))
}

async fn replace(
    by: Allowed<Configure>,
    Path(key): Path<String>,
    version: IfMatch,
    Json(revision): Json<Revision>,
) -> Result<Tagged<Json<Flag>>> {
    evaluation::check(&revision.definition)?;
    let mut flag: Flag = store::flag(by.db(), &key).await?.into();
    flag.description = revision.description;
    flag.definition = revision.definition;
    save(&by, flag, version.version()?).await
}

async fn switch(
    by: Allowed<Configure>,
    Path(key): Path<String>,
    version: Option<IfMatch>,
    Json(switch): Json<Switch>,
) -> Result<Tagged<Json<Flag>>> {
    let mut flag: Flag = store::flag(by.db(), &key).await?.into();
    // Switching is what one does in a hurry: naming the version is up to the client.
    let seen = version.map_or(Ok(flag.version), |version| version.version())?;
    let was = std::mem::replace(&mut flag.state, switch.state);
    if was == FlagState::Archived {
        return Err(FlagArchived.into());
    }
    save(&by, flag, seen).await
}

/// Writes the next version, provided that `seen` is still the current one.
async fn save(by: &Ctx, mut flag: Flag, seen: i64) -> Result<Tagged<Json<Flag>>> {
    flag.version = seen + 1;
    flag.updated_at = by.now();
    let update = store::update_flag(&flag, seen).or_refuse(standard::PreconditionFailed);
    by.commit([update, recorded(by, &flag), emit(changed(&flag))]).await?;
    Ok(Tagged(Etag::of_version(flag.version), Json(flag)))
}

fn recorded(by: &Ctx, flag: &Flag) -> Write {
    store::record_flag(flag, &by.principal().subject)
}

fn changed(flag: &Flag) -> FlagChanged {
    let state = match flag.state {
        FlagState::Off => "off",
        FlagState::On => "on",
        FlagState::Archived => "archived",
    };
    FlagChanged { key: flag.key.clone(), state: state.into(), version: flag.version }
}

async fn changes(
    by: Allowed<View>,
    Path(key): Path<String>,
    cursor: Cursor,
) -> Result<Page<Change>> {
    store::flag(by.db(), &key).await?;
    store::flag_changes(by.db(), &key, &cursor).await
}

/// OFREP: the evaluation context of the client.
#[derive(Deserialize, JsonSchema)]
struct Evaluation {
    #[serde(default)]
    context: serde_json::Map<String, Value>,
}

#[derive(Serialize, JsonSchema)]
struct Evaluated {
    key: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Outcome {
    Decided {
        variant: String,
        value: Value,
        reason: Reason,
        metadata: Metadata,
    },
    #[serde(rename_all = "camelCase")]
    Failed {
        error_code: &'static str,
        error_details: &'static str,
    },
}

#[derive(Serialize, JsonSchema)]
struct Metadata {
    version: i64,
}

#[derive(Serialize, JsonSchema)]
struct EvaluatedAll {
    flags: Vec<Evaluated>,
}

impl Evaluated {
    fn of(flag: &Flag, decided: Result<Decision<'_>, TargetingKeyMissing>) -> Self {
        let outcome = match decided {
            Ok(decision) => Outcome::Decided {
                variant: decision.variant.to_string(),
                value: decision.value.clone(),
                reason: decision.reason,
                metadata: Metadata { version: flag.version },
            },
            Err(TargetingKeyMissing) => failed(
                "TARGETING_KEY_MISSING",
                "this flag splits its audience: the context needs a targetingKey",
            ),
        };
        Self { key: flag.key.clone(), outcome }
    }

    fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

fn failed(error_code: &'static str, error_details: &'static str) -> Outcome {
    Outcome::Failed { error_code, error_details }
}

/// OFREP clients expect its own error shape, not problems, for what goes wrong with a flag.
async fn evaluate_one(
    anyone: Public,
    Path(key): Path<String>,
    Json(asked): Json<Evaluation>,
) -> Result<Response> {
    let flag = store::flag_if_any(anyone.db(), &key).await?.map(Flag::from);
    let Some(flag) = flag.filter(|flag| flag.state != FlagState::Archived) else {
        let outcome = failed("FLAG_NOT_FOUND", "there is no such flag");
        return Ok((StatusCode::NOT_FOUND, Json(Evaluated { key, outcome })).into_response());
    };
    let segments = store::segments_of(anyone.db()).await?;
    let evaluated = decide(&flag, &segments, &asked.context);
    let status = if evaluated.is_failed() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    Ok((status, Json(evaluated)).into_response())
}

/// All flags at once, with an entity tag, so that a client that polls gets 304.
async fn evaluate_all(
    anyone: Public,
    headers: HeaderMap,
    Json(asked): Json<Evaluation>,
) -> Result<Response> {
    let rows = store::live_flags(anyone.db()).await?;
    let segments = store::segments_of(anyone.db()).await?;
    let flags = rows.into_iter().map(|row| decide(&row.into(), &segments, &asked.context));
    let all = EvaluatedAll { flags: flags.collect() };
    let body = serde_json::to_vec(&all).context("write the flags")?;
    let tag = Etag::of_bytes(&body).to_string();
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let kind = (header::CONTENT_TYPE, "application/json".to_string());
    Ok(([(header::ETAG, tag), kind], body).into_response())
}

fn decide(flag: &Flag, segments: &Segments, context: &serde_json::Map<String, Value>) -> Evaluated {
    let decided = evaluation::evaluate(&flag.key, flag.state, &flag.definition, segments, context);
    Evaluated::of(flag, decided)
}
