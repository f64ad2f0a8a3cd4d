//! Flags that are ready to be evaluated.

use super::definition::{
    DEFINITION_BYTES_MAX, FlagDefinition, FlagState, RULES_MAX, SplitShare, TargetingRule, check_flag_name,
};
use super::evaluation::{
    CLAIM_VALUES_MAX, EvaluationContext, EvaluationError, FlagErrorCode, Reason, Resolution, ValueType,
};
use crate::rollout::{Assigner, Sticky, buckets_of};
use crate::setting::InvalidSetting;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Flags of a set: of one tenant in one environment.
pub const FLAGS_MAX: usize = 500;

/// The work of a value of a claim that is compared: a number is written as text before. In bytes that are compared.
const CLAIM_VALUE_WORK: usize = 50;

/// The most that [`Flag::work`] can be.
pub const WORK_MAX: usize = DEFINITION_BYTES_MAX + RULES_MAX * CLAIM_VALUES_MAX * CLAIM_VALUE_WORK;

/// Flags by name. A set that has changed is a new one: evaluations under way go on with theirs.
#[derive(Debug, Default)]
pub struct FlagSet {
    flags: BTreeMap<String, Flag>,
}

/// A flag, ready to be evaluated.
#[derive(Debug)]
pub struct Flag {
    definition: FlagDefinition,
    value_type: ValueType,
    default: VariantTexts,
    /// In the order of the definition's rules.
    rules: Vec<PreparedRule>,
    metadata: Option<Arc<str>>,
    assigner: Assigner,
    /// Bytes of the definition.
    bytes: usize,
    /// Rules about a claim.
    claim_rules: usize,
}

#[derive(Debug)]
struct PreparedRule {
    users: BTreeSet<String>,
    decision: Decision,
}

#[derive(Debug)]
enum Decision {
    Variant(VariantTexts),
    /// The end of each share in buckets, and its variant.
    Split(Vec<(u32, VariantTexts)>),
}

/// The name of a variant, and its value as JSON.
type VariantTexts = (Arc<str>, Arc<str>);

impl FlagSet {
    /// Adds a flag, or puts it in the place of the one with its name. `scope` is that of the set, such as its tenant:
    /// with the name it decides who is in which share.
    ///
    /// # Errors
    /// [`InvalidSetting`] for a definition that cannot be used.
    pub fn insert(&mut self, scope: &str, name: &str, definition: FlagDefinition) -> Result<(), InvalidSetting> {
        let flag = Flag::new(scope, name, definition)?;
        self.flags.insert(name.to_owned(), flag);
        Ok(())
    }

    /// The flag of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Flag> {
        self.flags.get(name)
    }

    /// The definitions by name, sorted.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &FlagDefinition)> {
        self.flags.iter().map(|(name, flag)| (name.as_str(), &flag.definition))
    }

    /// How many flags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }
}

impl Flag {
    fn new(scope: &str, name: &str, definition: FlagDefinition) -> Result<Self, InvalidSetting> {
        check_flag_name(name)?;
        let value_type = definition.check()?;
        let texts = |(name, value): (&String, &Value)| -> (String, VariantTexts) {
            (name.clone(), (Arc::from(name.as_str()), Arc::from(value.to_string())))
        };
        let variants: BTreeMap<String, VariantTexts> = definition.variants.iter().map(texts).collect();
        // Checked: every variant that is named is there.
        let variant = |name: &str| {
            let missing = || InvalidSetting::new("variants", "must have all variants that are named");
            variants.get(name).cloned().ok_or_else(missing)
        };
        let prepare = |rule: &TargetingRule| -> Result<PreparedRule, InvalidSetting> {
            let decision = match &rule.variant {
                Some(name) => Decision::Variant(variant(name)?),
                None => {
                    let mut total = 0.0;
                    let end = |share: &SplitShare| -> Result<_, InvalidSetting> {
                        total += share.percent;
                        Ok((buckets_of(total), variant(&share.variant)?))
                    };
                    Decision::Split(rule.split.iter().map(end).collect::<Result<_, _>>()?)
                }
            };
            Ok(PreparedRule { users: rule.users.iter().cloned().collect(), decision })
        };
        let rules = definition.rules.iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        let metadata = (!definition.metadata.is_empty()).then(|| Value::Object(definition.metadata.clone()));
        Ok(Self {
            value_type,
            default: variant(&definition.default_variant)?,
            metadata: metadata.map(|metadata| Arc::from(metadata.to_string())),
            assigner: Assigner::new(&format!("{scope}\0feature\0{name}"), &Sticky::None)?,
            bytes: definition.json().len(),
            claim_rules: definition.rules.iter().filter(|rule| rule.claim.is_some()).count(),
            rules,
            definition,
        })
    }

