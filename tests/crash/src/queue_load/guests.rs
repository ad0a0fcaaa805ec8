//! The whole way: a host's real program claims, and a guest handles each message, with a commit of
//! its own (the journal) or with none, which leaves the cost of the host's part.

use crate::publishers::{AHEAD_MAX, Publishers, old_transaction};
use crate::{profile, tell};
use anyhow::{Context as _, Result};
use crash::books::Books;
use crash::dice::Dice;
use crash::ground::{Ground, eventually};
use crash::host::HostProcess;
use crash::journal;
use crash::load::{Load, doors};
use std::path::Path;
use std::time::{Duration, Instant};

/// The probe's own subscription, with as many messages in flight as two cores can use.
const SUBSCRIBE: &str = r#"subscribe = ["probe.entry.written.v1"]"#;

/// How often the number of waiting messages is read, to stay within its bound.
const LOOK: Duration = Duration::from_millis(100);

const WARM_UP: Duration = Duration::from_secs(3);

const DRAIN_MAX: Duration = Duration::from_secs(180);

/// The steady load under which the way of one entry is timed.
const CLIENTS: u64 = 20;
const PER_SECOND: u64 = 200;

pub(crate) async fn measure(ground: &Ground, program: &Path, length: Duration) -> Result<()> {
    let manifest = journal::manifest(ground, SUBSCRIBE)?;
    let mut host = HostProcess::new(ground, program, "host", &manifest)?.with("NEXUS_SHARDS", "2");
    host.spawn()?;
    host.ready().await;
    eventually("the subscription is made", Duration::from_secs(30), async || {
        Books(ground.database()).subscriptions().await.is_ok_and(|made| made == 1)
    })
    .await;
    let idle = throughput(ground, "skip", length).await?;
    tell("null_guest_throughput", "/s", idle);
    let before = throughput(ground, "well", length).await?;
    let held = old_transaction(ground).await?;
    let beside = throughput(ground, "well", length).await?;
    held.batch("rollback").await.context("end the old transaction")?;
    drop(held);
    let after = throughput(ground, "well", length).await?;
    let usual = f64::midpoint(before, after);
    tell("journal_throughput", "/s", usual);
    tell("journal_beside_old_tx", "/s", beside);
    tell("journal_kept_beside_old_tx", "%", 100.0 * beside / usual);
    latency(ground, &[host], length).await
}

/// Messages handled and acknowledged a second, while others are published.
async fn throughput(ground: &Ground, mood: &'static str, length: Duration) -> Result<f64> {
    let publishers = Publishers::start(ground, mood).await?;
    let warm = Instant::now();
    while warm.elapsed() < WARM_UP {
        give_places(ground, &publishers).await?;
        tokio::time::sleep(LOOK).await;
    }
    profile::reset(ground).await?;
    let (began, before) = (Instant::now(), done(ground).await?);
    while began.elapsed() < length {
        give_places(ground, &publishers).await?;
        tokio::time::sleep(LOOK).await;
    }
    let (took, worked_off) = (began.elapsed(), done(ground).await? - before);
    profile::tell(ground, mood, worked_off.unsigned_abs()).await?;
    publishers.stop().await?;
    eventually("all is worked off", DRAIN_MAX, async || {
        Books(ground.database()).waiting().await.is_ok_and(|waiting| waiting == 0)
    })
    .await;
    #[allow(clippy::cast_precision_loss)]
    let per_second = worked_off as f64 / took.as_secs_f64();
    eprintln!("    {mood}: {per_second:.0} a second");
    Ok(per_second)
}

/// Lets the publishers go on as far as the bound allows. What is ready is few, and counting it
/// costs little; what is done is many.
async fn give_places(ground: &Ground, publishers: &Publishers) -> Result<()> {
    let sql = "select count(*) from platform.queue_ready";
    let ready: i64 = ground.value(sql).await.context("count what is ready")?;
    let taken = usize::try_from(ready).unwrap_or(0) + publishers.ahead.available_permits();
    publishers.ahead.add_permits(AHEAD_MAX.saturating_sub(taken));
    Ok(())
}

/// How many messages are done.
async fn done(ground: &Ground) -> Result<i64> {
    let sql = "select count(*) from platform.queue_done";
    ground.value(sql).await.context("count what is done")
}

/// Entries written over HTTP at a steady pace: from the commit's own instant until the guest files
/// the entry, and until its end is written.
async fn latency(ground: &Ground, hosts: &[HostProcess], length: Duration) -> Result<()> {
    let pace = Duration::from_millis(1_000 * CLIENTS / PER_SECOND);
    let load = Load::start(&doors(hosts)?, CLIENTS, pace, &Dice::seeded(1), &[("well", 1)]);
    tokio::time::sleep(WARM_UP).await;
    let from: String = ground.value("select clock_timestamp()::text").await.context("the time")?;
    tokio::time::sleep(length).await;
    load.stop().await?;
    eventually("all is worked off", DRAIN_MAX, async || {
        Books(ground.database()).waiting().await.is_ok_and(|waiting| waiting == 0)
    })
    .await;
    let filed = format!(
        "with took as (
           select extract(epoch from f.at - e.published_at)::float8 * 1000 as ms
           from platform.event e join probe_journal.filed f on f.entry_id = e.subject::uuid
           where e.published_at >= '{from}')
         select percentile_cont(PART) within group (order by ms) from took"
    );
    let ended = format!(
        "with took as (
           select extract(epoch from d.finished_at - e.published_at)::float8 * 1000 as ms
           from platform.event e join platform.queue_done d on d.position = e.position
           where e.published_at >= '{from}')
         select percentile_cont(PART) within group (order by ms) from took"
    );
    for (metric, sql, part) in [
        ("journal_filed_p50", &filed, "0.5"),
        ("journal_filed_p99", &filed, "0.99"),
        ("journal_ended_p50", &ended, "0.5"),
        ("journal_ended_p99", &ended, "0.99"),
    ] {
        let value: Option<f64> = ground.value(&sql.replace("PART", part)).await.context(metric)?;
        tell(metric, "ms", value.context("nothing was handled")?);
    }
    Ok(())
}
