//! Which implementation answers, and which get a copy.

use crate::rollout::{Assigner, Caller, Sticky};
use crate::setting::{InvalidSetting, within};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use utoipa::ToSchema;

/// How requests are spread over the implementations of a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StagePlan {
    /// The implementations, the baseline first; from 1 to 16.
    pub implementations: Vec<Implementation>,
    /// What keeps a client with one.
    #[serde(default)]
    pub sticky: Sticky,
}

/// One implementation's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Implementation {
    /// Its name; up to 64 bytes.
    pub name: String,
    /// Its share of the answers, relative to the others'. At most 10,000; 0: it does not answer.
    #[serde(default)]
    pub weight: u32,
    /// Percent of the requests that others answer of which it gets a copy; its answer is discarded. From 0 to 100.
    #[serde(default)]
    pub shadow: f64,
}

/// A [`StagePlan`], ready to be applied.
#[derive(Debug, Clone)]
pub struct StageTable {
    assigner: Assigner,
    /// Up to which point of all weights each answers.
    ends: Vec<u64>,
    /// Thresholds for 32 random bits.
    shadows: Vec<u64>,
}

/// Where a request goes, as positions in the plan's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageChoice {
    /// Who answers.
    pub answers: usize,
    shadows: u16,
}

const IMPLEMENTATIONS_MAX: usize = u16::BITS as usize;
const NAME_MAX_BYTES: usize = 64;

impl StageChoice {
    /// Who gets a copy.
    pub fn shadows(self) -> impl Iterator<Item = usize> {
        (0..IMPLEMENTATIONS_MAX).filter(move |position| self.shadows & (1 << position) != 0)
    }
}

impl StagePlan {
    /// Checks every key.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first that cannot be used.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        within("stages.implementations", self.implementations.len(), 1..=IMPLEMENTATIONS_MAX)?;
        let mut names = HashSet::new();
        for implementation in &self.implementations {
            let name = implementation.name.as_str();
            if name.is_empty() || name.len() > NAME_MAX_BYTES {
                let what = format!("must have between 1 and {NAME_MAX_BYTES} bytes");
                return Err(InvalidSetting::new("stages.implementations.name", what));
            }
            if !names.insert(name) {
                return Err(InvalidSetting::new("stages.implementations.name", format!("{name:?} is there twice")));
            }
            within("stages.implementations.weight", implementation.weight, 0..=10_000)?;
            within("stages.implementations.shadow", implementation.shadow, 0.0..=100.0)?;
        }
        if self.implementations.iter().all(|implementation| implementation.weight == 0) {
            return Err(InvalidSetting::new("stages.implementations.weight", "is 0 for all; one must answer"));
        }
        self.sticky.check()
    }
}

impl StageTable {
    /// Prepares a plan for the component with this id.
    ///
    /// # Errors
    /// [`InvalidSetting`] if the plan cannot be used.
    pub fn new(id: &str, plan: &StagePlan) -> Result<Self, InvalidSetting> {
        plan.check()?;
        let weights = plan.implementations.iter().map(|implementation| u64::from(implementation.weight));
        let ends = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        let all = (1u64 << 32) as f64;
        let shadows = plan.implementations.iter().map(|implementation| (implementation.shadow / 100.0 * all) as u64);
        let assigner = Assigner::new(&format!("{id}\0stages"), &plan.sticky)?;
        Ok(Self { assigner, ends: ends.collect(), shadows: shadows.collect() })
    }

    /// Chooses for a request. Shadows are chosen by chance (`caller.random`), each for itself, whatever the stickiness.
    #[must_use]
    pub fn choose(&self, caller: &Caller<'_>) -> StageChoice {
        let total = self.ends.last().copied().unwrap_or_default();
        let bucket = u64::from(self.assigner.bucket(caller));
        let point = bucket * total / u64::from(crate::rollout::BUCKETS);
        let answers = self.ends.partition_point(|end| *end <= point);
        let mut shadows = 0;
        let mut random = caller.random;
        for (position, threshold) in self.shadows.iter().enumerate() {
            // A multiplicative step of Lehmer's, on the odd number beside: the upper half is new for each.
            random = (random | 1).wrapping_mul(0xda94_2042_e4dd_58b5).rotate_left(29);
            if position != answers && random >> 32 < *threshold {
                shadows |= 1 << position;
            }
        }
        StageChoice { answers, shadows }
    }
}
