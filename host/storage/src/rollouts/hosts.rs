//! What hosts say of themselves: that they live, what they have applied, what they have counted.

use super::rows::signed;
use super::{RolloutError, Rollouts};
use crate::error::Error;
use std::time::SystemTime;
use tokio_postgres::Row;
use uuid::Uuid;

/// A host that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    pub id: Uuid,
    pub name: String,
    pub version: String,
    pub started_at: SystemTime,
    pub heartbeat_at: SystemTime,
    pub generation: u64,
    pub is_alive: bool,
    /// The greatest sequence that it has applied.
    pub sequence: i64,
    /// What it could not apply: component and reason.
    pub failures: Vec<(String, String)>,
}

/// What a host has made of a component's traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied<'a> {
    pub component: &'a str,
    pub sequence: i64,
    /// Revisions that were left out and still finish calls.
    pub draining: u32,
    pub failure: Option<&'a str>,
}

/// What a host says of a rollout's revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub host: String,
    /// None: it is as it should be.
    pub failure: Option<String>,
}

/// Counters of a revision on a host, since that host has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    pub component: String,
    pub number: u32,
    pub calls: i64,
    pub server_errors: i64,
    pub failures: i64,
    pub traps: i64,
    pub timeouts: i64,
    pub cpu_kills: i64,
    pub refused: i64,
    /// Not cumulative.
    pub latency: Vec<i64>,
}

