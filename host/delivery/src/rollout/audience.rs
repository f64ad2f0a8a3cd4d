//! The callers that a targeting rule is about: those of an organization, or those whose token has a certain claim.

use crate::setting::{InvalidSetting, within};
use serde_json::{Map, Value};

const TEXT_MAX_BYTES: usize = 1024;

/// The condition of a targeting rule on the caller, as it is written; without any part it includes everybody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience<'a> {
    pub(crate) organization: Option<&'a str>,
    pub(crate) claim: Option<&'a str>,
    pub(crate) value: Option<&'a str>,
}

impl Audience<'_> {
    /// Checks that the parts fit together, and their lengths. The keys are those of the organization, the claim and
    /// the value.
    ///
    /// # Errors
    /// [`InvalidSetting`] with the key of the first that cannot be used.
    pub(crate) fn check(&self, keys: [&'static str; 3]) -> Result<(), InvalidSetting> {
        for (key, text) in keys.into_iter().zip([self.organization, self.claim, self.value]) {
            within(key, text.map_or(1, str::len), 1..=TEXT_MAX_BYTES)
                .map_err(|_| InvalidSetting::new(key, format!("must have between 1 and {TEXT_MAX_BYTES} bytes")))?;
        }
        let [_, claim, _] = keys;
        if self.organization.is_some() && self.claim.is_some() {
            return Err(InvalidSetting::new(claim, "cannot be together with organization; write two rules"));
        }
        if self.claim.is_some() != self.value.is_some() {
            return Err(InvalidSetting::new(claim, "and value belong together"));
        }
        Ok(())
    }

    /// Whether a caller is one of them. `organization` and `claims` are those of the caller, who was authenticated.
    pub(crate) fn includes(&self, organization: Option<&str>, claims: Option<&Map<String, Value>>) -> bool {
        match (self.organization, self.claim, self.value) {
            (Some(expected), _, _) => organization == Some(expected),
            (None, Some(claim), Some(expected)) => {
                claims.and_then(|claims| claims.get(claim)).is_some_and(|value| match value {
                    Value::Array(values) => values.iter().any(|value| is(value, expected)),
                    value => is(value, expected),
                })
            }
            (None, None, None) => true,
            (None, _, _) => false,
        }
    }
}

fn is(value: &Value, expected: &str) -> bool {
    match value {
        Value::String(text) => text == expected,
        Value::Bool(flag) => expected == if *flag { "true" } else { "false" },
        Value::Number(number) => number.to_string() == expected,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
