//! The definition of a flag, as it is written, and its limits.

use super::evaluation::ValueType;
use crate::rollout::Audience;
use crate::setting::{InvalidSetting, within};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Bytes of a definition as JSON.
pub const DEFINITION_BYTES_MAX: usize = 16 << 10;
/// Bytes of the name of a flag, and of that of a variant.
pub const FLAG_NAME_BYTES_MAX: usize = 128;
/// Variants of a flag.
pub const VARIANTS_MAX: usize = 20;
/// Rules of a flag.
pub const RULES_MAX: usize = 50;

/// Bytes of a description.
const DESCRIPTION_BYTES_MAX: usize = 1_024;

/// The definition of a feature flag. `state`, `variants`, `defaultVariant` and `metadata` are those of a flagd flag
/// definition. At most 16 KiB as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlagDefinition {
    /// Whether the flag is evaluated; `ENABLED` by default.
    #[serde(default)]
    pub state: FlagState,
    /// The value of each variant by its name, 1 to 20. All are booleans, all strings, all numbers, or all objects and
    /// arrays.
    #[schema(value_type = Object)]
    pub variants: BTreeMap<String, Value>,
    /// The name of the variant where no rule decides.
    pub default_variant: String,
    /// The targeting rules, at most 50. The first that includes an evaluation decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<TargetingRule>,
    /// What the details of each evaluation have as `flagMetadata`: strings, numbers and booleans.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What the flag is for, for people; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Whether a flag is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum FlagState {
    /// The rules decide.
    #[default]
    Enabled,
    /// Every evaluation gives the value that the code itself names.
    Disabled,
}

/// A targeting rule of a flag. It includes an evaluation if all its conditions hold, and then decides by `variant` or
/// `split`. A rule without conditions includes all evaluations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TargetingRule {
    /// Targeting keys, one of which the evaluation must have; empty for any. The targeting key is the id of the
    /// authenticated user unless the component names another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// The id of the organization that the caller must belong to; absent for any. Cannot be combined with `claim`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The name of a claim that the caller's token must have. Requires `value`; cannot be combined with `organization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// The value that the claim must have, as text. If the claim is an array, one of its first 256 elements must have
    /// this value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The name of an attribute of the evaluation context, which must have one of `values`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// The values of the attribute: strings, numbers and booleans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// The variant for all whom the rule includes. Cannot be combined with `split`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The variants that percentages of the targeting keys get. Keys in no share go on to the next rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<SplitShare>,
}

/// A share of the targeting keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SplitShare {
    /// The name of the variant.
    pub variant: String,
    /// The percentage of the keys: 0 to 100, in steps of 0.01. The shares of a rule have at most 100 together.
    pub percent: f64,
}

/// Checks the name of a flag: 1 to 128 letters of ASCII, digits, dots, hyphens and underscores.
///
/// # Errors
/// [`InvalidSetting`].
pub fn check_flag_name(name: &str) -> Result<(), InvalidSetting> {
    check_name("flag", name)
}

fn check_name(key: &'static str, name: &str) -> Result<(), InvalidSetting> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if !name.is_empty() && name.len() <= FLAG_NAME_BYTES_MAX && name.bytes().all(good) {
        return Ok(());
    }
    let what = format!("must have 1 to {FLAG_NAME_BYTES_MAX} letters, digits, dots, hyphens and underscores");
    Err(InvalidSetting::new(key, what))
}

impl FlagDefinition {
    /// Checks the definition; gives the type of its values.
    ///
    /// # Errors
    /// [`InvalidSetting`] with the key of the first that cannot be used.
    pub fn check(&self) -> Result<ValueType, InvalidSetting> {
        within("variants", self.variants.len(), 1..=VARIANTS_MAX)?;
        within("rules", self.rules.len(), 0..=RULES_MAX)?;
        within("description", self.description.len(), 0..=DESCRIPTION_BYTES_MAX)?;
        let bytes = self.json().len();
        if bytes > DEFINITION_BYTES_MAX {
            let what = format!("has {bytes} bytes as JSON; it must have at most {DEFINITION_BYTES_MAX}");
            return Err(InvalidSetting::new("definition", what));
        }
        let mut types = self.variants.values().map(ValueType::of);
        let first = types.next().flatten();
        let Some(value_type) = first.filter(|_| types.all(|other| other == first)) else {
            let what = "must all be booleans, all strings, all numbers, or all objects and arrays";
            return Err(InvalidSetting::new("variants", what));
        };
        self.variants.keys().try_for_each(|name| check_name("variants", name))?;
        self.check_variant("defaultVariant", &self.default_variant)?;
        if !self.metadata.values().all(is_scalar) {
            return Err(InvalidSetting::new("metadata", "must have strings, numbers and booleans only"));
        }
        self.rules.iter().try_for_each(|rule| self.check_rule(rule))?;
        Ok(value_type)
    }

    /// The definition as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // Maps have strings as keys, and no number is NaN: `serde_json` has none.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn check_variant(&self, key: &'static str, name: &str) -> Result<(), InvalidSetting> {
        if self.variants.contains_key(name) {
            return Ok(());
        }
        Err(InvalidSetting::new(key, format!("is `{}`, which is not one of the variants", name.escape_debug())))
    }

    fn check_rule(&self, rule: &TargetingRule) -> Result<(), InvalidSetting> {
        rule.audience().check(["rules.organization", "rules.claim", "rules.value"])?;
        if rule.users.iter().any(String::is_empty) {
            return Err(InvalidSetting::new("rules.users", "must not have an empty targeting key"));
        }
        if rule.attribute.is_some() == rule.values.is_empty() {
            return Err(InvalidSetting::new("rules.attribute", "and values belong together"));
        }
        if !rule.values.iter().all(is_scalar) {
            return Err(InvalidSetting::new("rules.values", "must have strings, numbers and booleans only"));
        }
        match (&rule.variant, &*rule.split) {
            (Some(variant), []) => self.check_variant("rules.variant", variant),
            (None, [_, ..]) => self.check_split(&rule.split),
            _ => Err(InvalidSetting::new("rules.variant", "or split is needed, and not both")),
        }
    }

    fn check_split(&self, split: &[SplitShare]) -> Result<(), InvalidSetting> {
        for share in split {
            self.check_variant("rules.split.variant", &share.variant)?;
            within("rules.split.percent", share.percent, 0.0..=100.0)?;
        }
        // Thrice 33.33 and once 0.01 may come out as a hair more than 100.
        let total = split.iter().map(|share| share.percent).sum::<f64>();
        if total > 100.0 + 1e-9 {
            return Err(InvalidSetting::new("rules.split", format!("has {total} % in all; it must have at most 100")));
        }
        Ok(())
    }
}

impl TargetingRule {
    pub(super) fn audience(&self) -> Audience<'_> {
        let Self { organization, claim, value, .. } = self;
        Audience { organization: organization.as_deref(), claim: claim.as_deref(), value: value.as_deref() }
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}
