//! The parts that `elias`, `elias-build` and `elias-serve` share: the arguments of commands, failures, and text for
//! terminals.
//!
//! `elias` knows every command, for its help, completions and manual pages, but links neither the bundler nor the host:
//! it hands a command that needs them on to a sibling program with the same arguments. Both programs parse the same
//! structs, so these are in a crate that links neither.

mod build;
mod database;
mod error_code;
mod failure;
mod host;
mod platform;
mod program;
mod rows;
mod serve;
mod setting_flags;
mod target;
mod test;
pub mod text;
mod version_settings;

pub use build::{BuildArguments, BuildCommand, InspectArguments, PrepareArguments, TypesArguments};
pub use database::{DbArguments, Parameters};
pub use error_code::CliErrorCode;
pub use failure::Failure;
pub use host::{CheckArguments, HostCommand, MoveStoreArguments, RestoreArguments};
pub use platform::{PlatformArguments, ceiling};
pub use program::Program;
pub use rows::print_rows;
pub use serve::{DevArguments, LogFormat, ServeArguments, ServerArguments};
pub use setting_flags::SettingFlags;
pub use target::{Target, default_tenant, tenant_of_environment};
pub use test::{Reporter, TestArguments};
pub use version_settings::version_settings;
