//! The object of a request within a tenant.

use elias_names::{ComponentName, Environment, ServiceId};
use std::fmt;

/// The object of a request within a tenant.
#[derive(Debug, Clone, Copy)]
pub enum AccessTarget<'a> {
    /// The tenant as a whole.
    Tenant,
    /// A component, wherever it serves.
    Component(&'a ComponentName),
    /// A component in an environment.
    Service(&'a ComponentName, Environment),
}

impl<'a> AccessTarget<'a> {
    pub(super) fn parts(self) -> (Option<&'a ComponentName>, Option<Environment>) {
        match self {
            Self::Tenant => (None, None),
            Self::Component(component) => (Some(component), None),
            Self::Service(component, environment) => (Some(component), Some(environment)),
        }
    }
}

impl<'a> From<Option<&'a ComponentName>> for AccessTarget<'a> {
    fn from(component: Option<&'a ComponentName>) -> Self {
        component.map_or(Self::Tenant, Self::Component)
    }
}

impl<'a> From<&'a ServiceId> for AccessTarget<'a> {
    fn from(id: &'a ServiceId) -> Self {
        Self::Service(&id.component, id.environment)
    }
}

impl fmt::Display for AccessTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("the tenant"),
            Self::Component(component) => write!(f, "{component}"),
            Self::Service(component, environment) => write!(f, "{component} in {environment}"),
        }
    }
}
