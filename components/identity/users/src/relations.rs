//! Relations: object#relation@subject, said, taken back, and asked about. A check walks from the
//! object towards the subject, a bounded number of steps, one read for each.

pub mod model;

use crate::internal::Anyone;
use crate::{Check, Relate, store};
use model::{Model, Models, Node, Object, Subject, object, sayable, step, subject};
use nexus_sdk::prelude::*;
use std::collections::HashSet;

nexus_sdk::refusals! {
    RelationBatch = 422, "say and take back at most 100 relations at once";
    RelationTooDeep = 409, "this leads too far: a check takes 16 steps over 2000 relations";
    RelationModelInUse = 409, "relations of this kind are there; take them back first"
}

const BATCH_MAX: usize = 100;
const STEPS_MAX: usize = 16;
/// Rows of one step; more are a sign of a group that should be another relation.
pub const ROWS_MAX: usize = 2_000;
/// Objects that a search looks at for one page.
const CANDIDATES_MAX: i32 = 200;

pub fn router() -> Router {
    Router::new()
        .route("/relations", get(list).post(change))
        .route("/relations/check", post(check))
        .route("/relations/objects", post(objects))
        .route("/relation-models", get(models))
        .route("/relation-models/{kind}", put(set_model).delete(remove_model))
        .route("/internal/relations", post(change_inside))
        .route("/internal/relations/check", post(check_inside))
        .route("/internal/relations/objects", post(objects_inside))
}

/// A relation as it is written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tuple {
    /// `kind:id`.
    pub object: String,
    pub relation: String,
    /// `user:<id>`, or `group:<id>#member` for all who have that.
    pub subject: String,
}

/// A relation that can be written.
pub struct Said {
    pub object: Object,
    pub relation: String,
    pub subject: Subject,
}

/// A relation as it is kept.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    pub object_kind: String,
    pub object_id: String,
    pub relation: String,
    pub subject_kind: String,
    pub subject_id: String,
    pub subject_relation: String,
}

impl Row {
    fn node(&self) -> Node {
        let object = Object { kind: self.object_kind.clone(), id: self.object_id.clone() };
        Node { object, relation: self.relation.clone() }
    }

    fn subject(&self) -> Subject {
        let object = Object { kind: self.subject_kind.clone(), id: self.subject_id.clone() };
        Subject { object, relation: self.subject_relation.clone() }
    }

