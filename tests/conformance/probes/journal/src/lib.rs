//! A service of our own SDK with all three triggers: entries are written with their event in one
//! commit, the event comes back and is filed, a schedule counts. An entry's `mood` says how its
//! handling goes, so that a test can ask for a refusal, a failure, a trap or a delay.

mod bodies;
mod errands;
mod orders;

use nexus_sdk::Delivery;
use nexus_sdk::prelude::*;
use orders::on_given;

nexus_sdk::id! { EntryId }

nexus_sdk::event! {
    /// An entry was written.
    "probe.entry.written.v1" => EntryWritten { id: EntryId, mood: String, chapter: String }
}

nexus_sdk::refusals! {
    /// Asked for by the mood `refuse`.
    Unwelcome = 422, "this entry is refused"
}

nexus_sdk::permissions! { Write_ = "probe-journal:write" }

nexus_sdk::service! {
    http: router,
    events: {
        "probe.entry.written.v1" => on_written,
        "probe.order.given.v1" => on_given,
        "probe.**" => on_anything,
    },
    cron: [count, fail],
}

fn router() -> Router {
    Router::new()
        .route("/entries", post(write).get(list))
        .route("/orders", post(orders::give))
        .route("/jobs", post(errands::submit))
        .route("/jobs/{id}", get(errands::show).delete(errands::cancel))
        .route("/jobs/{id}/progress", get(errands::watch))
        .route("/bodies/mirror", post(bodies::mirror))
        .route("/bodies/count", post(bodies::count))
        .route("/bodies/{kind}", get(bodies::give))
        .route("/rows/{rows}", get(bodies::read))
}

#[derive(Deserialize, JsonSchema)]
struct Draft {
    /// `well`, `skip` (handled without a commit), `refuse`, `fail`, `trap`, `slow`, `fail-once`, or
    /// `rollback` (the commit fails).
    mood: String,
    #[serde(default)]
    chapter: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Entry {
    id: EntryId,
    mood: String,
    handled: i64,
    heard: i64,
}

async fn write(by: Allowed<Write_>, Json(draft): Json<Draft>) -> Result<Created<Entry>> {
    let entry = Entry { id: by.new_id(), mood: draft.mood, handled: 0, heard: 0 };
    let (id, mood, chapter) = (entry.id, entry.mood.clone(), draft.chapter);
    let insert = sql!(
        "insert into probe_journal.entry (tenant_id, id, mood) values ({tenant}, {id}, {mood})"
    );
    let told = emit(EntryWritten { id, mood: mood.clone(), chapter });
    if mood == "rollback" {
        let refused = sql!("delete from probe_journal.entry where tenant_id = {tenant} and false");
        by.commit([insert, told, refused.expect_rows(1)]).await?;
    } else {
        by.commit([insert, told]).await?;
    }
    Ok(Created(entry))
}

async fn list(by: Allowed<Write_>) -> Result<Json<Vec<Entry>>> {
    let rows = sql!(
        "select e.id, e.mood,
           (select count(*) from probe_journal.filed f where f.entry_id = e.id) as handled,
           (select count(*) from probe_journal.heard h where h.entry_id = e.id) as heard
         from probe_journal.entry e where e.tenant_id = {tenant} order by e.id limit 1000"
    );
    by.db().all(rows).await.map(Json)
}

async fn on_written(ctx: Ctx, entry: EntryWritten) -> Result<NoContent> {
    let id = entry.id;
    match entry.mood.as_str() {
        "skip" => return Ok(NoContent),
        "refuse" => return Err(Unwelcome.into()),
        "fail" => return Err(Failure::msg("the entry asks for it").into()),
        "trap" => panic!("the entry asks for it"),
        "fail-once" if first_time(&ctx, id).await? => {
            return Err(Error::unavailable(Failure::msg("the entry asks for one failure")));
        }
        "slow" => {
            let nap = sql!("select 1 as one from (select pg_sleep(2)) nap").across_tenants();
            ctx.db().all::<One>(nap).await?;
        }
        _ => {}
    }
    let chapter = entry.chapter;
    ctx.commit([sql!(
        "insert into probe_journal.filed (tenant_id, entry_id, chapter)
         values ({tenant}, {id}, {chapter})"
    )])
    .await
}

#[derive(Deserialize)]
struct One {
    #[allow(dead_code)]
    one: i32,
}

/// Remembers in the key-value store, which no rollback undoes.
async fn first_time(ctx: &Ctx, id: EntryId) -> Result<bool> {
    let store = ctx.key_value("default").await?;
    let key = id.to_string();
    let known = store.exists(&key).await;
    let known = known.map_err(|why| Failure::msg(format!("look for the entry: {why:?}")))?;
    let kept = store.set(&key, b"seen").await;
    kept.map_err(|why| Failure::msg(format!("remember the entry: {why:?}")))?;
    Ok(!known)
}

async fn on_anything(ctx: Ctx, any: Delivery) -> Result<NoContent> {
    let (id, topic) = (any.subject, any.topic);
    ctx.commit([sql!(
        "insert into probe_journal.heard (tenant_id, entry_id, topic)
         values ({tenant}, {id}::text::uuid, {topic})"
    )])
    .await
}

async fn count(system: System) -> Result<NoContent> {
    let (nominal, now) = (system.nominal(), system.now());
    let insert = sql!("insert into probe_journal.counted (nominal, at) values ({nominal}, {now})");
    system.commit([insert.across_tenants()]).await
}

async fn fail(_system: System) -> Result<NoContent> {
    Err(Failure::msg("this schedule always fails").into())
}
