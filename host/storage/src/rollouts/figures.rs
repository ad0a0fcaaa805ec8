//! How a rollout does while it is under way, for people who look: what had been counted when it
//! began and when its step began, and which hosts follow it. Whoever decides holds the lease and
//! reads neither from here.

use super::Rollouts;
use super::hosts::Sample;
use super::moves::samples;
use crate::error::Error;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// What all hosts had counted of a component, by host and revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// When the first step began.
    pub first: HashMap<(String, u32), Sample>,
    /// When this one began.
    pub step: HashMap<(String, u32), Sample>,
}

/// A living host, and whether it serves what a rollout asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    pub host: String,
    pub has_applied: bool,
    /// Revisions that were left out and still finish calls.
    pub draining: u32,
    pub failure: Option<String>,
}

impl Rollouts {
    /// What a rollout is measured from; empty before its first step.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn marks(&self, rollout: Uuid) -> Result<Marks, Error> {
        let sql = "select samples_first, samples_step from platform.rollout where id = $1";
        let rows = self.session().await?.query(sql, &[&rollout]).await?;
        let Some(row) = rows.first() else { return Ok(Marks::default()) };
        let read = |at: usize| -> Result<_, Error> {
            Ok(samples(row.try_get::<_, Option<Value>>(at)?.unwrap_or_default()))
        };
        Ok(Marks { first: read(0)?, step: read(1)? })
    }

    /// The living hosts, and what each has made of the traffic that a rollout set last. Before it
    /// has set any, nobody has applied it.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn followers(
        &self,
        rollout: Uuid,
        component: &str,
        sequence: Option<i64>,
    ) -> Result<Vec<Follower>, Error> {
        let sql = "select h.name, coalesce(a.sequence >= $3, false), coalesce(a.draining, 0), \
              coalesce(a.failure, (select r.failure from platform.host_report r \
                where r.host = h.id and r.rollout = $1 and r.failure is not null limit 1)) \
            from platform.host_alive h \
            left join platform.host_applied a on a.host = h.id and a.component = $2 \
            order by h.name";
        let rows = self.session().await?.query(sql, &[&rollout, &component, &sequence]).await?;
        rows.iter()
            .map(|row| {
                Ok(Follower {
                    host: row.try_get(0)?,
                    has_applied: row.try_get(1)?,
                    draining: u32::try_from(row.try_get::<_, i32>(2)?).unwrap_or_default(),
                    failure: row.try_get(3)?,
                })
            })
            .collect()
    }
}