    fn tuple(self) -> Tuple {
        Tuple {
            object: self.node().object.to_string(),
            subject: self.subject().to_string(),
            relation: self.relation,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    object: Option<String>,
    relation: Option<String>,
    subject: Option<String>,
}

async fn list(
    by: Allowed<Relate>,
    cursor: Cursor,
    Query(search): Query<Search>,
) -> Result<Page<Tuple>> {
    let object = search.object.as_deref().map(object).transpose()?;
    let subject = search.subject.as_deref().map(subject).transpose()?;
    let relation = search.relation.as_deref();
    let page = store::relations::list(by.db(), object, relation, subject, &cursor).await?;
    Ok(page.map(Row::tuple))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Changes {
    #[serde(default)]
    write: Vec<Tuple>,
    #[serde(default)]
    delete: Vec<Tuple>,
}

async fn change(by: Allowed<Relate>, Json(changes): Json<Changes>) -> Result<NoContent> {
    carry_out(&by, &changes).await
}

async fn change_inside(by: Called<Anyone>, Json(changes): Json<Changes>) -> Result<NoContent> {
    carry_out(&by, &changes).await
}

/// All of them or none. What is said twice is said once; what was not said is not taken back.
async fn carry_out(by: &Ctx, changes: &Changes) -> Result<NoContent> {
    if changes.write.len() + changes.delete.len() > BATCH_MAX {
        return Err(RelationBatch.into());
    }
    let models = store::relations::models(by.db()).await?;
    let subject_of = |tuple: &Tuple| {
        Ok::<_, Refusal>(Said {
            object: object(&tuple.object)?,
            relation: tuple.relation.clone(),
            subject: subject(&tuple.subject)?,
        })
    };
    let mut writes = Vec::new();
    for tuple in &changes.delete {
        writes.push(store::relations::take_back(&subject_of(tuple)?));
    }
    for tuple in &changes.write {
        let said = subject_of(tuple)?;
        sayable(&models, &said.object, &said.relation)?;
        writes.push(store::relations::say(&said, by.now(), &by.principal().subject));
    }
    by.commit(writes).await
}

#[derive(Serialize, JsonSchema)]
struct Verdict {
    allowed: bool,
}

async fn check(by: Allowed<Check>, Json(asked): Json<Tuple>) -> Result<Json<Verdict>> {
    verdict(&by, &asked).await
}

async fn check_inside(by: Called<Anyone>, Json(asked): Json<Tuple>) -> Result<Json<Verdict>> {
    verdict(&by, &asked).await
}

async fn verdict(by: &Ctx, asked: &Tuple) -> Result<Json<Verdict>> {
    let models = store::relations::models(by.db()).await?;
    let node = Node { object: object(&asked.object)?, relation: asked.relation.clone() };
    let allowed = holds(by.db(), &models, node, &subject(&asked.subject)?).await?;
    Ok(Json(Verdict { allowed }))
}

/// Whether `subject` has what `start` says, directly or by way of others.
///
/// # Errors
/// 409 when it leads too far to be sure.
async fn holds(db: &Db, models: &Models, start: Node, subject: &Subject) -> Result<bool> {
    let itself = |node: &Node| node.object == subject.object && node.relation == subject.relation;
    let (mut frontier, mut seen) = (vec![start], HashSet::new());
    for _ in 0..STEPS_MAX {
        if frontier.iter().any(itself) {
            return Ok(true);
        }
        let next = step(models, std::mem::take(&mut frontier), &mut seen);
        if next.direct.is_empty() && next.through.is_empty() {
            return Ok(false);
        }
        let nodes = next.direct.iter().chain(next.through.iter().map(|(node, _)| node));
        let rows = store::relations::at(db, nodes).await?;
        if rows.len() > ROWS_MAX {
            return Err(RelationTooDeep.into());
        }
        for row in &rows {
            let (node, found) = (row.node(), row.subject());
            if next.direct.contains(&node) {
                if found == *subject {
                    return Ok(true);
                }
                if !found.relation.is_empty() {
                    let Subject { object, relation } = found.clone();
                    frontier.push(Node { object, relation });
                }
            }
            let ways = next.through.iter().filter(|(of, _)| *of == node);
            frontier.extend(ways.map(|(_, relation)| Node {
                object: found.object.clone(),
                relation: relation.clone(),
            }));
        }
    }
    if frontier.is_empty() { Ok(false) } else { Err(RelationTooDeep.into()) }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The kind of the objects.
    kind: String,
    relation: String,
    subject: String,
    /// The last object of the page before.
    after: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Objects {
    /// `kind:id`, in order.
    objects: Vec<String>,
    /// Where to go on; null at the end. A page may be empty and not the last.
    after: Option<String>,
}

async fn objects(by: Allowed<Check>, Json(wanted): Json<Wanted>) -> Result<Json<Objects>> {
    search(&by, wanted).await
}

async fn objects_inside(by: Called<Anyone>, Json(wanted): Json<Wanted>) -> Result<Json<Objects>> {
    search(&by, wanted).await
}

/// Looks at a bounded number of objects about which anything was said.
async fn search(by: &Ctx, wanted: Wanted) -> Result<Json<Objects>> {
    let subject = subject(&wanted.subject)?;
    let models = store::relations::models(by.db()).await?;
    let after = wanted.after.as_deref().map(object).transpose()?.map(|object| object.id);
    let ids = store::relations::objects(by.db(), &wanted.kind, after, CANDIDATES_MAX).await?;
    let mut objects = Vec::new();
    let full = ids.len() as i32 == CANDIDATES_MAX;
    let last = ids.last().map(|id| format!("{}:{id}", wanted.kind));
    for id in ids {
        let object = Object { kind: wanted.kind.clone(), id };
        let node = Node { object: object.clone(), relation: wanted.relation.clone() };
        if holds(by.db(), &models, node, &subject).await? {
            objects.push(object.to_string());
        }
    }
    Ok(Json(Objects { objects, after: last.filter(|_| full) }))
}

/// The model of a kind as it is kept.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    pub kind: String,
    pub relations: Model,
    pub version: i64,
    pub updated_at: Time,
}

async fn models(by: Allowed<Relate>, cursor: Cursor) -> Result<Page<Kept>> {
    store::relations::model_page(by.db(), &cursor).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModelDraft {
    /// Rules by relation: `"this"`, `{"computed": "owner"}`,
    /// `{"from": {"of": "parent", "relation": "viewer"}}`.
    relations: Model,
}

async fn set_model(
    by: Allowed<Relate>,
    Path(kind): Path<String>,
    Json(draft): Json<ModelDraft>,
) -> Result<NoContent> {
    object(&format!("{kind}:x"))?;
    draft.relations.check()?;
    let subject = &by.principal().subject;
    by.commit(store::relations::put_model(&kind, &draft.relations, by.now(), subject)).await
}

async fn remove_model(by: Allowed<Relate>, Path(kind): Path<String>) -> Result<NoContent> {
    if !store::relations::objects(by.db(), &kind, None, 1).await?.is_empty() {
        return Err(RelationModelInUse.into());
    }
    let remove = store::relations::remove_model(&kind).expect_rows(1);
    by.commit(remove.or_refuse(standard::NotFound)).await
}
