//! Who answers calls on one shard: for each component, the instances of each of its revisions.

use crate::call::CallError;
use crate::fleet::Fleet;
use crate::manifest::ComponentId;
use crate::pool::Pool;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The crews of one shard.
#[derive(Default)]
pub(crate) struct Crews(Mutex<Open>);

#[derive(Default)]
pub(crate) struct Open(HashMap<ComponentId, Crew>);

/// A component on one shard.
pub(crate) struct Crew {
    pub(crate) fleet: Arc<Fleet>,
    /// In the order of the fleet's revisions.
    pub(crate) pools: Vec<Arc<Pool>>,
}

impl Crews {
    pub(crate) fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The crew of a component, made from what is active when there is none.
    pub(crate) fn crew(
        &mut self,
        component: &ComponentId,
        active: impl FnOnce() -> Result<Arc<Fleet>, CallError>,
    ) -> Result<&Crew, CallError> {
        // Looked up twice where it is found: a borrow that is returned would last otherwise.
        if !self.0.contains_key(component) {
            let fleet = active()?;
            self.0.insert(component.clone(), Crew::new(fleet, None));
        }
        Ok(&self.0[component])
    }

    /// Follows a change of what is active. A component that was not called here yet needs nothing.
    pub(crate) fn replace(&mut self, component: &ComponentId, fleet: Option<&Arc<Fleet>>) {
        let Some(old) = self.0.remove(component) else { return };
        let new = fleet.map(|fleet| Crew::new(fleet.clone(), Some(&old)));
        let kept = new.as_ref().map_or(&[][..], |crew| &crew.pools);
        for pool in &old.pools {
            if !kept.iter().any(|other| Arc::ptr_eq(pool, other)) {
                pool.close();
            }
        }
        if let Some(crew) = new {
            self.0.insert(component.clone(), crew);
        }
    }
}

impl Crew {
    /// Revisions that were served before keep their instances.
    fn new(fleet: Arc<Fleet>, before: Option<&Self>) -> Self {
        let old = before.map_or(&[][..], |crew| &crew.pools);
        let pools = fleet.revisions().iter().map(|one| {
            let known = old.iter().find(|pool| Arc::ptr_eq(&pool.revision, &one.revision));
            known.cloned().unwrap_or_else(|| Pool::new(one.revision.clone()))
        });
        let pools = pools.collect();
        Self { fleet, pools }
    }
}
