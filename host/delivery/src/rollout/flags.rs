//! Targeting rules: callers who get a version of their own, before any rollout.

use super::assign::{Assigner, Caller, Sticky, buckets_of};
use super::audience::Audience;
use crate::setting::{InvalidSetting, within};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A targeting rule: assigns a version to the callers of an organization, to callers whose token has a certain claim,
/// or to a percentage of all callers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlagRule {
    /// The number of the version that matching callers get.
    pub version: u64,
    /// The id of the organization that the caller must belong to; absent for any. Cannot be combined with `claim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The name of a claim that the caller's token must have. Requires `value`; cannot be combined with `organization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The value that the claim must have, as text. If the claim is an array, one of its elements must have this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The percentage of the matching callers that get the version: 0 to 100; 100 if absent.
    #[serde(default = "all")]
    pub percent: f64,
    /// The attribute of a request that decides whether it is among the `percent`.
    #[serde(default)]
    pub sticky: Sticky,
}

fn all() -> f64 {
    100.0
}

/// Flag rules, ready to be applied. The first that fits decides.
#[derive(Debug, Clone, Default)]
pub struct FlagTable {
    rules: Vec<PreparedRule>,
}

#[derive(Debug, Clone)]
struct PreparedRule {
    rule: FlagRule,
    assigner: Assigner,
    buckets: u32,
}

const RULES_MAX: usize = 100;

impl FlagRule {
    fn audience(&self) -> Audience<'_> {
        let Self { organization, claim, value, .. } = self;
        Audience { organization: organization.as_deref(), claim: claim.as_deref(), value: value.as_deref() }
    }
}

impl FlagTable {
    /// Checks the rules of a service, at most 100. `id` is the service's: with the version it decides who is among the
    /// percentage.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first that cannot be used.
    pub fn new(id: &str, rules: Vec<FlagRule>) -> Result<Self, InvalidSetting> {
        within("flags", rules.len(), 0..=RULES_MAX)?;
        let rules = rules.into_iter().map(|rule| prepare(id, rule)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// The version that a flag gives to a caller. `organization` and `claims` are those of the caller, who was
    /// authenticated.
    #[must_use]
    pub fn choose(
        &self,
        organization: Option<&str>,
        claims: Option<&Map<String, Value>>,
        caller: &Caller<'_>,
    ) -> Option<u64> {
        self.rules
            .iter()
            .find(|prepared| {
                let fits = prepared.rule.audience().includes(organization, claims);
                fits && prepared.assigner.bucket(caller) < prepared.buckets
            })
            .map(|prepared| prepared.rule.version)
    }
}

fn prepare(id: &str, rule: FlagRule) -> Result<PreparedRule, InvalidSetting> {
    within("flags.percent", rule.percent, 0.0..=100.0)?;
    rule.audience().check(["flags.organization", "flags.claim", "flags.value"])?;
    let assigner = Assigner::new(&format!("{id}\0flag\0{}", rule.version), &rule.sticky)?;
    let buckets = buckets_of(rule.percent);
    Ok(PreparedRule { rule, assigner, buckets })
}
