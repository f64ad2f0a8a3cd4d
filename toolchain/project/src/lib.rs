//! A project on disk: where it is, what its elias.toml and `.env` files say, and the TypeScript declarations that it
//! gets.
//!
//! `elias`, `elias-build` and `elias-serve` all read projects, so this crate depends on none of the bundler, the host
//! and the platform. A table of elias.toml is kept as JSON here; the program that uses it reads it into its own type.

pub mod build_table;
pub mod config_file;
pub mod dotenv;
mod error;
pub mod files;
mod project;
pub mod settings;
pub mod types;

pub use build_table::BuildTable;
pub use config_file::{CONFIG_FILE, ConfigFile};
pub use error::ProjectError;
pub use project::{DEV_URL_FILE, ENTRIES, Project, is_source};