    /// The size of the work of an evaluation whose caller has claims of so many bytes, in bytes that are compared; at
    /// most [`WORK_MAX`].
    #[must_use]
    pub fn work(&self, claims_bytes: usize) -> usize {
        // An element of an array takes two bytes or more.
        let values = (claims_bytes / 2).min(CLAIM_VALUES_MAX);
        self.bytes + self.claim_rules * values * CLAIM_VALUE_WORK
    }

    /// The value for a context, where values of the type `wanted` are asked for.
    ///
    /// # Errors
    /// [`FlagErrorCode::TypeMismatch`]; [`FlagErrorCode::TargetingKeyMissing`] where a split includes an evaluation
    /// that has no targeting key.
    pub fn evaluate(&self, wanted: ValueType, context: &EvaluationContext<'_>) -> Result<Resolution, EvaluationError> {
        let resolved = |variant, reason| Ok(Resolution { variant, reason, metadata: self.metadata.clone() });
        if self.definition.state == FlagState::Disabled {
            return resolved(None, Reason::Disabled);
        }
        if self.value_type != wanted {
            let (is, wanted) = (self.value_type.as_str(), wanted.as_str());
            let message = format!("the values of the flag have the type {is}, not {wanted}");
            return Err(EvaluationError::new(FlagErrorCode::TypeMismatch, message));
        }
        let key = context.targeting_key.filter(|key| !key.is_empty());
        let rules = self.definition.rules.iter().zip(&self.rules);
        for (_, prepared) in rules.filter(|(rule, prepared)| prepared.includes(rule, key, context)) {
            match &prepared.decision {
                Decision::Variant(variant) => return resolved(Some(variant.clone()), Reason::TargetingMatch),
                Decision::Split(shares) => {
                    let Some(key) = key else {
                        let message = "the flag's split needs a targeting key: pass `targetingKey` in the context";
                        return Err(EvaluationError::new(FlagErrorCode::TargetingKeyMissing, message));
                    };
                    let bucket = self.assigner.key_bucket(key);
                    if let Some((_, variant)) = shares.iter().find(|(end, _)| bucket < *end) {
                        return resolved(Some(variant.clone()), Reason::Split);
                    }
                }
            }
        }
        let reason = if self.rules.is_empty() { Reason::Static } else { Reason::Default };
        resolved(Some(self.default.clone()), reason)
    }
}

impl PreparedRule {
    fn includes(&self, rule: &TargetingRule, key: Option<&str>, context: &EvaluationContext<'_>) -> bool {
        let EvaluationContext { attributes, organization, claims, .. } = *context;
        (self.users.is_empty() || key.is_some_and(|key| self.users.contains(key)))
            && rule.audience().includes(organization, claims)
            && rule.attribute.as_ref().is_none_or(|name| {
                let value = attributes.and_then(|attributes| attributes.get(name));
                value.is_some_and(|value| rule.values.iter().any(|expected| is_same(value, expected)))
            })
    }
}

/// Whether two values are equal; 1 and 1.0 are.
fn is_same(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Number(value), Value::Number(expected)) => value.as_f64() == expected.as_f64(),
        _ => value == expected,
    }
}
