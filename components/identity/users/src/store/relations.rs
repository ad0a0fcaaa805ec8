//! Relations and what they mean.

use crate::relations::model::{Model, Models, Node, Object, Subject};
use crate::relations::{Kept, ROWS_MAX, Row, Said};
use nexus_sdk::prelude::*;

/// All models of the tenant; few, and small.
pub async fn models(db: &Db) -> Result<Models> {
    let all = sql!(
        "select kind, relations, version, updated_at from users.relation_model
         where tenant_id = {tenant} order by kind limit 200"
    );
    let kept: Vec<Kept> = db.all(all).await?;
    Ok(kept.into_iter().map(|kept| (kept.kind, kept.relations)).collect())
}

pub async fn model_page(db: &Db, cursor: &Cursor) -> Result<Page<Kept>> {
    let all = sql!(
        "select kind, relations, version, updated_at from users.relation_model
         where tenant_id = {tenant}"
    );
    db.page(all, cursor, ascending(["kind"])).await
}

pub fn put_model(kind: &str, model: &Model, at: Time, by: &str) -> Write {
    let relations = Json(model);
    sql!(
        "insert into users.relation_model as m (tenant_id, kind, relations, updated_at, updated_by)
         values ({tenant}, {kind}, {relations}, {at}, {by})
         on conflict (tenant_id, kind) do update
           set relations = excluded.relations, version = m.version + 1,
             updated_at = excluded.updated_at, updated_by = excluded.updated_by"
    )
}

pub fn remove_model(kind: &str) -> Write {
    sql!("delete from users.relation_model where tenant_id = {tenant} and kind = {kind}")
}

pub fn say(said: &Said, at: Time, by: &str) -> Write {
    let Said { object: o, relation, subject: s } = said;
    sql!(
        "insert into users.relation (tenant_id, object_kind, object_id, relation, subject_kind,
           subject_id, subject_relation, created_at, created_by)
         values ({tenant}, {o.kind}, {o.id}, {relation}, {s.object.kind}, {s.object.id},
           {s.relation}, {at}, {by})
         on conflict do nothing"
    )
}

pub fn take_back(said: &Said) -> Write {
    let Said { object: o, relation, subject: s } = said;
    sql!(
        "delete from users.relation
         where tenant_id = {tenant} and object_kind = {o.kind} and object_id = {o.id}
           and relation = {relation} and subject_kind = {s.object.kind}
           and subject_id = {s.object.id} and subject_relation = {s.relation}"
    )
}

/// What was said at any of these places; one row more than is allowed, to see that it is too much.
pub async fn at(db: &Db, nodes: impl Iterator<Item = &Node>) -> Result<Vec<Row>> {
    let asked: Vec<_> = nodes
        .map(|node| json!({ "k": node.object.kind, "i": node.object.id, "r": node.relation }))
        .collect();
    let (asked, rows_max) = (Json(asked), ROWS_MAX as i64 + 1);
    let all = sql!(
        "select distinct r.object_kind, r.object_id, r.relation, r.subject_kind, r.subject_id,
           r.subject_relation
         from jsonb_to_recordset({asked}) n (k text, i text, r text)
         join users.relation r on r.tenant_id = {tenant} and r.object_kind = n.k
           and r.object_id = n.i and r.relation = n.r
         limit {rows_max}"
    );
    db.all(all).await
}

pub async fn list(
    db: &Db,
    object: Option<Object>,
    relation: Option<&str>,
    subject: Option<Subject>,
    cursor: &Cursor,
) -> Result<Page<Row>> {
    let (object_kind, object_id) = object.map(|o| (o.kind, o.id)).unzip();
    let (subject_kind, subject_id, subject_relation) = match subject {
        Some(s) => (Some(s.object.kind), Some(s.object.id), Some(s.relation)),
        None => (None, None, None),
    };
    let all = sql!(
        "select object_kind, object_id, relation, subject_kind, subject_id, subject_relation
         from users.relation
         where tenant_id = {tenant}
           and ({object_kind}::text is null
             or object_kind = {object_kind} and object_id = {object_id})
           and ({relation}::text is null or relation = {relation})
           and ({subject_kind}::text is null
             or subject_kind = {subject_kind} and subject_id = {subject_id}
               and subject_relation = {subject_relation})"
    );
    let order = ascending([
        "object_kind",
        "object_id",
        "relation",
        "subject_kind",
        "subject_id",
        "subject_relation",
    ]);
    db.page(all, cursor, order).await
}

/// Ids of objects of a kind about which something was said.
pub async fn objects(
    db: &Db,
    kind: &str,
    after: Option<String>,
    rows_max: i32,
) -> Result<Vec<String>> {
    let all = sql!(
        "select distinct object_id from users.relation
         where tenant_id = {tenant} and object_kind = {kind}
           and ({after}::text is null or object_id > {after})
         order by object_id limit {rows_max}"
    );
    db.all(all).await
}
