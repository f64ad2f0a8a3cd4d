//! The comparison of a canary with what it replaces. `mod.rs` explains it.

use super::plan::RolloutPlan;
use super::stats::{Snapshot, VersionMetrics};
use crate::statistics::sequential::{lower_bound, mean_radius, upper_bound};

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Judgement {
    Good,
    /// Beyond what is tolerated, or perhaps only chance.
    Unclear(String),
    Bad(String),
}

/// Requests below which nothing bad is said of a version.
pub(super) const REQUESTS_MIN: u64 = 20;

/// Canaries that are no worse than tolerated and rolled back all the same: the share of all, over all rounds.
const FALSE_ALARMS: f64 = 0.001;

/// Three comparisons, each of two bounds.
const BOUNDS: f64 = 6.0;

/// With which probability one bound may be wrong in a round; the first is round 1.
pub(super) fn alpha(round: u32) -> f64 {
    let round = f64::from(round.max(1)) * std::f64::consts::PI;
    FALSE_ALARMS / BOUNDS * 6.0 / (round * round)
}

/// The share of requests that failed.
pub(super) fn errors(canary: (u64, u64), base: Option<(u64, u64)>, plan: &RolloutPlan, alpha: f64) -> Judgement {
    let (requests, failures) = canary;
    if failures == 0 {
        return Judgement::Good;
    }
    let (base_requests, base_failures) = base.unwrap_or_default();
    let (base_share, base_most) = if base_requests == 0 {
        (0.0, 0.0)
    } else {
        (base_failures as f64 / base_requests as f64, upper_bound(base_failures, base_requests, alpha))
    };
    let seen = || {
        format!(
            "{failures} of {requests} requests failed, and of the version it replaces {base_failures} of \
            {base_requests}; {} more are tolerated",
            percent(plan.error_rate)
        )
    };
    let least = lower_bound(failures, requests, alpha);
    if requests >= REQUESTS_MIN && least > base_most + plan.error_rate {
        return Judgement::Bad(format!("{} (that is {} or more)", seen(), percent(least)));
    }
    if failures as f64 / requests as f64 > base_share + plan.error_rate {
        return Judgement::Unclear(format!("{}: may be chance", seen()));
    }
    Judgement::Good
}

/// Everything. The worst outcome counts.
pub(super) fn everything(
    canary: &Snapshot,
    base: Option<&VersionMetrics>,
    plan: &RolloutPlan,
    alpha: f64,
) -> Judgement {
    let figures = canary.figures();
    let counts = base.map(|base| (base.requests, base.failures));
    let mut unclear = None;
    let comparisons: [&dyn Fn() -> Judgement; 3] = [
        &|| errors((figures.requests, figures.failures), counts, plan, alpha),
        &|| base.map_or(Judgement::Good, |base| latency(canary, &figures, base, plan, alpha)),
        &|| base.map_or(Judgement::Good, |base| fuel(&figures, base, plan, alpha)),
    ];
    for compare in comparisons {
        match compare() {
            Judgement::Good => {}
            Judgement::Unclear(reason) => {
                unclear.get_or_insert(reason);
            }
            bad @ Judgement::Bad(_) => return bad,
        }
    }
    unclear.map_or(Judgement::Good, Judgement::Unclear)
}

/// How many requests were slower than the base's p99 times the ratio. Saying that the canary's p99 is more than that is
/// saying that they are more than one in a hundred; so the p99 is compared as a share, and an outlier weighs no more
/// than a request.
fn latency(
    canary: &Snapshot,
    figures: &VersionMetrics,
    base: &VersionMetrics,
    plan: &RolloutPlan,
    alpha: f64,
) -> Judgement {
    let (Some(p99), Some(base_p99)) = (figures.p99_us, base.p99_us) else {
        return Judgement::Good;
    };
    if figures.requests < REQUESTS_MIN || base.requests < REQUESTS_MIN {
        return Judgement::Good;
    }
    let tolerated = base_p99 as f64 * plan.p99_ratio;
    let slow = canary.latency_us().count_above(tolerated as u64);
    let requests = canary.latency_us().count();
    let seen = || {
        format!(
            "the p99 latency of {requests} requests is {}, and of {} of the version it replaces {}; {} times as much \
            is tolerated",
            milliseconds(p99),
            base.requests,
            milliseconds(base_p99),
            plan.p99_ratio
        )
    };
    let least = lower_bound(slow, requests, alpha);
    // The base's p99 is itself an estimate: more than one in a hundred of its requests may be slower.
    if least > upper_bound(base.requests.div_ceil(100), base.requests, alpha) {
        return Judgement::Bad(format!("{} ({} or more are slower than that)", seen(), percent(least)));
    }
    if p99 as f64 > tolerated { Judgement::Unclear(format!("{}: may be chance", seen())) } else { Judgement::Good }
}

/// The mean of fuel per request.
fn fuel(canary: &VersionMetrics, base: &VersionMetrics, plan: &RolloutPlan, alpha: f64) -> Judgement {
    if canary.requests < REQUESTS_MIN || base.requests < REQUESTS_MIN {
        return Judgement::Good;
    }
    let least = canary.fuel_mean - mean_radius(canary.fuel_deviation, canary.requests, alpha);
    let most = base.fuel_mean + mean_radius(base.fuel_deviation, base.requests, alpha);
    let seen = || {
        format!(
            "{} requests used {:.0} units of fuel each, and {} of the version it replaces {:.0}; {} times as much is \
            tolerated",
            canary.requests, canary.fuel_mean, base.requests, base.fuel_mean, plan.fuel_ratio
        )
    };
    if least > most * plan.fuel_ratio {
        return Judgement::Bad(format!("{} (that is {least:.0} or more)", seen()));
    }
    if canary.fuel_mean > base.fuel_mean * plan.fuel_ratio {
        return Judgement::Unclear(format!("{}: may be chance", seen()));
    }
    Judgement::Good
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn milliseconds(microseconds: u64) -> String {
    format!("{:.1} ms", microseconds as f64 / 1000.0)
}
