//! Implementations held against each other. `mod.rs` has the rule.

use super::observed::Observed;
use crate::setting::{InvalidSetting, within};
use crate::statistics::{Interval, mean, mean_difference, proportion, proportion_difference};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// By how much another implementation may be worse in one thing and still be better as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BetterRule {
    /// Executions that each must have. From 10 to 10,000,000.
    pub requests: u64,
    /// Of latency, fuel and memory: a share of the baseline's mean. From 0 to 1.
    pub margin: f64,
    /// Of the share of failures: 0.01 is one in a hundred more. From 0 to 1.
    pub error_margin: f64,
    /// The share of answers that may differ from the baseline's; 1 where they are meant to. From 0 to 1.
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

/// What is to be said of an implementation against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Better in something, and certainly not worse in anything.
    Better,
    /// Certainly worse in something.
    Worse,
    /// Not enough to tell, or no difference that matters.
    Unclear,
}

/// An implementation's own figures.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ImplementationFigures {
    /// Its name.
    pub name: String,
    /// Executions.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Mean latency in milliseconds; like the next two none with fewer than two executions.
    pub latency_ms: Option<Interval>,
    /// Mean fuel, in units.
    pub fuel: Option<Interval>,
    /// Mean of the most linear memory, in bytes.
    pub memory_bytes: Option<Interval>,
    /// Share of executions that failed.
    pub error_rate: Option<Interval>,
    /// Share of answers that differ from the baseline's, among those that were compared.
    pub differing: Option<Interval>,
}

/// An implementation less the baseline.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Difference {
    /// The name of the implementation.
    pub name: String,
    /// Milliseconds.
    pub latency_ms: Option<Interval>,
    /// Units.
    pub fuel: Option<Interval>,
    /// Bytes.
    pub memory_bytes: Option<Interval>,
    /// Share of executions that failed.
    pub error_rate: Option<Interval>,
    /// What follows.
    pub verdict: Verdict,
    /// Why, as a sentence.
    pub reason: String,
}

/// All implementations of a component.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Comparison {
    /// The confidence of every interval: 0.95.
    pub confidence: f64,
    /// Their own figures, the baseline's first.
    pub implementations: Vec<ImplementationFigures>,
    /// Each other less the baseline.
    pub differences: Vec<Difference>,
    /// The one that is better by the rule; of several, the one with the lowest mean latency.
    pub better: Option<String>,
}

impl Comparison {
    /// Holds the others against the baseline. The rule is a checked one.
    #[must_use]
    pub fn new(baseline: (&str, &Observed), others: &[(&str, &Observed)], rule: &BetterRule) -> Self {
        let implementations = std::iter::once(&baseline).chain(others).map(|(name, of)| own(name, of)).collect();
        let differences: Vec<_> = others.iter().map(|(name, of)| difference(name, of, baseline.1, rule)).collect();
        let better = others
            .iter()
            .zip(&differences)
            .filter(|(_, difference)| difference.verdict == Verdict::Better)
            .min_by(|((_, a), _), ((_, b), _)| a.latency_ms.mean().total_cmp(&b.latency_ms.mean()))
            .map(|((name, _), _)| (*name).to_owned());
        Self { confidence: 0.95, implementations, differences, better }
    }
}

fn own(name: &str, of: &Observed) -> ImplementationFigures {
    ImplementationFigures {
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

fn difference(name: &str, of: &Observed, base: &Observed, rule: &BetterRule) -> Difference {
    let latency_ms = mean_difference(&of.latency_ms, &base.latency_ms);
    let fuel = mean_difference(&of.fuel, &base.fuel);
    let memory_bytes = mean_difference(&of.memory_bytes, &base.memory_bytes);
    let error_rate = proportion_difference((of.failures, of.requests), (base.failures, base.requests));
    // What, its interval, how much worse is put up with, and whether less of it makes an implementation better.
    let criteria = [
        ("latency", latency_ms, base.latency_ms.mean() * rule.margin, true),
        ("fuel", fuel, base.fuel.mean() * rule.margin, true),
        ("memory", memory_bytes, base.memory_bytes.mean() * rule.margin, true),
        ("failures", error_rate, rule.error_margin, false),
        ("differing answers", proportion(of.differing, of.compared), rule.differing, false),
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
            // Answers that were never compared do not count against anyone.
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
