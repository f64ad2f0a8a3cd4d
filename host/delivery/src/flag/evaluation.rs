//! An evaluation: what is asked, and what comes of it, in the terms of OpenFeature.

use serde_json::{Map, Value};
use std::sync::Arc;

/// Bytes of a targeting key.
pub const TARGETING_KEY_BYTES_MAX: usize = 1_024;

/// Elements of a claim that are looked at, if it is an array. Who reads claims for evaluations leaves out the others.
pub const CLAIM_VALUES_MAX: usize = 256;

/// The type of a flag's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// A text.
    String,
    /// A number.
    Number,
    /// An object or an array.
    Object,
}

impl ValueType {
    /// The type of a value; none for null.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Boolean,
            Value::String(_) => Self::String,
            Value::Number(_) => Self::Number,
            Value::Array(_) | Value::Object(_) => Self::Object,
        })
    }

    /// Its name: `boolean`, `string`, `number` or `object`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Number => "number",
            Self::Object => "object",
        }
    }
}

/// For whom a flag is evaluated.
#[derive(Debug, Clone, Copy, Default)]
pub struct EvaluationContext<'a> {
    /// The subject of the evaluation, such as a user; at most [`TARGETING_KEY_BYTES_MAX`] bytes. An empty one is none.
    pub targeting_key: Option<&'a str>,
    /// What the component says beside it.
    pub attributes: Option<&'a Map<String, Value>>,
    /// The organization of the caller, who was authenticated.
    pub organization: Option<&'a str>,
    /// The claims of the caller's token. Arrays in them have at most [`CLAIM_VALUES_MAX`] elements.
    pub claims: Option<&'a Map<String, Value>>,
}

/// Why an evaluation has its value: the reasons of OpenFeature, without those of failures and caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The flag has no rules.
    Static,
    /// A rule has decided by its variant.
    TargetingMatch,
    /// A rule has decided by its split.
    Split,
    /// No rule has decided.
    Default,
    /// The flag is disabled.
    Disabled,
}

/// The outcome of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The name of the variant and its value as JSON; none for a flag that is disabled.
    pub variant: Option<(Arc<str>, Arc<str>)>,
    /// Why it is that one.
    pub reason: Reason,
    /// The flag's metadata as a JSON object; none if it has none.
    pub metadata: Option<Arc<str>>,
}

/// The error codes of OpenFeature that an evaluation can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagErrorCode {
    /// The flags have not been read yet.
    ProviderNotReady,
    /// The flag does not exist, or the component is not granted it.
    FlagNotFound,
    /// The flag's values have another type than the one asked for.
    TypeMismatch,
    /// A split has to decide, and there is no targeting key.
    TargetingKeyMissing,
    /// The context is not one.
    InvalidContext,
}

/// Why an evaluation has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvaluationError {
    /// The kind.
    pub code: FlagErrorCode,
    /// For people.
    pub message: String,
}

impl EvaluationError {
    /// An error with this code and message.
    #[must_use]
    pub fn new(code: FlagErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
