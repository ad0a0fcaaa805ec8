//! The routes of rows as most would write them: over sqlx and its pool, with its defaults.

use crate::{Draft, Entry, Failed};
use anyhow::{Context as _, Result};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

const SHOW: &str = "select id, title from twin.entry where tenant_id = $1 and id = $2";
const INSERT: &str = "insert into twin.entry (tenant_id, id, title) values ($1, $2, $3)";
const TELL: &str = "insert into twin.event (id, topic, payload) values ($1, $2, $3)";

/// # Errors
/// When the server cannot be reached.
pub async fn rows(url: &str, connections: usize) -> Result<Router> {
    let options = PgPoolOptions::new().max_connections(u32::try_from(connections)?);
    let pool = options.connect(url).await.context("connect with sqlx")?;
    let routes = Router::new().route("/entries", post(write)).route("/entries/{id}", get(show));
    Ok(routes.with_state(pool))
}

async fn show(State(pool): State<PgPool>, Path(id): Path<Uuid>) -> Result<Response, Failed> {
    let row = sqlx::query_as::<_, (Uuid, String)>(SHOW).bind(Uuid::nil()).bind(id);
    let Some((id, title)) = row.fetch_optional(&pool).await? else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    Ok(Json(Entry { id, title }).into_response())
}

async fn write(State(pool): State<PgPool>, Json(draft): Json<Draft>) -> Result<Response, Failed> {
    let entry = Entry { id: Uuid::now_v7(), title: draft.title };
    let mut transaction = pool.begin().await?;
    let insert = sqlx::query(INSERT).bind(Uuid::nil()).bind(entry.id).bind(&entry.title);
    insert.execute(&mut *transaction).await?;
    let event = sqlx::query(TELL).bind(Uuid::now_v7()).bind("probe.measure.taken.v1");
    event.bind(sqlx::types::Json(&entry)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    let place = format!("/entries/{}", entry.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(entry)).into_response())
}
