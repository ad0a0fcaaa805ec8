//! Chance that can be had again: every random choice of a test comes from one printed seed.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::ops::Range;
use std::time::Duration;

/// The variable that names the seed of an earlier run.
const SEED: &str = "NEXUS_SEED";

/// A source of choices. What a run does with time is its own: the choices repeat, their moments do
/// not quite.
pub struct Dice {
    seed: u64,
    source: StdRng,
}

impl Dice {
    /// From `NEXUS_SEED`, or any; says which.
    pub fn new() -> Self {
        let given = std::env::var(SEED).ok().and_then(|text| text.trim().parse().ok());
        let seed = given.unwrap_or_else(rand::random);
        println!("{SEED}={seed} repeats the choices of this run");
        Self::seeded(seed)
    }

    pub fn seeded(seed: u64) -> Self {
        Self { seed, source: StdRng::seed_from_u64(seed) }
    }

    /// Another source, which does not depend on how often this one was asked.
    #[must_use]
    pub fn branch(&self, number: u64) -> Self {
        Self::seeded(self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: u32) -> bool {
        self.source.random_range(0..n) == 0
    }

    /// An index below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.source.random_range(0..n)
    }

    pub fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.source.random_range(range))
    }

    /// One of the words, each as often as its weight says.
    pub fn word(&mut self, weighted: &[(&'static str, u32)]) -> &'static str {
        let all: u32 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut left = self.source.random_range(0..all.max(1));
        for (word, weight) in weighted {
            if left < *weight {
                return word;
            }
            left -= weight;
        }
        ""
    }
}

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

#[test]
fn a_seed_gives_the_same_choices_again() {
    let draw = |mut dice: Dice| {
        let words = [("a", 1), ("b", 3)];
        (0..50).map(|_| (dice.below(1000), dice.word(&words))).collect::<Vec<_>>()
    };
    assert_eq!(draw(Dice::seeded(7)), draw(Dice::seeded(7)));
    assert_ne!(draw(Dice::seeded(7)), draw(Dice::seeded(8)));
    assert_ne!(draw(Dice::seeded(7)), draw(Dice::seeded(7).branch(1)));
}
