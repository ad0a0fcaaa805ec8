//! The way back: which revision takes the calls again, what that changes, and that its bytes are
//! there before anything is moved. Refuses to know who may.

use crate::operate::Deployed;
use crate::plan::Plan;
use crate::{Error, Rollout};
use nexus_storage::rollouts::{NewRollout, RevisionRow, RolloutError, RolloutRow, State, Verb};

impl Rollout {
    /// Puts a component back at once: what rolls now is stopped, otherwise the last revision that
    /// served alone takes the calls, or the one that is named.
    ///
    /// # Errors
    ///
    /// [`Error::Unfit`] when there is nothing to go back to.
    pub async fn roll_back(
        &self,
        component: &str,
        to: Option<u32>,
        reason: &str,
        by: &str,
    ) -> Result<RolloutRow, Error> {
        let rollouts = &self.0.rollouts;
        // One that only waits for what was replaced stands in nobody's way.
        rollouts.end_draining(component).await?;
        if let Some(open) = rollouts.open_of(component).await? {
            let row = rollouts.order(open, Verb::Rollback, by, reason, true).await?;
            self.stir();
            let is_there = to.is_none() || to == row.baseline;
            if is_there {
                return Ok(row);
            }
            let reason = format!("its rollout goes back to {:?} first", row.baseline);
            return Err(RolloutError::Refused(reason).into());
        }
        let to = self.back_to(component, to).await?;
        self.secure_bytes(component, to).await?;
        let plan = serde_json::to_value(Plan::instant()).unwrap_or_default();
        let new = NewRollout {
            component,
            revision: to,
            plan: &plan,
            kind: "rollback",
            note: reason,
            by,
            despite_freeze: true,
        };
        let words = if reason.is_empty() { "rolled back" } else { reason };
        let id = rollouts.put_back(&new, words).await?;
        self.stir();
        self.rollout(id).await
    }

    /// Which revision a rollback would give the calls to, and what that would change.
    ///
    /// # Errors
    ///
    /// As [`Rollout::roll_back`].
    pub async fn plan_back(
        &self,
        component: &str,
        to: Option<u32>,
    ) -> Result<(u32, Deployed), Error> {
        let rollouts = &self.0.rollouts;
        let open = match rollouts.open_of(component).await? {
            Some(id) => rollouts.rollout(id).await?,
            None => None,
        };
        let open = open.filter(|row| row.state != State::Draining);
        let number = match open.and_then(|row| row.baseline) {
            Some(baseline) => baseline,
            None => self.back_to(component, to).await?,
        };
        let row = self.secure_bytes(component, number).await?;
        Ok((number, self.plan_again(&row, Plan::instant()).await?))
    }

    async fn back_to(&self, component: &str, to: Option<u32>) -> Result<u32, Error> {
        match to {
            Some(to) => Ok(to),
            None => self.0.rollouts.last_good(component).await?.ok_or_else(|| {
                Error::Unfit(format!("{component} has served nothing else that is still here"))
            }),
        }
    }

    /// What is put back at once must not turn out to be gone, here or on another host.
    async fn secure_bytes(&self, component: &str, number: u32) -> Result<RevisionRow, Error> {
        let missing = || RolloutError::NoRevision { component: component.into(), number };
        let row = self.0.rollouts.revision(component, number).await?.ok_or_else(missing)?;
        let is_stored = match self.0.running.get() {
            Some(running) => running.shelf.share(&self.0, component, &row.wasm).await?,
            None => self.0.rollouts.has_blob(&row.wasm).await?,
        };
        if is_stored {
            return Ok(row);
        }
        Err(Error::NoBytes { component: component.into(), digest: row.wasm })
    }
}
