//! The identity of a component: its name, version and digest.

use std::path::PathBuf;

/// A component, as capabilities and log lines name it.
#[derive(Debug, Clone)]
pub struct ComponentInfo {
    /// Its name. Who loads it vouches that no other component of the host has it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// The folder that paths in its grants are relative to.
    pub folder: PathBuf,
}