impl Rollouts {
    /// A host begins to follow; it takes the place of the one of its name.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn join(&self, id: Uuid, name: &str, version: &str) -> Result<(), Error> {
        let session = self.session().await?;
        // Whatever it has said was another process's.
        session.execute("delete from platform.host where name = $1", &[&name]).await?;
        let sql = "insert into platform.host (id, name, version) values ($1, $2, $3)";
        session.execute(sql, &[&id, &name, &version]).await?;
        Ok(())
    }

    /// A host that was taken for dead follows on; false when another has its name by now.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn rejoin(&self, id: Uuid, name: &str, version: &str) -> Result<bool, Error> {
        let sql = "insert into platform.host (id, name, version) values ($1, $2, $3) \
                   on conflict (name) do nothing";
        Ok(self.session().await?.execute(sql, &[&id, &name, &version]).await? == 1)
    }

    /// A host follows no longer; what it held is free.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn leave(&self, id: Uuid) -> Result<(), Error> {
        let session = self.session().await?;
        let free = "update platform.rollout set held_until = now() where holder = $1";
        session.execute(free, &[&id]).await?;
        session.execute("delete from platform.host where id = $1", &[&id]).await?;
        Ok(())
    }

    /// A sign of life; false when the host has been taken for dead, or another has its name.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn beat(&self, id: Uuid, generation: u64) -> Result<bool, Error> {
        let sql = "update platform.host set heartbeat_at = now(), generation = $2 where id = $1";
        let generation = i64::try_from(generation).unwrap_or(i64::MAX);
        Ok(self.session().await?.execute(sql, &[&id, &generation]).await? == 1)
    }

    /// A number that changes with each change of traffic, and how many rollouts are open.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn news(&self) -> Result<(i64, i64), Error> {
        let sql = "select n.sequence, n.open from platform.rollout_news() n";
        let rows = self.session().await?.query(sql, &[]).await?;
        Ok((rows[0].try_get(0)?, rows[0].try_get(1)?))
    }

    /// Whether other hosts than `id` live.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn has_others(&self, id: Uuid) -> Result<bool, Error> {
        let sql = "select exists (select from platform.host_alive where id <> $1)";
        Ok(self.session().await?.query(sql, &[&id]).await?[0].try_get(0)?)
    }

    /// Says what a host has applied.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`]; class 23 when the host is not known any more.
    pub async fn applied(&self, host: Uuid, all: &[Applied<'_>]) -> Result<(), Error> {
        let components: Vec<&str> = all.iter().map(|one| one.component).collect();
        let sequences: Vec<i64> = all.iter().map(|one| one.sequence).collect();
        let draining: Vec<i32> = all.iter().map(|one| signed(one.draining)).collect();
        let failures: Vec<Option<&str>> = all.iter().map(|one| one.failure).collect();
        let sql = "insert into platform.host_applied as a \
              (host, component, sequence, draining, failure) \
            select $1, u.* from unnest($2::text[], $3::bigint[], $4::int[], $5::text[]) u \
            on conflict (host, component) do update set sequence = excluded.sequence, \
              draining = excluded.draining, failure = excluded.failure, at = now()";
        let session = self.session().await?;
        session.execute(sql, &[&host, &components, &sequences, &draining, &failures]).await?;
        Ok(())
    }

    /// Says what a host found of a rollout's revision at a stage (`compiling`, `probing`).
    ///
    /// # Errors
    ///
    /// As [`Rollouts::applied`].
    pub async fn report(
        &self,
        host: Uuid,
        rollout: Uuid,
        stage: &str,
        failure: Option<&str>,
    ) -> Result<(), Error> {
        let sql = "insert into platform.host_report (host, rollout, stage, failure) \
            values ($1, $2, $3, $4) on conflict (host, rollout, stage) do update \
            set failure = excluded.failure, at = now()";
        self.session().await?.execute(sql, &[&host, &rollout, &stage, &failure]).await?;
        Ok(())
    }

    /// What the living hosts say of a stage; None while one of them has not said anything.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn reports(&self, rollout: Uuid, stage: &str) -> Result<Option<Vec<Report>>, Error> {
        let sql = "select h.name, r.host is not null as said, r.failure from platform.host_alive h \
            left join platform.host_report r \
              on r.host = h.id and r.rollout = $1 and r.stage = $2 order by h.name";
        let rows = self.session().await?.query(sql, &[&rollout, &stage]).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            if !row.try_get::<_, bool>(1)? {
                return Ok(None);
            }
            all.push(Report { host: row.try_get(0)?, failure: row.try_get(2)? });
        }
        // Nobody alive is nobody who could have said something.
        Ok((!all.is_empty()).then_some(all))
    }

    /// What the living hosts have made of a component's traffic at `sequence`, and how many of
    /// their revisions still drain; None while one of them has not applied it.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn settled(
        &self,
        component: &str,
        sequence: i64,
    ) -> Result<Option<(u32, Vec<Report>)>, Error> {
        let sql = "select h.name, coalesce(a.sequence >= $2, false) as applied, a.failure, \
              coalesce(a.draining, 0) as draining from platform.host_alive h \
            left join platform.host_applied a on a.host = h.id and a.component = $1 \
            order by h.name";
        let rows = self.session().await?.query(sql, &[&component, &sequence]).await?;
        let (mut draining, mut all) = (0, Vec::new());
        for row in &rows {
            if !row.try_get::<_, bool>(1)? {
                return Ok(None);
            }
            draining += u32::try_from(row.try_get::<_, i32>(3)?).unwrap_or_default();
            all.push(Report { host: row.try_get(0)?, failure: row.try_get(2)? });
        }
        Ok((!all.is_empty()).then_some((draining, all)))
    }

    /// Writes down what a host has counted.
    ///
    /// # Errors
    ///
    /// As [`Rollouts::applied`].
    pub async fn count(&self, host: Uuid, all: &[Sample]) -> Result<(), Error> {
        let session = self.session().await?;
        let sql = "insert into platform.sample (host, component, number, calls, server_errors, \
              failures, traps, timeouts, cpu_kills, refused, latency) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
            on conflict (host, component, number) do update set calls = excluded.calls, \
              server_errors = excluded.server_errors, failures = excluded.failures, \
              traps = excluded.traps, timeouts = excluded.timeouts, \
              cpu_kills = excluded.cpu_kills, refused = excluded.refused, \
              latency = excluded.latency, at = now()";
        for one in all {
            let values: [crate::session::Param<'_>; 11] = [
                &host,
                &one.component,
                &signed(one.number),
                &one.calls,
                &one.server_errors,
                &one.failures,
                &one.traps,
                &one.timeouts,
                &one.cpu_kills,
                &one.refused,
                &one.latency,
            ];
            session.execute(sql, &values).await?;
        }
        Ok(())
    }

    /// Every host, the living first.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn hosts(&self) -> Result<Vec<HostRow>, RolloutError> {
        let sql = "select h.*, \
              exists (select from platform.host_alive l where l.id = h.id) as alive, \
              coalesce((select max(a.sequence) from platform.host_applied a \
                where a.host = h.id), 0) \
                as sequence, \
              array(select a.component from platform.host_applied a where a.host = h.id \
                and a.failure is not null order by a.component) as failed, \
              array(select a.failure from platform.host_applied a where a.host = h.id \
                and a.failure is not null order by a.component) as failures \
            from platform.host h order by alive desc, h.name";
        let rows = self.session().await?.query(sql, &[]).await?;
        Ok(rows.iter().map(host).collect::<Result<_, _>>()?)
    }
}

fn host(row: &Row) -> Result<HostRow, Error> {
    let (failed, reasons): (Vec<String>, Vec<String>) =
        (row.try_get("failed")?, row.try_get("failures")?);
    Ok(HostRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        version: row.try_get("version")?,
        started_at: row.try_get("started_at")?,
        heartbeat_at: row.try_get("heartbeat_at")?,
        generation: u64::try_from(row.try_get::<_, i64>("generation")?).unwrap_or_default(),
        is_alive: row.try_get("alive")?,
        sequence: row.try_get("sequence")?,
        failures: failed.into_iter().zip(reasons).collect(),
    })
}
