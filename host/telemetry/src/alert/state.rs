//! The state of an alert, from evaluation to evaluation.

use super::rule::{AlertRuleSettings, NoData};
use serde::{Deserialize, Serialize};

/// How long a resolved alert is shown, in milliseconds.
pub const RESOLVED_SHOWN_MS: i64 = 3_600_000;

/// The state of an alert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition is false.
    #[default]
    Inactive,
    /// The condition is true, and was not true for long enough yet.
    Pending,
    /// The alert fires.
    Firing,
    /// The condition is false again, and was not false for long enough yet: the alert still fires.
    Recovering,
    /// The alert fired within the last hour, and the condition is false.
    Resolved,
}

impl AlertState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Recovering => "recovering",
            Self::Resolved => "resolved",
        }
    }

    /// Whether receivers are told of it as firing.
    #[must_use]
    pub fn is_firing(self) -> bool {
        matches!(self, Self::Firing | Self::Recovering)
    }
}

/// An alert as it is followed. It is stored between evaluations, so that another host can go on with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertTracker {
    /// The state.
    pub state: AlertState,
    /// When the state began, in milliseconds since 1970.
    pub since: i64,
    /// When it began to fire, in milliseconds since 1970, if it fires or has fired.
    #[serde(default)]
    pub fired_at: Option<i64>,
    /// The last value of the metric, if it had one.
    #[serde(default)]
    pub value: Option<f64>,
}

impl AlertTracker {
    /// Takes a value of the metric at the time `now_ms` into account.
    pub fn step(&mut self, rule: &AlertRuleSettings, value: Option<f64>, now_ms: i64) {
        // NaN is no data: it would compare as false with every threshold. So is an infinity, which JSON cannot store.
        let value = value.filter(|value| value.is_finite());
        self.value = value;
        // A clock that was set back would otherwise delay what is due by as much.
        self.since = self.since.min(now_ms);
        let holds = match (value, rule.no_data) {
            (Some(value), _) => rule.holds(value),
            (None, NoData::Ok) => false,
            (None, NoData::Alert) => true,
            (None, NoData::Keep) => return,
        };
        let lasts = |seconds: u64| elapsed_ms(self.since, now_ms) >= seconds.saturating_mul(1_000);
        let next = match (self.state, holds) {
            (AlertState::Inactive | AlertState::Resolved, true) if rule.for_seconds == 0 => AlertState::Firing,
            (AlertState::Inactive | AlertState::Resolved, true) => AlertState::Pending,
            (AlertState::Pending, true) if lasts(rule.for_seconds) => AlertState::Firing,
            (AlertState::Pending, false) => AlertState::Inactive,
            (AlertState::Firing, false) if rule.keep_firing_for_seconds == 0 => AlertState::Resolved,
            (AlertState::Firing, false) => AlertState::Recovering,
            (AlertState::Recovering, true) => AlertState::Firing,
            (AlertState::Recovering, false) if lasts(rule.keep_firing_for_seconds) => AlertState::Resolved,
            (AlertState::Resolved, false) if elapsed_ms(self.since, now_ms) >= RESOLVED_SHOWN_MS.unsigned_abs() => {
                AlertState::Inactive
            }
            (state, _) => state,
        };
        self.enter(next, now_ms);
    }

    /// Ends an alert whose rule or service is gone.
    pub fn end(&mut self, now_ms: i64) {
        self.value = None;
        let next = if self.state.is_firing() { AlertState::Resolved } else { AlertState::Inactive };
        self.enter(next, now_ms);
    }

    fn enter(&mut self, next: AlertState, now_ms: i64) {
        if next == self.state {
            return;
        }
        // Back from recovering, it is still the same alert.
        if next == AlertState::Firing && self.state != AlertState::Recovering {
            self.fired_at = Some(now_ms);
        }
        if matches!(next, AlertState::Inactive | AlertState::Pending) {
            self.fired_at = None;
        }
        (self.state, self.since) = (next, now_ms);
    }
}

