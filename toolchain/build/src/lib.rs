//! x
pub mod bundle;
pub mod diagnostic;
pub mod uses;
