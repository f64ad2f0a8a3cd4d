//! `elias/flags`: the flags capability.

use super::convert::UsvString;
use super::require;
use crate::bindings::elias::feature_flags::evaluation::{self, ErrorCode, Reason, ValueType};
use crate::phase::Import;
use javy::quickjs::{Ctx, Exception, Function, Object, Result};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("flagsEvaluate", Function::new(native.ctx().clone(), evaluate)?)
}

/// Evaluates a flag of which values of the type `wanted` are asked for; `context` is a JSON text. Gives an object with
/// the `variant`, the `value` and the `metadata`, the last two as JSON texts, and the `reason`; or with the `errorCode`
/// and the `errorMessage`. Reasons and codes have the names of OpenFeature.
fn evaluate<'js>(
    ctx: Ctx<'js>,
    UsvString(flag): UsvString,
    wanted: String,
    UsvString(context): UsvString,
) -> Result<Object<'js>> {
    require(&ctx, Import::Flags, "a feature flag")?;
    let wanted = match wanted.as_str() {
        "boolean" => ValueType::Boolean,
        "string" => ValueType::Text,
        "number" => ValueType::Number,
        "object" => ValueType::Object,
        _ => return Err(Exception::throw_type(&ctx, "a flag has no values of this type")),
    };
    let details = Object::new(ctx)?;
    match evaluation::evaluate(&flag, wanted, &context) {
        Ok(resolution) => {
            details.set("variant", resolution.variant_name)?;
            details.set("value", resolution.value)?;
            details.set("metadata", resolution.metadata)?;
            details.set("reason", reason_name(resolution.reason))?;
        }
        Err(error) => {
            details.set("errorCode", code_name(error.code))?;
            details.set("errorMessage", error.message)?;
        }
    }
    Ok(details)
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::NoRules => "STATIC",
        Reason::TargetingMatch => "TARGETING_MATCH",
        Reason::Split => "SPLIT",
        Reason::DefaultVariant => "DEFAULT",
        Reason::Disabled => "DISABLED",
    }
}

fn code_name(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::ProviderNotReady => "PROVIDER_NOT_READY",
        ErrorCode::FlagNotFound => "FLAG_NOT_FOUND",
        ErrorCode::TypeMismatch => "TYPE_MISMATCH",
        ErrorCode::TargetingKeyMissing => "TARGETING_KEY_MISSING",
        ErrorCode::InvalidContext => "INVALID_CONTEXT",
    }
}
