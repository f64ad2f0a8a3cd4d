//! Compares the variants of an experiment. `mod.rs` has the rule.

use super::totals::VariantTotals;
use crate::setting::{InvalidSetting, within};
use crate::statistics::{Interval, mean, mean_difference, proportion, proportion_difference};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The rule by which a variant is better than the baseline: how much worse it may be in each measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BetterRule {
    /// The minimum number of executions of each variant: 10 to 10,000,000; 1,000 by default.
    pub requests: u64,
    /// The tolerated increase of latency, fuel and memory, as a fraction of the baseline's mean: 0 to 1; 0.05 by
    /// default.
    pub margin: f64,
    /// The tolerated increase of the error rate: 0 to 1; 0.005, one failure more per 200 executions, by default.
    pub error_margin: f64,
    /// The tolerated fraction of responses that differ from the baseline's: 0 to 1; 0.005 by default. Set 1 if the
    /// responses are meant to differ.
    pub differing: f64,
}

impl Default for BetterRule {
    fn default() -> Self {
        Self { requests: 1_000, margin: 0.05, error_margin: 0.005, differing: 0.005 }
    }
}

impl BetterRule {
    /// Checks every key.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first key that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        within("stages.better.requests", self.requests, 10..=10_000_000)?;
        within("stages.better.margin", self.margin, 0.0..=1.0)?;
        within("stages.better.error-margin", self.error_margin, 0.0..=1.0)?;
        within("stages.better.differing", self.differing, 0.0..=1.0)
    }
}

/// The verdict on a variant in comparison with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Significantly better in a measurement, and not worse in any.
    Better,
    /// Significantly worse in a measurement.
    Worse,
    /// Too few executions, or no significant difference.
    Unclear,
}

/// The measurements of a variant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct VariantMeasurements {
    /// The name of the variant.
    pub name: String,
    /// The number of executions.
    pub requests: u64,
    /// The number of failed executions.
    pub failures: u64,
    /// The mean latency in milliseconds; null with fewer than two executions.
    pub latency_ms: Option<Interval>,
    /// The mean fuel per execution in units of fuel; null with fewer than two executions.
    pub fuel: Option<Interval>,
    /// The mean of the peak linear memory per execution in bytes; null with fewer than two executions.
    pub memory_bytes: Option<Interval>,
    /// The fraction of executions that failed: 0 to 1; null without executions.
    pub error_rate: Option<Interval>,
    /// The fraction of the compared responses that differ from the baseline's: 0 to 1; null if none were compared.
    pub differing: Option<Interval>,
}

/// The differences between a variant and the baseline: the variant's values minus the baseline's.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The name of the variant.
    pub name: String,
    /// The difference of the mean latencies in milliseconds; null if it is unknown.
    pub latency_ms: Option<Interval>,
    /// The difference of the mean fuel per execution in units of fuel; null if it is unknown.
    pub fuel: Option<Interval>,
    /// The difference of the mean peak linear memory in bytes; null if it is unknown.
    pub memory_bytes: Option<Interval>,
    /// The difference of the error rates: -1 to 1; null if it is unknown.
    pub error_rate: Option<Interval>,
    /// The verdict on the variant.
    pub verdict: Verdict,
    /// The reason of the verdict, such as `worse in latency`.
    pub reason: String,
}

/// The comparison of the variants of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// The confidence level of all intervals: 0.95.
    pub confidence: f64,
    /// The measurements of each variant, the baseline first.
    #[serde(rename = "implementations")]
    pub variants: Vec<VariantMeasurements>,
    /// The differences between each other variant and the baseline.
    pub differences: Vec<Difference>,
    /// The name of the better variant, with the lowest mean latency if several are better; null if none is.
    pub better: Option<String>,
}

impl Comparison {
    /// Compares the others with the baseline. The rule must have been checked.
    #[must_use]
    pub fn new(baseline: (&str, &VariantTotals), others: &[(&str, &VariantTotals)], rule: &BetterRule) -> Self {
        let variants = std::iter::once(&baseline).chain(others).map(|(name, of)| own(name, of)).collect();
        let differences: Vec<_> = others.iter().map(|(name, of)| difference(name, of, baseline.1, rule)).collect();
        let better = others
            .iter()
            .zip(&differences)
            .filter(|(_, difference)| difference.verdict == Verdict::Better)
            .min_by(|((_, a), _), ((_, b), _)| a.latency_ms.mean().total_cmp(&b.latency_ms.mean()))
            .map(|((name, _), _)| (*name).to_owned());
        Self { confidence: 0.95, variants, differences, better }
    }
}

fn own(name: &str, of: &VariantTotals) -> VariantMeasurements {
    VariantMeasurements {
        name: name.to_owned(),
        requests: of.requests,
        failures: of.failures,
        latency_ms: mean(&of.latency_ms),
        fuel: mean(&of.fuel),
        memory_bytes: mean(&of.memory_bytes),
        error_rate: proportion(of.failures, of.requests),
        differing: proportion(of.differing, of.compared),
    }
}

fn difference(name: &str, of: &VariantTotals, base: &VariantTotals, rule: &BetterRule) -> Difference {
    let latency_ms = mean_difference(&of.latency_ms, &base.latency_ms);
    let fuel = mean_difference(&of.fuel, &base.fuel);
    let memory_bytes = mean_difference(&of.memory_bytes, &base.memory_bytes);
    let error_rate = proportion_difference((of.failures, of.requests), (base.failures, base.requests));
    // The name, the interval, the tolerated margin, and whether less of it makes a variant better.
    let criteria = [
        ("latency", latency_ms, base.latency_ms.mean() * rule.margin, true),
        ("fuel", fuel, base.fuel.mean() * rule.margin, true),
        ("memory", memory_bytes, base.memory_bytes.mean() * rule.margin, true),
        ("failures", error_rate, rule.error_margin, false),
        ("differing responses", proportion(of.differing, of.compared), rule.differing, false),
    ];
    let (verdict, reason) = decide(&criteria, of.requests.min(base.requests), rule);
    Difference { name: name.to_owned(), latency_ms, fuel, memory_bytes, error_rate, verdict, reason }
}

fn decide(criteria: &[(&str, Option<Interval>, f64, bool)], requests: u64, rule: &BetterRule) -> (Verdict, String) {
    if requests < rule.requests {
        return (Verdict::Unclear, format!("each needs {} requests, and one has {requests}", rule.requests));
    }
    let names = |holds: &dyn Fn(Interval, f64, bool) -> bool| {
        let held = criteria.iter().filter(|(_, interval, margin, gain)| {
            // Responses that were never compared do not count against a variant.
            interval.is_some_and(|interval| holds(interval, *margin, *gain))
        });
        held.map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
    };
    let worse = names(&|interval, margin, _| interval.low > margin);
    if !worse.is_empty() {
        return (Verdict::Worse, format!("worse in {worse}"));
    }
    let open = names(&|interval, margin, _| interval.high > margin);
    if !open.is_empty() {
        return (Verdict::Unclear, format!("may be worse in {open}"));
    }
    let better = names(&|interval, _, gain| gain && interval.high < 0.0);
    if better.is_empty() {
        return (Verdict::Unclear, "no difference that can be told from chance".to_owned());
    }
    (Verdict::Better, format!("better in {better}, and not worse in anything"))
}
