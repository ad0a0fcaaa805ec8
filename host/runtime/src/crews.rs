//! Who answers calls on one shard: for each component, the instances of each of its revisions.

use crate::call::{Call, CallError};
use crate::fleet::Fleet;
use crate::manifest::ComponentId;
use crate::pool::Pool;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The crews of one shard.
#[derive(Default)]
pub(crate) struct Crews(Mutex<Open>);

#[derive(Default)]
pub(crate) struct Open(HashMap<ComponentId, Crew, RandomState>);

/// A component on one shard.
struct Crew {
    fleet: Arc<Fleet>,
    /// In the order of the fleet's revisions.
    pools: Vec<Arc<Pool>>,
}

/// The instances that a call goes to.
pub(crate) struct Chosen {
    pub(crate) pool: Arc<Pool>,
    /// The component has other revisions as well.
    pub(crate) of_several: bool,
}

impl Crews {
    pub(crate) fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Where a call of a component goes; who is not here yet is made from what is active.
    pub(crate) fn choose(
        &mut self,
        component: &ComponentId,
        call: &Call,
        active: impl FnOnce() -> Result<Arc<Fleet>, CallError>,
    ) -> Result<Chosen, CallError> {
        if let Some(crew) = self.0.get(component) {
            return crew.choose(component, call);
        }
        let crew = Crew::new(active()?, None);
        let chosen = crew.choose(component, call);
        self.0.insert(component.clone(), crew);
        chosen
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

    fn choose(&self, component: &ComponentId, call: &Call) -> Result<Chosen, CallError> {
        let index = self.fleet.choose(component, call)?;
        let of_several = self.fleet.revisions().len() > 1;
        Ok(Chosen { pool: self.pools[index].clone(), of_several })
    }
}
