//! Incidents: opened, watched, resolved, each step with a note that people can read.

use crate::services::parts_of;
use crate::{Operate, store};
use nexus_sdk::prelude::*;
use platform_contract::{
    IncidentId, IncidentNoteId, IncidentOpened, IncidentResolved, IncidentUpdated,
};

nexus_sdk::refusals! {
    IncidentTitle = 422, "a title takes 1 to 160 characters";
    IncidentNote = 422, "a note takes 1 to 4000 characters";
    IncidentServices = 422, "these are not all names of services";
    IncidentResolvedAlready = 409, "a resolved incident stays resolved: open a new one"
}

pub fn router() -> Router {
    Router::new()
        .route("/incidents", get(list).post(open))
        .route("/incidents/{id}", get(show))
        .route("/incidents/{id}/notes", get(notes).post(add_note))
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    pub id: IncidentId,
    pub title: String,
    pub impact: Impact,
    pub state: State,
    pub services: Vec<String>,
    pub opened_at: Time,
    pub resolved_at: Option<Time>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    Minor,
    Major,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Open,
    Monitoring,
    Resolved,
}

impl ToParam for Impact {
    fn to_param(&self) -> Param {
        word(self)
    }
}

impl ToParam for State {
    fn to_param(&self) -> Param {
        word(self)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Note {
    pub id: IncidentNoteId,
    pub state: State,
    pub body: String,
    pub written_by: String,
    pub written_at: Time,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Draft {
    title: String,
    impact: Impact,
    #[serde(default)]
    services: Vec<String>,
    /// The first note.
    body: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoteDraft {
    /// Where the incident stands from now on.
    state: State,
    body: String,
}

async fn list(anyone: Public, cursor: Cursor) -> Result<Page<Incident>> {
    store::incidents(anyone.db(), &cursor).await
}

async fn show(anyone: Public, Path(id): Path<IncidentId>) -> Result<Json<Incident>> {
    store::incident(anyone.db(), id).await.map(Json)
}

async fn notes(anyone: Public, Path(id): Path<IncidentId>, cursor: Cursor) -> Result<Page<Note>> {
    store::incident(anyone.db(), id).await?;
    store::incident_notes(anyone.db(), id, &cursor).await
}

async fn open(by: Allowed<Operate>, Json(draft): Json<Draft>) -> Result<Created<Incident>> {
    if !(1..=160).contains(&draft.title.trim().chars().count()) {
        return Err(IncidentTitle.at("title").into());
    }
    let is_service = |name: &String| parts_of(name).is_some_and(|parts| parts == [name.as_str()]);
    if draft.services.len() > 100 || !draft.services.iter().all(is_service) {
        return Err(IncidentServices.at("services").into());
    }
    let incident = Incident {
        id: by.new_id(),
        title: draft.title.trim().to_string(),
        impact: draft.impact,
        state: State::Open,
        services: draft.services,
        opened_at: by.now(),
        resolved_at: None,
    };
    let note = note(&by, State::Open, draft.body)?;
    let opened = IncidentOpened {
        id: incident.id,
        impact: spelled(&incident.impact)?,
        services: incident.services.clone(),
    };
    by.commit([
        store::insert_incident(&incident),
        store::insert_note(incident.id, &note),
        emit(opened),
    ])
    .await?;
    Ok(Created(incident))
}

async fn add_note(
    by: Allowed<Operate>,
    Path(id): Path<IncidentId>,
    Json(draft): Json<NoteDraft>,
) -> Result<Created<Note>> {
    store::incident(by.db(), id).await?;
    let note = note(&by, draft.state, draft.body)?;
    let told = match draft.state {
        State::Resolved => emit(IncidentResolved { id }),
        state => emit(IncidentUpdated { id, state: spelled(&state)? }),
    };
    // The statement itself says that a resolved incident stays so: two operators may race.
    let moved = store::move_incident(id, draft.state, by.now()).or_refuse(IncidentResolvedAlready);
    by.commit([moved, store::insert_note(id, &note), told]).await?;
    Ok(Created(note))
}

fn note(by: &Ctx, state: State, body: String) -> Result<Note, Refusal> {
    if !(1..=4_000).contains(&body.trim().chars().count()) {
        return Err(IncidentNote.at("body"));
    }
    Ok(Note {
        id: by.new_id(),
        state,
        body,
        written_by: by.principal().subject.clone(),
        written_at: by.now(),
    })
}

fn spelled<T: Serialize>(value: &T) -> Result<String> {
    let value = serde_json::to_value(value).context("write a word")?;
    Ok(value.as_str().unwrap_or_default().to_string())
}
