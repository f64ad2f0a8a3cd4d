//! Which variant responds to a request, and to which it is mirrored.

use super::comparison::BetterRule;
use crate::rollout::{Assigner, Caller, Sticky};
use crate::setting::{InvalidSetting, within};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use utoipa::ToSchema;

/// The plan of an experiment: how requests are distributed over the variants of a component, and when a variant is
/// better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExperimentPlan {
    /// The variants, 1 to 16. The first is the baseline: the version that serves.
    #[serde(rename = "implementations")]
    pub variants: Vec<Variant>,
    /// The attribute of a request by which a client always gets the same variant; `none` by default.
    #[serde(default)]
    pub sticky: Sticky,
    /// The names of response headers that are not compared, at most 32. Headers that always differ, such as `date`,
    /// `age` and `set-cookie`, are never compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore_headers: Vec<String>,
    /// The rule by which a variant is better than the baseline.
    #[serde(default)]
    pub better: BetterRule,
    /// Whether the better variant gets all requests automatically; false by default. This is decided once, when each
    /// variant has as many requests as `better.requests` says.
    #[serde(default)]
    pub promote: bool,
}

/// A variant of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variant {
    /// The name: 1 to 64 letters, digits, dots, hyphens and underscores.
    pub name: String,
    /// The number of its version.
    pub version: u32,
    /// The share of requests that the variant responds to, relative to the weights of the others: 0 to 10,000; 0, the
    /// default, for none. At least one variant must have more than 0.
    #[serde(default)]
    pub weight: u32,
    /// The percentage of the requests to other variants that are mirrored to this one: 0 to 100; 0 by default. Its
    /// responses to mirrored requests are discarded.
    #[serde(default)]
    pub shadow: f64,
    /// Whether requests with methods other than GET are mirrored too; false by default. Their side effects then happen
    /// twice.
    #[serde(default)]
    pub shadow_unsafe: bool,
}

/// An experiment: variants of a component that serve requests at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Experiment {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. A changed plan has a new id and starts its measurements
    /// again.
    pub id: String,
    /// The plan.
    pub plan: ExperimentPlan,
    /// The time of the start, in milliseconds since 1970-01-01 UTC.
    pub started_at: i64,
    /// The result of the automatic decision, if the plan has `promote` and no variant was promoted; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

impl Experiment {
    /// Starts an experiment now.
    #[must_use]
    pub fn begin(plan: ExperimentPlan) -> Self {
        let id = ulid::Ulid::new();
        let started_at = i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX);
        Self { id: id.to_string(), plan, started_at, decision: None }
    }

    /// The variant of this name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.plan.variants.iter().find(|variant| variant.name == name)
    }
}

/// An [`ExperimentPlan`], ready to be applied.
#[derive(Debug, Clone)]
pub struct VariantTable {
    assigner: Assigner,
    /// The end of the range of weights to which each variant responds.
    ends: Vec<u64>,
    /// Thresholds for 32 random bits.
    shadows: Vec<u64>,
}

/// The variants for a request, as positions in the plan's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VariantChoice {
    /// The variant that responds.
    pub responds: usize,
    shadows: u16,
}

const VARIANTS_MAX: usize = u16::BITS as usize;
const NAME_MAX_BYTES: usize = 64;
const HEADERS_MAX: usize = 32;

impl VariantChoice {
    /// The variants to which the request is mirrored.
    pub fn shadows(self) -> impl Iterator<Item = usize> {
        (0..VARIANTS_MAX).filter(move |position| self.shadows & (1 << position) != 0)
    }
}

impl ExperimentPlan {
    /// Checks every key.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first that cannot be used.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        within("stages.implementations", self.variants.len(), 1..=VARIANTS_MAX)?;
        let mut names = HashSet::new();
        for variant in &self.variants {
            let name = variant.name.as_str();
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.bytes().all(allowed) {
                let what =
                    format!("must have between 1 and {NAME_MAX_BYTES} letters, digits, dots, hyphens and underscores");
                return Err(InvalidSetting::new("stages.implementations.name", what));
            }
            if !names.insert(name) {
                return Err(InvalidSetting::new(
                    "stages.implementations.name",
                    format!("must be unique, and {name:?} occurs twice"),
                ));
            }
            within("stages.implementations.weight", variant.weight, 0..=10_000)?;
            within("stages.implementations.shadow", variant.shadow, 0.0..=100.0)?;
        }
        if self.variants.iter().all(|variant| variant.weight == 0) {
            return Err(InvalidSetting::new(
                "stages.implementations.weight",
                "must be more than 0 for at least one implementation",
            ));
        }
        within("stages.ignore-headers", self.ignore_headers.len(), 0..=HEADERS_MAX)?;
        if let Some(name) = self.ignore_headers.iter().find(|name| HeaderName::try_from(name.as_str()).is_err()) {
            return Err(InvalidSetting::new(
                "stages.ignore-headers",
                format!("must be header names, and {name:?} is not"),
            ));
        }
        self.better.check()?;
        self.sticky.check()
    }
}

impl VariantTable {
    /// Prepares a plan for the component with this id.
    ///
    /// # Errors
    /// [`InvalidSetting`] if the plan cannot be used.
    pub fn new(id: &str, plan: &ExperimentPlan) -> Result<Self, InvalidSetting> {
        plan.check()?;
        let weights = plan.variants.iter().map(|variant| u64::from(variant.weight));
        let ends = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        let all = (1u64 << 32) as f64;
        let shadows = plan.variants.iter().map(|variant| (variant.shadow / 100.0 * all) as u64);
        let assigner = Assigner::new(&format!("{id}\0stages"), &plan.sticky)?;
        Ok(Self { assigner, ends: ends.collect(), shadows: shadows.collect() })
    }

    /// Chooses for a request. Shadows are chosen by chance (`caller.random`), each for itself, whatever the stickiness.
    #[must_use]
    pub fn choose(&self, caller: &Caller<'_>) -> VariantChoice {
        let total = self.ends.last().copied().unwrap_or_default();
        let bucket = u64::from(self.assigner.bucket(caller));
        let point = bucket * total / u64::from(crate::rollout::BUCKETS);
        let responds = self.ends.partition_point(|end| *end <= point);
        let mut shadows = 0;
        let mut random = caller.random;
        for (position, threshold) in self.shadows.iter().enumerate() {
            // A multiplicative step of Lehmer's, on the odd number beside: the upper half is new for each.
            random = (random | 1).wrapping_mul(0xda94_2042_e4dd_58b5).rotate_left(29);
            if position != responds && random >> 32 < *threshold {
                shadows |= 1 << position;
            }
        }
        VariantChoice { responds, shadows }
    }
}
