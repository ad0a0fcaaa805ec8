//! How a rollout goes on: its steps, their time, and what its gates ask for. Pure.

use nexus_runtime::WEIGHT_WHOLE;
use nexus_storage::rollouts::Weights;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Steps of one rollout.
const STEPS_MAX: usize = 20;
/// Time of one step: a day. Who wants to wait longer pauses.
const STEP_SECONDS_MAX: u64 = 86_400;

/// What somebody asked for, as JSON says it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Strategy {
    Named(Named),
    Steps(Plan),
    #[default]
    #[serde(skip)]
    Unsaid,
}

/// A strategy that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// One step to everything, without gates.
    Instant,
    /// There without a share, until it is promoted.
    Stage,
    /// The steps that nobody had to think about.
    Canary,
}

/// Steps and gates.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Shares of the new revision per 10,000, ascending. Empty: it stays staged.
    pub steps: Vec<u16>,
    /// From the moment that all hosts have applied a step.
    pub step_seconds: u64,
    /// None: every step passes.
    pub gates: Option<Gates>,
}

/// What keeps a step from passing.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gates {
    /// How much greater its share of failed calls may be than that of what served before.
    pub error_rate_delta: f64,
    /// How many times longer its slowest hundredth may take.
    pub latency_ratio: f64,
    /// Traps in one step; one more is a storm.
    pub traps_max: u64,
    /// Calls that a step needs before it passes.
    pub samples_min: u64,
    /// Whether the host asks for health by itself where there are too few calls.
    pub probes: bool,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            error_rate_delta: 0.01,
            latency_ratio: 2.0,
            traps_max: 3,
            samples_min: 100,
            probes: true,
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            steps: vec![100, 1_000, 5_000, WEIGHT_WHOLE],
            step_seconds: 60,
            gates: Some(Gates::default()),
        }
    }
}

impl Plan {
    /// One step to everything.
    pub fn instant() -> Self {
        Self { steps: vec![WEIGHT_WHOLE], step_seconds: 0, gates: None }
    }

    /// None at all.
    pub fn stage() -> Self {
        Self { steps: Vec::new(), step_seconds: 0, gates: None }
    }

    /// What was asked for, checked.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn of(strategy: &Strategy) -> Result<Self, String> {
        let plan = match strategy {
            Strategy::Named(Named::Instant) => Self::instant(),
            Strategy::Named(Named::Stage) => Self::stage(),
            Strategy::Named(Named::Canary) | Strategy::Unsaid => Self::default(),
            Strategy::Steps(plan) => plan.clone(),
        };
        plan.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let ascending = self.steps.windows(2).all(|pair| pair[0] < pair[1]);
        let within = self.steps.iter().all(|share| (1..=WEIGHT_WHOLE).contains(share));
        if !ascending || !within || self.steps.len() > STEPS_MAX {
            return Err(format!(
                "steps are up to {STEPS_MAX} ascending shares of 1 to {WEIGHT_WHOLE}"
            ));
        }
        if self.step_seconds > STEP_SECONDS_MAX {
            return Err(format!("step_seconds is at most {STEP_SECONDS_MAX}"));
        }
        if let Some(gates) = &self.gates {
            let delta = (0.0..=1.0).contains(&gates.error_rate_delta);
            let ratio = gates.latency_ratio >= 1.0 && gates.latency_ratio.is_finite();
            if !delta || !ratio {
                return Err("error_rate_delta is 0 to 1, latency_ratio at least 1".into());
            }
        }
        Ok(self)
    }

    /// As the database keeps it; written by this program, so what cannot be read is the default.
    pub(crate) fn read(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    /// What it is called on the wire.
    pub fn name(&self) -> &'static str {
        match (&self.steps[..], &self.gates) {
            ([], _) => "stage",
            ([WEIGHT_WHOLE], None) => "instant",
            _ => "canary",
        }
    }
}

/// The weights when a new revision takes `share` of them: what was there keeps its proportions, and
/// the greatest of it takes what rounding leaves.
pub fn blend(before: &Weights, new: u32, share: u16) -> Weights {
    let rest = u32::from(WEIGHT_WHOLE.saturating_sub(share));
    let others = || before.iter().filter(|(number, _)| **number != new);
    let sum: u32 = others().map(|(_, weight)| u32::from(*weight)).sum();
    if sum == 0 {
        return Weights::from([(new, WEIGHT_WHOLE)]);
    }
    let part = |weight: u16| u16::try_from(u32::from(weight) * rest / sum).unwrap_or_default();
    let mut blended: Weights = others().map(|(number, weight)| (*number, part(*weight))).collect();
    let given: u32 = blended.values().map(|weight| u32::from(*weight)).sum();
    let lead = others().max_by_key(|(_, weight)| **weight).map(|(number, _)| *number);
    if let Some(weight) = lead.and_then(|lead| blended.get_mut(&lead)) {
        *weight += u16::try_from(rest - given).unwrap_or_default();
    }
    blended.insert(new, share.min(WEIGHT_WHOLE));
    blended
}

#[cfg(test)]
mod tests {
    use super::{Plan, Strategy, Value, Weights, blend};
    use proptest::prelude::{prop_assert_eq, proptest};
    use proptest::strategy::Strategy as Generator;
    use serde_json::json;

    fn plan(value: Value) -> Result<Plan, String> {
        let strategy: Strategy = serde_json::from_value(value).map_err(|e| e.to_string())?;
        Plan::of(&strategy)
    }

    #[test]
    fn a_strategy_is_a_name_or_steps_that_ascend() {
        assert_eq!(plan(json!("instant")).unwrap(), Plan::instant());
        assert_eq!(plan(json!("stage")).unwrap(), Plan::stage());
        assert_eq!(Plan::of(&Strategy::default()).unwrap(), Plan::default());
        let given = plan(json!({ "steps": [10, 10_000], "gates": { "traps_max": 0 } })).unwrap();
        assert_eq!((given.steps, given.step_seconds), (vec![10, 10_000], 60));
        assert_eq!(given.gates.unwrap().samples_min, 100);
        for wrong in [
            json!("slowly"),
            json!({ "steps": [100, 100] }),
            json!({ "steps": [0] }),
            json!({ "steps": [10_001] }),
            json!({ "step_seconds": 100_000 }),
            json!({ "gates": { "latency_ratio": 0.5 } }),
            json!({ "gates": { "error_rate": 0.5 } }),
            json!({ "step": [1] }),
        ] {
            assert!(plan(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        for plan in [Plan::instant(), Plan::stage(), Plan::default()] {
            assert_eq!(Plan::read(&serde_json::to_value(&plan).unwrap()), plan);
        }
    }

    fn whole() -> impl Generator<Value = Weights> {
        let cuts = proptest::collection::vec(0..=10_000_u16, 0..4);
        cuts.prop_map(|mut cuts| {
            cuts.extend([0, 10_000]);
            cuts.sort_unstable();
            cuts.windows(2).zip(1..).map(|(pair, number)| (number, pair[1] - pair[0])).collect()
        })
    }

    proptest! {
        #[test]
        fn blended_weights_are_whole_and_keep_their_order(
            before in whole(), new in 1..8_u32, share in 0..=10_000_u16,
        ) {
            let blended = blend(&before, new, share);
            let sum: u32 = blended.values().map(|weight| u32::from(*weight)).sum();
            prop_assert_eq!(sum, 10_000, "{:?} -> {:?}", before, blended);
            let alone = before.iter().all(|(number, weight)| *number == new || *weight == 0);
            prop_assert_eq!(blended[&new], if alone { 10_000 } else { share });
        }
    }
}
