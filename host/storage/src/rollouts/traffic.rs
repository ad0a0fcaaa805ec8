//! What each component serves, and what there was before.

use super::rows::{weights, weights_value};
use super::{RolloutError, Rollouts, Weights};
use crate::error::Error;
use std::time::SystemTime;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

/// What a component is to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub component: String,
    /// For one component it only grows.
    pub sequence: i64,
    pub weights: Weights,
}

/// A change of traffic that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub sequence: i64,
    pub weights: Weights,
    pub rollout: Option<Uuid>,
    pub reason: String,
    pub changed_at: SystemTime,
    pub changed_by: String,
}

impl Rollouts {
    /// What all components are to serve.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn desired(&self) -> Result<Vec<Desired>, Error> {
        let sql = "select component, sequence, weights from platform.traffic order by component";
        let rows = self.session().await?.query(sql, &[]).await?;
        rows.iter().map(desired).collect()
    }

    /// What one component is to serve.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn traffic(&self, component: &str) -> Result<Option<Desired>, Error> {
        let sql = "select component, sequence, weights from platform.traffic where component = $1";
        let rows = self.session().await?.query(sql, &[&component]).await?;
        rows.first().map(desired).transpose()
    }

    /// Lets components that serve nothing yet serve one revision each.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn begin_traffic(&self, all: &[(&str, u32)], by: &str) -> Result<(), Error> {
        let components: Vec<&str> = all.iter().map(|(component, _)| *component).collect();
        let numbers: Vec<i32> = all.iter().map(|(_, n)| super::rows::signed(*n)).collect();
        let sql = "select platform.traffic_set(u.component, \
              jsonb_build_object(u.number, 10000), null, 'first', $3) \
            from unnest($1::text[], $2::int[]) u (component, number) \
            where not exists (select from platform.traffic t where t.component = u.component)";
        self.session().await?.execute(sql, &[&components, &numbers, &by]).await?;
        Ok(())
    }

    /// Changes what a component serves. Returns the sequence of the change.
    ///
    /// # Errors
    ///
    /// [`RolloutError::Busy`] while a rollout of it is under way; [`RolloutError::NoRevision`];
    /// [`RolloutError::Refused`] for weights that are not whole.
    pub async fn set_traffic(
        &self,
        component: &str,
        weights: &Weights,
        reason: &str,
        by: &str,
    ) -> Result<i64, RolloutError> {
        let session = self.session().await?;
        let open = "select id from platform.rollout where component = $1 and finished_at is null";
        if let Some(row) = session.query(open, &[&component]).await?.first() {
            let rollout = row.try_get(0)?;
            return Err(RolloutError::Busy { component: component.into(), rollout });
        }
        let sql = "select platform.traffic_set($1, $2, null, $3, $4)";
        let value = weights_value(weights);
        match session.query(sql, &[&component, &value, &reason, &by]).await {
            Ok(rows) => Ok(rows[0].try_get(0)?),
            Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => {
                Err(RolloutError::Refused(error.to_string()))
            }
            Err(error) if error.code() == Some(&SqlState::CHECK_VIOLATION) => {
                Err(RolloutError::Refused("the weights are not 10,000 together".into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Changes of a component's traffic, the latest first.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn changes(&self, component: &str, rows_max: u32) -> Result<Vec<Change>, Error> {
        let sql = "select * from platform.traffic_change where component = $1 \
                   order by sequence desc limit $2";
        let limit = i64::from(rows_max);
        let rows = self.session().await?.query(sql, &[&component, &limit]).await?;
        rows.iter().map(change).collect()
    }

    /// The revision that last served alone before the one that serves most now, and was not rolled
    /// back.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::query`].
    pub async fn last_good(&self, component: &str) -> Result<Option<u32>, Error> {
        let sql = "select w.key::int from platform.traffic_change c, jsonb_each_text(c.weights) w \
            where c.component = $1 and w.value = '10000' and w.key::int <> ( \
              select n.key::int from platform.traffic t, jsonb_each_text(t.weights) n \
              where t.component = $1 order by n.value::int desc, n.key::int limit 1) \
            and exists (select from platform.revision r \
              where r.component = $1 and r.number = w.key::int) \
            and not exists (select from platform.rollout r where r.component = $1 \
              and r.revision = w.key::int and r.state in ('rolled_back', 'failed') \
              and r.created_at > c.changed_at) \
            order by c.sequence desc limit 1";
        let rows = self.session().await?.query(sql, &[&component]).await?;
        Ok(rows.first().map(|row| row.try_get(0).map(super::rows::number)).transpose()?)
    }
}

fn desired(row: &Row) -> Result<Desired, Error> {
    let value = row.try_get(2)?;
    Ok(Desired { component: row.try_get(0)?, sequence: row.try_get(1)?, weights: weights(&value) })
}

fn change(row: &Row) -> Result<Change, Error> {
    let value = row.try_get("weights")?;
    Ok(Change {
        sequence: row.try_get("sequence")?,
        weights: weights(&value),
        rollout: row.try_get("rollout")?,
        reason: row.try_get("reason")?,
        changed_at: row.try_get("changed_at")?,
        changed_by: row.try_get("changed_by")?,
    })
}
