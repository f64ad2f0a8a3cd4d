//! Silences: alerts that receivers are not told of, for a time.

use super::rule::AlertSeverity;
use elias_names::{AlertRuleName, ComponentName, Environment, ServiceId};
use serde::{Deserialize, Serialize};

/// The longest silence, in seconds: 90 days.
pub const SILENCE_MAX_SECONDS: u64 = 90 * 86_400;
/// Bytes of the reason of a silence.
const REASON_BYTES_MAX: usize = 500;

/// The alerts that a silence is about: those that match all members that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertMatcher {
    /// The name of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<AlertRuleName>,
    /// The component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// The severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<AlertSeverity>,
}

impl AlertMatcher {
    /// Whether it names an alert. One that names neither component nor environment matches alerts of the tenant too.
    #[must_use]
    pub fn matches(&self, rule: &AlertRuleName, severity: AlertSeverity, service: Option<&ServiceId>) -> bool {
        let component = |wanted: &ComponentName| service.is_some_and(|service| service.component == *wanted);
        let environment = |wanted: Environment| service.is_some_and(|service| service.environment == wanted);
        self.rule.as_ref().is_none_or(|wanted| wanted == rule)
            && self.severity.is_none_or(|wanted| wanted == severity)
            && self.component.as_ref().is_none_or(component)
            && self.environment.is_none_or(environment)
    }

    /// Whether it names nothing: it would match every alert.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The settings of a silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceSettings {
    /// The alerts; at least one member must be given.
    pub matcher: AlertMatcher,
    /// How long the silence lasts, in seconds: 1 to 7,776,000 (90 days).
    #[schema(minimum = 1, maximum = 7776000)]
    pub seconds: u64,
    /// Why, in 1 to 500 bytes.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

/// Invalid settings of a silence: the member, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSilence(&'static str);

impl SilenceSettings {
    /// Checks the settings.
    ///
    /// # Errors
    /// The member that is wrong, and what it must be.
    pub fn check(&self) -> Result<(), InvalidSilence> {
        if self.matcher.is_empty() {
            return Err(InvalidSilence("`matcher` must name a rule, a component, an environment or a severity"));
        }
        if !(1..=SILENCE_MAX_SECONDS).contains(&self.seconds) {
            return Err(InvalidSilence("`seconds` must be between 1 and 7776000, which are 90 days"));
        }
        if self.reason.trim().is_empty() || self.reason.len() > REASON_BYTES_MAX {
            return Err(InvalidSilence("`reason` must say why, in at most 500 bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AlertRuleName {
        text.parse().expect("a name")
    }

    #[test]
    fn a_matcher_matches_by_all_that_it_names() {
        let service = ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Staging,
        };
        let errors = name("errors");
        let matches = |matcher: &AlertMatcher, service| matcher.matches(&errors, AlertSeverity::Warning, service);
        let shop = AlertMatcher { component: Some(service.component.clone()), ..AlertMatcher::default() };
        assert!(matches(&shop, Some(&service)) && !matches(&shop, None));
        let production = AlertMatcher { environment: Some(Environment::Production), ..shop.clone() };
        assert!(!matches(&production, Some(&service)));
        let rule = AlertMatcher { rule: Some(errors.clone()), ..AlertMatcher::default() };
        assert!(matches(&rule, Some(&service)) && matches(&rule, None));
        assert!(!AlertMatcher { rule: Some(name("other")), ..shop }.matches(
            &errors,
            AlertSeverity::Info,
            Some(&service)
        ));
        let critical = AlertMatcher { severity: Some(AlertSeverity::Critical), ..AlertMatcher::default() };
        assert!(!matches(&critical, None));
    }

    #[test]
    fn a_silence_says_what_for_how_long_and_why() {
        let matcher = AlertMatcher { rule: Some(name("errors")), ..AlertMatcher::default() };
        let good = SilenceSettings { matcher, seconds: 60, reason: "a migration".to_owned() };
        assert_eq!(good.check(), Ok(()));
        for (wrong, member) in [
            (SilenceSettings { matcher: AlertMatcher::default(), ..good.clone() }, "matcher"),
            (SilenceSettings { seconds: 0, ..good.clone() }, "seconds"),
            (SilenceSettings { seconds: SILENCE_MAX_SECONDS + 1, ..good.clone() }, "seconds"),
            (SilenceSettings { reason: " ".to_owned(), ..good.clone() }, "reason"),
            (SilenceSettings { reason: "x".repeat(501), ..good.clone() }, "reason"),
        ] {
            assert!(wrong.check().expect_err(member).to_string().contains(member));
        }
    }
}
