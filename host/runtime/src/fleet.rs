//! What a component serves: one revision, or several that share its calls by weight. Knows which of
//! them a call goes to; refuses to know why there is more than one.

use crate::call::{Call, CallError};
use crate::manifest::{ComponentId, HttpRoute};
use crate::principal::PrincipalKind;
use crate::revision::Revision;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// All calls of a component, in the unit of weights.
pub const WEIGHT_WHOLE: u16 = 10_000;

/// A revision and its share of the calls, of [`WEIGHT_WHOLE`]. Without any share it is reached only
/// by calls that ask for it by number.
#[derive(Clone)]
pub struct Weighted {
    pub revision: Arc<Revision>,
    pub weight: u16,
}

/// What a component is to serve from now on.
pub struct Served {
    /// Patterns that lead to the component.
    pub routes: Vec<HttpRoute>,
    pub revisions: Vec<Weighted>,
}

/// Why revisions cannot be served together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    #[error("the weights of {component} are {sum} of {WEIGHT_WHOLE}")]
    Weights { component: ComponentId, sum: u32 },
    #[error("revision {number} is there twice")]
    Twice { number: u32 },
    #[error("revision {number} is one of {owner}, not of {component}")]
    Foreign { component: ComponentId, owner: ComponentId, number: u32 },
}

/// The revisions of a component that are served; at least one.
pub struct Fleet {
    pub(crate) routes: Vec<HttpRoute>,
    /// By number, the newest first: who is among the first tenth for a new revision stays so when
    /// its share grows.
    revisions: Vec<Weighted>,
    lead: usize,
}

impl Fleet {
    /// # Errors
    ///
    /// Any [`FleetError`].
    pub(crate) fn new(component: &ComponentId, served: Served) -> Result<Self, FleetError> {
        let Served { routes, mut revisions } = served;
        let sum: u32 = revisions.iter().map(|one| u32::from(one.weight)).sum();
        if sum != u32::from(WEIGHT_WHOLE) {
            return Err(FleetError::Weights { component: component.clone(), sum });
        }
        if let Some(foreign) = revisions.iter().find(|one| one.revision.manifest.id != *component) {
            return Err(FleetError::Foreign {
                component: component.clone(),
                owner: foreign.revision.manifest.id.clone(),
                number: foreign.revision.number(),
            });
        }
        revisions.sort_by_key(|one| std::cmp::Reverse(one.revision.number()));
        let same = |pair: &&[Weighted]| pair[0].revision.number() == pair[1].revision.number();
        if let Some(pair) = revisions.windows(2).find(same) {
            return Err(FleetError::Twice { number: pair[0].revision.number() });
        }
        let heaviest = revisions.iter().enumerate().max_by_key(|(_, one)| one.weight);
        let lead = heaviest.map_or(0, |(index, _)| index);
        Ok(Self { routes, revisions, lead })
    }

    /// One revision that takes all calls.
    pub(crate) fn of_one(revision: Arc<Revision>, routes: Vec<HttpRoute>) -> Self {
        let revisions = vec![Weighted { revision, weight: WEIGHT_WHOLE }];
        Self { routes, revisions, lead: 0 }
    }

    /// The revision with the greatest share, the older of equals: whose limits, subscriptions and
    /// schedules are in force.
    pub fn lead(&self) -> &Arc<Revision> {
        &self.revisions[self.lead].revision
    }

    /// Every revision, the newest first.
    pub fn revisions(&self) -> &[Weighted] {
        &self.revisions
    }

    pub(crate) fn position(&self, number: u32) -> Option<usize> {
        self.revisions.iter().position(|one| one.revision.number() == number)
    }

    /// Which revision a call goes to: the one it asks for; otherwise its affinity decides, always
    /// in the same way; otherwise the person or program that has asked; otherwise chance. Services
    /// do not count: what they do for themselves would all be on one side.
    ///
    /// # Errors
    ///
    /// [`CallError::NoSuchRevision`].
    pub(crate) fn choose(&self, component: &ComponentId, call: &Call) -> Result<usize, CallError> {
        if let Some(number) = call.pinned(component) {
            let missing = || CallError::NoSuchRevision { component: component.clone(), number };
            return self.position(number).ok_or_else(missing);
        }
        if self.revisions[self.lead].weight == WEIGHT_WHOLE {
            return Ok(self.lead);
        }
        let principal = &call.principal;
        let sender = || affinity_of(principal.subject.as_bytes());
        let is_someone =
            !matches!(principal.kind, PrincipalKind::Anonymous | PrincipalKind::Service);
        let point = match call.affinity.or_else(|| is_someone.then(sender)) {
            Some(affinity) => spread(component, affinity),
            None => rand::random_range(0..WEIGHT_WHOLE),
        };
        Ok(self.at(point))
    }

    /// The revision whose share holds `point`, below [`WEIGHT_WHOLE`].
    fn at(&self, point: u16) -> usize {
        let mut end = 0;
        for (index, one) in self.revisions.iter().enumerate() {
            end += one.weight;
            if point < end {
                return index;
            }
        }
        self.lead
    }
}

/// The same sender is early with one component and late with another: nobody gets all that is new.
fn spread(component: &ComponentId, affinity: u64) -> u16 {
    let mut hasher = DefaultHasher::new();
    (component.as_str(), affinity).hash(&mut hasher);
    u16::try_from(hasher.finish() % u64::from(WEIGHT_WHOLE)).unwrap_or_default()
}

/// What a call says with [`Call::affinity`] when its sender is known by a text.
pub fn affinity_of(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
