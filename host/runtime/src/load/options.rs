//! The options of loading a component, and the description of one that was compiled.

use crate::grants::Grants;
use crate::handlers::Handlers;
use crate::limits::Limits;
use crate::log::Observer;
use crate::schedule::CpuShare;
use elias_contract::manifest::Manifest;
use std::path::PathBuf;
use std::sync::Arc;

/// A component that could be loaded.
#[derive(Debug, Clone)]
pub struct CompiledComponent {
    /// The component's manifest; none for components of other toolchains.
    pub manifest: Option<Manifest>,
    /// SHA-256 of the engine that it carries or imports.
    pub engine: Option<String>,
    /// The capabilities that it imports.
    pub capabilities: Vec<String>,
    /// Which handlers it exports.
    pub handlers: Handlers,
}

/// The options with which a component is loaded.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// The capabilities that it may use.
    pub grants: Grants,
    /// The folder that paths in the grants are relative to.
    pub folder: PathBuf,
    /// Its name in place of the manifest's. Capabilities keep what belongs to a component under its name.
    pub name: Option<String>,
    /// Its limits in place of the host's. Memory and tables cannot be larger than the host's.
    pub limits: Option<Limits>,
    /// The observer of its log lines, beside the log.
    pub observer: Option<Arc<dyn Observer>>,
    /// The CPU share of its executions. Without it each component has a share of its own, by its name.
    pub share: Option<CpuShare>,
}
