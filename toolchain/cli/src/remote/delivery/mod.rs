//! From a project to a version that serves, and what changes what serves.

pub(crate) mod canary;
pub(crate) mod comparison;
pub(crate) mod deploy;
pub(crate) mod drafts;
pub(crate) mod feature_flags;
pub(crate) mod files;
pub(crate) mod rollouts;
pub(crate) mod services;
pub(crate) mod spec;
pub(crate) mod stages;
pub(crate) mod targeting;
pub(crate) mod version_settings;
pub(crate) mod versions;
