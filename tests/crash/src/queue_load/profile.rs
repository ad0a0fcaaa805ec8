//! What a load costs the server, statement by statement: `pg_stat_statements`, inside of functions,
//! too. Counts and buffers hold on a busy machine, where times of the clock do not.

use anyhow::{Context as _, Result};
use crash::ground::{Ground, eventually};
use nexus_storage::tokio_postgres::{self, Client, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

/// Statements that are told, the most expensive first.
const TOLD: usize = 16;

/// Characters of a statement that are told.
const WORDS: usize = 90;

const BACK_MAX: Duration = Duration::from_secs(60);

/// Who may change the server's settings: whoever started it.
async fn administrator(ground: &Ground) -> Result<Client> {
    let url = ground.url().replace("user=nexus", "user=postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.context("connect")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Makes the server count. It is started again for that, and everything is a little slower after.
pub(crate) async fn begin(ground: &Ground) -> Result<()> {
    let client = administrator(ground).await?;
    let preload = "alter system set shared_preload_libraries = 'pg_stat_statements'";
    client.batch_execute(preload).await.context("change the settings")?;
    let postmaster = ground.postmaster();
    let pid = Pid::from_raw(postmaster).context("the server's process")?;
    kill_process(pid, Signal::INT).context("stop the server")?;
    eventually("the server is started again", BACK_MAX, async || {
        ground.postmaster() != postmaster && ground.value::<i32>("select 1").await.is_ok()
    })
    .await;
    let client = administrator(ground).await?;
    let extension = "create extension pg_stat_statements schema public; \
                     grant pg_read_all_stats to nexus";
    client.batch_execute(extension).await.context("begin to count")?;
    // Known only since the library is there.
    for setting in ["alter system set pg_stat_statements.track = 'all'", "select pg_reload_conf()"]
    {
        client.batch_execute(setting).await.context("count inside of functions")?;
    }
    Ok(())
}

/// Counts from here on, if anything is counted.
pub(crate) async fn reset(ground: &Ground) -> Result<()> {
    if is_counted(ground).await? {
        let anew = "select public.pg_stat_statements_reset(), pg_stat_reset()";
        administrator(ground).await?.batch_execute(anew).await.context("count anew")?;
    }
    Ok(())
}

/// Tells what was counted, for each of `messages`.
pub(crate) async fn tell(ground: &Ground, what: &str, messages: u64) -> Result<()> {
    if !is_counted(ground).await? || messages == 0 {
        return Ok(());
    }
    let sql = format!(
        "select format('%s %s %s %s  %s', lpad(s.calls::text, 8),
           lpad(round((s.total_exec_time * 1000 / {messages})::numeric, 1)::text, 8),
           lpad(round((s.total_exec_time * 1000 / s.calls)::numeric)::text, 8),
           lpad(round(((s.shared_blks_hit + s.shared_blks_read)::float8 / {messages})::numeric, 2)
             ::text, 8),
           left(regexp_replace(s.query, '\\s+', ' ', 'g'), {WORDS}))
         from public.pg_stat_statements s where s.calls > 0
         order by s.total_exec_time desc limit {TOLD}"
    );
    let session = ground.database().host().await.context("connect")?;
    let rows = session.query(&sql, &[]).await.context("read what was counted")?;
    // Dead ones included: what an old snapshot costs whoever claims.
    let entries: i64 = ground
        .value(
            "select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_all_indexes
             where schemaname = 'platform' and relname ~ '^queue_ready'",
        )
        .await
        .context("read the counts of indexes")?;
    eprintln!("    {what}: {messages} messages");
    let each = entries.unsigned_abs() / messages;
    eprintln!("    {each} index entries of the ready ring read for each");
    eprintln!("       calls us/msg. us/call. blocks/msg  statement");
    for row in rows {
        eprintln!("    {}", row.try_get::<_, String>(0).context("read a line")?);
    }
    Ok(())
}

async fn is_counted(ground: &Ground) -> Result<bool> {
    let sql = "select to_regclass('public.pg_stat_statements') is not null";
    ground.value(sql).await.context("look for the counts")
}
