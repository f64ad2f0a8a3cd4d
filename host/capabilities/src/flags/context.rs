//! The context of one instance: the flags as its execution sees them, and for whom they are evaluated.

use super::grant::FlagsGrant;
use elias_delivery::flag::{
    CLAIM_VALUES_MAX, EvaluationContext, EvaluationError, FLAG_NAME_BYTES_MAX, Flag, FlagErrorCode, FlagSet,
    Resolution, TARGETING_KEY_BYTES_MAX, ValueType,
};
use elias_host::capability::{CallMeter, InstanceInfo};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Bytes of the context of an evaluation.
pub(super) const CONTEXT_BYTES_MAX: usize = 16 << 10;

/// Bytes of claims that are read; longer ones are none.
pub(super) const CLAIMS_BYTES_MAX: usize = 64 << 10;

/// The key of the context that names the subject, as in OpenFeature.
const TARGETING_KEY: &str = "targetingKey";

/// The state of one instance for flags.
pub struct FlagsContext {
    grant: Arc<FlagsGrant>,
    /// The flags of the whole execution.
    flags: Option<Arc<FlagSet>>,
    instance: InstanceInfo,
    calls: CallMeter,
    /// The claims of the caller, once they were read; none within if there are none.
    claims: Option<Option<Map<String, Value>>>,
}

impl FlagsContext {
    pub(super) fn new(grant: Arc<FlagsGrant>, instance: InstanceInfo, calls: CallMeter) -> Self {
        Self { flags: grant.flags.now(), grant, instance, calls, claims: None }
    }

    /// The size of the work of an evaluation of this flag.
    pub(super) fn work(&self, name: &str) -> u64 {
        let flag = self.flags.as_ref().and_then(|flags| flags.get(name));
        flag.map_or(0, |flag| flag.work(self.claims_text().map_or(0, str::len)) as u64)
    }

    /// Bytes of claims that the next evaluation reads first.
    pub(super) fn unread_claims(&self) -> u64 {
        if self.claims.is_some() { 0 } else { self.claims_text().map_or(0, |text| text.len() as u64) }
    }

    fn claims_text(&self) -> Option<&str> {
        self.instance.caller().claims.as_deref().filter(|text| text.len() <= CLAIMS_BYTES_MAX)
    }

    /// Evaluates a flag, and has the variant recorded with the execution.
    pub(super) fn evaluate(
        &mut self,
        name: &str,
        wanted: ValueType,
        context: &str,
    ) -> Result<Resolution, EvaluationError> {
        let mut call = self.calls.begin().named("evaluate");
        if self.claims.is_none() {
            self.claims = Some(self.claims_text().and_then(read_claims));
        }
        let evaluated = self.resolve(name, wanted, context);
        match &evaluated {
            Ok(resolution) => {
                call.text("feature_flag.key", name);
                if let Some((variant, _)) = &resolution.variant {
                    call.text("feature_flag.result.variant", variant);
                    self.instance.flag_evaluated(name, variant);
                }
            }
            Err(_) => call.fail(),
        }
        evaluated
    }

    fn resolve(&self, name: &str, wanted: ValueType, context: &str) -> Result<Resolution, EvaluationError> {
        let flag = self.flag(name)?;
        let attributes = read_context(context)?;
        let caller = self.instance.caller();
        let context = EvaluationContext {
            targeting_key: targeting_key(&attributes)?.or(caller.user_id.as_deref()),
            attributes: Some(&attributes),
            organization: caller.organization_id.as_deref(),
            claims: self.claims.as_ref().and_then(Option::as_ref),
        };
        flag.evaluate(wanted, &context)
    }

    fn flag(&self, name: &str) -> Result<&Flag, EvaluationError> {
        let Some(flags) = &self.flags else {
            let message = "the flags cannot be read yet: the platform's store is away";
            return Err(EvaluationError::new(FlagErrorCode::ProviderNotReady, message));
        };
        if !self.grant.allows(name) {
            return Err(not_found(name, "is not granted; add it to `names` of [capabilities.flags] in elias.toml"));
        }
        flags.get(name).ok_or_else(|| not_found(name, "does not exist"))
    }
}

fn not_found(name: &str, why: &str) -> EvaluationError {
    // A guest can ask for a name of any length.
    let shown: String = name.chars().take(FLAG_NAME_BYTES_MAX).collect();
    EvaluationError::new(FlagErrorCode::FlagNotFound, format!("the flag `{}` {why}", shown.escape_debug()))
}

/// The claims, as far as they are looked at.
fn read_claims(text: &str) -> Option<Map<String, Value>> {
    let mut claims: Map<String, Value> = serde_json::from_str(text).ok()?;
    for value in claims.values_mut() {
        if let Value::Array(values) = value {
            values.truncate(CLAIM_VALUES_MAX);
        }
    }
    Some(claims)
}

fn invalid_context(message: impl Into<String>) -> EvaluationError {
    EvaluationError::new(FlagErrorCode::InvalidContext, message)
}

fn read_context(text: &str) -> Result<Map<String, Value>, EvaluationError> {
    if text.len() > CONTEXT_BYTES_MAX {
        let message = format!("the context has {} bytes as JSON; it may have {CONTEXT_BYTES_MAX}", text.len());
        return Err(invalid_context(message));
    }
    serde_json::from_str(text).map_err(|error| invalid_context(format!("the context is not a JSON object: {error}")))
}

fn targeting_key(attributes: &Map<String, Value>) -> Result<Option<&str>, EvaluationError> {
    match attributes.get(TARGETING_KEY) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(key)) if key.len() <= TARGETING_KEY_BYTES_MAX => Ok(Some(key)),
        Some(Value::String(key)) => {
            let message = format!("targetingKey has {} bytes; it may have {TARGETING_KEY_BYTES_MAX}", key.len());
            Err(invalid_context(message))
        }
        Some(_) => Err(invalid_context("targetingKey must be a string")),
    }
}
