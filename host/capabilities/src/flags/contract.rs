//! The types of `elias:feature-flags/evaluation`.
//!
//! They are written by hand, so that variants and values are copied once on their way to a component: into its memory.
//! `tests/contract.rs` compares them with the WIT.

use elias_delivery::flag::{self, EvaluationError, FlagErrorCode};
use elias_host::capability::pricing::Payload;
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use std::sync::Arc;

/// The type of a flag's values.
#[derive(ComponentType, Lift, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code)] // components make them
pub(super) enum ValueType {
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "text")]
    Text,
    #[component(name = "number")]
    Number,
    #[component(name = "object")]
    Object,
}

/// Why an evaluation has its value.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(super) enum Reason {
    #[component(name = "no-rules")]
    NoRules,
    #[component(name = "targeting-match")]
    TargetingMatch,
    #[component(name = "split")]
    Split,
    #[component(name = "default-variant")]
    DefaultVariant,
    #[component(name = "disabled")]
    Disabled,
}

/// The outcome of an evaluation.
#[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(super) struct Resolution {
    #[component(name = "variant-name")]
    pub(super) variant: Option<Arc<str>>,
    pub(super) value: Option<Arc<str>>,
    pub(super) reason: Reason,
    pub(super) metadata: Option<Arc<str>>,
}

/// Why an evaluation has no value.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum ErrorCode {
    /// The flags have not been read yet.
    #[component(name = "provider-not-ready")]
    ProviderNotReady,
    /// There is no such flag, or none that is granted.
    #[component(name = "flag-not-found")]
    FlagNotFound,
    /// The values have another type.
    #[component(name = "type-mismatch")]
    TypeMismatch,
    /// Percentages have to decide, and there is no targeting key.
    #[component(name = "targeting-key-missing")]
    TargetingKeyMissing,
    /// The context is not one.
    #[component(name = "invalid-context")]
    InvalidContext,
}

/// A failure, whose message the component sees.
#[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub struct Error {
    /// The kind of failure.
    pub code: ErrorCode,
    /// For people: what happened, and what to do.
    pub message: String,
}

impl Payload for ValueType {}

impl Payload for Resolution {
    fn units(&self) -> u64 {
        self.variant.units() + self.value.units() + self.metadata.units()
    }
}

impl Payload for Error {
    fn units(&self) -> u64 {
        self.message.units()
    }
}

impl From<ValueType> for flag::ValueType {
    fn from(wanted: ValueType) -> Self {
        match wanted {
            ValueType::Boolean => Self::Boolean,
            ValueType::Text => Self::String,
            ValueType::Number => Self::Number,
            ValueType::Object => Self::Object,
        }
    }
}

impl From<flag::Resolution> for Resolution {
    fn from(resolution: flag::Resolution) -> Self {
        let (variant, value) = resolution.variant.unzip();
        let reason = match resolution.reason {
            flag::Reason::Static => Reason::NoRules,
            flag::Reason::TargetingMatch => Reason::TargetingMatch,
            flag::Reason::Split => Reason::Split,
            flag::Reason::Default => Reason::DefaultVariant,
            flag::Reason::Disabled => Reason::Disabled,
        };
        Self { variant, value, reason, metadata: resolution.metadata }
    }
}

impl From<EvaluationError> for Error {
    fn from(error: EvaluationError) -> Self {
        let code = match error.code {
            FlagErrorCode::ProviderNotReady => ErrorCode::ProviderNotReady,
            FlagErrorCode::FlagNotFound => ErrorCode::FlagNotFound,
            FlagErrorCode::TypeMismatch => ErrorCode::TypeMismatch,
            FlagErrorCode::TargetingKeyMissing => ErrorCode::TargetingKeyMissing,
            FlagErrorCode::InvalidContext => ErrorCode::InvalidContext,
        };
        Self { code, message: error.message }
    }
}
