//! The trait that builds drafts. The program that opens the platform implements it, since the platform knows no
//! compiler itself.

use bytes::Bytes;
use elias_api::{Diagnostic, Result, VersionSettings};
use elias_names::ComponentName;
use futures::future::BoxFuture;
use std::collections::BTreeMap;

/// The result of a build that came to its end.
#[derive(Debug, Default)]
pub struct BuiltDraft {
    /// The component; `None` if an error is among the diagnostics.
    pub component: Option<DraftComponent>,
    /// The errors and warnings about the sources.
    pub diagnostics: Vec<Diagnostic>,
}

/// A component that was built of a draft.
#[derive(Debug)]
pub struct DraftComponent {
    /// Its bytes.
    pub wasm: Bytes,
    /// What its elias.toml says, without `files`.
    pub settings: VersionSettings,
    /// The files that belong to it, by the path in the version: migrations and assets.
    pub files: BTreeMap<String, Bytes>,
}

/// Builds drafts. The command line provides it: the platform knows no compiler.
pub trait DraftBuilder: Send + Sync {
    /// The files of a new draft that starts from a template; `None` if there is no such template.
    fn template(&self, template: &str, draft: &ComponentName) -> Option<BTreeMap<String, String>>;

    /// Builds a project of these files, which are checked, within the limits of a build.
    ///
    /// # Errors
    /// `build-limit` if it takes more than it may, or does not end; `overloaded` if the host has no room for another
    /// build; `storage-failed`, `no-space-left`, `internal`. What is wrong with a source is a diagnostic.
    fn build<'a>(&'a self, files: &'a BTreeMap<String, String>) -> BoxFuture<'a, Result<BuiltDraft>>;
}