/// Milliseconds from `since` to `now`.
fn elapsed_ms(since_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(since_ms)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::metric::MetricName;
    use super::*;
    use proptest::prelude::*;

    const TICK_MS: i64 = 10_000;

    fn rule(for_seconds: u64, keep_firing_for_seconds: u64, no_data: NoData) -> AlertRuleSettings {
        let rule = AlertRuleSettings::new(MetricName::ErrorPercent);
        AlertRuleSettings { threshold: 5.0, for_seconds, keep_firing_for_seconds, no_data, ..rule }
    }

    /// The states after each value, ten seconds apart.
    fn states(rule: &AlertRuleSettings, values: &[Option<f64>]) -> Vec<AlertState> {
        let mut alert = AlertTracker::default();
        let step = |(at, value): (usize, &Option<f64>)| {
            alert.step(rule, *value, at as i64 * TICK_MS);
            alert.state
        };
        values.iter().enumerate().map(step).collect()
    }

    #[test]
    fn an_alert_goes_through_its_states() {
        use AlertState::{Firing, Inactive, Pending, Recovering, Resolved};
        let (high, low) = (Some(6.0), Some(5.0));
        let rule = rule(20, 20, NoData::Ok);
        let values = [low, high, high, high, low, high, low, low, low, low, high, low];
        let wanted = [
            Inactive, Pending, Pending, Firing, Recovering, Firing, Recovering, Recovering, Resolved, Resolved,
            Pending, Inactive,
        ];
        assert_eq!(states(&rule, &values), wanted);
    }

    #[test]
    fn without_times_it_fires_and_is_resolved_at_once() {
        let rule = rule(0, 0, NoData::Ok);
        assert_eq!(states(&rule, &[Some(6.0), Some(1.0)]), [AlertState::Firing, AlertState::Resolved]);
    }

    #[test]
    fn a_metric_without_a_value_does_what_the_rule_says() {
        let missing = [Some(6.0), None, Some(f64::NAN)];
        let of = |no_data| states(&rule(0, 0, no_data), &missing)[2];
        assert_eq!(of(NoData::Ok), AlertState::Resolved);
        assert_eq!(of(NoData::Alert), AlertState::Firing);
        assert_eq!(of(NoData::Keep), AlertState::Firing);
        assert_eq!(states(&rule(0, 0, NoData::Keep), &[None]), [AlertState::Inactive]);
        assert_eq!(states(&rule(0, 0, NoData::Alert), &[None]), [AlertState::Firing]);
    }

    #[test]
    fn a_resolved_alert_is_forgotten_and_one_that_comes_back_fires_anew() {
        let rule = rule(0, 0, NoData::Ok);
        let mut alert = AlertTracker::default();
        alert.step(&rule, Some(9.0), 1_000);
        alert.step(&rule, Some(0.0), 2_000);
        assert_eq!((alert.state, alert.fired_at), (AlertState::Resolved, Some(1_000)));
        let mut again = alert.clone();
        again.step(&rule, Some(9.0), 3_000);
        assert_eq!((again.state, again.fired_at), (AlertState::Firing, Some(3_000)));
        alert.step(&rule, Some(0.0), 2_000 + RESOLVED_SHOWN_MS);
        assert_eq!((alert.state, alert.fired_at), (AlertState::Inactive, None));
    }

    #[test]
    fn an_alert_whose_rule_is_gone_is_resolved() {
        let mut alert = AlertTracker::default();
        alert.step(&rule(0, 300, NoData::Ok), Some(9.0), 1_000);
        alert.end(2_000);
        assert_eq!(alert.state, AlertState::Resolved);
        let mut pending = AlertTracker::default();
        pending.step(&rule(60, 300, NoData::Ok), Some(9.0), 1_000);
        pending.end(2_000);
        assert_eq!(pending.state, AlertState::Inactive);
    }

    proptest! {
        /// It fires only after the condition was true at every evaluation for as long as the rule says, and is resolved
        /// only after it was false for as long.
        #[test]
        fn times_are_kept(
            holds in prop::collection::vec(any::<bool>(), 1..200),
            for_ticks in 0_u64..6,
            keep_ticks in 0_u64..6,
        ) {
            let rule = rule(for_ticks * 10, keep_ticks * 10, NoData::Ok);
            let values: Vec<_> = holds.iter().map(|holds| Some(if *holds { 9.0 } else { 1.0 })).collect();
            let states = states(&rule, &values);
            let mut before = AlertState::Inactive;
            for (at, state) in states.into_iter().enumerate() {
                let last = |ticks: u64, wanted: bool| {
                    let ticks = usize::try_from(ticks).expect("few");
                    at >= ticks && holds[at - ticks..=at].iter().all(|holds| *holds == wanted)
                };
                if state.is_firing() && !before.is_firing() {
                    prop_assert!(last(for_ticks, true), "at {at}");
                }
                if !state.is_firing() && before.is_firing() {
                    prop_assert!(last(keep_ticks, false), "at {at}");
                }
                // And not later than that.
                prop_assert!(state.is_firing() || !last(for_ticks, true), "at {at}");
                before = state;
            }
        }
    }
}
